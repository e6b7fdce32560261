//! When the next attempt is due. Pure: chance and time are arguments.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::Health;

/// How long to wait after `attempts` failed attempts; none when that was the last one.
///
/// The planned wait is spread by up to 20 % either way, so that a receiver that comes back is not met by all its senders at
/// once; `chance` is uniform in 0..1. What the receiver asked for counts when it is longer.
pub(super) fn next(schedule_s: &[u64], attempts: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
    let place = attempts.checked_sub(1)? as usize;
    let planned = Duration::from_secs(*schedule_s.get(place)?).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0));
    Some(asked.map_or(planned, |asked| asked.max(planned)))
}

/// How long a delivery may wait from the beginning of its schedule: a day longer than the schedule plans. A target that is
/// held back consumes no attempts of what waits for it, so there must be another end.
fn horizon(schedule_s: &[u64]) -> Duration {
    const DAY_S: u64 = 24 * 3_600;
    Duration::from_secs(schedule_s.iter().fold(DAY_S, |sum, wait| sum.saturating_add(*wait)))
}

/// What began before is given up at a target that stands so: it has waited for longer than it may, and the target has failed
/// for as long. None while nothing is.
pub(super) fn given_up_before(schedule_s: &[u64], health: &Health, now: Timestamp) -> Option<Timestamp> {
    let horizon = horizon(schedule_s);
    health.failing_since.filter(|since| now.since(*since) > horizon).map(|_| now.before(horizon))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: &[u64] = &[5, 300];

    #[test]
    fn each_failure_has_its_wait_and_the_last_has_none() {
        let waits = (1..=3).map(|attempts| next(SCHEDULE, attempts, None, 0.5)).collect::<Vec<_>>();
        assert_eq!(waits, [Some(Duration::from_secs(5)), Some(Duration::from_secs(300)), None]);
        assert_eq!(next(&[], 1, None, 0.5), None);
        assert_eq!(next(SCHEDULE, 0, None, 0.5), None);
    }

    #[test]
    fn chance_spreads_the_waits_by_a_fifth() {
        assert_eq!(next(SCHEDULE, 1, None, 0.0), Some(Duration::from_secs(4)));
        assert_eq!(next(SCHEDULE, 1, None, 1.0), Some(Duration::from_secs(6)));
    }

    #[test]
    fn a_receiver_can_ask_for_more_time_but_not_for_less() {
        assert_eq!(next(SCHEDULE, 1, Some(Duration::from_secs(60)), 0.5), Some(Duration::from_secs(60)));
        assert_eq!(next(SCHEDULE, 1, Some(Duration::from_secs(1)), 0.5), Some(Duration::from_secs(5)));
        assert_eq!(next(SCHEDULE, 3, Some(Duration::from_secs(1)), 0.5), None);
    }

    #[test]
    fn a_delivery_may_wait_a_day_longer_than_its_schedule() {
        assert_eq!(horizon(SCHEDULE), Duration::from_secs(24 * 3_600 + 305));
        assert_eq!(horizon(&[u64::MAX, 1]), Duration::from_secs(u64::MAX));
    }
}
