//! Making what [`verify`](super::verify()) accepts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use super::scheme::{Encoding, Error, Kind, Place, Scheme, Signing, User};
use super::secret::Secret;
use super::stamp::Stamp;
use super::verify::{Found, is_id};
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
/// so that receivers can change theirs; the others sign with the first secret. Errs where no secret of ours can sign: the
/// sender's private key is not known, or the signature is a part of the body.
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
                User::Named(user) => format!("{user}:{}", first.expose()),
                User::Any => format!("webhook:{}", first.expose()),
                User::InSecret => first.expose().to_owned(),
            };
            token(scheme, &AUTHORIZATION, &format!("Basic {}", BASE64_STANDARD.encode(pair)))
        }
        Kind::Jwt(own) => {
            let value = own.sign(first, message, now_unix_ms).map_err(|reason| unsignable(scheme, &reason))?;
            token(scheme, &own.header, &value)
        }
        Kind::Signing(signing) => signature(scheme, signing, secrets, message, id, now_unix_ms),
        Kind::HttpMessage(own) => {
            let made = own.sign(secrets, message, id, now_unix_ms);
            made.map(|headers| Credentials { headers, ..Credentials::default() })
                .map_err(|reason| unsignable(scheme, &reason))
        }
    }
}

fn token(scheme: &Scheme, name: &HeaderName, value: &str) -> Result<Credentials, Error> {
    let misfit = Error::Secret { scheme: scheme.name(), allowed: "text that an HTTP header can hold" };
    let mut value = HeaderValue::from_str(value).map_err(|_| misfit)?;
    value.set_sensitive(true);
    Ok(Credentials { headers: vec![(name.clone(), value)], ..Credentials::default() })
}

fn signature(
    scheme: &Scheme,
    signing: &Signing,
    secrets: &[Secret],
    message: &Message<'_>,
    id: &str,
    now_unix_ms: i64,
) -> Result<Credentials, Error> {
    if signing.id_header.is_some() && !is_id(id) {
        return Err(unsignable(scheme, &Refusal::BadId("id".to_owned())));
    }
    let Place::Header(header) = &signing.place else {
        return Err(unsignable(scheme, &"the signature is a part of the body"));
    };
    let timestamp = signing.timestamp_unit.text(now_unix_ms);
    let json = signing.reads_json().then(|| serde_json::from_slice(message.body).ok()).flatten();
    let found = Found { message, url: message.public_url, timestamp: &timestamp, id, json: json.as_ref() };
    let parts = found.parts(signing).map_err(|refusal| unsignable(scheme, &refusal))?;

    let mut items = Vec::new();
    let mut headers = Vec::new();
    headers.extend(signing.id_header.clone().map(|name| (name, id.to_owned())));
    match &signing.timestamp {
        Some(Stamp::Header(name)) => headers.push((name.clone(), timestamp.clone())),
        Some(Stamp::Item(prefix)) => items.push(format!("{prefix}{timestamp}")),
        Some(Stamp::Member(_)) | None => {}
    }
    let signers = if signing.separator.is_some() { secrets } else { &secrets[..1] };
    for (_, key) in signing.keying.keys(signers) {
        let signature = signing.keying.algorithm.sign(&key, &parts).map_err(|reason| unsignable(scheme, &reason))?;
        items.push(format!("{}{}", signing.prefix, signing.encoding.encode(&signature)));
    }
    let items = items.join(&signing.separator.map(String::from).unwrap_or_default());
    headers.push((header.clone(), format!("{}{items}", signing.header_prefix)));

    let field = |(name, value): (HeaderName, String)| {
        let text = "a prefix that a header cannot hold";
        HeaderValue::try_from(value).map(|value| (name, value)).map_err(|_| unsignable(scheme, &text))
    };
    let headers = headers.into_iter().map(field).collect::<Result<_, _>>()?;
    Ok(Credentials { headers, ..Credentials::default() })
}

fn unsignable(scheme: &Scheme, reason: &dyn std::fmt::Display) -> Error {
    Error::Unsignable { scheme: scheme.name(), reason: reason.to_string() }
}

impl Encoding {
    fn encode(self, digest: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(digest),
            Self::Base64 => BASE64_STANDARD.encode(digest),
        }
    }
}
