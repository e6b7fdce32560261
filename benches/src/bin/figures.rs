//! Measures everything that `docs/benchmarks/README.md` names, and prints or writes the page of figures.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::Parser;
use flowgate_benches::house::House;
use flowgate_benches::load::{self, Outcome, Plan};
use flowgate_benches::process::{Server, own_cpu, pin};
use flowgate_benches::report::{self, Measured, Restart, Subject};
use flowgate_benches::{sample, wire};
use tokio::time::{Instant, sleep};

const PAGE: &str = "docs/benchmarks/first-figures.md";

/// The secret of the hook and of the bare server.
const SECRET: &str = "a secret for measurements, 32 bytes and more";

/// The core of the server, and that of the load.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// How long requests are sent before they count.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures Flowgate beside a bare HTTP server.
#[derive(Parser)]
struct Arguments {
    /// The release build of Flowgate.
    #[arg(long, default_value = "target/release/flowgate")]
    flowgate: PathBuf,
    /// The bare server; the one beside this program when absent.
    #[arg(long)]
    bare: Option<PathBuf>,
    /// The component that runs.
    #[arg(long, default_value = "guests/target/wasm32-wasip2/release/echo.wasm")]
    component: PathBuf,
    /// Where the servers' data goes: on a real disk, or durability costs nothing.
    #[arg(long, default_value = "target")]
    data: PathBuf,
    /// Connections that wait for replies.
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// Connections that wait for durable accepts. Each fsync serves all that arrived meanwhile, so there are more of them.
    #[arg(long, default_value_t = 128)]
    async_connections: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Times that everything is measured, by turns; the figures are medians.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Restarts of which the first reply is taken.
    #[arg(long, default_value_t = 5)]
    restarts: usize,
    /// Writes the page instead of printing it only.
    #[arg(long)]
    write: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let bare = match &arguments.bare {
        Some(bare) => bare.clone(),
        None => std::env::current_exe()?.with_file_name("bare"),
    };
    fs::create_dir_all(&arguments.data)?;
    let pinned = pin(LOAD_CORE).is_ok();
    let bench = Bench { core: pinned.then_some(SERVER_CORE), bare, arguments };
    let page = bench.page().await?;
    if bench.arguments.write {
        fs::write(PAGE, &page)
            .with_context(|| format!("cannot write {PAGE}; run this from the top of the repository"))?;
    }
    Ok(write!(std::io::stdout(), "{page}")?)
}

struct Bench {
    arguments: Arguments,
    bare: PathBuf,
    core: Option<usize>,
}

impl Bench {
    async fn page(&self) -> Result<String> {
        let Arguments { connections, async_connections, .. } = self.arguments;
        let subject = |name, connections| Subject { name, connections, repeats: Vec::new() };
        let mut bare = subject("bare server with HMAC", connections);
        let mut sync = subject("Flowgate, waiting for the reply of a fresh instance", connections);
        let mut accepted = subject("Flowgate, durable accept", async_connections);
        for _ in 0..self.arguments.repeats {
            bare.repeats.push(self.bare().await?);
            let (replied, durable) = self.flowgate().await?;
            sync.repeats.push(replied);
            accepted.repeats.push(durable);
        }
        let restarts = self.restarts().await?;
        let pinned = match self.core {
            Some(_) => "server and load pinned to one core each",
            None => {
                "server and load **not pinned** (`taskset` failed), so these figures are not comparable with others"
            }
        };
        Ok(format!(
            "# First figures\n\n\
             Written by `cargo run --release -p flowgate-benches --bin figures -- --write`; [README.md](README.md) says what is \
             measured and how to read it.\n\n\
             {date}. {machine}; {pinned}. An fsync of 4 KiB takes {fsync:.2} ms. Medians of {repeats} repeats of {seconds} s, \
             taken by turns.\n\n{subjects}\n{restarts}",
            date = jiff::Timestamp::now().strftime("%F"),
            machine = machine(),
            fsync = fsync(&self.arguments.data)?.as_secs_f64() * 1e3,
            repeats = self.arguments.repeats,
            seconds = self.arguments.seconds,
            subjects = report::subjects(&[bare, sync, accepted]),
            restarts = report::restarts(&restarts),
        ))
    }

    async fn bare(&self) -> Result<Measured> {
        let server = Server::start(&self.bare, &["--key", SECRET], self.core).await?;
        let load = self.load(server.address, sample::request("/", SECRET.as_bytes(), &[]), self.arguments.connections);
        let begin = Begin::now(&server)?;
        let full = load.full().await?;
        let used = begin.used(&server, &full)?;
        let measured = used.with(full, load.half(full.rate).await?);
        server.stop().await?;
        Ok(measured)
    }

    /// Replies, then durable accepts, of one server with new data.
    async fn flowgate(&self) -> Result<(Measured, Measured)> {
        let folder = tempfile::tempdir_in(&self.arguments.data)?;
        let house = House::start(&self.arguments.flowgate, folder.path(), self.core, None).await?;
        let hook = house.furnish(&self.arguments.component, SECRET).await?;
        let request = sample::request(&hook, SECRET.as_bytes(), &[]);
        let replied = self.hook(&house, request, self.arguments.connections).await?;
        let request = sample::request(&hook, SECRET.as_bytes(), &[("prefer", "respond-async")]);
        let accepted = self.hook(&house, request, self.arguments.async_connections).await?;
        house.server.stop().await?;
        Ok((replied, accepted))
    }

    async fn hook(&self, house: &House, request: Bytes, connections: u32) -> Result<Measured> {
        let load = self.load(house.server.address, request, connections);
        let begin = Begin::now(&house.server)?;
        let full = load.full().await?;
        let used = begin.used(&house.server, &full)?;
        house.idle().await?;
        let used = Used { server_us: begin.used(&house.server, &full)?.server_us, ..used };
        let half = load.half(full.rate).await?;
        house.idle().await?;
        Ok(used.with(full, half))
    }

    async fn restarts(&self) -> Result<Vec<Restart>> {
        let folder = tempfile::tempdir_in(&self.arguments.data)?;
        let start = |key| House::start(&self.arguments.flowgate, folder.path(), self.core, key);
        let house = start(None).await?;
        let key = house.server.key.clone();
        let hook = house.furnish(&self.arguments.component, SECRET).await?;
        house.server.stop().await?;
        let request = sample::request(&hook, SECRET.as_bytes(), &[]);
        let mut restarts = Vec::new();
        for _ in 0..self.arguments.restarts {
            let house = start(key.as_deref()).await?;
            let begin = Instant::now();
            let mut connection = wire::Connection::open(house.server.address).await?;
            let answer = connection.call(&request).await?;
            let first_reply = begin.elapsed();
            ensure!(answer.status == 200, "the first reply is a {}", answer.status);
            sleep(Duration::from_secs(1)).await;
            let (listening, resident_bytes) = (house.server.started_in, house.server.resident_bytes()?);
            restarts.push(Restart { listening, first_reply, resident_bytes });
            drop(connection);
            house.server.stop().await?;
        }
        Ok(restarts)
    }

    fn load(&self, address: SocketAddr, request: Bytes, connections: u32) -> Load {
        let duration = Duration::from_secs(self.arguments.seconds);
        Load(Plan { address, request, connections, rate: None, warm_up: WARM_UP, duration })
    }
}

struct Load(Plan);

impl Load {
    async fn full(&self) -> Result<Outcome> {
        Ok(load::run(self.0.clone()).await?)
    }

    async fn half(&self, of: f64) -> Result<Outcome> {
        Ok(load::run(Plan { rate: Some((of / 2.0).max(1.0)), ..self.0.clone() }).await?)
    }
}

/// When a measurement began, by the clocks of all who take part.
struct Begin {
    at: Instant,
    server: Duration,
    own: Duration,
}

struct Used {
    server_us: f64,
    server_busy: f64,
    load_busy: f64,
}

impl Begin {
    fn now(server: &Server) -> Result<Self> {
        Ok(Self { at: Instant::now(), server: server.cpu()?, own: own_cpu()? })
    }

    fn used(&self, server: &Server, outcome: &Outcome) -> Result<Used> {
        let wall = self.at.elapsed().as_secs_f64();
        let (server, own) = ((server.cpu()? - self.server).as_secs_f64(), (own_cpu()? - self.own).as_secs_f64());
        Ok(Used { server_us: server * 1e6 / outcome.sent as f64, server_busy: server / wall, load_busy: own / wall })
    }
}

impl Used {
    fn with(self, full: Outcome, half: Outcome) -> Measured {
        Measured {
            rate: full.rate,
            server_us: self.server_us,
            server_busy: self.server_busy,
            load_busy: self.load_busy,
            p50: half.p50,
            p99: half.p99,
            refused: full.refused + half.refused,
        }
    }
}

/// The machine, in general terms.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let kernel = read("/proc/sys/kernel/osrelease");
    let mut numbers = kernel.split(['.', '-']).map_while(|number| number.trim().parse::<u32>().ok());
    let kernel = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let scan = if kernel >= (6, 7) { "with" } else { "without" };
    format!(
        "{cores} cores ({}), {:.0} GiB of memory, Linux {}.{} ({scan} `PAGEMAP_SCAN`)",
        std::env::consts::ARCH,
        kib / f64::from(1 << 20),
        kernel.0,
        kernel.1,
    )
}

/// What makes something durable in `folder`: the median of 100 times.
fn fsync(folder: &Path) -> Result<Duration> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        file.write_all(&[0x5a; 4 << 10])?;
        File::sync_data(file.as_file())?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
