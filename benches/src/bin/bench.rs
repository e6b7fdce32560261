//! Measures everything that `docs/benchmarks/README.md` names, by turns, and prints or writes the report.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use flowgate_benches::bench::Bench;
use flowgate_benches::case::Programs;
use flowgate_benches::process::pin;

const FOLDER: &str = "docs/benchmarks";

/// The core of the servers, and that of the load.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// Measures Flowgate beside a bare HTTP server, wasmtime in such a server, and `wasmtime serve`.
#[derive(Parser)]
struct Arguments {
    /// The release build of Flowgate.
    #[arg(long, default_value = "target/release/flowgate")]
    flowgate: PathBuf,
    /// `wasmtime` of the release that Flowgate has in it; its cases are left out where it is not.
    #[arg(long, default_value = "target/tools/wasmtime/bin/wasmtime")]
    wasmtime: PathBuf,
    /// The folder of the built guests.
    #[arg(long, default_value = "guests/target/wasm32-wasip2/release")]
    guests: PathBuf,
    /// Where the servers' data goes: on a real disk, or durability costs nothing.
    #[arg(long, default_value = "target")]
    data: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Times that everything is measured, by turns; the figures are medians.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Restarts of which the first reply is taken.
    #[arg(long, default_value_t = 10)]
    restarts: usize,
    /// Executions on record where growth with history is measured.
    #[arg(long, default_value_t = 1_000_000)]
    executions: u32,
    /// Only the cases whose name contains one of these, and `bare`.
    #[arg(long)]
    only: Vec<String>,
    /// Writes the report to `docs/benchmarks` instead of printing it only.
    #[arg(long)]
    write: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.data)?;
    let bench = Bench {
        programs: Programs {
            flowgate: arguments.flowgate,
            beside: std::env::current_exe()?.parent().context("this program lies nowhere")?.to_owned(),
            wasmtime: arguments.wasmtime,
            guests: arguments.guests,
            data: arguments.data,
        },
        core: pin(LOAD_CORE).is_ok().then_some(SERVER_CORE),
        duration: Duration::from_secs(arguments.seconds),
        repeats: arguments.repeats,
        restarts: arguments.restarts,
        executions: arguments.executions,
        only: arguments.only,
    };
    let report = bench.run().await?;
    if arguments.write {
        for (name, text) in report.files() {
            let path = Path::new(FOLDER).join(name);
            fs::write(&path, text)
                .with_context(|| format!("cannot write {}; run this from the top of the repository", path.display()))?;
        }
    }
    Ok(write!(std::io::stdout(), "{}", report.page())?)
}
