//! When a target is left in peace. Pure: chance and time are arguments.
//!
//! Failures in a row open the breaker: nothing is sent to the target for a while, and what waits for it loses none of its
//! attempts. Then one of the deliveries that are due is the probe. A success closes the breaker; a failure opens it again,
//! for twice as long up to a limit.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::Health;

/// How much a target may fail, and for how long it is left alone then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Failures in a row that open the breaker.
    pub(super) failures_max: u32,
    /// How long it is open at first.
    pub(super) open: Duration,
    /// How long it is open at most.
    pub(super) open_max: Duration,
}

/// What an attempt has shown of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It answers, whatever it thinks of this message.
    Well,
    /// It does not, or as somebody who cannot cope.
    Failing,
    /// Nothing: the request did not get as far.
    Nothing,
    /// Nothing: there was no request, for a reason that others to the same target do not share.
    Unasked,
}

/// How long a target is spared when the fault is on this side.
const SETBACK: Duration = Duration::from_secs(10);

/// What is known of a target after an attempt that began at `began`. `asked` is how long the receiver wants no more;
/// `chance` is uniform in 0..1 and spreads the waits by a fifth either way.
pub(super) fn after(
    health: Health,
    began: Timestamp,
    seen: Seen,
    asked: Option<Duration>,
    now: Timestamp,
    rule: Rule,
    chance: f64,
) -> Health {
    let hold = |until: Timestamp| Some(health.held_until.map_or(until, |held| held.max(until)));
    match seen {
        Seen::Unasked => health,
        Seen::Nothing => Health { held_until: hold(now.after(SETBACK)), ..health },
        Seen::Well => {
            let since = health.proven_since.filter(|_| health.failures == 0).unwrap_or(now);
            Health { proven_since: Some(since), ..Health::default() }
        }
        Seen::Failing => {
            // What was under way when another one failed has met the same trouble, and says nothing new.
            let new = health.failed_at.is_none_or(|failed| began >= failed);
            let failures = health.failures.saturating_add(u32::from(new));
            let open =
                rule.open_for(failures).filter(|_| new).map(|open| open.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0)));
            let wait = open.max(asked);
            Health {
                failures,
                failing_since: health.failing_since.or(Some(now)),
                failed_at: Some(now),
                held_until: wait.map_or(health.held_until, |wait| hold(now.after(wait))),
                ..health
            }
        }
    }
}

impl Rule {
    /// How long the breaker is open after so many failures; none while it stays closed.
    fn open_for(&self, failures: u32) -> Option<Duration> {
        let doublings = failures.checked_sub(self.failures_max)?.min(31);
        Some(self.open.saturating_mul(1 << doublings).min(self.open_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Standing;

    const RULE: Rule = Rule { failures_max: 3, open: Duration::from_secs(10), open_max: Duration::from_secs(60) };

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1_000)
    }

    fn fail(health: Health, s: i64) -> Health {
        after(health, at(s), Seen::Failing, None, at(s), RULE, 0.5)
    }

    fn well(health: Health, s: i64) -> Health {
        after(health, at(s), Seen::Well, None, at(s), RULE, 0.5)
    }

    #[test]
    fn a_target_is_new_then_proven_then_suspect() {
        let new = Health::default();
        let proven = well(new, 1);
        let suspect = fail(proven, 2);
        assert_eq!(
            [new, proven, suspect].map(|health| health.standing()),
            [Standing::New, Standing::Proven, Standing::Suspect]
        );
        assert_eq!(well(well(new, 1), 5).proven_since, Some(at(1)));
        assert_eq!(well(suspect, 9).proven_since, Some(at(9)));
        assert_eq!(fail(new, 1).standing(), Standing::Suspect);
    }

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_and_longer_each_time() {
        let (mut health, mut open) = (Health::default(), Vec::new());
        for s in 1..=7 {
            health = fail(health, s * 100);
            open.push(health.held_until.map(|until| until.since(at(s * 100)).as_secs()));
        }
        assert_eq!(open, [None, None, Some(10), Some(20), Some(40), Some(60), Some(60)]);
        assert_eq!(health.failing_since, Some(at(100)));
    }

    #[test]
    fn a_success_closes_it() {
        let health = [1, 2, 3].into_iter().fold(Health::default(), fail);
        assert_eq!(well(health, 20), Health { proven_since: Some(at(20)), ..Health::default() });
        assert_eq!(fail(well(health, 20), 21).held_until, None, "and the count begins anew");
    }

    #[test]
    fn attempts_side_by_side_fail_as_one() {
        let mut health = Health::default();
        for ended in [16, 16, 17, 18] {
            health = after(health, at(1), Seen::Failing, None, at(ended), RULE, 0.5);
        }
        assert_eq!((health.failures, health.held_until), (1, None));
        assert_eq!(fail(health, 18).failures, 2);
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it_for_all_its_deliveries() {
        let asked = Some(Duration::from_secs(30));
        let health = after(Health::default(), at(1), Seen::Failing, asked, at(1), RULE, 0.5);
        assert_eq!((health.failures, health.held_until), (1, Some(at(31))));
        assert_eq!(fail(health, 2).held_until, Some(at(31)), "a later failure does not shorten it");
    }

    #[test]
    fn what_is_no_fault_of_the_target_is_not_held_against_it() {
        let suspect = fail(fail(Health::default(), 1), 2);
        let spared = after(suspect, at(3), Seen::Nothing, None, at(3), RULE, 0.5);
        assert_eq!(spared, Health { held_until: Some(at(13)), ..suspect });
    }

    #[test]
    fn chance_spreads_the_probes() {
        let ready = |chance| {
            let health = [1, 2].into_iter().fold(Health::default(), fail);
            after(health, at(3), Seen::Failing, None, at(3), RULE, chance).held_until
        };
        assert_eq!((ready(0.0), ready(1.0)), (Some(at(11)), Some(at(15))));
    }
}
