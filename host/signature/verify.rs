//! Holding a request against a scheme.

use base64::Engine as _;
use hmac::{KeyInit as _, Mac as _};
use http::HeaderName;
use http::header::AUTHORIZATION;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::part::Part;
use super::scheme::{Algorithm, Encoding, Hmac, Kind, Scheme, Stamp, Unit};
use super::secret::{BASE64, Secret};
use super::{CANDIDATES_MAX, Message, Refusal, equal, query};

/// What is known of a genuine request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Which of the live secrets matched; none under scheme `none`.
    pub secret: Option<usize>,
    /// The message id, where the scheme signs one.
    pub id: Option<String>,
    /// When it was signed, in Unix seconds, where the scheme says.
    pub timestamp_s: Option<i64>,
}

/// Proves that `message` was made by somebody who holds one of `secrets`.
///
/// `now_unix_ms` is Unix time in milliseconds. Every live secret is compared, also after one has matched.
pub fn verify(scheme: &Scheme, secrets: &[Secret], message: &Message<'_>, now_unix_ms: i64) -> Result<Proof, Refusal> {
    let token = match &scheme.kind {
        Kind::None => return Ok(Proof::default()),
        Kind::Hmac(hmac) => return digest(hmac, secrets, message, now_unix_ms),
        _ if !secrets.iter().any(|secret| scheme.check_secret(secret).is_ok()) => return Err(Refusal::NoSecret),
        Kind::Query(name) => query::only(message.query, name)?,
        Kind::Header(name) => only_header(message, name)?.to_owned(),
        Kind::Bearer => credentials(message, "bearer", "Bearer <token>")?.to_owned(),
        Kind::Basic { .. } => user_and_password(message)?,
    };
    let token = Zeroizing::new(token);
    let user = match &scheme.kind {
        Kind::Basic { user } => user.as_deref(),
        _ => None,
    };
    let mut matched = None;
    for (index, secret) in secrets.iter().enumerate() {
        let wanted = Zeroizing::new(match user {
            Some(user) => format!("{user}:{}", secret.expose()),
            None => secret.expose().to_owned(),
        });
        if equal(token.as_bytes(), wanted.as_bytes()) & !secret.is_empty() {
            matched = Some(index);
        }
    }
    let secret = matched.ok_or(Refusal::OtherSecret)?;
    Ok(Proof { secret: Some(secret), ..Proof::default() })
}

fn digest(hmac: &Hmac, secrets: &[Secret], message: &Message<'_>, now_unix_ms: i64) -> Result<Proof, Refusal> {
    let keys = secrets.iter().enumerate().filter_map(|(index, secret)| Some((index, hmac.key(secret)?)));
    let keys = keys.collect::<Vec<_>>();
    if keys.is_empty() {
        return Err(Refusal::NoSecret);
    }
    let header = only_header(message, &hmac.header)?;
    let candidates = candidates(hmac, header)?;
    let timestamp = timestamp(hmac, message, header)?;
    let timestamp_s = timestamp.map(|digits| in_window(hmac, digits, now_unix_ms)).transpose()?;
    let id = hmac.id_header.as_ref().map(|name| id(message, name)).transpose()?;
    let stamped = Stamped { message, timestamp: timestamp.unwrap_or(""), id: id.unwrap_or("") };

    let proof = |secret| Proof { secret: Some(secret), id: id.map(str::to_owned), timestamp_s };
    if let Some(secret) = matching(hmac, &keys, &candidates, &stamped.parts(hmac)?) {
        return Ok(proof(secret));
    }
    match compact(message.body) {
        Some(body) if body != message.body => {
            let message = Message { body: &body, ..*message };
            let parts = Stamped { message: &message, ..stamped }.parts(hmac)?;
            match matching(hmac, &keys, &candidates, &parts) {
                Some(secret) if hmac.accept_compact_json => Ok(proof(secret)),
                Some(_) => Err(Refusal::CompactDigest),
                None => Err(Refusal::OtherDigest),
            }
        }
        _ => Err(Refusal::OtherDigest),
    }
}

/// The bytes of a key.
type Key = Zeroizing<Vec<u8>>;

/// The index of a secret under which one of the candidates is right. Looks at all of them, whatever it finds.
fn matching(hmac: &Hmac, keys: &[(usize, Key)], candidates: &[Vec<u8>], parts: &[&[u8]]) -> Option<usize> {
    let mut matched = None;
    for (index, key) in keys {
        let digest = mac(hmac.algorithm, key, parts);
        for candidate in candidates {
            if equal(candidate, &digest) {
                matched = Some(*index);
            }
        }
    }
    matched
}

/// The keyed digest of the parts in a row.
pub(super) fn mac(algorithm: Algorithm, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    macro_rules! over {
        ($hash:ty) => {{
            let mut mac = hmac::Hmac::<$hash>::new_from_slice(key).expect("HMAC takes a key of any length");
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().to_vec()
        }};
    }
    match algorithm {
        Algorithm::HmacSha256 => over!(Sha256),
        Algorithm::HmacSha512 => over!(Sha512),
    }
}

/// A message with the two parts that are found, not given.
#[derive(Clone, Copy)]
pub(super) struct Stamped<'a> {
    pub(super) message: &'a Message<'a>,
    pub(super) timestamp: &'a str,
    pub(super) id: &'a str,
}

impl<'a> Stamped<'a> {
    /// The signed bytes, piece by piece.
    pub(super) fn parts(&self, hmac: &'a Hmac) -> Result<Vec<&'a [u8]>, Refusal> {
        let message = self.message;
        let bytes = |part: &'a Part| {
            Ok(match part {
                Part::Literal(text) => text.as_bytes(),
                Part::Header(name) => only_header(message, name)?.as_bytes(),
                Part::Timestamp => self.timestamp.as_bytes(),
                Part::Id => self.id.as_bytes(),
                Part::Method => message.method.as_bytes(),
                Part::Path => message.path.as_bytes(),
                Part::Query => message.query.as_bytes(),
                Part::Url => message.public_url.ok_or(Refusal::NoPublicUrl)?.as_bytes(),
                Part::Body => message.body,
            })
        };
        hmac.signed.iter().map(bytes).collect()
    }
}

/// Every decodable signature in the header, of which there is at least one.
fn candidates(hmac: &Hmac, header: &str) -> Result<Vec<Vec<u8>>, Refusal> {
    let offered = items(hmac, header).filter_map(|item| item.strip_prefix(hmac.prefix.as_str()));
    let offered = offered.filter(|text| !text.is_empty()).collect::<Vec<_>>();
    let name = || hmac.header.as_str().to_owned();
    match offered.len() {
        0 => return Err(Refusal::NoSignature { header: name(), prefix: hmac.prefix.clone() }),
        1..=CANDIDATES_MAX => {}
        count => return Err(Refusal::TooManySignatures { header: name(), count }),
    }
    let decoded = offered.into_iter().filter_map(|text| hmac.encoding.decode(text)).collect::<Vec<_>>();
    if decoded.is_empty() { Err(Refusal::NotEncoded(hmac.encoding.name())) } else { Ok(decoded) }
}

fn items<'a>(hmac: &Hmac, header: &'a str) -> impl Iterator<Item = &'a str> {
    // Without a separator the whole header is one item: no character splits it.
    let separator = hmac.separator;
    header.split(move |c| Some(c) == separator).map(str::trim)
}

fn timestamp<'a>(hmac: &Hmac, message: &Message<'a>, header: &'a str) -> Result<Option<&'a str>, Refusal> {
    let digits = match &hmac.timestamp {
        None => return Ok(None),
        Some(Stamp::Header(name)) => only_header(message, name)?,
        Some(Stamp::Item(prefix)) => {
            let mut found = items(hmac, header).filter_map(|item| item.strip_prefix(prefix.as_str()));
            let name = || hmac.header.as_str().to_owned();
            let none = || Refusal::NoTimestamp { header: name(), prefix: prefix.clone() };
            let digits = found.next().ok_or_else(none)?;
            if found.next().is_some() {
                return Err(Refusal::RepeatedTimestamp(name()));
            }
            digits
        }
    };
    let good = (1..=16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if good { Ok(Some(digits)) } else { Err(Refusal::BadTimestamp) }
}

/// The timestamp in seconds, if it is neither too old nor too new.
fn in_window(hmac: &Hmac, digits: &str, now_unix_ms: i64) -> Result<i64, Refusal> {
    let number = digits.parse::<i64>().map_err(|_| Refusal::BadTimestamp)?;
    let seconds = match hmac.timestamp_unit {
        Unit::Seconds => number,
        Unit::Milliseconds => number / 1_000,
    };
    let age_s = now_unix_ms.div_euclid(1_000) - seconds;
    if age_s > hmac.tolerance_past_s {
        Err(Refusal::TooOld { age_s, tolerance_s: hmac.tolerance_past_s })
    } else if -age_s > hmac.tolerance_future_s {
        Err(Refusal::TooNew { ahead_s: -age_s, tolerance_s: hmac.tolerance_future_s })
    } else {
        Ok(seconds)
    }
}

fn id<'a>(message: &Message<'a>, name: &HeaderName) -> Result<&'a str, Refusal> {
    let id = only_header(message, name)?;
    if is_id(id) { Ok(id) } else { Err(Refusal::BadId(name.as_str().to_owned())) }
}

/// Whether a message id holds nothing that could move the boundary between the signed parts.
pub(super) fn is_id(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The value of a header that must be there once, be text and not be empty.
fn only_header<'a>(message: &Message<'a>, name: &HeaderName) -> Result<&'a str, Refusal> {
    let mut values = message.headers.get_all(name).iter();
    let missing = || Refusal::MissingHeader(name.as_str().to_owned());
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(Refusal::RepeatedHeader(name.as_str().to_owned()));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Refusal::HeaderNotText(name.as_str().to_owned()))?;
    if text.is_empty() { Err(missing()) } else { Ok(text) }
}

/// What follows the scheme word in `Authorization`. The word may be in any case (RFC 9110 §11.1).
fn credentials<'a>(message: &Message<'a>, word: &str, expected: &'static str) -> Result<&'a str, Refusal> {
    let other = Refusal::OtherAuthorization { expected };
    let (found, rest) = only_header(message, &AUTHORIZATION)?.split_once(' ').ok_or(other.clone())?;
    let rest = rest.trim();
    if found.eq_ignore_ascii_case(word) && !rest.is_empty() { Ok(rest) } else { Err(other) }
}

/// The decoded `user:password`. The first colon ends the user, so comparing the whole compares both.
fn user_and_password(message: &Message<'_>) -> Result<String, Refusal> {
    let expected = "Basic <base64 of user:password>";
    let text = credentials(message, "basic", expected)?;
    let decoded = BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.filter(|pair| pair.contains(':')).ok_or(Refusal::OtherAuthorization { expected })
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }

    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
        }
    }
}

/// A body larger than this is not looked at a second time.
const COMPACT_BYTES_MAX: usize = 256 * 1024;

/// The same JSON without its insignificant spaces; none when the body is not JSON. Numbers, escapes and key order stay.
pub(super) fn compact(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() > COMPACT_BYTES_MAX {
        return None;
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(body).ok()?;
    let (mut in_text, mut escaped) = (false, false);
    let significant = |byte: &u8| {
        let keep = in_text || !byte.is_ascii_whitespace();
        in_text ^= *byte == b'"' && !escaped;
        escaped = in_text && !escaped && *byte == b'\\';
        keep
    };
    Some(body.iter().copied().filter(significant).collect())
}
