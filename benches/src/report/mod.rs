//! The report: a page, a chart, and the same as JSON. Figures are medians of the repeats, beside the bare server's.

use std::time::Duration;

use serde_json::{Map, Value, json};

mod chart;
mod growth;
mod row;
mod starts;
mod table;

pub use growth::{Asked, Growth, Work};
pub use row::{Measured, Row};
pub use starts::{Restart, Starts};

/// All that was measured.
#[derive(Debug)]
pub struct Report {
    /// `2026-11-20`.
    pub date: String,
    /// In general terms.
    pub machine: String,
    /// Whether server and load had a core each.
    pub pinned: bool,
    /// What makes 4 KiB durable.
    pub fsync: Duration,
    /// Times that everything was measured.
    pub repeats: usize,
    /// Of each measurement.
    pub seconds: u64,
    /// The cases, the bare server first.
    pub rows: Vec<Row>,
    /// Starts and uploads.
    pub starts: Option<Starts>,
    /// The growth with history.
    pub growth: Option<Growth>,
}

impl Report {
    /// The report as Markdown.
    pub fn page(&self) -> String {
        let sections = [
            row::sections(&self.rows, self.bare()),
            self.starts.iter().map(Starts::section).collect(),
            self.growth.iter().map(Growth::section).collect(),
            vec![row::conditions(&self.rows)],
        ];
        format!("{}\n{}", self.head(), sections.concat().join("\n"))
    }

    fn head(&self) -> String {
        let pinned = match self.pinned {
            true => "server and load pinned to one core each",
            false => {
                "server and load **not pinned** (`taskset` failed), so these figures are not comparable with others"
            }
        };
        format!(
            "# The latest run\n\n\
             Written by `cargo xtask bench`; [README.md](README.md) says what is measured and how to read it.\n\n\
             {}. {}; {pinned}. An fsync of 4 KiB takes {:.2} ms. Medians of {} repeats of {} s, taken by turns.\n\n\
             ![Requests per second, of the bare server's](latest.svg)\n",
            self.date,
            self.machine,
            ms(self.fsync),
            self.repeats,
            self.seconds,
        )
    }

    /// Each file of the report with its text.
    pub fn files(&self) -> [(&'static str, String); 3] {
        let json = serde_json::to_string_pretty(&self.json()).expect("a value has a JSON form");
        [("latest.md", self.page()), ("latest.json", json + "\n"), ("latest.svg", chart::of(&self.rows, self.bare()))]
    }

    fn bare(&self) -> f64 {
        self.rows.first().map_or(f64::NAN, Row::rate)
    }

    fn json(&self) -> Value {
        let rows = row::figures(&self.rows);
        let starts = self.starts.iter().flat_map(Starts::figures);
        let growth = self.growth.iter().flat_map(Growth::figures);
        let all = rows.into_iter().chain(starts).chain(growth);
        let cases: Map<String, Value> = all.map(|(name, figures)| (name, figures.json(self.bare()))).collect();
        json!({ "date": self.date, "machine": self.machine, "cases": cases })
    }
}

/// What a case has in the JSON; what makes no sense for it is absent.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    /// Requests per second.
    rate: Option<f64>,
    p50: Option<Duration>,
    p99: Option<Duration>,
    resident_bytes: Option<f64>,
}

impl Figures {
    fn json(&self, bare: f64) -> Value {
        let figures = [
            ("rps", self.rate.map(|rate| rounded(rate, 0))),
            ("ratio_to_bare", self.rate.map(|rate| rounded(rate / bare, 3))),
            ("p50_ms", self.p50.map(|time| rounded(ms(time), 3))),
            ("p99_ms", self.p99.map(|time| rounded(ms(time), 3))),
            ("rss_mb", self.resident_bytes.map(|bytes| rounded(mib(bytes), 4))),
        ];
        let given = figures.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
        Value::Object(given.collect())
    }
}

fn rounded(value: f64, digits: i32) -> f64 {
    (value * 10f64.powi(digits)).round() / 10f64.powi(digits)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

/// The value that as many lie under as over; none of nothing.
fn median<T: Copy>(of: impl IntoIterator<Item = T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> Option<T> {
    let mut values: Vec<T> = of.into_iter().collect();
    values.sort_by(order);
    values.get(values.len() / 2).copied()
}

fn median_number(of: impl IntoIterator<Item = f64>) -> f64 {
    median(of, f64::total_cmp).unwrap_or(f64::NAN)
}

fn median_time(of: impl IntoIterator<Item = Duration>) -> Duration {
    median(of, Duration::cmp).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::case::Topic;

    use super::*;

    fn report() -> Report {
        let measured = |rate| Measured {
            rate,
            server_us: 10.0,
            server_busy: 1.0,
            load_busy: 0.5,
            p50: Duration::from_micros(150),
            p99: Duration::from_millis(2),
            rest_bytes: 20 << 20,
            resident_bytes: 32 << 20,
            refused: 1,
        };
        let row = |name, topic, rate| Row { repeats: vec![measured(rate); 3], ..Row::of(name, "it", topic) };
        let restart =
            Restart { listening: Duration::ZERO, first_reply: Duration::from_millis(3), resident_bytes: 40 << 20 };
        let work = |rate| Work { rate, server_us: 1.0, p50: Duration::ZERO, p99: Duration::ZERO, refused: 0 };
        let asked = Asked { young: vec![work(100.0)], grown: vec![work(95.0)], ..Asked::of("show", "any one") };
        Report {
            date: "2026-11-20".to_owned(),
            machine: "1 core".to_owned(),
            pinned: true,
            fsync: Duration::from_millis(1),
            repeats: 3,
            seconds: 5,
            rows: vec![row("bare", Topic::Ceilings, 1_000.0), row("ours", Topic::Ceilings, 250.0)],
            starts: Some(Starts { restarts: vec![restart], uploads: vec![Duration::from_millis(300)] }),
            growth: Some(Growth { few: 1_000, many: 1_000_000, asked: vec![asked] }),
        }
    }

    #[test]
    fn one_odd_repeat_does_not_move_the_median() {
        assert_eq!(median_number([900.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn rates_are_parts_of_the_bare_servers() {
        let page = report().page();
        let row = "| `ours` | it | 250 | 0.250 | 250 to 250 | 10 µs | 0.15 ms | 2.00 ms | 32 MiB |";
        assert!(page.contains(row), "{page}");
        let json = report().json();
        let expected = json!({ "rps": 250.0, "ratio_to_bare": 0.25, "p50_ms": 0.15, "p99_ms": 2.0, "rss_mb": 32.0 });
        assert_eq!(json["cases"]["ours"], expected);
    }

    #[test]
    fn what_makes_no_sense_for_a_case_is_absent() {
        let json = report().json();
        assert_eq!(json["cases"]["idle"], json!({ "rss_mb": 40.0 }));
        assert_eq!(json["cases"]["cold_first_reply"], json!({ "p50_ms": 3.0, "p99_ms": 3.0 }));
        assert_eq!(json["cases"]["growth_show_after"]["rps"], json!(95.0));
    }

    #[test]
    fn growth_is_shown_as_a_ratio() {
        let page = report().page();
        assert!(page.contains("| any one | 100 | 95 | 0.950 |"), "{page}");
    }

    #[test]
    fn a_run_of_some_cases_has_a_page() {
        let some = Report { starts: None, growth: None, ..report() };
        assert!(!some.page().contains("Growth"), "{}", some.page());
    }
}
