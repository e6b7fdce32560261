//! What an author has on disk: a folder with a `flow.toml`, made from a template, built by whatever its language needs, and
//! tested by cases.

mod build;
pub mod case;
mod nearest;
mod template;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::capability::Grants;
use crate::id::{self, BadName};
use crate::llm::Spec;

pub use build::{Build, Built};
pub use template::{TEMPLATES, Template};
pub use watch::Watch;

/// The file that makes a folder a project.
pub const FILE: &str = "flow.toml";

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no project.
    #[error(
        "there is no {FILE} in {} nor above it\nhint: `flowgate new NAME --lang rust` makes a project; inside it, this command \
         needs no more words",
        .0.display()
    )]
    NoProject(PathBuf),
    /// A name is not one.
    #[error("`{name}` is no name: {source}")]
    BadName {
        /// The text.
        name: String,
        /// The rule.
        source: BadName,
    },
    /// The language has rules of its own.
    #[error("`{name}` is no name for a project in {lang}: {rule}")]
    NotHere {
        /// The text.
        name: String,
        /// The language.
        lang: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// There is something already.
    #[error("{} is there already, and nothing is overwritten; name another folder with `--dir`", .0.display())]
    Taken(PathBuf),
    /// A file says what it cannot.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and the nearest name that would be right.
        reason: String,
    },
    /// The build ended with another code than 0. The compiler has said why.
    #[error("the build failed: `{command}` {how}{}", hints(.missing))]
    Build {
        /// What was run.
        command: String,
        /// How it ended.
        how: String,
        /// Commands that install what the build needs and does not find.
        missing: Vec<String>,
    },
    /// The build made nothing, or made it elsewhere.
    #[error("the build made no {}: correct `build.component` in {FILE}", .0.display())]
    NoComponent(PathBuf),
    /// The operating system refuses something.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

fn hints(missing: &[String]) -> String {
    missing.iter().map(|install| format!("\nhint: the build needs what this installs: {install}")).collect()
}

/// A project: its folder, and what `flow.toml` says.
#[derive(Debug)]
pub struct Project {
    /// Where `flow.toml` is.
    pub folder: PathBuf,
    /// What it says.
    pub manifest: Manifest,
}

/// `flow.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The flow.
    pub name: String,
    /// How its component is made.
    pub build: Build,
    /// How it is tested.
    #[serde(default)]
    pub test: Test,
    /// What it reads by `wasi:config` while it is developed and tested.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// What it asks the operator for; granted while it is developed and tested.
    #[serde(default)]
    pub grants: Grants,
    /// What stands for the models that it asks, while it is developed and tested; a mock that echoes unless it says more.
    /// Paths begin in the project's folder.
    #[serde(default)]
    pub models: BTreeMap<String, Spec>,
}

/// How a flow is tested.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Test {
    /// The folder of the cases, in the project's.
    pub cases: PathBuf,
}

impl Default for Test {
    fn default() -> Self {
        Self { cases: PathBuf::from("cases") }
    }
}

impl Project {
    /// The project that `folder` is in.
    pub fn find(folder: &Path) -> Result<Self, Error> {
        let folder = folder.canonicalize().map_err(file("find", folder))?;
        let found = folder.ancestors().find(|folder| folder.join(FILE).is_file());
        let folder = found.ok_or_else(|| Error::NoProject(folder.clone()))?.to_owned();
        let manifest = Manifest::read(&folder.join(FILE))?;
        Ok(Self { folder, manifest })
    }

    /// The component, where the build puts it.
    pub fn component(&self) -> PathBuf {
        self.folder.join(&self.manifest.build.component)
    }

    /// The models of a server for this project: the operator's, and for each alias that those have not, the project's. The
    /// alias `mock` is always there, so it is the operator's only when it does more than echo.
    pub fn models(&self, own: &BTreeMap<String, Spec>, configured: &mut BTreeMap<String, Spec>) {
        for (alias, spec) in own {
            if configured.get(alias).is_some_and(|set| *set != Spec::default()) {
                continue;
            }
            let mut spec = spec.clone();
            for path in [&mut spec.script, &mut spec.folder, &mut spec.key_file] {
                if !path.as_os_str().is_empty() {
                    *path = self.folder.join(&path);
                }
            }
            configured.insert(alias.clone(), spec);
        }
    }

    /// The folder of what need not be kept: the development server's data.
    pub fn scratch(&self) -> PathBuf {
        self.folder.join(".flowgate")
    }
}

impl Manifest {
    fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(file("read", path))?;
        let manifest: Self = toml::from_str(&text).map_err(|error| Error::Invalid {
            path: path.to_owned(),
            reason: nearest::named(error.message(), error.to_string().trim_end()),
        })?;
        let name = &manifest.name;
        id::check_name(name).map_err(|source| Error::BadName { name: name.clone(), source })?;
        Ok(manifest)
    }
}

fn file<'a>(what: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> Error + 'a {
    move |source| Error::File { what, path: path.to_owned(), source }
}
