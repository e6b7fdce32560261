//! How the attempts for a target have gone, in numbers.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::WorkspaceId;
use crate::store::{Health, Sample, Tally, Target};

use super::{Deliveries, Error};

/// Attempts that are looked at; of more, the newest.
const SAMPLES_MAX: u32 = 100_000;

const HOUR_MS: i64 = 3_600 * 1_000;

/// A target's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// What is known of it now.
    pub health: Health,
    /// Since when the numbers count. Later than asked for when there were too many attempts to look at.
    pub since: Timestamp,
    /// Of the whole time.
    pub all: Numbers,
    /// Of each full hour in which there was an attempt, by its beginning, the oldest first.
    pub hours: Vec<(Timestamp, Numbers)>,
}

/// Attempts in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// How many there were.
    pub attempts: u64,
    /// How many were answered by a 2xx.
    pub succeeded: u64,
    /// What share that is; none without an attempt.
    pub success_rate: Option<f64>,
    /// Milliseconds that half of them took at most.
    pub p50_ms: Option<u64>,
    /// Milliseconds that 95 of 100 took at most.
    pub p95_ms: Option<u64>,
    /// Milliseconds that 99 of 100 took at most.
    pub p99_ms: Option<u64>,
}

impl Deliveries {
    /// The deliveries for some targets, counted, in the same order. Whose they are is not looked at.
    pub async fn tallies(&self, targets: Vec<Target>) -> Result<Vec<Tally>, Error> {
        Ok(self.0.parts.store.tallies(targets).await?)
    }

    /// A target's numbers of the last `hours`. [`Error::UnknownTarget`] when it is not the workspace's.
    pub async fn stats(&self, workspace: WorkspaceId, target: Target, hours: u32) -> Result<Stats, Error> {
        self.check_owner(workspace, target).await?;
        let (store, now) = (&self.0.parts.store, self.now());
        let since = now.before(Duration::from_secs(u64::from(hours) * 3_600));
        let samples = store.attempt_samples(target, since, SAMPLES_MAX).await?;
        let health = store.target_health(target).await?;
        let cut = samples.len() == SAMPLES_MAX as usize;
        let since = samples.last().filter(|_| cut).map_or(since, |oldest| oldest.at);
        Ok(Stats { health, since, all: Numbers::of(&samples), hours: by_hour(&samples) })
    }
}

/// The numbers of each hour; `samples` are in the order of time.
fn by_hour(samples: &[Sample]) -> Vec<(Timestamp, Numbers)> {
    let hour = |sample: &Sample| sample.at.unix_ms().div_euclid(HOUR_MS);
    let hours = samples.chunk_by(|a, b| hour(a) == hour(b));
    let mut hours = hours
        .map(|samples| (Timestamp::from_unix_ms(hour(&samples[0]) * HOUR_MS), Numbers::of(samples)))
        .collect::<Vec<_>>();
    hours.sort_by_key(|(at, _)| *at);
    hours
}

impl Numbers {
    fn of(samples: &[Sample]) -> Self {
        let is_success = |sample: &&Sample| sample.status.is_some_and(|status| (200..300).contains(&status));
        let (attempts, succeeded) = (samples.len() as u64, samples.iter().filter(is_success).count() as u64);
        let mut times = samples.iter().map(|sample| sample.duration_ms).collect::<Vec<_>>();
        times.sort_unstable();
        // The nearest rank: the smallest time that at least so many of 100 do not exceed.
        let percentile = |percent: usize| times.get((times.len() * percent).div_ceil(100).max(1) - 1).copied();
        Self {
            attempts,
            succeeded,
            success_rate: (attempts > 0).then(|| succeeded as f64 / attempts as f64),
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            p99_ms: percentile(99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: i64, status: u16, duration_ms: u64) -> Sample {
        Sample { at: Timestamp::from_unix_ms(at_ms), status: Some(status), duration_ms }
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let samples = (1..=200).map(|n| sample(0, if n <= 150 { 200 } else { 500 }, n)).collect::<Vec<_>>();
        let numbers = Numbers::of(&samples);
        assert_eq!((numbers.attempts, numbers.succeeded, numbers.success_rate), (200, 150, Some(0.75)));
        assert_eq!([numbers.p50_ms, numbers.p95_ms, numbers.p99_ms], [Some(100), Some(190), Some(198)]);
        let one = Numbers::of(&[sample(0, 204, 7)]);
        assert_eq!([one.p50_ms, one.p99_ms], [Some(7), Some(7)]);
    }

    #[test]
    fn without_attempts_there_are_no_numbers() {
        let none = Numbers::of(&[]);
        assert_eq!((none.attempts, none.success_rate, none.p50_ms), (0, None, None));
        assert_eq!(by_hour(&[]), []);
    }

    #[test]
    fn each_hour_has_its_numbers() {
        let samples = [sample(2 * HOUR_MS + 5, 200, 1), sample(2 * HOUR_MS, 500, 3), sample(HOUR_MS - 1, 200, 9)];
        let hours = by_hour(&samples);
        let told = hours.iter().map(|(at, numbers)| (at.unix_ms() / HOUR_MS, numbers.attempts, numbers.succeeded));
        assert_eq!(told.collect::<Vec<_>>(), [(0, 1, 1), (2, 2, 1)]);
    }
}
