//! Building: a command that the project names, which makes a component where the project says.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::{Child, Command};

use super::{Error, Project, file};
use crate::clock::Stopwatch;

/// How a component is made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// For `sh`, in the project's folder.
    pub command: String,
    /// What it makes, in the project's folder.
    pub component: PathBuf,
    /// Files and folders whose change is worth another build.
    pub watch: Vec<PathBuf>,
    /// What the command needs.
    #[serde(default)]
    pub needs: Vec<Need>,
}

/// Something that a build needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// A command for `sh` that ends well when it is there.
    pub check: String,
    /// A command that installs it.
    pub install: String,
}

/// A component that was built.
#[derive(Debug)]
pub struct Built {
    /// Where it is.
    pub component: PathBuf,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// How long the build took.
    pub took: Duration,
}

impl Project {
    /// Builds the component. Whatever the build says goes to stderr, as it says it, so that stdout stays for data.
    ///
    /// Dropped before its end, the build is stopped with all the processes that it has started.
    pub async fn build(&self) -> Result<Built, Error> {
        let (watch, build) = (Stopwatch::start(), &self.manifest.build);
        let mut group = Group(
            self.shell(&build.command).stdout(std::io::stderr()).spawn().map_err(file("build in", &self.folder))?,
        );
        let status = group.0.wait().await.map_err(file("build in", &self.folder))?;
        if !status.success() {
            let how = match status.code() {
                Some(code) => format!("ended with code {code}"),
                None => "was stopped".to_owned(),
            };
            return Err(Error::Build { command: build.command.clone(), how, missing: self.missing().await });
        }
        let component = self.component();
        let size_bytes = std::fs::metadata(&component).map_err(|_| Error::NoComponent(component.clone()))?.len();
        Ok(Built { component, size_bytes, took: watch.elapsed() })
    }

    /// How to install what the build needs and does not find.
    pub async fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for need in &self.manifest.build.needs {
            let check = self.shell(&need.check).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
            if !check.is_ok_and(|status| status.success()) {
                missing.push(need.install.clone());
            }
        }
        missing
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).current_dir(&self.folder).stdin(Stdio::null()).process_group(0);
        shell
    }
}

/// A build and whatever it started: a shell does not pass on what stops it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // There is no id any more once it has ended.
        if let Some(id) = self.0.id() {
            let kill = format!("kill -TERM -{id}");
            let _ = std::process::Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
        }
    }
}
