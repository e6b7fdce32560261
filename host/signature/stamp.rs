//! When a request was signed: where that is written, and in which form.

use http::HeaderName;
use jiff::civil;

use super::Refusal;

/// Where a timestamp is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stamp {
    Header(HeaderName),
    /// In the item of the signature header that begins with this.
    Item(String),
    /// In the member of the JSON body that this pointer names (RFC 6901).
    Member(String),
}

/// How far a timestamp may be from now, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) past_s: i64,
    pub(super) future_s: i64,
}

impl Window {
    /// Whether a moment in Unix seconds is neither too old nor too new.
    pub(super) fn admit(self, seconds: i64, now_unix_ms: i64) -> Result<(), Refusal> {
        let age_s = now_unix_ms.div_euclid(1_000).saturating_sub(seconds);
        if age_s > self.past_s {
            Err(Refusal::TooOld { age_s, tolerance_s: self.past_s })
        } else if age_s < -self.future_s {
            Err(Refusal::TooNew { ahead_s: age_s.saturating_neg(), tolerance_s: self.future_s })
        } else {
            Ok(())
        }
    }
}

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Rfc3339,
    HttpDate,
}

/// No date is longer.
const DATE_BYTES_MAX: usize = 40;

impl Unit {
    /// What a JSON entry may say.
    pub(super) const NAMES: [(&'static str, Self); 4] =
        [("s", Self::Seconds), ("ms", Self::Milliseconds), ("rfc3339", Self::Rfc3339), ("http-date", Self::HttpDate)];

    /// What a timestamp looks like, for messages. Digits only, since a sign, a space or a dot could move the boundary
    /// between the signed parts.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::Seconds | Self::Milliseconds => "1 to 16 digits",
            Self::Rfc3339 => "an RFC 3339 date and time",
            Self::HttpDate => "a date such as `Tue, 20 Apr 2021 02:07:55 GMT`",
        }
    }

    /// The Unix seconds of a text in this form; none when it is not in it.
    pub(super) fn seconds(self, text: &str) -> Option<i64> {
        let digits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::Seconds => digits.then(|| text.parse().ok())?,
            Self::Milliseconds => digits.then(|| text.parse::<i64>().ok())?.map(|ms| ms / 1_000),
            _ if text.len() > DATE_BYTES_MAX => None,
            Self::Rfc3339 => text.parse::<jiff::Timestamp>().ok().map(|moment| moment.as_second()),
            Self::HttpDate => http_date(text),
        }
    }

    /// The text of a moment in this form.
    pub(super) fn text(self, unix_ms: i64) -> String {
        let date = |format| {
            let moment = jiff::Timestamp::from_second(unix_ms.div_euclid(1_000)).unwrap_or_default();
            moment.strftime(format).to_string()
        };
        match self {
            Self::Seconds => unix_ms.div_euclid(1_000).to_string(),
            Self::Milliseconds => unix_ms.to_string(),
            Self::Rfc3339 => date("%Y-%m-%dT%H:%M:%SZ"),
            Self::HttpDate => date("%a, %d %b %Y %H:%M:%S GMT"),
        }
    }
}

/// RFC 9110 §5.6.7, with or without the comma, and with `UTC` too, which Scalr writes.
fn http_date(text: &str) -> Option<i64> {
    let text = text.strip_suffix(" GMT").or_else(|| text.strip_suffix(" UTC"))?;
    let format = if text.contains(',') { "%a, %d %b %Y %H:%M:%S" } else { "%a %d %b %Y %H:%M:%S" };
    let date = civil::DateTime::strptime(format, text).ok()?;
    date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn a_moment_is_read_in_the_form_that_its_scheme_has_and_in_no_other() {
        for (unit, text, seconds) in [
            (Unit::Seconds, "1531420618", Some(1_531_420_618)),
            (Unit::Milliseconds, "1531420618999", Some(1_531_420_618)),
            (Unit::Rfc3339, "2019-11-16T10:11:12.634234626Z", Some(1_573_899_072)),
            (Unit::Rfc3339, "2019-11-16T12:11:12+02:00", Some(1_573_899_072)),
            (Unit::HttpDate, "Tue, 20 Apr 2021 02:07:55 GMT", Some(1_618_884_475)),
            (Unit::HttpDate, "Tue 20 Apr 2021 02:07:55 UTC", Some(1_618_884_475)),
            (Unit::HttpDate, "Mon, 20 Apr 2021 02:07:55 GMT", None),
            (Unit::HttpDate, "Tue, 20 Apr 2021 02:07:55 CET", None),
            (Unit::Rfc3339, "2019-11-16", None),
            (Unit::Rfc3339, "1531420618", None),
            (Unit::Seconds, "+1531420618", None),
            (Unit::Seconds, "", None),
            (Unit::Seconds, "11111111111111111", None),
        ] {
            assert_eq!(unit.seconds(text), seconds, "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for (name, unit) in Unit::NAMES {
            assert_eq!(unit.seconds(&unit.text(1_618_884_475_123)), Some(1_618_884_475), "{name}");
        }
    }
}
