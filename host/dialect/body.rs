//! The body of a request, as far as dialects read bodies alike.

use super::{Malformed, Object, Payload, first_object};
use crate::trigger::{Json, Request};

/// A body by what it is said to be.
pub(super) enum Body<'a> {
    Json(&'a str),
    Text(&'a str),
    /// Nothing, or bytes that only a flow can read.
    Other,
}

/// Reads a body by its `content-type`. One without is JSON when it looks like an object or a list.
pub(super) fn read(request: &Request) -> Result<Body<'_>, Malformed> {
    let body = &request.body[..];
    let essence = request.header("content-type").map(|value| value.split(';').next().unwrap_or("").trim());
    let essence = essence.map(str::to_ascii_lowercase);
    Ok(match essence.as_deref() {
        _ if body.is_empty() => Body::Other,
        Some(kind) if kind == "application/json" || kind.ends_with("+json") => Body::Json(text(body)?),
        Some(kind) if kind.starts_with("text/") => std::str::from_utf8(body).map_or(Body::Other, Body::Text),
        None if looks_like_json(body) => Body::Json(text(body)?),
        _ => Body::Other,
    })
}

/// Reads a body that must be a JSON object, whatever it is said to be: `curl -d` calls everything a form.
pub(super) fn object(request: &Request) -> Result<Object<'_>, Malformed> {
    let text = text(&request.body)?;
    let received = || super::object::kind(text.trim_start());
    first_object(text)?.ok_or_else(|| Malformed::Type { field: "body", expected: "an object", received: received() })
}

/// The payload of a dialect that prescribes no members: the whole JSON is the data, and a `message` in it that is a
/// string is the message; a text is the message. JSON is seen as such whatever it is said to be.
pub(super) fn free(request: &Request) -> Result<Payload, Malformed> {
    let whole = |text: &str| {
        let message = first_object(text)?.and_then(|object| object.string("message").ok().flatten());
        Ok(Payload { message, data: json(text.trim())?, ..Payload::default() })
    };
    match read(request)? {
        Body::Json(text) => whole(text),
        Body::Text(text) if looks_like_json(text.as_bytes()) => whole(text).or_else(|_| Ok(as_text(text))),
        Body::Text(text) => Ok(as_text(text)),
        Body::Other if looks_like_json(&request.body) => Ok(text(&request.body).and_then(whole).unwrap_or_default()),
        Body::Other => Ok(Payload::default()),
    }
}

fn as_text(text: &str) -> Payload {
    Payload { message: Some(text.to_owned()), ..Payload::default() }
}

fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// A JSON text as it was written.
pub(super) fn json(text: &str) -> Result<Json, Malformed> {
    Json::parse(text.to_owned()).map_err(|error| Malformed::Json(error.to_string()))
}

fn text(body: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(body).map_err(|_| Malformed::Json("it is not UTF-8".to_owned()))
}
