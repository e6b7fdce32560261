//! What an answer means, for the delivery and for its target. Pure: time is an argument.

use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;

use super::breaker::Seen;
use crate::clock::Timestamp;
use crate::egress;
use crate::store::Blame;

/// Characters of an answer's body that an error repeats.
const EXCERPT_MAX: usize = 500;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What it shows of the target.
    pub(super) seen: Seen,
    /// What the receiver wants.
    pub(super) wish: Wish,
    /// Why it failed; none when the receiver has the message.
    pub(super) failure: Option<Failure>,
    /// Whether it was one of the attempts that the schedule has.
    pub(super) counts: bool,
    /// How long the receiver wants to be left alone with this delivery.
    pub(super) asked: Option<Duration>,
    /// How long it wants to be left alone altogether.
    pub(super) hold: Option<Duration>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// In words.
    pub(super) error: String,
    /// Whose failure it is.
    pub(super) blame: Blame,
}

/// What a receiver wants beside the next attempt by schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing.
    Nothing,
    /// No more of this message.
    Abort,
    /// No more at all.
    Disable,
    /// Nothing that could be given to it: there is no message.
    GiveUp,
}

impl Verdict {
    /// Of an attempt that could not be made as it should be, which will be so again.
    pub(super) fn unsendable(error: String) -> Self {
        let failure = Some(Failure { error, blame: Blame::Host });
        Self { seen: Seen::Nothing, wish: Wish::Nothing, failure, counts: true, asked: None, hold: None }
    }

    /// Of a message that its transform could not make, and will not make before it is mended. The receiver has no part in it.
    pub(super) fn untransformed(error: String) -> Self {
        let failure = Some(Failure { error, blame: Blame::Transform });
        Self { seen: Seen::Unasked, wish: Wish::GiveUp, failure, counts: true, asked: None, hold: None }
    }

    /// Of an attempt for which this host is not ready.
    pub(super) fn not_now(error: String) -> Self {
        let failure = Some(Failure { error, blame: Blame::Host });
        Self { seen: Seen::Nothing, wish: Wish::Nothing, failure, counts: false, asked: None, hold: None }
    }

    /// Of an answer, or of there being none. The receiver may ask for up to `asked_max`.
    pub(super) fn of(sent: &Result<egress::Answer, egress::Error>, now: Timestamp, asked_max: Duration) -> Self {
        match sent {
            Ok(answer) => Self::of_answer(answer, now, asked_max),
            Err(error) => {
                let blame = blame(error);
                // Who gives no token for the receiver is, like a name server that does not know it, the receiver's affair.
                let counts = matches!(blame, Blame::Receiver | Blame::TokenServer);
                let seen = if counts { Seen::Failing } else { Seen::Nothing };
                let failure = Some(Failure { error: told(error), blame });
                Self { seen, wish: Wish::Nothing, failure, counts, asked: None, hold: None }
            }
        }
    }

    fn of_answer(answer: &egress::Answer, now: Timestamp, asked_max: Duration) -> Self {
        let wish = wish(answer);
        if answer.status.is_success() {
            return Self { seen: Seen::Well, wish, failure: None, counts: true, asked: None, hold: None };
        }
        let asked = answer.headers.get(RETRY_AFTER).and_then(|value| egress::retry_after(value.to_str().ok()?, now));
        let asked = asked.map(|asked| asked.min(asked_max));
        let busy = matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let seen = if is_trouble(answer.status) { Seen::Failing } else { Seen::Well };
        let failure = Some(Failure { error: in_words(answer), blame: Blame::Receiver });
        Self { seen, wish, failure, counts: true, asked, hold: asked.filter(|_| busy) }
    }
}

/// Whether somebody who answers so cannot cope. Any other status is the answer of somebody who is well.
fn is_trouble(status: StatusCode) -> bool {
    let slow = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || slow.contains(&status)
}

/// 410 as Standard Webhooks has it, and the header of Svix's delivery control, which says the same with any status.
///
/// Source: <https://docs.svix.com/receiving/delivery-control> (2026-08).
fn wish(answer: &egress::Answer) -> Wish {
    let header = answer.headers.get("webhook-delivery").and_then(|value| value.to_str().ok());
    match header.map(str::trim) {
        _ if answer.status == StatusCode::GONE => Wish::Disable,
        Some(text) if text.eq_ignore_ascii_case("disable") => Wish::Disable,
        Some(text) if text.eq_ignore_ascii_case("abort-message") && !answer.status.is_success() => Wish::Abort,
        _ => Wish::Nothing,
    }
}

fn blame(error: &egress::Error) -> Blame {
    match error.kind() {
        egress::Kind::Proxy => Blame::Proxy,
        egress::Kind::Token => Blame::TokenServer,
        _ if error.is_local() => Blame::Host,
        _ => Blame::Receiver,
    }
}

fn in_words(answer: &egress::Answer) -> String {
    let status = answer.status;
    let excerpt = String::from_utf8_lossy(&answer.body).chars().take(EXCERPT_MAX).collect::<String>();
    if status.is_redirection() {
        return format!("the receiver answered {status}; redirects are not followed");
    }
    if excerpt.is_empty() {
        format!("the receiver answered {status}")
    } else {
        format!("the receiver answered {status}: {excerpt}")
    }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    const MAX: Duration = Duration::from_secs(3_600);

    fn answer(status: u16, header: Option<(&'static str, &'static str)>) -> Verdict {
        let header = header.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let answer = egress::Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::from_iter(header),
            version: http::Version::HTTP_11,
            remote: None,
            body: "née \u{fffd}".into(),
            truncated: false,
            timings: egress::Timings::default(),
        };
        Verdict::of(&Ok(answer), Timestamp::from_unix_ms(0), MAX)
    }

    #[test]
    fn every_2xx_is_success_and_nothing_else_is() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(answer(status, None).failure, None, "{status}");
        }
        for status in [300, 302, 400, 404, 410, 429, 500, 599] {
            assert!(answer(status, None).failure.is_some(), "{status}");
        }
    }

    #[test]
    fn only_who_cannot_cope_is_failing() {
        for (status, seen) in [
            (204, Seen::Well),
            (302, Seen::Well),
            (400, Seen::Well),
            (404, Seen::Well),
            (408, Seen::Failing),
            (425, Seen::Failing),
            (429, Seen::Failing),
            (500, Seen::Failing),
            (503, Seen::Failing),
        ] {
            assert_eq!(answer(status, None).seen, seen, "{status}");
        }
    }

    #[test]
    fn a_receiver_can_say_that_it_wants_no_more() {
        for (status, header, wish) in [
            (410, None, Wish::Disable),
            (200, Some("disable"), Wish::Disable),
            (500, Some(" Disable "), Wish::Disable),
            (500, Some("abort-message"), Wish::Abort),
            (200, Some("abort-message"), Wish::Nothing),
            (500, Some("later"), Wish::Nothing),
            (404, None, Wish::Nothing),
        ] {
            assert_eq!(
                answer(status, header.map(|value| ("webhook-delivery", value))).wish,
                wish,
                "{status} {header:?}"
            );
        }
    }

    #[test]
    fn retry_after_holds_the_target_when_it_is_busy_and_else_the_delivery() {
        let minute = Some(Duration::from_secs(60));
        for (status, asked, hold) in
            [(429, minute, minute), (503, minute, minute), (500, minute, None), (404, minute, None)]
        {
            let verdict = answer(status, Some(("retry-after", "60")));
            assert_eq!((verdict.asked, verdict.hold), (asked, hold), "{status}");
        }
        assert_eq!(answer(429, Some(("retry-after", "999999999"))).hold, Some(MAX));
        assert_eq!(answer(429, Some(("retry-after", "soon"))).hold, None);
    }

    #[test]
    fn the_error_says_what_came() {
        let error = |status| answer(status, None).failure.unwrap().error;
        assert_eq!(error(302), "the receiver answered 302 Found; redirects are not followed");
        assert_eq!(error(500), "the receiver answered 500 Internal Server Error: née \u{fffd}");
    }
}
