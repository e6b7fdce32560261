//! Holding a request against a scheme.

use std::borrow::Cow;

use base64::Engine as _;
use http::HeaderName;
use http::header::AUTHORIZATION;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::handshake::{self, Handshake};
use super::part::Part;
use super::scheme::{Encoding, Kind, Place, Scheme, Signing, User};
use super::secret::{BASE64, Secret};
use super::stamp::{Stamp, Window};
use super::stringify::stringify;
use super::{CANDIDATES_MAX, Message, Refusal, equal, form, query};

/// What is known of a genuine request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Which of the live secrets matched; none under scheme `none`.
    pub secret: Option<usize>,
    /// The message id, where the scheme signs one.
    pub id: Option<String>,
    /// When it was signed, in Unix seconds, where the scheme says.
    pub timestamp_s: Option<i64>,
    /// How a second use of the same signature is known, where the scheme signs a timestamp.
    pub once: Option<Once>,
}

/// What a signed request and every replay of it have in common, whatever is changed in what is not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// The sha-256 of the signed bytes. Of some algorithms one signature can be made into another, so it is not that of the
    /// signature.
    pub digest: [u8; 32],
    /// For how many seconds to remember it: twice the tolerance.
    pub seconds: u64,
}

/// Proves that `message` was made by somebody who holds one of `secrets`.
///
/// `now_unix_ms` is Unix time in milliseconds. Every live secret is compared, also after one has matched.
pub fn verify(scheme: &Scheme, secrets: &[Secret], message: &Message<'_>, now_unix_ms: i64) -> Result<Proof, Refusal> {
    if scheme.handshake == Some(Handshake::X) && handshake::is_crc_token(message.body) {
        return Err(Refusal::BodyIsChallenge);
    }
    let token = match &scheme.kind {
        Kind::None => return Ok(Proof::default()),
        Kind::Signing(signing) => return signature(signing, secrets, message, now_unix_ms),
        Kind::HttpMessage(own) => return own.verify(secrets, message, now_unix_ms),
        Kind::Jwt(own) => return own.verify(secrets, message, now_unix_ms),
        _ if !secrets.iter().any(|secret| scheme.check_secret(secret).is_ok()) => return Err(Refusal::NoSecret),
        Kind::Query(name) => query::only(message.query, name)?,
        Kind::Header(name) => only_header(message, name)?.to_owned(),
        Kind::Bearer => credentials(message, "bearer", "Bearer <token>")?.to_owned(),
        Kind::Basic { user } => user_and_password(user, message)?,
    };
    let token = Zeroizing::new(token);
    let user = match &scheme.kind {
        Kind::Basic { user: User::Named(user) } => Some(user),
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

fn signature(signing: &Signing, secrets: &[Secret], message: &Message<'_>, now_unix_ms: i64) -> Result<Proof, Refusal> {
    let keys = signing.keying.keys(secrets);
    if keys.is_empty() {
        return Err(Refusal::NoSecret);
    }
    let json = signing.reads_json().then(|| serde_json::from_slice(message.body).ok()).flatten();
    let given = Given { signing, message, json: json.as_ref() };
    let text = match &signing.place {
        Place::Header(name) => given.header(name)?,
        Place::Member(pointer) => given.member(pointer)?,
    };
    let text = text.strip_prefix(signing.header_prefix.as_str()).unwrap_or("");
    let candidates = candidates(signing, text)?;
    let timestamp = given.timestamp(text)?;
    let timestamp_s = timestamp.map(|text| in_window(signing, text, now_unix_ms)).transpose()?;
    let id = signing.id_header.as_ref().map(|name| given.id(name)).transpose()?;
    let (stamp, id_text) = (timestamp.unwrap_or(""), id.unwrap_or(""));

    let matching = |message: &Message<'_>| {
        let mut matched = None;
        for url in urls(signing, message) {
            let found = Found { message, url: url.as_deref(), timestamp: stamp, id: id_text, json: json.as_ref() };
            let parts = found.parts(signing)?;
            for (index, key) in &keys {
                if signing.keying.algorithm.accepts(key, &parts, &candidates) {
                    matched = Some(Proof {
                        secret: Some(*index),
                        id: id.map(str::to_owned),
                        timestamp_s,
                        once: timestamp_s.map(|_| Once::of(&parts, signing.window)),
                    });
                }
            }
        }
        Ok(matched)
    };
    if let Some(proof) = matching(message)? {
        return Ok(proof);
    }
    match stringify(message.body) {
        Some(body) if body != message.body && signing.signed.contains(&Part::Body) => {
            match matching(&Message { body: &body, ..*message })? {
                Some(proof) if signing.accept_compact_json => Ok(proof),
                Some(_) => Err(Refusal::CompactDigest),
                None => Err(Refusal::OtherDigest),
            }
        }
        _ => Err(Refusal::OtherDigest),
    }
}

impl Once {
    /// Of what is signed, with a timestamp that has to be in `window`.
    pub(super) fn of(signed: &[Cow<'_, [u8]>], window: Window) -> Self {
        let mut hash = Sha256::new();
        signed.iter().for_each(|part| hash.update(part));
        let tolerance_s = window.past_s.max(window.future_s);
        Self { digest: hash.finalize().into(), seconds: tolerance_s.unsigned_abs().saturating_mul(2) }
    }
}

/// The URLs of which any may be the one that was signed.
fn urls(signing: &Signing, message: &Message<'_>) -> Vec<Option<String>> {
    match message.public_url {
        Some(url) if signing.url_any_port => form::any_port(url).into_iter().map(Some).collect(),
        url => vec![url.map(str::to_owned)],
    }
}

/// A message with the parts that are found, not given.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) message: &'a Message<'a>,
    pub(super) url: Option<&'a str>,
    pub(super) timestamp: &'a str,
    pub(super) id: &'a str,
    pub(super) json: Option<&'a Value>,
}

impl<'a> Found<'a> {
    /// The signed bytes, piece by piece.
    pub(super) fn parts(&self, signing: &'a Signing) -> Result<Vec<Cow<'a, [u8]>>, Refusal> {
        let message = self.message;
        let bytes = |part: &'a Part| {
            Ok(Cow::Borrowed(match part {
                Part::Literal(text) => text.as_bytes(),
                Part::Header(name) => only_header(message, name)?.as_bytes(),
                Part::Timestamp => self.timestamp.as_bytes(),
                Part::Id => self.id.as_bytes(),
                Part::Method => message.method.as_bytes(),
                Part::Path => message.path.as_bytes(),
                Part::Query => message.query.as_bytes(),
                Part::Url => self.url.ok_or(Refusal::NoPublicUrl)?.as_bytes(),
                Part::Body => message.body,
                Part::Form => return form::fields(message, self.url).map(Cow::Owned),
                Part::Member(pointer) => return Ok(Cow::Owned(scalar(self.json, pointer)?.into_bytes())),
            }))
        };
        signing.signed.iter().map(bytes).collect()
    }
}

/// The member that a JSON pointer names. An index leads to the only element of an array and to no other, so that nothing
/// unsigned comes along beside what is signed.
fn member<'a>(json: Option<&'a Value>, pointer: &str) -> Result<Option<&'a Value>, Refusal> {
    let mut found = json;
    for name in pointer.split('/').skip(1) {
        found = match found {
            Some(Value::Array(items)) if items.len() == 1 && name == "0" => items.first(),
            Some(Value::Object(members)) => members.get(name.replace("~1", "/").replace("~0", "~").as_str()),
            Some(Value::Array(_)) | None => return Err(Refusal::MissingMember(pointer.to_owned())),
            Some(_) => None,
        };
        if found.is_none() {
            return Ok(None);
        }
    }
    Ok(found)
}

/// A member as it is signed: text without its quotes, nothing for one that is not there.
fn scalar(json: Option<&Value>, pointer: &str) -> Result<String, Refusal> {
    match member(json, pointer)? {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(_) | Value::Object(_)) => Err(Refusal::MissingMember(pointer.to_owned())),
        Some(plain) => Ok(plain.to_string()),
    }
}

/// Where the pieces of a signature are looked for.
struct Given<'a> {
    signing: &'a Signing,
    message: &'a Message<'a>,
    json: Option<&'a Value>,
}

impl<'a> Given<'a> {
    /// A header, or the one that the sender may use in its place.
    fn header(&self, name: &HeaderName) -> Result<&'a str, Refusal> {
        let renamed = self.signing.renamed.filter(|_| !self.message.headers.contains_key(name));
        let other = renamed.and_then(|(from, to)| {
            let rest = name.as_str().strip_prefix(from)?;
            format!("{to}{rest}").parse::<HeaderName>().ok()
        });
        match other.filter(|other| self.message.headers.contains_key(other)) {
            Some(other) => only_header(self.message, &other),
            None => only_header(self.message, name),
        }
    }

    fn member(&self, pointer: &str) -> Result<&'a str, Refusal> {
        let text = member(self.json, pointer)?.and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| Refusal::MissingMember(pointer.to_owned()))
    }

    fn id(&self, name: &HeaderName) -> Result<&'a str, Refusal> {
        let id = self.header(name)?;
        if is_id(id) { Ok(id) } else { Err(Refusal::BadId(name.as_str().to_owned())) }
    }

    /// The timestamp as it is written; `text` holds the signatures.
    fn timestamp(&self, text: &'a str) -> Result<Option<&'a str>, Refusal> {
        match &self.signing.timestamp {
            None => Ok(None),
            Some(Stamp::Header(name)) => self.header(name).map(Some),
            Some(Stamp::Member(pointer)) => self.member(pointer).map(Some),
            Some(Stamp::Item(prefix)) => {
                let mut found = items(self.signing, text).filter_map(|item| item.strip_prefix(prefix.as_str()));
                let header = || self.signing.place.name();
                let none = || Refusal::NoTimestamp { header: header(), prefix: prefix.clone() };
                let first = found.next().ok_or_else(none)?;
                if found.next().is_some() {
                    return Err(Refusal::RepeatedTimestamp(header()));
                }
                Ok(Some(first))
            }
        }
    }
}

/// Every decodable signature in the text, of which there is at least one.
fn candidates(signing: &Signing, text: &str) -> Result<Vec<Vec<u8>>, Refusal> {
    let offered = items(signing, text).filter_map(|item| item.strip_prefix(signing.prefix.as_str()));
    let offered = offered.filter(|text| !text.is_empty()).collect::<Vec<_>>();
    let name = || signing.place.name();
    match offered.len() {
        0 => {
            let prefix = format!("{}{}", signing.header_prefix, signing.prefix);
            return Err(Refusal::NoSignature { header: name(), prefix });
        }
        1..=CANDIDATES_MAX => {}
        count => return Err(Refusal::TooManySignatures { header: name(), count }),
    }
    let decoded = offered.into_iter().filter_map(|text| signing.encoding.decode(text)).collect::<Vec<_>>();
    if decoded.is_empty() { Err(Refusal::NotEncoded(signing.encoding.name())) } else { Ok(decoded) }
}

fn items<'a>(signing: &Signing, text: &'a str) -> impl Iterator<Item = &'a str> {
    // Without a separator the whole text is one item: no character splits it.
    let separator = signing.separator;
    text.split(move |c| Some(c) == separator).map(str::trim)
}

/// The timestamp in seconds, if it is neither too old nor too new.
fn in_window(signing: &Signing, text: &str, now_unix_ms: i64) -> Result<i64, Refusal> {
    let unit = signing.timestamp_unit;
    let seconds = unit.seconds(text).ok_or(Refusal::BadTimestamp(unit.allowed()))?;
    signing.window.admit(seconds, now_unix_ms).map(|()| seconds)
}

/// Whether a message id holds nothing that could move the boundary between the signed parts.
pub(super) fn is_id(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The value of a header that must be there once, be text and not be empty.
pub(super) fn only_header<'a>(message: &Message<'a>, name: &HeaderName) -> Result<&'a str, Refusal> {
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
pub(super) fn credentials<'a>(message: &Message<'a>, word: &str, expected: &'static str) -> Result<&'a str, Refusal> {
    let other = Refusal::OtherAuthorization { expected };
    let (found, rest) = only_header(message, &AUTHORIZATION)?.split_once(' ').ok_or(other.clone())?;
    let rest = rest.trim();
    if found.eq_ignore_ascii_case(word) && !rest.is_empty() { Ok(rest) } else { Err(other) }
}

/// The decoded `user:password`; without the user where anybody may be it. The first colon ends the user, so comparing the
/// whole compares both.
fn user_and_password(user: &User, message: &Message<'_>) -> Result<String, Refusal> {
    let expected = "Basic <base64 of user:password>";
    let text = credentials(message, "basic", expected)?;
    let decoded = BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.map(Zeroizing::new).ok_or(Refusal::OtherAuthorization { expected })?;
    let (_, password) = pair.split_once(':').ok_or(Refusal::OtherAuthorization { expected })?;
    Ok(if *user == User::Any { password.to_owned() } else { String::clone(&pair) })
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
