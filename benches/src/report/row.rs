//! The cases that were measured by turns.

use std::time::Duration;

use super::table::section;
use super::{Figures, median_number, median_time, mib, ms};
use crate::case::Topic;

/// One case in one repeat.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Successful answers per second with as much load as there can be.
    pub rate: f64,
    /// Processor time of the server for each of these requests, until nothing was left to do.
    pub server_us: f64,
    /// How much of its core the server took meanwhile, 0 to 1.
    pub server_busy: f64,
    /// The same of the load.
    pub load_busy: f64,
    /// At half of that rate, the time that half of the requests stayed under.
    pub p50: Duration,
    /// And the time that 99 of 100 stayed under.
    pub p99: Duration,
    /// Bytes of memory that the server had before the first request.
    pub rest_bytes: u64,
    /// Bytes of memory that the server had under full load.
    pub resident_bytes: u64,
    /// Answers with a status other than 2xx, in both parts.
    pub refused: u64,
}

/// A case and what was measured of it, once for each repeat.
#[derive(Debug)]
pub struct Row {
    name: &'static str,
    what: &'static str,
    topic: Topic,
    /// Its repeats.
    pub repeats: Vec<Measured>,
}

impl Row {
    /// A case of which nothing was measured yet.
    pub fn of(name: &'static str, what: &'static str, topic: Topic) -> Self {
        Self { name, what, topic, repeats: Vec::new() }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it is something to compare with.
    pub(super) fn is_other(&self) -> bool {
        self.topic == Topic::Ceilings && !self.name.starts_with("sync")
    }

    pub(super) fn rate(&self) -> f64 {
        self.median(|one| one.rate)
    }

    fn median(&self, value: impl Fn(&Measured) -> f64) -> f64 {
        median_number(self.repeats.iter().map(value))
    }

    fn time(&self, value: impl Fn(&Measured) -> Duration) -> Duration {
        median_time(self.repeats.iter().map(value))
    }

    /// Memory before the first request.
    fn rest(&self) -> f64 {
        self.median(|one| one.rest_bytes as f64)
    }

    fn figures(&self) -> Figures {
        Figures {
            rate: Some(self.rate()),
            p50: Some(self.time(|one| one.p50)),
            p99: Some(self.time(|one| one.p99)),
            resident_bytes: Some(self.median(|one| one.resident_bytes as f64)),
        }
    }

    fn cells(&self, bare: f64) -> Vec<String> {
        let least = self.repeats.iter().map(|one| one.rate).fold(f64::INFINITY, f64::min);
        let most = self.repeats.iter().map(|one| one.rate).fold(0.0, f64::max);
        vec![
            format!("`{}`", self.name),
            self.what.to_owned(),
            format!("{:.0}", self.rate()),
            format!("{:.3}", self.rate() / bare),
            format!("{least:.0} to {most:.0}"),
            format!("{:.0} µs", self.median(|one| one.server_us)),
            format!("{:.2} ms", ms(self.time(|one| one.p50))),
            format!("{:.2} ms", ms(self.time(|one| one.p99))),
            format!("{:.0} MiB", mib(self.median(|one| one.resident_bytes as f64))),
        ]
    }
}

const TOPICS: [(Topic, &str, &str); 5] = [
    (
        Topic::Ceilings,
        "Beside others",
        "What there is to compare with, and Flowgate. `wasmtime serve` verifies and records nothing.",
    ),
    (
        Topic::Dialects,
        "Proofs and dialects",
        "One thing is other than in `sync_fresh`. The accepts are on the disk before their answer.",
    ),
    (Topic::Languages, "Languages", "Guests in other languages than Rust."),
    (
        Topic::Durable,
        "Later and in parts",
        "Accepts on the disk, callbacks that have come, and streams by Server-Sent Events.",
    ),
    (
        Topic::Flows,
        "Many flows",
        "Each flow has a hook; the second is called half as often as the first, the third a third as often, and so on.",
    ),
];

const HEAD: [&str; 9] = [
    "case",
    "",
    "requests/s",
    "of bare",
    "lowest to highest",
    "server CPU per request",
    "p50 at half",
    "p99 at half",
    "memory",
];

/// A section for each topic that was measured.
pub(super) fn sections(rows: &[Row], bare: f64) -> Vec<String> {
    let of = |topic| rows.iter().filter(|row| row.topic == topic).collect::<Vec<_>>();
    let measured = TOPICS.into_iter().map(|(topic, title, about)| (topic, title, about, of(topic)));
    measured
        .filter(|(.., rows)| !rows.is_empty())
        .map(|(topic, title, about, rows)| {
            if topic == Topic::Flows {
                return many(title, about, &rows, bare);
            }
            let cells: Vec<_> = rows.iter().map(|row| row.cells(bare)).collect();
            section(title, about, &HEAD, &cells)
        })
        .collect()
}

/// The flows have their memory before the first request as well.
fn many(title: &str, about: &str, rows: &[&Row], bare: f64) -> String {
    let head = [&HEAD[..], &["memory at rest"]].concat();
    let cells = |row: &&Row| [row.cells(bare), vec![format!("{:.0} MiB", mib(row.rest()))]].concat();
    let table = section(title, about, &head, &rows.iter().map(cells).collect::<Vec<_>>());
    let each = per_flow(rows).map(|bytes| {
        format!("\nA flow that is registered and not called takes {:.2} KiB of memory.\n", bytes.max(0.0) / 1024.0)
    });
    table + &each.unwrap_or_default()
}

/// Bytes of memory that each flow takes which nobody calls, of ten thousand.
fn per_flow(rows: &[&Row]) -> Option<f64> {
    let rest = |name| rows.iter().find(|row| row.name == name).map(|row| row.rest());
    Some((rest("flows_10000")? - rest("flows_1")?) / 9_999.0)
}

/// What each case has in the JSON.
pub(super) fn figures(rows: &[Row]) -> Vec<(String, Figures)> {
    let mut all: Vec<_> = rows.iter().map(|row| (row.name.to_owned(), row.figures())).collect();
    let resident_bytes = per_flow(&rows.iter().collect::<Vec<_>>());
    if resident_bytes.is_some() {
        all.push(("per_flow".to_owned(), Figures { resident_bytes, ..Figures::default() }));
    }
    all
}

/// What shows that it was the server that was measured.
pub(super) fn conditions(rows: &[Row]) -> String {
    let percent = |part: f64| format!("{:.0} %", part * 100.0);
    let cells = |row: &Row| {
        vec![
            format!("`{}`", row.name),
            percent(row.median(|one| one.server_busy)),
            percent(row.median(|one| one.load_busy)),
            row.repeats.iter().map(|one| one.refused).sum::<u64>().to_string(),
        ]
    };
    let head = ["case", "server core busy", "load core busy", "refused"];
    let about = "Whether it was the server that was measured, and all of it.";
    section("Conditions", about, &head, &rows.iter().map(cells).collect::<Vec<_>>())
}
