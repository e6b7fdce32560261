//! Figures as a page: medians of the repeats, beside the bare server's.

use std::fmt::Write as _;
use std::time::Duration;

/// One subject in one repeat.
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
    /// Answers with a status other than 2xx, in both parts.
    pub refused: u64,
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

/// A subject and what was measured of it, once for each repeat.
#[derive(Debug)]
pub struct Subject {
    /// What it is.
    pub name: &'static str,
    /// Connections to it.
    pub connections: u32,
    /// Its repeats.
    pub repeats: Vec<Measured>,
}

/// The table of subjects, with rates as parts of the first one's.
pub fn subjects(subjects: &[Subject]) -> String {
    let mut page = String::from(
        "| | connections | requests/s | of bare | lowest to highest | server CPU per request | server core busy | load core busy | p50 at half | \
         p99 at half | refused |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let ceiling = subjects.first().map_or(0.0, |bare| median(&bare.repeats, |one| one.rate));
    for Subject { name, connections, repeats } in subjects {
        let of = |value: fn(&Measured) -> f64| median(repeats, value);
        let rate = of(|one| one.rate);
        let least = repeats.iter().map(|one| one.rate).fold(f64::INFINITY, f64::min);
        let most = repeats.iter().map(|one| one.rate).fold(0.0, f64::max);
        let refused: u64 = repeats.iter().map(|one| one.refused).sum();
        let _ = writeln!(
            page,
            "| {name} | {connections} | {rate:.0} | {:.3} | {least:.0} to {most:.0} | {:.0} µs | {:.0} % | {:.0} % | {:.2} ms | {:.2} ms | {refused} |",
            rate / ceiling,
            of(|one| one.server_us),
            of(|one| one.server_busy) * 100.0,
            of(|one| one.load_busy) * 100.0,
            of(|one| one.p50.as_secs_f64() * 1e3),
            of(|one| one.p99.as_secs_f64() * 1e3),
        );
    }
    page
}

/// The table of restarts.
pub fn restarts(restarts: &[Restart]) -> String {
    let of = |value: fn(&Restart) -> f64| median(restarts, value);
    format!(
        "| | median of {} restarts |\n|---|---|\n\
         | from the start of the program until it listens | {:.1} ms |\n\
         | from the first connection to the first reply, out of the cache of compiled components | {:.1} ms |\n\
         | resident memory a second later | {:.1} MiB |\n",
        restarts.len(),
        of(|one| one.listening.as_secs_f64() * 1e3),
        of(|one| one.first_reply.as_secs_f64() * 1e3),
        of(|one| one.resident_bytes as f64 / f64::from(1 << 20)),
    )
}

fn median<T>(of: &[T], value: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = of.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_repeat_does_not_move_the_median() {
        assert_eq!(median(&[900.0, 1.0, 2.0], |one| *one), 2.0);
    }

    #[test]
    fn rates_are_parts_of_the_first() {
        let measured = |rate| Measured {
            rate,
            server_us: 10.0,
            server_busy: 1.0,
            load_busy: 0.5,
            p50: Duration::from_micros(150),
            p99: Duration::from_millis(2),
            refused: 1,
        };
        let subject = |name, rate| Subject { name, connections: 32, repeats: vec![measured(rate); 3] };
        let page = subjects(&[subject("bare", 1_000.0), subject("ours", 250.0)]);
        let row = page.lines().last().unwrap();
        assert_eq!(row, "| ours | 32 | 250 | 0.250 | 250 to 250 | 10 µs | 100 % | 50 % | 0.15 ms | 2.00 ms | 3 |");
    }
}
