//! How many requests a hook takes in a minute.
//!
//! The count slides: a request of the minute before weighs what is left of that minute within the last sixty seconds. So
//! two numbers are enough, and nobody gets twice the limit by waiting for the turn of the minute.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use moka::sync::Cache;

use crate::clock::Timestamp;
use crate::hook::Hook;
use crate::id::HookId;

const MINUTE_MS: i64 = 60_000;

/// Hooks whose pace is kept in mind. A hook without requests for two minutes has nothing to be kept.
const HOOKS_MAX: u64 = 100_000;

/// The pace of all hooks that have a limit.
pub(super) struct Paces(Cache<HookId, Arc<Mutex<Window>>>);

/// Where a hook stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) limit: u32,
    remaining: u32,
    reset_s: u64,
    /// Seconds to wait, when the request is one too many.
    pub(super) refused_for_s: Option<u64>,
}

impl Paces {
    pub(super) fn new() -> Self {
        let idle = Duration::from_millis(2 * MINUTE_MS.unsigned_abs());
        Self(Cache::builder().max_capacity(HOOKS_MAX).time_to_idle(idle).build())
    }

    /// Counts a request; none when the hook has no limit.
    pub(super) fn take(&self, hook: &Hook, at: Timestamp) -> Option<Standing> {
        let limit = hook.spec.requests_per_minute()?;
        let window = self.0.get_with(hook.id, Arc::default);
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        Some(window.take(at.unix_ms(), limit))
    }
}

impl Standing {
    /// Says it by `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        let Self { limit, remaining, reset_s, .. } = self;
        let fields = [
            ("ratelimit-policy", format!("\"minute\";q={limit};w=60")),
            ("ratelimit", format!("\"minute\";r={remaining};t={reset_s}")),
        ];
        for (name, value) in fields {
            let value = HeaderValue::try_from(value).expect("numbers are plain text");
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The requests of a minute and of the one before it.
#[derive(Debug, Default)]
struct Window {
    began_ms: i64,
    before: u32,
    now: u32,
}

impl Window {
    fn take(&mut self, at_ms: i64, limit: u32) -> Standing {
        self.turn(at_ms);
        let passed = (at_ms - self.began_ms).clamp(0, MINUTE_MS);
        let left = MINUTE_MS - passed;
        let (before, now, most) = (i64::from(self.before), i64::from(self.now), i64::from(limit));
        let used = now + before * left / MINUTE_MS;
        let seconds = |ms: i64| u64::try_from((ms + 999) / 1_000).unwrap_or(0).max(1);
        let standing = Standing { limit, remaining: 0, reset_s: seconds(left), refused_for_s: None };
        if used < most {
            self.now += 1;
            return Standing { remaining: u32::try_from(most - used - 1).unwrap_or(0), ..standing };
        }
        // How much of a minute must have passed until `count` weighs less than `room`.
        let faded = |count: i64, room: i64| MINUTE_MS - (room * MINUTE_MS - 1).div_euclid(count.max(1)).max(0);
        let wait = if now < most { faded(before, most - now) - passed } else { left + faded(now, most).max(0) };
        Standing { refused_for_s: Some(seconds(wait)), ..standing }
    }

    fn turn(&mut self, at_ms: i64) {
        match at_ms - self.began_ms {
            passed if passed >= 2 * MINUTE_MS => *self = Self { began_ms: at_ms, before: 0, now: 0 },
            passed if passed >= MINUTE_MS => {
                *self = Self { began_ms: self.began_ms + MINUTE_MS, before: self.now, now: 0 };
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000;

    fn taken(window: &mut Window, at_ms: i64, times: u32) -> u32 {
        (0..times).filter(|_| window.take(START + at_ms, 100).refused_for_s.is_none()).count().try_into().unwrap()
    }

    #[test]
    fn a_hundred_pass_and_the_next_one_waits() {
        let mut window = Window::default();
        assert_eq!(window.take(START, 100).remaining, 99);
        assert_eq!(taken(&mut window, 10, 99), 99);
        let refused = window.take(START + 1_000, 100);
        assert_eq!((refused.remaining, refused.reset_s), (0, 59));
        let wait = refused.refused_for_s.unwrap();
        assert_eq!(wait, 60);
        assert_eq!(taken(&mut window, 1_000 + 1_000 * i64::try_from(wait).unwrap(), 1), 1, "the wait is long enough");
    }

    #[test]
    fn the_turn_of_the_minute_gives_no_second_helping() {
        let mut window = Window::default();
        assert_eq!(taken(&mut window, 0, 1), 1);
        assert_eq!(taken(&mut window, 59_000, 200), 99);
        assert_eq!(taken(&mut window, 60_000, 200), 0);
        assert_eq!(taken(&mut window, 90_000, 200), 50);
        let refused = window.take(START + 90_000, 100);
        let wait = refused.refused_for_s.unwrap();
        assert_eq!(taken(&mut window, 90_000 + 1_000 * i64::try_from(wait).unwrap(), 1), 1);
        assert_eq!(taken(&mut window, 300_000, 200), 100);
    }

    #[test]
    fn a_clock_that_goes_back_lets_nobody_in() {
        let mut window = Window::default();
        assert_eq!(taken(&mut window, 5_000, 100), 100);
        assert_eq!(taken(&mut window, 0, 5), 0);
    }

    #[test]
    fn the_standing_is_told() {
        let mut headers = HeaderMap::new();
        Window::default().take(START, 100).tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"minute\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"minute\";r=99;t=60");
    }
}
