//! The configuration: the `Options` of all rooms, one section each.
//!
//! A value comes from the environment (`FLOWGATE_<SECTION>_<KEY>`), else from the TOML file, else it is the default. All that
//! is wrong is said at once, with the key, the value and what would be right, before anything starts. [`DEFAULT`] is the
//! reference of all keys. The environment is read here and nowhere else.

mod allowed;
#[cfg(test)]
mod fuzz;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    capability, delivery, dispatch, egress, engine, execution, ingress, llm, notice, queue, server, store, sweep,
    telemetry, transform,
};

/// The commented file that says what holds when nothing is configured.
pub const DEFAULT: &str = include_str!("default.toml");

/// What the server does. Every section may be left out, and every key of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Connections in.
    pub server: server::Options,
    /// Requests of hooks.
    pub ingress: ingress::Options,
    /// Logs.
    pub telemetry: telemetry::Options,
    /// The database.
    pub store: store::Options,
    /// Components and what they may use.
    pub engine: engine::Options,
    /// Host calls of a component.
    pub capability: capability::Options,
    /// Background work.
    pub queue: queue::Options,
    /// Executions.
    pub execution: execution::Options,
    /// Components that reshape deliveries.
    pub transform: transform::Options,
    /// Callbacks out.
    pub delivery: delivery::Options,
    /// Events on their way to subscriptions.
    pub dispatch: dispatch::Options,
    /// Whom to tell of deliveries that fail.
    pub notice: notice::Options,
    /// Requests out.
    pub egress: egress::Options,
    /// How long things are kept.
    pub retention: sweep::Options,
    /// Language models by their aliases.
    pub models: llm::Options,
}

/// A variable that the configuration names, such as one with a key; none when it is not set, or no text.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this room is where the environment is read")]
    std::env::var(name).ok()
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML. The text shows the line.
    #[error("the configuration file {} is not TOML: {reason}", path.display())]
    Syntax {
        /// Its path.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// Keys or values that cannot be; all of them.
    #[error("the configuration is not valid:{}", told(.0))]
    Invalid(Vec<Invalid>),
}

/// One key that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its dotted path, for example `engine.instances_max`.
    pub key: String,
    /// Where it was written: the file or the variable.
    pub origin: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}) {}", self.key, self.origin, self.message)
    }
}

fn told(problems: &[Invalid]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

impl Config {
    /// The configuration of this process: the file, if one is named, under the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        let table = file.map(|path| Ok((path, read::file(path)?))).transpose()?;
        #[expect(clippy::disallowed_methods, reason = "this room is where the environment is read")]
        let variables = std::env::vars_os();
        // A name that is no text is none of ours, and a value that is none shows as what it is not.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        read::config(table, variables.filter_map(text))
    }

    /// As a TOML file that says the same.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every option has a TOML form")
    }
}
