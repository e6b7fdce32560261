//! `flowgate new`: a project to begin from.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::out::Out;
use super::send::quoted;
use crate::project::{Project, TEMPLATES, Template};

#[derive(Debug, clap::Args)]
#[command(after_help = templates())]
pub(super) struct New {
    /// The flow: 1 to 63 of a-z, 0-9, `-` and `_`.
    name: String,
    /// The language.
    #[arg(long, value_parser = langs())]
    lang: String,
    /// What to begin from; the first one of the language unless it is named.
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// The folder, which must be empty if it is there; the flow's name unless it is given.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn langs() -> Vec<&'static str> {
    let mut langs = TEMPLATES.iter().map(|template| template.lang).collect::<Vec<_>>();
    langs.dedup();
    langs
}

fn templates() -> String {
    let line = |one: &Template| format!("\n  --lang {:<7} --template {:<10} {}", one.lang, one.name, one.about);
    format!("Templates:{}", TEMPLATES.iter().map(line).collect::<String>())
}

impl New {
    pub(super) async fn run(self, out: Out) -> anyhow::Result<()> {
        let Some(template) = Template::find(&self.lang, self.template.as_deref()) else {
            bail!("there is no such template for {}\n{}", self.lang, templates());
        };
        let folder = self.dir.unwrap_or_else(|| PathBuf::from(&self.name));
        let files = template.write(&self.name, &folder)?;
        let shown = folder.to_str().context("the folder's name is no text")?;
        if out.is_json() {
            return Ok(out.data(&json!({ "folder": shown, "lang": self.lang, "files": files }))?);
        }
        out.done(format_args!("{} made in {shown}/", self.name))?;
        let missing = Project::find(&folder)?.missing().await;
        let installs = missing.iter().map(|install| format!("\n  {install}")).collect::<String>();
        let next = format!(
            "\nnext:\n  cd {}{installs}\n  flowgate dev       # builds it, serves it, builds it again on every change\n  \
             flowgate test      # runs the conversations in cases/",
            quoted(shown)
        );
        Ok(out.hint(next)?)
    }
}
