//! The report: a page, a chart, and the same as JSON. Figures are medians of the repeats, beside the bare server's.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

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
    /// Its repeats.
    pub repeats: Vec<Measured>,
}

impl Row {
    /// A case of which nothing was measured yet.
    pub fn of(name: &'static str, what: &'static str) -> Self {
        Self { name, what, repeats: Vec::new() }
    }

    fn median(&self, value: impl Fn(&Measured) -> f64) -> f64 {
        median(&self.repeats, value)
    }

    fn rate(&self) -> f64 {
        self.median(|one| one.rate)
    }

    fn json(&self, bare: f64) -> Value {
        let rounded = |value: f64, digits: i32| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
        json!({
            "rps": rounded(self.rate(), 0),
            "ratio_to_bare": rounded(self.rate() / bare, 3),
            "p50_ms": rounded(self.median(|one| ms(one.p50)), 3),
            "p99_ms": rounded(self.median(|one| ms(one.p99)), 3),
            "rss_mb": rounded(self.median(|one| mib(one.resident_bytes)), 1),
        })
    }
}

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
    /// The cases.
    pub rows: Vec<Row>,
    /// The restarts.
    pub restarts: Vec<Restart>,
    /// From the first byte of an upload until the version was live.
    pub upload: Duration,
}

impl Report {
    /// The report as Markdown.
    pub fn page(&self) -> String {
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
             ![Requests per second, of the bare server's](latest.svg)\n\n{}\n{}",
            self.date,
            self.machine,
            ms(self.fsync),
            self.repeats,
            self.seconds,
            self.table(),
            self.once(),
        )
    }

    /// Each file of the report with its text.
    pub fn files(&self) -> [(&'static str, String); 3] {
        let json = serde_json::to_string_pretty(&self.json()).expect("a value has a JSON form");
        [("latest.md", self.page()), ("latest.json", json + "\n"), ("latest.svg", self.chart())]
    }

    fn bare(&self) -> f64 {
        self.rows.first().map_or(f64::NAN, Row::rate)
    }

    fn table(&self) -> String {
        let mut table = String::from(
            "| case | | requests/s | of bare | lowest to highest | server CPU per request | server core busy | load core busy | \
             p50 at half | p99 at half | memory | refused |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let least = row.repeats.iter().map(|one| one.rate).fold(f64::INFINITY, f64::min);
            let most = row.repeats.iter().map(|one| one.rate).fold(0.0, f64::max);
            let refused: u64 = row.repeats.iter().map(|one| one.refused).sum();
            let _ = writeln!(
                table,
                "| `{}` | {} | {:.0} | {:.3} | {least:.0} to {most:.0} | {:.0} µs | {:.0} % | {:.0} % | {:.2} ms | {:.2} ms | \
                 {:.0} MiB | {refused} |",
                row.name,
                row.what,
                row.rate(),
                row.rate() / self.bare(),
                row.median(|one| one.server_us),
                row.median(|one| one.server_busy) * 100.0,
                row.median(|one| one.load_busy) * 100.0,
                row.median(|one| ms(one.p50)),
                row.median(|one| ms(one.p99)),
                row.median(|one| mib(one.resident_bytes)),
            );
        }
        table
    }

    fn once(&self) -> String {
        let of = |value: fn(&Restart) -> f64| median(&self.restarts, value);
        format!(
            "| | median of {} restarts |\n|---|---|\n\
             | from the start of the program until it listens | {:.1} ms |\n\
             | from the first connection to the first reply, out of the cache of compiled components | {:.1} ms |\n\
             | resident memory a second later | {:.1} MiB |\n\n\
             From the first byte of an upload until the version is live: {:.0} ms.\n",
            self.restarts.len(),
            of(|one| ms(one.listening)),
            of(|one| ms(one.first_reply)),
            of(|one| mib(one.resident_bytes)),
            ms(self.upload),
        )
    }

    fn json(&self) -> Value {
        let mut cases: Map<String, Value> =
            self.rows.iter().map(|row| (row.name.to_owned(), row.json(self.bare()))).collect();
        let first = median(&self.restarts, |one| ms(one.first_reply));
        let idle = median(&self.restarts, |one| mib(one.resident_bytes));
        cases.insert("cold_first_reply".to_owned(), json!({ "p50_ms": first }));
        cases.insert("idle".to_owned(), json!({ "rss_mb": idle }));
        cases.insert("upload".to_owned(), json!({ "p50_ms": ms(self.upload) }));
        json!({ "date": self.date, "machine": self.machine, "cases": cases })
    }

    /// Bars of the rates, the bare server's being the longest.
    fn chart(&self) -> String {
        const WIDTH: f64 = 760.0;
        const BAR: f64 = 22.0;
        const NAME: f64 = 180.0;
        let mut bars = String::new();
        for (place, row) in self.rows.iter().enumerate() {
            let ratio = row.rate() / self.bare();
            let y = place as f64 * BAR + 4.0;
            let _ = writeln!(
                bars,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
                 <rect x=\"{NAME:.0}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"16\"/>\
                 <text x=\"{:.1}\" y=\"{:.0}\">{ratio:.3}</text>",
                NAME - 8.0,
                y + 12.0,
                row.name,
                (ratio * (WIDTH - NAME - 60.0)).max(1.0),
                NAME + ratio * (WIDTH - NAME - 60.0) + 6.0,
                y + 12.0,
            );
        }
        let height = self.rows.len() as f64 * BAR + 8.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" font-family=\"sans-serif\" \
             font-size=\"12\"><title>Requests per second, of the bare server's</title>\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><g fill=\"#345\">\n{bars}</g></svg>\n"
        )
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn median<T>(of: &[T], value: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = of.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let measured = |rate| Measured {
            rate,
            server_us: 10.0,
            server_busy: 1.0,
            load_busy: 0.5,
            p50: Duration::from_micros(150),
            p99: Duration::from_millis(2),
            resident_bytes: 32 << 20,
            refused: 1,
        };
        let row = |name, rate| Row { name, what: "it", repeats: vec![measured(rate); 3] };
        let restart =
            Restart { listening: Duration::ZERO, first_reply: Duration::from_millis(3), resident_bytes: 40 << 20 };
        Report {
            date: "2026-11-20".to_owned(),
            machine: "1 core".to_owned(),
            pinned: true,
            fsync: Duration::from_millis(1),
            repeats: 3,
            seconds: 5,
            rows: vec![row("bare", 1_000.0), row("ours", 250.0)],
            restarts: vec![restart],
            upload: Duration::from_millis(300),
        }
    }

    #[test]
    fn one_odd_repeat_does_not_move_the_median() {
        assert_eq!(median(&[900.0, 1.0, 2.0], |one| *one), 2.0);
    }

    #[test]
    fn rates_are_parts_of_the_bare_servers() {
        let page = report().page();
        let row = "| `ours` | it | 250 | 0.250 | 250 to 250 | 10 µs | 100 % | 50 % | 0.15 ms | 2.00 ms | 32 MiB | 3 |";
        assert!(page.contains(row), "{page}");
        let json = report().json();
        let expected = json!({ "rps": 250.0, "ratio_to_bare": 0.25, "p50_ms": 0.15, "p99_ms": 2.0, "rss_mb": 32.0 });
        assert_eq!(json["cases"]["ours"], expected);
        assert_eq!(json["cases"]["idle"], json!({ "rss_mb": 40.0 }));
    }

    #[test]
    fn the_chart_has_a_bar_for_each_case() {
        let chart = report().chart();
        assert_eq!(chart.matches("<rect x=").count(), 2, "{chart}");
    }
}
