//! The load alone, for one URL: signed requests from so many connections, for so long.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use flowgate_benches::awake::Awake;
use flowgate_benches::load::{Plan, run};
use flowgate_benches::sample;

/// Sends the sample request as often as it is answered.
#[derive(Parser)]
struct Arguments {
    /// The server, as in `127.0.0.1:8080`.
    address: SocketAddr,
    /// The path of the URL, as in `/hooks/hok_…`.
    path: String,
    /// The key of the proof.
    #[arg(long)]
    key: String,
    /// A `Prefer` header.
    #[arg(long)]
    prefer: Option<String>,
    /// Connections.
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// Requests per second; as many as there can be when absent.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds that count, after one that does not.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let prefer: Vec<_> = arguments.prefer.as_deref().map(|value| ("prefer", value)).into_iter().collect();
    let _awake = Awake::now();
    let outcome = run(Plan {
        address: arguments.address,
        request: sample::request(&arguments.path, arguments.key.as_bytes(), &prefer),
        connections: arguments.connections,
        rate: arguments.rate,
        warm_up: Duration::from_secs(1),
        duration: Duration::from_secs(arguments.seconds),
    })
    .await?;
    let told = format!(
        "{:.0} requests/s, p50 {:?}, p99 {:?}, {} refused",
        outcome.rate, outcome.p50, outcome.p99, outcome.refused
    );
    Ok(writeln!(std::io::stdout(), "{told}")?)
}
