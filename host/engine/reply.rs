//! What a reply must keep to, whichever kind of component gave it.

use http::{HeaderName, HeaderValue};

use crate::trigger::{Failure, HttpReply, Json, Reply};

use super::Stop;

/// Header fields of a raw reply.
const HEADERS_MAX: usize = 100;

/// Checks sizes, and of a raw reply the status and the header fields.
pub(super) fn check(reply: &Reply, bytes_max: usize) -> Result<(), Stop> {
    let text = reply.text.as_ref().map_or(0, String::len);
    let data = reply.data.as_ref().map_or(0, |data: &Json| data.as_str().len());
    let raw = reply.raw.as_ref().map_or(0, bytes);
    weigh("reply", text + data + raw, bytes_max)?;
    reply.raw.as_ref().map_or(Ok(()), check_raw).map_err(Stop::OverLimit)
}

/// Checks the size of a failure's texts.
pub(super) fn check_failure(failure: &Failure, bytes_max: usize) -> Result<(), Stop> {
    let bytes = match failure {
        Failure::InvalidInput(error) => {
            error.field.len() + error.expected.len() + error.received.len() + error.message.len()
        }
        Failure::Failed { message } | Failure::Retry { message, .. } => message.len(),
    };
    weigh("failure", bytes, bytes_max)
}

pub(super) fn weigh(what: &str, bytes: usize, bytes_max: usize) -> Result<(), Stop> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Stop::OverLimit(format!("the {what} has {bytes} bytes and may have {bytes_max}")))
}

fn bytes(raw: &HttpReply) -> usize {
    raw.body.len() + raw.headers.iter().map(|field| field.name.len() + field.value.len()).sum::<usize>()
}

fn check_raw(raw: &HttpReply) -> Result<(), String> {
    if !(200..=599).contains(&raw.status) {
        return Err(format!("the reply's status is {}, and 200 to 599 is allowed", raw.status));
    }
    if raw.headers.len() > HEADERS_MAX {
        return Err(format!("the reply has {} header fields and may have {HEADERS_MAX}", raw.headers.len()));
    }
    for (place, field) in raw.headers.iter().enumerate() {
        // Names of one letter case: `from_lowercase` refuses any other, so that lookups by name find every field.
        if HeaderName::from_lowercase(field.name.as_bytes()).is_err() {
            return Err(format!("header field {place} of the reply has a name that is not a lowercase token"));
        }
        if HeaderValue::from_bytes(&field.value).is_err() {
            return Err(format!("the value of header `{}` of the reply has a control character", field.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::trigger::Header;

    fn raw(status: u16, name: &str, value: &'static str) -> Reply {
        let headers = vec![Header { name: name.to_owned(), value: Bytes::from_static(value.as_bytes()) }];
        Reply { raw: Some(HttpReply { status, headers, body: Bytes::from_static(b"12345") }), ..Reply::default() }
    }

    #[test]
    fn a_raw_reply_must_be_possible_http() {
        assert_eq!(check(&raw(200, "x-a", "b"), 9), Ok(()));
        for (reply, says) in [
            (raw(199, "x-a", "b"), "status is 199"),
            (raw(600, "x-a", "b"), "status is 600"),
            (raw(200, "X-A", "b"), "lowercase token"),
            (raw(200, "x a", "b"), "lowercase token"),
            (raw(200, "x-a", "b\r\nset-cookie: c"), "control character"),
        ] {
            let Err(Stop::OverLimit(text)) = check(&reply, 1_000) else { panic!("{reply:?} passes") };
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn every_part_counts() {
        let reply = Reply { text: Some("ab".to_owned()), data: Some(Json::empty()), ..raw(200, "x-a", "b") };
        assert_eq!(check(&reply, 13), Ok(()));
        assert!(check(&reply, 12).is_err());
        assert!(check_failure(&Failure::Failed { message: "abc".to_owned() }, 2).is_err());
    }
}
