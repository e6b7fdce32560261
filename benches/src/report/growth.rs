//! Growth with history.

use std::time::Duration;

use super::table::section;
use super::{Figures, median_number, median_time, ms};

/// The same asked before and after.
#[derive(Debug)]
pub struct Growth {
    /// Executions on record before.
    pub few: u32,
    /// Executions on record after.
    pub many: u32,
    /// What was asked.
    pub asked: Vec<Asked>,
}

/// One question.
#[derive(Debug)]
pub struct Asked {
    name: &'static str,
    what: &'static str,
    /// The answers with few executions on record, once for each repeat.
    pub young: Vec<Work>,
    /// And with many.
    pub grown: Vec<Work>,
}

/// One question in one repeat, asked as often as it was answered.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Successful answers per second.
    pub rate: f64,
    /// Processor time of the server for each.
    pub server_us: f64,
    /// The time that half of the answers stayed under.
    pub p50: Duration,
    /// And the time that 99 of 100 stayed under.
    pub p99: Duration,
    /// Answers with a status other than 2xx.
    pub refused: u64,
}

impl Asked {
    /// A question that was not asked yet.
    pub fn of(name: &'static str, what: &'static str) -> Self {
        Self { name, what, young: Vec::new(), grown: Vec::new() }
    }

    /// The names of a question in the JSON: before, and after.
    pub fn names(name: &str) -> [String; 2] {
        [format!("growth_{name}_before"), format!("growth_{name}_after")]
    }

    fn cells(&self) -> Vec<String> {
        let [young, grown] = [&self.young, &self.grown];
        let rate = |of: &[Work]| median_number(of.iter().map(|one| one.rate));
        let us = |of: &[Work]| median_number(of.iter().map(|one| one.server_us));
        let p99 = |of: &[Work]| ms(median_time(of.iter().map(|one| one.p99)));
        vec![
            self.what.to_owned(),
            format!("{:.0}", rate(young)),
            format!("{:.0}", rate(grown)),
            format!("{:.3}", rate(grown) / rate(young)),
            format!("{:.0} µs", us(young)),
            format!("{:.0} µs", us(grown)),
            format!("{:.2} ms", p99(young)),
            format!("{:.2} ms", p99(grown)),
            young.iter().chain(grown).map(|one| one.refused).sum::<u64>().to_string(),
        ]
    }
}

impl Growth {
    pub(super) fn section(&self) -> String {
        let about = format!(
            "The same asked of a server with {} executions on record and of one with {}. What is flat has a ratio of 0.9 at least.",
            self.few, self.many
        );
        let head = [
            "asked for",
            "a second, before",
            "after",
            "ratio",
            "server CPU each, before",
            "after",
            "p99, before",
            "after",
            "refused",
        ];
        section("Growth with history", &about, &head, &self.asked.iter().map(Asked::cells).collect::<Vec<_>>())
    }

    pub(super) fn figures(&self) -> Vec<(String, Figures)> {
        let figures = |of: &[Work]| Figures {
            rate: Some(median_number(of.iter().map(|one| one.rate))),
            p50: Some(median_time(of.iter().map(|one| one.p50))),
            p99: Some(median_time(of.iter().map(|one| one.p99))),
            resident_bytes: None,
        };
        let both = |asked: &Asked| {
            let [before, after] = Asked::names(asked.name);
            [(before, figures(&asked.young)), (after, figures(&asked.grown))]
        };
        self.asked.iter().flat_map(both).collect()
    }
}
