//! `flowgate build`: the component of the project at hand.

use std::path::PathBuf;

use anyhow::Context as _;
use indicatif::HumanBytes;
use serde_json::json;

use super::out::Out;
use crate::project::{Built, Project};

/// Where the project is.
#[derive(Debug, clap::Args)]
pub(super) struct At {
    /// The project's folder, or one in it.
    #[arg(long, default_value = ".")]
    pub(super) dir: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Build {
    #[command(flatten)]
    at: At,
}

impl At {
    pub(super) fn project(&self) -> anyhow::Result<Project> {
        Ok(Project::find(&self.dir)?)
    }
}

impl Build {
    pub(super) async fn run(self, out: Out) -> anyhow::Result<()> {
        let project = self.at.project()?;
        let built = tokio::select! {
            built = project.build() => built?,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("stopped"),
        };
        let component = built.component.to_str().context("the component's path is no text")?;
        out.hint(told(&built))?;
        if out.is_json() {
            return Ok(out.data(&json!({ "component": component, "size_bytes": built.size_bytes }))?);
        }
        Ok(out.text(&format!("{component}\n"))?)
    }
}

/// `built in 2.1 s, 214.03 KiB`.
pub(super) fn told(built: &Built) -> String {
    format!("built in {:.1} s, {}", built.took.as_secs_f64(), HumanBytes(built.size_bytes))
}
