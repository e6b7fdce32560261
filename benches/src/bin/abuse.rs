//! Lets every enemy loose on a live server, measures an honest flow meanwhile, and prints or writes the table.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use flowgate_benches::abuse::enemies;
use flowgate_benches::abuse::row::Stage;
use flowgate_benches::abuse::table::Table;
use flowgate_benches::machine;
use flowgate_benches::overload::cases;
use flowgate_benches::process::pin;

const PAGE: &str = "docs/abuse.md";
const JSON: &str = "docs/abuse.json";

/// Where the server and the load have a core each: for load beyond capacity.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// Measures an honest flow beside hostile guests, clients and uploads.
#[derive(Parser)]
struct Arguments {
    /// The release build of Flowgate.
    #[arg(long, default_value = "target/release/flowgate")]
    flowgate: PathBuf,
    /// The folder of the built guests.
    #[arg(long, default_value = "guests/target/wasm32-wasip2/release")]
    guests: PathBuf,
    /// Where the servers' data goes: on a real disk, or durability costs nothing.
    #[arg(long, default_value = "target")]
    data: PathBuf,
    /// Seconds of each row.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Only the rows whose name contains one of these; those about load beyond capacity begin with `overload_`.
    #[arg(long)]
    only: Vec<String>,
    /// Writes the report to `docs` instead of printing it only.
    #[arg(long)]
    write: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments { flowgate, guests, data, seconds, only, write } = Arguments::parse();
    fs::create_dir_all(&data)?;
    let stage = Stage { flowgate, guests, data, duration: Duration::from_secs(seconds) };
    let mut stderr = std::io::stderr();
    writeln!(stderr, "undisturbed")?;
    let (baseline, baseline_peak_bytes) = stage.undisturbed().await?;
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let mut rows = Vec::new();
    for enemy in enemies().iter().filter(|enemy| wanted(enemy.name)) {
        writeln!(stderr, "{}", enemy.name)?;
        rows.push(stage.row(enemy).await.context(enemy.name)?);
    }
    let cases: Vec<_> = cases().into_iter().filter(|case| wanted(&format!("overload_{}", case.name))).collect();
    if !cases.is_empty() {
        pin(LOAD_CORE)?;
    }
    let mut beyond = Vec::new();
    for case in cases {
        writeln!(stderr, "overload_{}", case.name)?;
        beyond.push(case.run(&stage, SERVER_CORE).await.context(case.name)?);
    }
    let date = jiff::Timestamp::now().strftime("%F").to_string();
    let table = Table { date, machine: machine::described(), baseline, baseline_peak_bytes, rows, beyond };
    if write {
        for (path, text) in [(PAGE, table.page()), (JSON, table.json())] {
            fs::write(path, text)
                .with_context(|| format!("cannot write {path}; run this from the top of the repository"))?;
        }
    }
    write!(std::io::stdout(), "{}", table.page())?;
    let broken = table.broken();
    ensure!(broken.is_empty(), "rows that break a promise:\n{}", broken.join("\n"));
    Ok(())
}
