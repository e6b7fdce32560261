//! Measures how long an event takes to a healthy subscription: alone, then beside dead ones; prints or writes the page.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::Parser;
use flowgate_benches::house::{Furniture, House};
use flowgate_benches::wire::Connection;
use flowgate_benches::{arrivals, sample};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until};

const PAGE: &str = "docs/benchmarks/isolation.md";

/// The secret of the hook.
const SECRET: &str = "a secret for measurements, 32 bytes and more";

/// Events before those that count.
const WARM_UP: usize = 50;

/// How long after the last trigger an event may still arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much longer the healthy subscription's p99 may be beside dead ones.
const TIMES_MAX: f64 = 2.0;

/// Measures a healthy subscription beside dead ones.
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
    /// Dead subscriptions: a third each refuses connections, says nothing, and answers 500.
    #[arg(long, default_value_t = 1_000)]
    dead: usize,
    /// Events of each turn.
    #[arg(long, default_value_t = 250)]
    events: usize,
    /// Turns of either server.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Events in a second. Each goes to every subscription, so a server has this times the subscriptions to write.
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// Writes the page instead of printing it only.
    #[arg(long)]
    write: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.data)?;
    let (mut alone, mut beside) = (Bench::start(&arguments).await?, Bench::start(&arguments).await?);
    let stalling = TcpListener::bind("127.0.0.1:0").await?;
    beside.bury(arguments.dead, &stalling).await?;
    // They take turns, so that what else happens on the machine happens to both.
    for _ in 0..arguments.rounds {
        alone.measure(&arguments).await?;
        beside.measure(&arguments).await?;
    }
    let (alone, beside) = (alone.end().await?, beside.end().await?);
    let page = page(&arguments, alone, beside);
    if arguments.write {
        fs::write(PAGE, &page)
            .with_context(|| format!("cannot write {PAGE}; run this from the top of the repository"))?;
    }
    write!(std::io::stdout(), "{page}")?;
    let times = beside.p99.as_secs_f64() / alone.p99.as_secs_f64();
    ensure!(times <= TIMES_MAX, "beside dead subscriptions the p99 is {times:.2} times what it is alone");
    Ok(())
}

/// A server with a healthy subscription, and the times that its events took.
struct Bench {
    house: House,
    request: Bytes,
    receiver: arrivals::Receiver,
    times: Vec<Duration>,
    _folder: tempfile::TempDir,
}

/// The times from trigger to arrival that half, 99 of 100 and all stayed under.
#[derive(Clone, Copy)]
struct Times {
    p50: Duration,
    p99: Duration,
    most: Duration,
}

impl Bench {
    async fn start(arguments: &Arguments) -> Result<Self> {
        let folder = tempfile::tempdir_in(&arguments.data)?;
        let environment = [("FLOWGATE_EGRESS_ALLOW", "127.0.0.0/8")];
        let house = House::start_with(&arguments.flowgate, folder.path(), None, None, &environment).await?;
        let hook = house.furnish(&Furniture::plain(&arguments.component, SECRET)).await?;
        let request = sample::request(&hook, SECRET.as_bytes(), &[]);
        let receiver = arrivals::Receiver::start().await?;
        house.api.subscribe("healthy", receiver.address, "execution.succeeded").await?;
        Ok(Self { house, request, receiver, times: Vec::new(), _folder: folder })
    }

    /// Makes the dead subscriptions.
    async fn bury(&self, dead: usize, stalling: &TcpListener) -> Result<()> {
        let refusing = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let failing = arrivals::failing().await?;
        // The kernel completes the connections that nobody accepts, until its backlog is full; then it drops them.
        let targets = [refusing, stalling.local_addr()?, failing];
        for n in 0..dead {
            self.house.api.subscribe(&format!("dead-{n}"), targets[n % 3], "execution.succeeded").await?;
        }
        Ok(())
    }

    /// Sends triggers at a steady rate, and takes the times from each of them to the arrival of its event; a millisecond of
    /// execution is part of them.
    async fn measure(&mut self, arguments: &Arguments) -> Result<()> {
        let mut connection = Connection::open(self.house.server.address).await?;
        let (begin, mut sent) = (Instant::now(), Vec::new());
        for n in 0..WARM_UP + arguments.events {
            sleep_until(begin + Duration::from_secs_f64(n as f64 / arguments.rate)).await;
            let at = Instant::now();
            let answer = connection.call(&self.request).await?;
            ensure!(answer.status == 200, "a trigger is answered by {}", answer.status);
            sent.push((execution(connection.body(&answer))?, at));
        }
        let last = Instant::now();
        while !sent.iter().all(|(id, _)| self.receiver.came(id).is_some()) {
            ensure!(last.elapsed() < PATIENCE, "not all events arrive at the healthy subscription");
            sleep(Duration::from_millis(20)).await;
        }
        let counted = sent.iter().skip(WARM_UP);
        self.times.extend(counted.filter_map(|(id, at)| Some(self.receiver.came(id)?.duration_since(*at))));
        Ok(())
    }

    async fn end(mut self) -> Result<Times> {
        self.house.server.stop().await?;
        self.times.sort_unstable();
        let at = |part: f64| self.times[((self.times.len() - 1) as f64 * part).round() as usize];
        Ok(Times { p50: at(0.50), p99: at(0.99), most: at(1.0) })
    }
}

fn page(arguments: &Arguments, alone: Times, beside: Times) -> String {
    let Arguments { dead, events, rate, rounds, .. } = arguments;
    let row = |name: &str, times: Times| {
        let [p50, p99, most] = [times.p50, times.p99, times.most].map(|time| time.as_secs_f64() * 1e3);
        format!("| {name} | {p50:.1} ms | {p99:.1} ms | {most:.1} ms |\n")
    };
    format!(
        "# Isolation\n\n\
         Written by `cargo run --release -p flowgate-benches --bin isolation -- --write`; [README.md](README.md) says what \
         is measured.\n\n\
         {date}. Two servers took turns, {rounds} each, of {events} events at {rate} a second, each for every subscription, from \
         trigger to arrival at the healthy one. Of {dead} dead subscriptions, a third each refuses connections, says nothing, \
         and answers 500.\n\n\
         | | p50 | p99 | most |\n|---|---|---|---|\n{alone_row}{beside_row}\n\
         The p99 beside the dead is {times:.2} times what it is alone; allowed: {TIMES_MAX}.\n",
        date = jiff::Timestamp::now().strftime("%F"),
        alone_row = row("alone", alone),
        beside_row = row(&format!("beside {dead} dead"), beside),
        times = beside.p99.as_secs_f64() / alone.p99.as_secs_f64(),
    )
}

fn execution(reply: &[u8]) -> Result<String> {
    let reply: serde_json::Value = serde_json::from_slice(reply)?;
    reply["execution_id"].as_str().map(str::to_owned).context("the reply names no execution")
}
