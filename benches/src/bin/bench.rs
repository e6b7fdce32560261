//! Measures everything that `docs/benchmarks/README.md` names, by turns, and prints or writes the report.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use flowgate_benches::case::{Case, Flow, Programs, Running, SECRET, Subject};
use flowgate_benches::house::{Furniture, House};
use flowgate_benches::load::{self, Outcome, Plan};
use flowgate_benches::process::{Server, own_cpu, pin};
use flowgate_benches::report::{Measured, Report, Restart, Row};
use flowgate_benches::{machine, sample, wire};
use serde_json::json;
use tokio::time::{Instant, sleep};

const FOLDER: &str = "docs/benchmarks";

/// The core of the server, and that of the load.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// How long requests are sent before they count.
const WARM_UP: Duration = Duration::from_secs(1);

/// Connections that wait for replies, and for durable accepts. Each fsync serves all that arrived meanwhile, so there are
/// more of these.
const CONNECTIONS: u32 = 32;
const ACCEPTING: u32 = 128;

/// Executions that a warm instance may run.
const REUSE: u32 = 10_000;

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
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Times that everything is measured, by turns; the figures are medians.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Restarts of which the first reply is taken.
    #[arg(long, default_value_t = 5)]
    restarts: usize,
    /// Only the cases whose name contains one of these, and `bare`.
    #[arg(long)]
    only: Vec<String>,
    /// Writes the report to `docs/benchmarks` instead of printing it only.
    #[arg(long)]
    write: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, what, connections, subject| Case { name, what, connections, subject };
    let sync = |name, what, flow| case(name, what, CONNECTIONS, Subject::Flowgate(flow));
    let accept = |name, what, flow| case(name, what, ACCEPTING, Subject::Flowgate(flow));
    let fresh = Flow::default;
    let warm = || Flow { reuse_max: REUSE, ..Flow::default() };
    const JS: &str = "target/projects/js/build/flow.wasm";
    const PYTHON: &str = "target/projects/python/build/flow.wasm";
    vec![
        case("bare", "axum with HMAC", CONNECTIONS, Subject::Bare),
        case("wasmtime_fresh", "the same, and a fresh instance of a flow", CONNECTIONS, Subject::BareWasm),
        case("wasmtime_serve", "`wasmtime serve`, as it comes; no proof", CONNECTIONS, Subject::WasmtimeServe(&[])),
        case(
            "wasmtime_serve_fast",
            "`wasmtime serve`, a fresh instance each, its fastest setting; no proof",
            CONNECTIONS,
            Subject::WasmtimeServe(&[
                "-O",
                "pooling-allocator=y",
                "-O",
                "pooling-memory-keep-resident=1048576",
                "-O",
                "pooling-table-keep-resident=1048576",
                "-O",
                "pooling-pagemap-scan=y",
            ]),
        ),
        sync("sync_fresh", "a fresh instance, with proof and record", fresh()),
        sync("sync_warm", "an instance that is used again", warm()),
        sync("sync_unproven", "a fresh instance, without proof", Flow { proof: false, ..fresh() }),
        sync(
            "sync_autommate",
            "the dialect `autommate`",
            Flow {
                dialect: "autommate",
                body: || sample::filled(json!({ "message": "Where is my order?", "userId": "usr_20871" })),
                ..fresh()
            },
        ),
        sync("sync_uptiq", "the dialect `uptiq`", Flow { dialect: "uptiq", ..fresh() }),
        accept("accept_almyty", "the dialect `almyty`, durable", Flow { dialect: "almyty", ..fresh() }),
        accept("accept_agenticflow", "the dialect `agenticflow`, durable", Flow { dialect: "agenticflow", ..fresh() }),
        sync("sync_js", "a guest in JavaScript, fresh", Flow { component: JS, ..fresh() }),
        sync("sync_js_warm", "a guest in JavaScript, used again", Flow { component: JS, ..warm() }),
        sync("sync_python", "a guest in Python, fresh", Flow { component: PYTHON, ..fresh() }),
        sync("sync_python_warm", "a guest in Python, used again", Flow { component: PYTHON, ..warm() }),
        accept("async_accept", "durable accept", Flow { headers: &[("prefer", "respond-async")], ..fresh() }),
    ]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let programs = Programs {
        flowgate: arguments.flowgate.clone(),
        beside: std::env::current_exe()?.parent().context("this program lies nowhere")?.to_owned(),
        wasmtime: arguments.wasmtime.clone(),
        guests: arguments.guests.clone(),
        data: arguments.data.clone(),
    };
    fs::create_dir_all(&arguments.data)?;
    let pinned = pin(LOAD_CORE).is_ok();
    let bench = Bench { core: pinned.then_some(SERVER_CORE), programs, arguments };
    let report = bench.report().await?;
    if bench.arguments.write {
        for (name, text) in report.files() {
            let path = Path::new(FOLDER).join(name);
            fs::write(&path, text)
                .with_context(|| format!("cannot write {}; run this from the top of the repository", path.display()))?;
        }
    }
    Ok(write!(std::io::stdout(), "{}", report.page())?)
}

struct Bench {
    arguments: Arguments,
    programs: Programs,
    core: Option<usize>,
}

impl Bench {
    async fn report(&self) -> Result<Report> {
        let cases = cases().into_iter().filter(|case| self.wants(case));
        let mut rows: Vec<(Case, Row)> = cases.map(|case| (case.clone(), Row::of(case.name, case.what))).collect();
        for repeat in 0..self.arguments.repeats {
            for (case, row) in &mut rows {
                self.tell(&format!("{} of {}: {}", repeat + 1, self.arguments.repeats, case.name))?;
                row.repeats.push(self.measure(case).await.with_context(|| case.name)?);
            }
        }
        let upload = self.upload().await?;
        let restarts = self.restarts().await?;
        Ok(Report {
            date: jiff::Timestamp::now().strftime("%F").to_string(),
            machine: machine::described(),
            pinned: self.core.is_some(),
            fsync: machine::fsync(&self.arguments.data)?,
            repeats: self.arguments.repeats,
            seconds: self.arguments.seconds,
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            restarts,
            upload,
        })
    }

    fn wants(&self, case: &Case) -> bool {
        let only = &self.arguments.only;
        let named = only.is_empty() || case.name == "bare" || only.iter().any(|part| case.name.contains(part.as_str()));
        let there = match &case.subject {
            Subject::WasmtimeServe(_) => self.programs.wasmtime.exists(),
            Subject::Flowgate(flow) => !flow.component.contains('/') || Path::new(flow.component).exists(),
            _ => true,
        };
        named && there
    }

    async fn measure(&self, case: &Case) -> Result<Measured> {
        let Running { server, request, house } = case.start(&self.programs, self.core).await?;
        let duration = Duration::from_secs(self.arguments.seconds);
        let (address, connections) = (server.address, case.connections);
        let plan = Plan { address, request, connections, rate: None, warm_up: WARM_UP, duration };
        let begin = Begin::now(&server)?;
        let full = load::run(plan.clone()).await?;
        let mut used = begin.used(&server, &full)?;
        let resident_bytes = server.resident_bytes()?;
        if let Some(house) = &house {
            // What was accepted is executed as well, before anything else is asked of the server.
            house.api.idle().await?;
            used.server_us = begin.used(&server, &full)?.server_us;
        }
        let half = load::run(Plan { rate: Some((full.rate / 2.0).max(1.0)), ..plan }).await?;
        if let Some(house) = &house {
            house.api.idle().await?;
        }
        server.stop().await?;
        Ok(Measured {
            rate: full.rate,
            server_us: used.server_us,
            server_busy: used.server_busy,
            load_busy: used.load_busy,
            p50: half.p50,
            p99: half.p99,
            resident_bytes,
            refused: full.refused + half.refused,
        })
    }

    /// The time from the first byte of an upload until the version is live.
    async fn upload(&self) -> Result<Duration> {
        let folder = tempfile::tempdir_in(&self.programs.data)?;
        let house = House::start(&self.programs.flowgate, folder.path(), self.core, None).await?;
        let furniture = Furniture::plain(&self.programs.guests.join("mirror.wasm"), SECRET);
        let begin = Instant::now();
        house.api.flow("bench", &furniture).await?;
        let took = begin.elapsed();
        house.server.stop().await?;
        Ok(took)
    }

    async fn restarts(&self) -> Result<Vec<Restart>> {
        let folder = tempfile::tempdir_in(&self.programs.data)?;
        let start = |key| House::start(&self.programs.flowgate, folder.path(), self.core, key);
        let house = start(None).await?;
        let key = house.server.key.clone();
        let hook = house.furnish(&Furniture::plain(&self.programs.guests.join("mirror.wasm"), SECRET)).await?;
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

    fn tell(&self, what: &str) -> Result<()> {
        Ok(writeln!(std::io::stderr(), "{what}")?)
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
