//! Three times as many requests as a server can answer: what it still answers, how it refuses the others, and how soon it
//! is well again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::abuse::row::Stage;
use crate::case::SECRET;
use crate::house::{Furniture, House};
use crate::load::{self, Plan};
use crate::process::Server;
use crate::sample;
use crate::wire::Connection;

/// How many times the capacity is sent.
const TIMES: f64 = 3.0;

/// Connections by which the capacity is looked for, and those that then send more.
const SEEKING: [u32; 2] = [32, 128];
const FLOODING: u32 = 768;

/// Connections, and requests per second, that look whether the server is well.
const LOOKING: u32 = 16;
const LOOKS: f64 = 100.0;

/// How long is looked for, after the flood.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// What is allowed: the part of the capacity that may be lost, milliseconds until a refusal and until all is well again, and
/// MiB of memory more than without the flood.
const LOST_MAX: f64 = 0.1;
const REFUSED_MS_MAX: f64 = 50.0;
const RECOVERED_MS_MAX: f64 = 1_000.0;
const MEMORY_MIB_MAX: u64 = 512;

/// A flow that is sent too much.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// As in the JSON.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    component: &'static str,
    data: fn() -> Value,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Beyond {
    /// As in the JSON.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// Successful answers per second at the most.
    pub peak: f64,
    /// Requests per second that were then sent.
    pub offered: f64,
    /// Successful answers per second meanwhile.
    pub goodput: f64,
    /// Refusals: 429 and 503.
    pub refused: u64,
    /// The time that 99 of 100 of them stayed under.
    pub refused_p99: Duration,
    /// Refusals that did not say when to come again, answers with another status, and connections that were cut.
    pub rude: u64,
    /// Bytes of memory before, and the most meanwhile.
    pub memory: (u64, u64),
    /// From the end of the flood until requests were answered as before.
    pub recovered: Duration,
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let case = |name, what, component, data| Case { name, what, component, data };
    vec![
        case("waiting", "a flow that waits for 20 ms: places run out", "slow.wasm", || json!({ "ms": 20 })),
        case(
            "working",
            "a flow that works for about a millisecond: processors run out",
            "random_bomb.wasm",
            || json!({ "bytes": 65_536, "times": 20 }),
        ),
        case("mirror", "the cheapest flow: a refusal costs almost as much as an answer", "mirror.wasm", || json!({})),
    ]
}

impl Case {
    /// Finds the capacity of a server of its own, on `core`, and sends more.
    pub async fn run(&self, stage: &Stage, core: usize) -> Result<Beyond> {
        let folder = tempfile::tempdir_in(&stage.data)?;
        let one = [("FLOWGATE_SERVER_WORKERS", "1")];
        let house = House::start_with(&stage.flowgate, folder.path(), Some(core), None, &one).await?;
        let path = house.furnish(&Furniture::plain(&stage.guests.join(self.component), SECRET)).await?;
        let body = serde_json::to_vec(&json!({ "data": (self.data)() }))?;
        let request = sample::signed(&path, SECRET.as_bytes(), &[], &body);

        let plan = |connections, rate| Plan {
            address: house.server.address,
            request: request.clone(),
            connections,
            rate,
            warm_up: Duration::from_millis(500),
            duration: stage.duration,
        };
        let alone = load::run(plan(LOOKING, Some(LOOKS))).await.context("alone")?;
        let usual = alone.p99 * 3 + Duration::from_millis(20);
        let mut peak: f64 = 0.0;
        for connections in SEEKING {
            peak = peak.max(load::run(plan(connections, None)).await.context("the capacity")?.rate);
        }
        let before = house.server.resident_bytes()?;
        let looking = connected(&house.server, LOOKING).await?;
        let flood = Flood::new(&house.server, request.clone(), peak * TIMES, stage.duration);
        let mut most = before;
        let seen = tokio::select! {
            seen = flood.run(connected(&house.server, FLOODING).await?) => seen?,
            never = watch(&house.server, &mut most) => never,
        };
        let recovered = recovered(looking, request.clone(), usual).await?;
        Ok(seen.told(self, peak, stage.duration, (before, most), recovered))
    }
}

async fn connected(server: &Server, n: u32) -> Result<Vec<Connection>> {
    let mut all = Vec::new();
    for _ in 0..n {
        all.push(Connection::open(server.address).await?);
    }
    Ok(all)
}

/// Keeps the most bytes of memory that were seen. Never ends.
async fn watch<T>(server: &Server, most: &mut u64) -> T {
    loop {
        *most = (*most).max(server.resident_bytes().unwrap_or(0));
        sleep(Duration::from_millis(50)).await;
    }
}

/// Requests at a steady rate, whatever comes of them.
struct Flood {
    address: std::net::SocketAddr,
    request: Bytes,
    rate: f64,
    begin: Instant,
    end: Instant,
}

/// What the connections of a flood saw.
#[derive(Default)]
struct Seen {
    sent: u64,
    answered: u64,
    /// The microseconds of each refusal.
    refused: Vec<u64>,
    rude: u64,
}

impl Flood {
    fn new(server: &Server, request: Bytes, rate: f64, duration: Duration) -> Arc<Self> {
        let begin = Instant::now() + Duration::from_millis(200);
        Arc::new(Self { address: server.address, request, rate, begin, end: begin + duration })
    }

    async fn run(self: Arc<Self>, connections: Vec<Connection>) -> Result<Seen> {
        let (n, mut clients) = (connections.len() as f64, JoinSet::new());
        for (place, connection) in connections.into_iter().enumerate() {
            let flood = self.clone();
            clients.spawn(async move { flood.client(place as f64, n, connection).await });
        }
        let mut all = Seen::default();
        while let Some(seen) = clients.join_next().await {
            let seen = seen??;
            all.sent += seen.sent;
            all.answered += seen.answered;
            all.refused.extend(seen.refused);
            all.rude += seen.rude;
        }
        Ok(all)
    }

    /// One of `n` connections that take turns. A turn that has passed while it waited for an answer is over.
    async fn client(&self, place: f64, n: f64, mut connection: Connection) -> Result<Seen> {
        let (period, mut seen) = (n / self.rate, Seen::default());
        let mut due = place / self.rate;
        loop {
            sleep_until(self.begin + Duration::from_secs_f64(due)).await;
            let started = Instant::now();
            if started >= self.end {
                return Ok(seen);
            }
            seen.sent += 1;
            match connection.call(&self.request).await {
                Ok(answer) => match answer.status {
                    200..=299 => seen.answered += u64::from(Instant::now() <= self.end),
                    429 | 503 => {
                        seen.refused.push(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
                        seen.rude += u64::from(!connection.has_header("retry-after", &answer));
                    }
                    _ => seen.rude += 1,
                },
                Err(_) => {
                    seen.rude += 1;
                    connection = Connection::open(self.address).await?;
                }
            }
            let passed = self.begin.elapsed().as_secs_f64();
            due += period * ((passed - due) / period).ceil().max(1.0);
        }
    }
}

impl Seen {
    fn told(mut self, case: &Case, peak: f64, duration: Duration, memory: (u64, u64), recovered: Duration) -> Beyond {
        self.refused.sort_unstable();
        let last = self.refused.len().saturating_sub(1);
        let p99 = self.refused.get((last as f64 * 0.99).round() as usize).copied().unwrap_or_default();
        Beyond {
            name: case.name,
            what: case.what,
            peak,
            offered: self.sent as f64 / duration.as_secs_f64(),
            goodput: self.answered as f64 / duration.as_secs_f64(),
            refused: self.refused.len() as u64,
            refused_p99: Duration::from_micros(p99),
            rude: self.rude,
            memory,
            recovered,
        }
    }
}

/// How long after now the last request was sent that was not answered within the `usual` time.
async fn recovered(connections: Vec<Connection>, request: Bytes, usual: Duration) -> Result<Duration> {
    let (begin, n) = (Instant::now(), connections.len() as f64);
    let mut clients = JoinSet::new();
    for (place, mut connection) in connections.into_iter().enumerate() {
        let request = request.clone();
        clients.spawn(async move {
            let (mut last, mut turn) = (Duration::ZERO, 0.0);
            loop {
                let due = Duration::from_secs_f64((place as f64 + turn * n) / LOOKS);
                sleep_until(begin + due).await;
                if due >= AFTERWARDS {
                    return Ok::<_, std::io::Error>(last);
                }
                let well = connection.call(&request).await?.status == 200;
                if !well || begin.elapsed() > due + usual {
                    last = due;
                }
                turn += 1.0;
            }
        });
    }
    let mut last = Duration::ZERO;
    while let Some(client) = clients.join_next().await {
        last = last.max(client??);
    }
    Ok(last)
}

impl Beyond {
    /// What is wrong with it; nothing, if all is well.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let part = self.goodput / self.peak;
        if part < 1.0 - LOST_MAX {
            wrong.push(format!("{:.0} % of the capacity is left", part * 100.0));
        }
        if self.refused_p99.as_secs_f64() * 1e3 > REFUSED_MS_MAX {
            wrong.push(format!("a refusal takes {:.0} ms", self.refused_p99.as_secs_f64() * 1e3));
        }
        if self.rude > 0 {
            wrong.push(format!("{} requests are neither answered nor refused as they should be", self.rude));
        }
        if self.grown_mib() > MEMORY_MIB_MAX {
            wrong.push(format!("memory grows by {} MiB", self.grown_mib()));
        }
        if self.recovered.as_secs_f64() * 1e3 > RECOVERED_MS_MAX {
            wrong.push(format!("it is well again after {:.0} ms", self.recovered.as_secs_f64() * 1e3));
        }
        wrong
    }

    fn grown_mib(&self) -> u64 {
        self.memory.1.saturating_sub(self.memory.0) >> 20
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        json!({
            "name": self.name,
            "peak_rps": self.peak.round(),
            "offered_rps": self.offered.round(),
            "goodput_rps": self.goodput.round(),
            "goodput_ratio": (self.goodput / self.peak * 1e3).round() / 1e3,
            "refused": self.refused,
            "refused_p99_ms": ms(self.refused_p99),
            "rude": self.rude,
            "peak_rss_mb": self.memory.1 >> 20,
            "recovered_ms": ms(self.recovered),
        })
    }

    /// For people: a row of the table.
    pub fn row(&self) -> String {
        format!(
            "| `{}` | {} | {:.0}/s | {:.0}/s | {:.0}/s ({:.0} %) | {} | {:.1} ms | {} | {} → {} MiB | {:.0} ms |\n",
            self.name,
            self.what,
            self.peak,
            self.offered,
            self.goodput,
            self.goodput / self.peak * 100.0,
            self.refused,
            self.refused_p99.as_secs_f64() * 1e3,
            self.rude,
            self.memory.0 >> 20,
            self.memory.1 >> 20,
            self.recovered.as_secs_f64() * 1e3,
        )
    }
}

/// What stands above the rows.
pub fn head() -> String {
    format!(
        "\n## Load beyond capacity\n\n\
         A server with one worker on a core of its own, and the load on another. First the capacity of one flow is found, with \
         {} connections that send again when they have their answer; then {TIMES} times as many requests are sent by {FLOODING} \
         connections, whatever comes of them. *Offered* is what was sent in the end: a connection has one request under way.\n\n\
         Allowed: at most {:.0} % of the capacity lost; refusals (429 or 503 with `Retry-After`) within {REFUSED_MS_MAX} ms, the p99 of \
         them; {MEMORY_MIB_MAX} MiB more memory; answers as before within {RECOVERED_MS_MAX} ms after the end.\n\n\
         | flow | what it does | capacity | offered | answered | refused | refused within | rude | memory | well again |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
        SEEKING.map(|n| n.to_string()).join(" and "),
        LOST_MAX * 100.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond() -> Beyond {
        Beyond {
            name: "mirror",
            what: "harm",
            peak: 1_000.0,
            offered: 3_000.0,
            goodput: 900.0,
            refused: 2_000,
            refused_p99: Duration::from_millis(50),
            rude: 0,
            memory: (50 << 20, 562 << 20),
            recovered: Duration::from_secs(1),
        }
    }

    #[test]
    fn what_breaks_a_promise_is_named() {
        assert_eq!(beyond().wrong(), Vec::<String>::new());
        let broken = Beyond {
            goodput: 899.0,
            refused_p99: Duration::from_millis(51),
            rude: 1,
            memory: (50 << 20, 563 << 20),
            recovered: Duration::from_millis(1_001),
            ..beyond()
        };
        assert_eq!(broken.wrong().len(), 5, "{:?}", broken.wrong());
    }

    #[test]
    fn the_p99_is_that_of_the_refusals() {
        let seen = Seen { sent: 9, answered: 4, refused: (1..=101).rev().collect(), rude: 0 };
        let told = seen.told(&cases()[0], 2.0, Duration::from_secs(2), (0, 0), Duration::ZERO);
        assert_eq!((told.refused, told.refused_p99.as_micros(), told.goodput), (101, 100, 2.0));
    }
}
