//! `flowgate serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::app;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// The folder that holds all that the server knows. It is made when it is not there.
    #[arg(long, default_value = "./flowgate-data", value_name = "DIR")]
    pub(super) data: PathBuf,
    /// A configuration file; `flowgate config print --default` writes one to start from.
    #[arg(long, env = "FLOWGATE_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where to listen, instead of where the configuration says.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut config = Config::load(self.config.as_deref())?;
        config.server.listen = self.listen.unwrap_or(config.server.listen);
        let runtime = app::runtime(&config).context("no runtime")?;
        Ok(runtime.block_on(app::serve(config, &self.data))?)
    }
}
