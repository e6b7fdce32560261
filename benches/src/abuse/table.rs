//! The table of what enemies got, and the judgement on it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::row::{RATE, Row};
use crate::load::Outcome;
use crate::overload::{self, Beyond};

/// By what the honest flow's p99 may be longer: a factor, and then milliseconds.
const TIMES_MAX: f64 = 3.0;
const MORE_MS_MAX: f64 = 20.0;

/// MiB of memory of the server and its compiler together that no row may reach.
const MEMORY_MIB_MAX: u64 = 4 << 10;

/// Honest requests in a hundred that may be turned away.
const REFUSED_MAX: f64 = 1.0;

/// Honest requests in a hundred that must be answered before the row ends. Later answers have no part in the p99.
const ANSWERED_MIN: f64 = 95.0;

/// All rows of one run.
#[derive(Debug, Clone)]
pub struct Table {
    /// The day.
    pub date: String,
    /// The machine, in general terms.
    pub machine: String,
    /// The honest flow alone.
    pub baseline: Outcome,
    /// The most bytes of memory meanwhile.
    pub baseline_peak_bytes: u64,
    /// The enemies, in their order.
    pub rows: Vec<Row>,
    /// Flows that were sent more than there is capacity for.
    pub beyond: Vec<Beyond>,
}

impl Table {
    fn baseline_ms(&self) -> f64 {
        self.baseline.p99.as_secs_f64() * 1e3
    }

    fn allowed_ms(&self) -> f64 {
        TIMES_MAX * self.baseline_ms() + MORE_MS_MAX
    }

    /// What is wrong with a row; nothing, if all is well.
    fn wrong(&self, row: &Row) -> Vec<String> {
        let mut wrong = Vec::new();
        match row.honest {
            None => wrong.push("the honest flow is cut off".to_owned()),
            Some(honest) => {
                let p99_ms = honest.p99.as_secs_f64() * 1e3;
                if p99_ms > self.allowed_ms() {
                    wrong.push(format!("the honest p99 is {p99_ms:.1} ms; allowed: {:.1}", self.allowed_ms()));
                }
                let refused = honest.refused as f64 * 100.0 / honest.sent.max(1) as f64;
                let answered = honest.rate * 100.0 / RATE;
                if answered < ANSWERED_MIN {
                    wrong.push(format!(
                        "{answered:.1} % of the honest requests are answered in time; needed: {ANSWERED_MIN}"
                    ));
                }
                if refused > REFUSED_MAX {
                    wrong.push(format!("{refused:.1} % of the honest requests are turned away"));
                }
            }
        }
        if row.peak_bytes >> 20 >= MEMORY_MIB_MAX {
            wrong.push(format!("memory reaches {} MiB; allowed: {MEMORY_MIB_MAX}", row.peak_bytes >> 20));
        }
        if !row.survived {
            wrong.push("the server does not survive".to_owned());
        }
        wrong
    }

    /// The rows that break a promise, each with what is wrong.
    pub fn broken(&self) -> Vec<String> {
        let rows = self.rows.iter().map(|row| (row.name, self.wrong(row)));
        let all = rows.chain(self.beyond.iter().map(|one| (one.name, one.wrong())));
        let broken = all.filter(|(_, wrong)| !wrong.is_empty());
        broken.map(|(name, wrong)| format!("{name}: {}", wrong.join("; "))).collect()
    }

    /// For programs.
    pub fn json(&self) -> String {
        let rounded = |number: f64| (number * 1e3).round() / 1e3;
        let rows = self.rows.iter().map(|row| {
            json!({
                "name": row.name,
                "honest_p99_ms": row.honest.map(|honest| rounded(honest.p99.as_secs_f64() * 1e3)),
                "honest_refused": row.honest.map(|honest| honest.refused),
                "peak_rss_mb": row.peak_bytes >> 20,
                "survived": row.survived,
                "attacker_got": row.got,
            })
        });
        let rows: Vec<Value> = rows.collect();
        let beyond: Vec<Value> = self.beyond.iter().map(Beyond::json).collect();
        let table = json!({ "baseline_p99_ms": rounded(self.baseline_ms()), "rows": rows, "overload": beyond });
        format!("{table:#}\n")
    }

    /// For people.
    pub fn page(&self) -> String {
        let mut page = format!(
            "# Abuse\n\n\
             Written by `cargo xtask abuse`, which fails when a row breaks a promise; [abuse.json](abuse.json) says the same to \
             programs.\n\n\
             {date}, on {machine}. Each row is a fresh server in its default configuration, with two workers, 2 GiB of memory for all \
             executions together and what the row names, on the cores that it shares with the load. While the enemy does its worst, an honest flow \
             (`guests/honest/mirror`, behind an HMAC) is sent 200 requests a second at a steady pace; a request that could not be sent in \
             time counts from when it was due. The enemy comes from another address than the honest flow's clients, sends again \
             0.2 s after each answer, and has a hook without proof; `bad_signatures` goes to the honest flow's hook. *Peak memory* is that of the server with \
             the compiler that it starts.\n\n\
             Allowed: a p99 of {TIMES_MAX} times the undisturbed one and {MORE_MS_MAX} ms, here {allowed:.1} ms; at most {REFUSED_MAX} % of the honest \
             requests turned away, and {ANSWERED_MIN} % answered before the row ends; less than {MEMORY_MIB_MAX} MiB of memory; the same process answers afterwards.\n\n\
             | enemy | what it does | what it got | honest p99 | turned away | peak memory | survived |\n\
             |---|---|---|---|---|---|---|\n\
             | – | undisturbed | – | {alone:.1} ms | {refused} of {sent} | {peak} MiB | yes |\n",
            date = self.date,
            machine = self.machine,
            allowed = self.allowed_ms(),
            alone = self.baseline_ms(),
            refused = self.baseline.refused,
            sent = self.baseline.sent,
            peak = self.baseline_peak_bytes >> 20,
        );
        for row in &self.rows {
            let (p99, refused) = match row.honest {
                Some(honest) => (
                    format!("{:.1} ms", honest.p99.as_secs_f64() * 1e3),
                    format!("{} of {}", honest.refused, honest.sent),
                ),
                None => ("–".to_owned(), "cut off".to_owned()),
            };
            let options: String = row.environment.iter().map(|(key, value)| format!("; `{key}={value}`")).collect();
            let survived = if row.survived { "yes" } else { "**no**" };
            let _ = writeln!(
                page,
                "| `{}` | {}{options} | {} | {p99} | {refused} | {} MiB | {survived} |",
                row.name,
                row.what,
                row.got,
                row.peak_bytes >> 20,
            );
        }
        if !self.beyond.is_empty() {
            page.push_str(&overload::head());
            self.beyond.iter().for_each(|one| page.push_str(&one.row()));
        }
        let broken = self.broken();
        match broken.is_empty() {
            true => page.push_str("\nNo row breaks a promise.\n"),
            false => broken.iter().for_each(|row| page.push_str(&format!("\n**Broken**: {row}.\n"))),
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcome(p99_ms: u64, refused: u64) -> Outcome {
        Outcome { p99: Duration::from_millis(p99_ms), refused, sent: 1_000, rate: RATE, ..Outcome::default() }
    }

    fn row(name: &'static str, honest: Option<Outcome>, mib: u64, survived: bool) -> Row {
        let got = "3 × 200".to_owned();
        Row { name, what: "harm", environment: &[], got, honest, peak_bytes: mib << 20, survived }
    }

    #[test]
    fn a_row_that_breaks_a_promise_is_named() {
        let table = Table {
            date: "2026-01-01".to_owned(),
            machine: "a machine".to_owned(),
            baseline: outcome(10, 0),
            baseline_peak_bytes: 50 << 20,
            beyond: Vec::new(),
            rows: vec![
                row("kind", Some(outcome(50, 10)), 4_095, true),
                row("slow", Some(outcome(51, 0)), 60, true),
                row("greedy", Some(outcome(9, 11)), 60, true),
                row("fat", Some(outcome(9, 0)), 4_096, true),
                row("deadly", None, 60, false),
            ],
        };
        let broken = table.broken();
        let names: Vec<_> = broken.iter().filter_map(|row| Some(row.split_once(':')?.0)).collect();
        assert_eq!(names, ["slow", "greedy", "fat", "deadly"], "{broken:?}");
        let told: Value = serde_json::from_str(&table.json()).unwrap();
        assert_eq!((&told["baseline_p99_ms"], &told["rows"][1]["honest_p99_ms"]), (&json!(10.0), &json!(51.0)));
        assert_eq!(told["rows"][4]["survived"], false);
    }
}
