//! What happens once: a start, its first reply, an upload.

use std::time::Duration;

use super::table::section;
use super::{Figures, median_number, median_time, mib, ms};

/// One restart.
#[derive(Debug, Clone, Copy)]
pub struct Restart {
    /// From the start of the program until it listened.
    pub listening: Duration,
    /// From the first connection to the first reply.
    pub first_reply: Duration,
    /// Bytes of memory a second later.
    pub resident_bytes: u64,
}

/// Restarts and uploads.
#[derive(Debug)]
pub struct Starts {
    /// The restarts.
    pub restarts: Vec<Restart>,
    /// From the first byte of an upload until its version was live, for each.
    pub uploads: Vec<Duration>,
}

impl Starts {
    fn times(&self, of: fn(&Restart) -> Duration) -> Vec<Duration> {
        self.restarts.iter().map(of).collect()
    }

    fn idle(&self) -> f64 {
        median_number(self.restarts.iter().map(|one| one.resident_bytes as f64))
    }

    pub(super) fn section(&self) -> String {
        let times = |name: &str, what: &str, of: &[Duration]| {
            let times = [median_time(of.iter().copied()), most(of)].map(|time| format!("{:.1} ms", ms(time)));
            [vec![name.to_owned(), what.to_owned()], times.to_vec()].concat()
        };
        let idle = format!("{:.1} MiB", mib(self.idle()));
        let most_idle = self.restarts.iter().map(|one| one.resident_bytes).max().unwrap_or(0);
        let rows = [
            times("", "from the start of the program until it listens", &self.times(|one| one.listening)),
            times(
                "`cold_first_reply`",
                "from the first connection to the first reply, out of the cache of compiled components",
                &self.times(|one| one.first_reply),
            ),
            vec![
                "`idle`".to_owned(),
                "memory a second later".to_owned(),
                idle,
                format!("{:.1} MiB", mib(most_idle as f64)),
            ],
            times("`upload`", "from the first byte of an upload until its version is live", &self.uploads),
        ];
        let about = format!("{} restarts over the same data, {} uploads.", self.restarts.len(), self.uploads.len());
        section("Starts and uploads", &about, &["case", "", "median", "most"], &rows)
    }

    pub(super) fn figures(&self) -> Vec<(String, Figures)> {
        let times = |of: &[Duration]| Figures {
            p50: Some(median_time(of.iter().copied())),
            p99: Some(most(of)),
            ..Figures::default()
        };
        vec![
            ("cold_first_reply".to_owned(), times(&self.times(|one| one.first_reply))),
            ("idle".to_owned(), Figures { resident_bytes: Some(self.idle()), ..Figures::default() }),
            ("upload".to_owned(), times(&self.uploads)),
        ]
    }
}

/// Of a few times, 99 of 100 stay under the longest.
fn most(of: &[Duration]) -> Duration {
    of.iter().copied().max().unwrap_or_default()
}
