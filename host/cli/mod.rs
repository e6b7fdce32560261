//! Commands.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::app;
use crate::config::Config;

/// Flowgate.
#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Runs the server.
    Serve {
        #[arg(long, default_value = "flowgate-data")]
        data: PathBuf,
        #[arg(long)]
        config: Option<PathBuf>,
        #[arg(long)]
        listen: Option<std::net::SocketAddr>,
    },
}

/// Does what the command line says.
#[expect(clippy::print_stderr, reason = "stub")]
pub fn run(args: Args) -> ExitCode {
    let Command::Serve { data, config, listen } = args.command;
    let mut config = match Config::load(config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(listen) = listen {
        config.server.listen = listen;
    }
    match app::runtime(&config).unwrap().block_on(app::serve(config, &data)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
