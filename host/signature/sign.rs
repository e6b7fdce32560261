//! Making what [`verify`](super::verify()) accepts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use super::scheme::{Encoding, Error, Hmac, Kind, Scheme, Stamp, Unit};
use super::secret::Secret;
use super::verify::{Stamped, is_id, mac};
use super::{Message, Refusal};

/// What to add to a request so that it passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// In order. Those that hold the secret itself are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Parameters, not yet percent-encoded.
    pub query: Vec<(String, String)>,
}

/// Signs `message` at `now_unix_ms` (Unix time in milliseconds).
///
/// `id` is the message id, for the schemes that have one. A scheme whose header is a list gets one signature per secret,
/// so that receivers can change theirs; the others sign with the first secret.
pub fn sign(
    scheme: &Scheme,
    secrets: &[Secret],
    message: &Message<'_>,
    id: &str,
    now_unix_ms: i64,
) -> Result<Credentials, Error> {
    if scheme.is_none() {
        return Ok(Credentials::default());
    }
    let misfit = Error::Secret { scheme: scheme.name(), allowed: "at least one secret" };
    let first = secrets.first().ok_or(misfit)?;
    secrets.iter().try_for_each(|secret| scheme.check_secret(secret))?;
    match &scheme.kind {
        Kind::None => Ok(Credentials::default()),
        Kind::Query(name) => {
            Ok(Credentials { query: vec![(name.clone(), first.expose().to_owned())], ..Credentials::default() })
        }
        Kind::Header(name) => token(scheme, name, first.expose()),
        Kind::Bearer => token(scheme, &AUTHORIZATION, &format!("Bearer {}", first.expose())),
        Kind::Basic { user } => {
            let pair = match user {
                Some(user) => format!("{user}:{}", first.expose()),
                None => first.expose().to_owned(),
            };
            token(scheme, &AUTHORIZATION, &format!("Basic {}", BASE64_STANDARD.encode(pair)))
        }
        Kind::Hmac(hmac) => digest(scheme, hmac, secrets, message, id, now_unix_ms),
    }
}

fn token(scheme: &Scheme, name: &HeaderName, value: &str) -> Result<Credentials, Error> {
    let misfit = Error::Secret { scheme: scheme.name(), allowed: "text that an HTTP header can hold" };
    let mut value = HeaderValue::from_str(value).map_err(|_| misfit)?;
    value.set_sensitive(true);
    Ok(Credentials { headers: vec![(name.clone(), value)], ..Credentials::default() })
}

fn digest(
    scheme: &Scheme,
    hmac: &Hmac,
    secrets: &[Secret],
    message: &Message<'_>,
    id: &str,
    now_unix_ms: i64,
) -> Result<Credentials, Error> {
    if hmac.id_header.is_some() && !is_id(id) {
        return Err(unsignable(scheme, &Refusal::BadId("id".to_owned())));
    }
    let now = match hmac.timestamp_unit {
        Unit::Seconds => now_unix_ms.div_euclid(1_000),
        Unit::Milliseconds => now_unix_ms,
    };
    let timestamp = now.to_string();
    let stamped = Stamped { message, timestamp: &timestamp, id };
    let parts = stamped.parts(hmac).map_err(|refusal| unsignable(scheme, &refusal))?;

    let mut items = Vec::new();
    let mut headers = Vec::new();
    headers.extend(hmac.id_header.clone().map(|name| (name, id.to_owned())));
    match &hmac.timestamp {
        Some(Stamp::Header(name)) => headers.push((name.clone(), timestamp.clone())),
        Some(Stamp::Item(prefix)) => items.push(format!("{prefix}{timestamp}")),
        None => {}
    }
    let signers = if hmac.separator.is_some() { secrets } else { &secrets[..1] };
    for key in signers.iter().filter_map(|secret| hmac.key(secret)) {
        items.push(format!("{}{}", hmac.prefix, hmac.encoding.encode(&mac(hmac.algorithm, &key, &parts))));
    }
    headers.push((hmac.header.clone(), items.join(&hmac.separator.map(String::from).unwrap_or_default())));

    let field = |(name, value): (HeaderName, String)| {
        HeaderValue::try_from(value).map(|value| (name, value)).map_err(|_| unsignable(scheme, &Refusal::BadTimestamp))
    };
    let headers = headers.into_iter().map(field).collect::<Result<_, _>>()?;
    Ok(Credentials { headers, ..Credentials::default() })
}

fn unsignable(scheme: &Scheme, refusal: &Refusal) -> Error {
    Error::Unsignable { scheme: scheme.name(), reason: refusal.to_string() }
}

impl Encoding {
    fn encode(self, digest: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(digest),
            Self::Base64 => BASE64_STANDARD.encode(digest),
        }
    }
}
