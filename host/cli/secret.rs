//! Secrets on the command line.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::signature::Secret;

/// A hook's secret, for signing or checking.
#[derive(Debug, clap::Args)]
pub(super) struct SecretArgs {
    /// The secret. A command line can be seen by others on this machine; the variable or a file cannot.
    #[arg(long, env = "FLOWGATE_SECRET", hide_env_values = true, value_name = "TEXT")]
    pub(super) secret: Option<String>,
    /// A file that holds it; the line's end does not belong to it.
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
}

impl SecretArgs {
    /// The secret, if there is one; the file counts more than the variable.
    pub(super) fn read(self) -> anyhow::Result<Option<Secret>> {
        match self.secret_file {
            Some(path) => from_file(&path).map(Some),
            None => Ok(self.secret.map(Secret::new).filter(|secret| !secret.is_empty())),
        }
    }
}

/// The secret that a file holds.
pub(super) fn from_file(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

/// The secret that was given as text or in a file.
pub(super) fn given(text: Option<String>, file: Option<PathBuf>) -> anyhow::Result<Option<String>> {
    match file {
        Some(path) => Ok(Some(from_file(&path)?.expose().to_owned())),
        None => Ok(text),
    }
}
