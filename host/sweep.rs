//! Forgets what is too old.
//!
//! A clock that is set forward by mistake makes everything old at once. So between two sweeps no more time counts than has
//! really passed, and an hour in all; a start believes the clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::store::{Retention, Store};

/// How long things are kept.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Days that an ended execution is kept, with all that belongs to it.
    pub executions_days: u64,
    /// Hours that an idempotency key or a delivery id is remembered.
    pub keys_hours: u64,
    /// Days that a request without an execution is kept.
    pub requests_days: u64,
    /// Days that an event is kept once it has been told.
    pub events_days: u64,
    /// Minutes without a word after which a conversation has ended.
    pub sessions_idle_min: u64,
    /// Seconds between two sweeps.
    pub period_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            executions_days: 30,
            keys_hours: 48,
            requests_days: 7,
            events_days: 7,
            sessions_idle_min: 30,
            period_s: 60,
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// The time as far as it is believed.
struct Time {
    /// When the sweeps began, by the clock as it was set earliest.
    begun: Timestamp,
    watch: Stopwatch,
}

impl Time {
    /// What the clock shows, but no more than an hour ahead of what has passed. A clock that was set back is believed: then
    /// nothing is forgotten that should be kept.
    fn follow(&mut self, shown: Timestamp) -> Timestamp {
        let passed = self.watch.elapsed();
        self.begun = self.begun.min(shown.before(passed));
        shown.min(self.begun.after(passed).after(HOUR))
    }
}

/// Sweeps until `stop`: in small steps, one after the other while there is much to forget.
pub async fn run(store: Store, clock: Clock, options: Options, stop: CancellationToken) {
    let times = |n: u64, unit: Duration| unit.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
    let mut time = Time { begun: clock.now(), watch: Stopwatch::start() };
    loop {
        let now = time.follow(clock.now());
        let retention = Retention {
            executions_before: now.before(times(options.executions_days, 24 * HOUR)),
            keys_before: now.before(times(options.keys_hours, HOUR)),
            requests_before: now.before(times(options.requests_days, 24 * HOUR)),
            events_before: now.before(times(options.events_days, 24 * HOUR)),
            now,
        };
        let idle_since = now.before(times(options.sessions_idle_min, Duration::from_secs(60)));
        if let Err(error) = store.sessions_close(idle_since, now).await {
            tracing::error!(error = &error as &dyn std::error::Error, "conversations were not ended");
        }
        let more = match store.sweep(retention).await {
            Ok(swept) => swept.is_full(),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a sweep failed");
                false
            }
        };
        let wait = if more { Duration::from_millis(100) } else { Duration::from_secs(options.period_s.max(1)) };
        if stop.run_until_cancelled(clock.sleep_until(clock.now().after(wait))).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_ahead_makes_nothing_old() {
        let begun = Timestamp::from_unix_ms(1_000_000_000);
        let mut time = Time { begun, watch: Stopwatch::start() };
        assert_eq!(time.follow(begun), begun);
        let shown = begun.after(40 * 24 * HOUR);
        let followed = time.follow(shown);
        assert!(followed < begun.after(HOUR * 2), "{followed}");
        assert_eq!(time.follow(begun.after(HOUR / 2)), begun.after(HOUR / 2), "it is right again");
        let back = begun.before(24 * HOUR);
        assert_eq!(time.follow(back), back);
        assert!(time.follow(begun) < begun.before(22 * HOUR), "going ahead again is not believed either");
    }
}
