//! `flowgate config`.

use std::path::PathBuf;

use clap::Subcommand;

use super::out::Out;
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Print the configuration that `serve` would have, as TOML.
    Print {
        #[command(flatten)]
        source: Source,
        /// Print the reference instead: every key at its default, with a comment.
        #[arg(long, conflicts_with = "config")]
        default: bool,
    },
    /// Say what is wrong with the configuration, all at once.
    Check(Source),
}

/// The file; the environment comes on top.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// A configuration file.
    #[arg(long, env = "FLOWGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Config {
    pub(super) fn run(self, out: Out) -> anyhow::Result<()> {
        match self {
            Self::Print { default: true, .. } => out.text(config::DEFAULT)?,
            Self::Print { source, .. } => {
                let config = config::Config::load(source.config.as_deref())?;
                if out.is_json() { out.data(&serde_json::to_value(&config)?)? } else { out.text(&config.to_toml())? }
            }
            Self::Check(source) => {
                config::Config::load(source.config.as_deref())?;
                out.done("the configuration is valid")?;
            }
        }
        Ok(())
    }
}
