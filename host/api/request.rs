//! Reads what a request asks for. Whatever is wrong becomes a [`Problem`] that names it.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny};
use serde::{Deserialize as _, Serialize};
use serde_json::{Map, Value};

use super::House;
use crate::problem::{Problem, kind};

/// Bytes of a JSON body.
const BODY_BYTES_MAX: usize = 64 << 10;

/// How long a JSON body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(15);

/// A JSON object in the body. An empty body counts as `{}`, so that an endpoint all of whose members have defaults can be
/// called without one.
pub(super) struct JsonBody<T>(pub(super) T);

/// The query parameters, each at most once.
pub(super) struct Params<T>(pub(super) T);

/// The parameters in the path. One that cannot be read names nothing that is there.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<House> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &House) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        refuse_encoded(&parts.headers)?;
        let collected = tokio::time::timeout(BODY_WITHIN, Limited::new(body, BODY_BYTES_MAX).collect()).await;
        let late = |_| Problem::new(&kind::BODY_TIMEOUT, "the body did not arrive in 15 s");
        let bytes = collected.map_err(late)?.map_err(|error| unread(&*error))?.to_bytes();
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        refuse_other_than_json(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequestParts<House> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &House) -> Result<Self, Problem> {
        let mut given = Map::new();
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if given.insert(name.to_string(), Value::String(value.into_owned())).is_some() {
                return Err(Problem::field(name, "is there more than once"));
            }
        }
        read(Value::Object(given)).map(Self)
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<House> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Problem> {
        let Path(at) = Path::from_request_parts(parts, house).await.map_err(|rejection| {
            let path = parts.uri.path();
            Problem::new(&kind::NOT_FOUND, format!("there is nothing at `{path}`: {}", rejection.body_text()))
        })?;
        Ok(Self(at))
    }
}

/// Reads a value, and names the field that it cannot read.
pub(super) fn read<'de, T, D>(from: D) -> Result<T, Problem>
where
    T: serde::Deserialize<'de>,
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(from).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        if !error.is_data() {
            return malformed(&error);
        }
        let text = error.to_string();
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        let about = |kind: &str| message.strip_prefix(kind)?.strip_prefix(" field `")?.strip_suffix('`');
        let (field, message) = match (about("missing"), about("duplicate")) {
            (Some(field), _) => (Some(field), "is missing"),
            (_, Some(field)) => (Some(field), "is there more than once"),
            _ => (None, message),
        };
        let steps = [Some(path.as_str()).filter(|path| *path != "."), field];
        Problem::field(steps.into_iter().flatten().collect::<Vec<_>>().join("."), message)
    })
}

/// Reads the members of an object, in which no list stands for an inner object either.
pub(super) fn read_members<T: DeserializeOwned + Serialize>(members: Map<String, Value>) -> Result<T, Problem> {
    let given = Value::Object(members);
    let value: T = read(&given)?;
    let seen = serde_json::to_value(&value).map_err(|error| Problem::internal(&error))?;
    match list_for_object(&given, &seen, "") {
        Some(field) => Err(Problem::field(field, "is a list; allowed: an object")),
        None => Ok(value),
    }
}

/// Where a list was read as the members of an object in their order, which nobody means.
fn list_for_object(given: &Value, seen: &Value, path: &str) -> Option<String> {
    match (given, seen) {
        (Value::Array(_), Value::Object(_)) => Some(path.trim_start_matches('.').to_owned()),
        (Value::Object(given), Value::Object(seen)) => {
            given.iter().find_map(|(name, one)| list_for_object(one, seen.get(name)?, &format!("{path}.{name}")))
        }
        (Value::Array(given), Value::Array(seen)) => {
            let mut pairs = given.iter().zip(seen).enumerate();
            pairs.find_map(|(place, (one, seen))| list_for_object(one, seen, &format!("{path}[{place}]")))
        }
        _ => None,
    }
}

/// Refuses a body that is not as its sender means it: nothing here decompresses.
pub(super) fn refuse_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Problem::new(&kind::UNSUPPORTED_ENCODING, "send the body as it is, without `content-encoding`"))
        }
        _ => Ok(()),
    }
}

/// The problem of a body that did not arrive whole.
fn unread(error: &(dyn std::error::Error + 'static)) -> Problem {
    if error.is::<LengthLimitError>() {
        return Problem::new(&kind::BODY_TOO_LARGE, format!("the body has more than {BODY_BYTES_MAX} bytes"));
    }
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Problem::new(&kind::MALFORMED_BODY, format!("the body did not arrive whole: {cause}"))
}

fn refuse_other_than_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence.ends_with("+json") {
        return Ok(());
    }
    Err(Problem::field("content-type", format!("is `{text}`; allowed: application/json")))
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A list would be read as the members of an object in their order, which nobody means.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => Err(Problem::new(&kind::INVALID_REQUEST, "the body is a JSON object")),
            Err(error) => Err(malformed(&error)),
        };
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = read(&mut json)?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(&kind::MALFORMED_BODY, format!("the body is not JSON: {error}"))
}

/// The next bytes of a streamed body; none at its end.
pub(super) async fn next(body: &mut axum::body::Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let late = |_| Problem::new(&kind::BODY_TIMEOUT, "nothing more of the body arrived in 15 s");
        let Some(frame) = tokio::time::timeout(BODY_WITHIN, body.frame()).await.map_err(late)? else {
            return Ok(None);
        };
        if let Ok(data) = frame.map_err(|error| unread(&error))?.into_data() {
            return Ok(Some(data));
        }
    }
}

/// A whole number, however it is written: in JSON `2` and `2.0` are the same.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    if whole { Ok(Some(number as u32)) } else { Err(D::Error::custom("allowed: a whole number")) }
}
