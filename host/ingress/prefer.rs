//! How the caller wants its answer: the hook's mode, unless the dialect or, in the native one, `Prefer` (RFC 7240) or
//! `Accept` say otherwise.

use std::time::Duration;

use axum::http::{HeaderMap, header};

use crate::dialect::Dialect;
use crate::hook::{Mode, Spec};

/// How a caller is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answering {
    /// With the reply, if it comes in this time.
    Wait(Duration),
    /// With a 202 once the execution is durable; with the reply if it then comes in this time.
    Accept(Duration),
    /// With events.
    Stream,
}

pub(super) fn answering(spec: &Spec, headers: &HeaderMap) -> Answering {
    let patience = Duration::from_millis(spec.sync_wait_ms);
    if spec.dialect != Dialect::Native {
        // A product's callers have no words for this, and no use for events.
        let waits = !spec.dialect.answers_at_once() && spec.mode != Mode::Async;
        return if waits { Answering::Wait(patience) } else { Answering::Accept(Duration::ZERO) };
    }
    let wants_events = headers.get(header::ACCEPT).is_some_and(|accept| {
        accept.as_bytes().split(|b| *b == b',').any(|one| one.trim_ascii().starts_with(b"text/event-stream"))
    });
    if wants_events {
        return Answering::Stream;
    }
    let wished = Preferences::of(headers);
    let wait = wished.wait.map(|wait| wait.min(patience));
    match (wished.respond_async, spec.mode) {
        (true, _) | (false, Mode::Async) => Answering::Accept(wait.unwrap_or_default()),
        (false, Mode::Sync) => Answering::Wait(wait.unwrap_or(patience)),
        (false, Mode::Stream) => Answering::Stream,
    }
}

#[derive(Default)]
struct Preferences {
    respond_async: bool,
    wait: Option<Duration>,
}

impl Preferences {
    fn of(headers: &HeaderMap) -> Self {
        let mut wished = Self::default();
        for value in headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()) {
            for one in value.split([',', ';']).map(str::trim) {
                let (name, value) = one.split_once('=').unwrap_or((one, ""));
                match name.trim().to_ascii_lowercase().as_str() {
                    "respond-async" => wished.respond_async = true,
                    "wait" => wished.wait = value.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
                    _ => {}
                }
            }
        }
        wished
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Scheme;

    fn answered(mode: Mode, headers: &[(&'static str, &'static str)]) -> Answering {
        let spec = Spec { mode, sync_wait_ms: 20_000, ..Spec::new(vec![Scheme::named("bearer").unwrap()]) };
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        answering(&spec, &headers)
    }

    #[test]
    fn the_hook_decides_unless_the_caller_does() {
        let seconds = Duration::from_secs;
        assert_eq!(answered(Mode::Sync, &[]), Answering::Wait(seconds(20)));
        assert_eq!(answered(Mode::Async, &[]), Answering::Accept(seconds(0)));
        assert_eq!(answered(Mode::Stream, &[]), Answering::Stream);
        assert_eq!(answered(Mode::Sync, &[("prefer", "respond-async")]), Answering::Accept(seconds(0)));
        assert_eq!(answered(Mode::Sync, &[("prefer", "respond-async, wait=3")]), Answering::Accept(seconds(3)));
        assert_eq!(answered(Mode::Sync, &[("prefer", "wait=3")]), Answering::Wait(seconds(3)));
        assert_eq!(answered(Mode::Async, &[("accept", "application/json, text/event-stream")]), Answering::Stream);
    }

    #[test]
    fn the_callers_of_a_product_get_what_its_page_says() {
        let answered = |dialect, mode| {
            let spec = Spec { dialect, mode, ..Spec::new(vec![Scheme::named("bearer").unwrap()]) };
            answering(&spec, &HeaderMap::from_iter([("accept".parse().unwrap(), "text/event-stream".parse().unwrap())]))
        };
        let at_once = Answering::Accept(Duration::ZERO);
        assert_eq!(answered(Dialect::Cognigy, Mode::Sync), at_once);
        assert_eq!(answered(Dialect::Autommate, Mode::Stream), Answering::Wait(Duration::from_secs(25)));
        assert_eq!(answered(Dialect::Uptiq, Mode::Async), at_once);
    }

    #[test]
    fn nobody_waits_longer_than_the_hook_allows() {
        assert_eq!(answered(Mode::Sync, &[("prefer", "wait=9999")]), Answering::Wait(Duration::from_secs(20)));
        assert_eq!(answered(Mode::Sync, &[("prefer", "wait=soon")]), Answering::Wait(Duration::from_secs(20)));
    }
}
