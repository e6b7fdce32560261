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

const PAGE: &str = "docs/abuse.md";
const JSON: &str = "docs/abuse.json";

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
    /// Only the rows whose name contains one of these.
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
    let mut rows = Vec::new();
    for enemy in enemies() {
        if only.is_empty() || only.iter().any(|part| enemy.name.contains(part.as_str())) {
            writeln!(stderr, "{}", enemy.name)?;
            rows.push(stage.row(&enemy).await.context(enemy.name)?);
        }
    }
    let date = jiff::Timestamp::now().strftime("%F").to_string();
    let table = Table { date, machine: machine::described(), baseline, baseline_peak_bytes, rows };
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
