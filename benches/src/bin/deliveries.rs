//! Measures how many events a second reach receivers, signed and on record; prints or writes the page.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use flowgate_benches::house::{Furniture, House};
use flowgate_benches::load::{self, Plan};
use flowgate_benches::{arrivals, sample};
use tokio::time::{Instant, sleep};

const PAGE: &str = "docs/benchmarks/deliveries.md";

/// The secret of the hook.
const SECRET: &str = "a secret for measurements, 32 bytes and more";

/// How long nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures how many events a second are delivered.
#[derive(Parser)]
struct Arguments {
    /// The release build of Flowgate.
    #[arg(long, default_value = "target/release/flowgate")]
    flowgate: PathBuf,
    /// The component that runs.
    #[arg(long, default_value = "guests/target/wasm32-wasip2/release/echo.wasm")]
    component: PathBuf,
    /// Where the server's data goes: on a real disk, or durability costs nothing.
    #[arg(long, default_value = "target")]
    data: PathBuf,
    /// Seconds during which triggers are sent, as fast as they are accepted.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Writes the page instead of printing it only.
    #[arg(long)]
    write: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.data)?;
    let mut rows = String::new();
    for subscriptions in [1, 10, 100] {
        let (delivered, took) = measure(&arguments, subscriptions).await?;
        let rate = delivered as f64 / took.as_secs_f64();
        rows += &format!("| {subscriptions} | {delivered} | {:.1} s | {rate:.0} |\n", took.as_secs_f64());
    }
    let page = format!(
        "# Deliveries\n\n\
         Written by `cargo run --release -p flowgate-benches --bin deliveries -- --write`; [README.md](README.md) says what is \
         measured.\n\n\
         {date}. Triggers were accepted durably for {seconds} s, as fast as they could be; the time goes on until the last event of \
         the last of them has arrived.\n\n\
         | subscriptions | deliveries | time | deliveries/s |\n|---|---|---|---|\n{rows}\n\
         A delivery that succeeds at once costs three rows: itself, its attempt, its end. The event is one more, however many are \
         told of it. The test `a_delivered_event_costs_three_rows` counts them.\n",
        date = jiff::Timestamp::now().strftime("%F"),
        seconds = arguments.seconds,
    );
    if arguments.write {
        fs::write(PAGE, &page)
            .with_context(|| format!("cannot write {PAGE}; run this from the top of the repository"))?;
    }
    Ok(write!(std::io::stdout(), "{page}")?)
}

/// How many deliveries came, and how long that took.
async fn measure(arguments: &Arguments, subscriptions: usize) -> Result<(usize, Duration)> {
    let folder = tempfile::tempdir_in(&arguments.data)?;
    let environment = [("FLOWGATE_EGRESS_ALLOW", "127.0.0.0/8")];
    let house = House::start_with(&arguments.flowgate, folder.path(), None, None, &environment).await?;
    let hook = house.furnish(&Furniture::plain(&arguments.component, SECRET)).await?;
    let mut receiver = arrivals::Receiver::start().await?;
    for n in 0..subscriptions {
        house.api.subscribe(&format!("healthy-{n}"), receiver.address, "execution.succeeded").await?;
    }
    let begin = Instant::now();
    let outcome = load::run(Plan {
        address: house.server.address,
        request: sample::request(&hook, SECRET.as_bytes(), &[("prefer", "respond-async")]),
        connections: 16,
        rate: None,
        warm_up: Duration::ZERO,
        // Fewer triggers where each is told to many.
        duration: Duration::from_secs(arguments.seconds) / u32::try_from(subscriptions)?.min(10),
    })
    .await?;
    let wanted = usize::try_from(outcome.sent - outcome.refused)? * subscriptions;
    let mut seen = (0, Instant::now());
    loop {
        let count = receiver.count();
        if count >= wanted {
            break;
        }
        if count > seen.0 {
            seen = (count, Instant::now());
        }
        ensure!(seen.1.elapsed() < PATIENCE, "{count} of {wanted} deliveries arrive");
        sleep(Duration::from_millis(20)).await;
    }
    let took = begin.elapsed();
    house.server.stop().await?;
    Ok((wanted, took))
}
