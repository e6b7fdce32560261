//! The body of a request, as far as dialects read bodies alike.

use super::{Malformed, Object, Payload, first_object};
use crate::trigger::{Json, Request};

/// A body by what it is said to be.
pub(super) enum Body<'a> {
    Json(&'a str),
    Text(&'a str),
    Xml(&'a str),
    /// JSON texts, one on each line.
    Lines(&'a [u8]),
    Form(&'a [u8]),
    /// A form with files; the whole `content-type`, which tells how to cut it.
    Multipart(&'a str),
    /// Nothing, or bytes that only a flow can read.
    Other,
}

/// What people call JSON texts on lines. None of these is registered.
const LINES: &[&str] = &[
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/jsonlines",
];

/// Reads a body by its `content-type`. One without is JSON when it looks like an object or a list.
pub(super) fn read(request: &Request) -> Result<Body<'_>, Malformed> {
    let body = &request.body[..];
    let content_type = request.header("content-type");
    let essence = content_type.map(|value| value.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
    let readable = |kind: fn(&'_ str) -> Body<'_>| std::str::from_utf8(body).map_or(Body::Other, kind);
    Ok(match essence.as_deref() {
        _ if body.is_empty() => Body::Other,
        Some(kind) if kind == "application/json" || kind.ends_with("+json") => Body::Json(text(body)?),
        Some(kind) if kind.starts_with("text/") => readable(|text| Body::Text(text)),
        Some(kind) if kind == "application/xml" || kind.ends_with("+xml") => readable(|text| Body::Xml(text)),
        Some(kind) if LINES.contains(&kind) => Body::Lines(body),
        Some("application/x-www-form-urlencoded") => Body::Form(body),
        Some("multipart/form-data") => Body::Multipart(content_type.unwrap_or("")),
        None if begins_like_json(body) => Body::Json(text(body)?),
        _ => Body::Other,
    })
}

/// Whether a body looks like a JSON object or list.
pub(super) fn begins_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
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
        Body::Text(text) if begins_like_json(text.as_bytes()) => whole(text).or_else(|_| Ok(as_text(text))),
        Body::Text(text) => Ok(as_text(text)),
        _ if begins_like_json(&request.body) => Ok(text(&request.body).and_then(whole).unwrap_or_default()),
        _ => Ok(Payload::default()),
    }
}

fn as_text(text: &str) -> Payload {
    Payload { message: Some(text.to_owned()), ..Payload::default() }
}

/// A JSON text as it was written.
pub(super) fn json(text: &str) -> Result<Json, Malformed> {
    Json::parse(text.to_owned()).map_err(|error| Malformed::Json(error.to_string()))
}

/// JSON texts on lines, as a list.
pub(super) fn lines(body: &[u8]) -> Result<Json, Malformed> {
    let mut list = String::with_capacity(body.len() + 2);
    for (number, line) in (1..).zip(text(body)?.lines().map(str::trim)) {
        if !line.is_empty() {
            first_object(line).map_err(|error| on_line(number, &error))?;
            list.push(if list.is_empty() { '[' } else { ',' });
            list.push_str(line);
        }
    }
    list.push_str(if list.is_empty() { "[]" } else { "]" });
    json(&list)
}

fn on_line(number: usize, error: &Malformed) -> Malformed {
    // Each line was read by itself, so it was the first one for its reader.
    let reason = error.to_string().replace(" at line 1 ", " at ").replace("the body is", "it is");
    Malformed::Line { number, reason }
}

pub(super) fn text(body: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(body).map_err(|_| Malformed::Json("it is not UTF-8".to_owned()))
}
