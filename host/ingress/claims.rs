//! What a request has in common with one that came before.
//!
//! A request makes up to two claims: one by an id, and one by its signature where that signs a timestamp. The first keeps a
//! sender's repetition from running twice. The second keeps anybody else from sending an overheard request again with
//! another id, and lasts twice as long as the signature could pass.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::hook::{Deduplicate, Hook};
use crate::problem::Problem;
use crate::signature::{IdPlace, Proof, Scheme};
use crate::store::Idempotency;
use crate::trigger::Request;

/// The longest idempotency key, and the longest id that is one.
pub(super) const KEY_BYTES_MAX: usize = 255;

/// An id, and where it was.
type Found<'a> = (By, Cow<'a, [u8]>);

/// What a claim is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    /// The caller's `Idempotency-Key`, which answers for what it is used for.
    Key,
    /// The id that the signature covers.
    SignedId,
    /// The id in this header or at this pointer.
    Id(String),
    /// What was signed.
    Signature,
}

impl By {
    /// It, at the beginning of a sentence.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Key => "the `Idempotency-Key`".to_owned(),
            Self::SignedId => "the signed id".to_owned(),
            Self::Id(place) => format!("the id in `{place}`"),
            Self::Signature => "what is signed".to_owned(),
        }
    }
}

/// The claims of a genuine request. `headers` are all of it, `request` is what its flow may see.
pub(super) fn claims(
    hook: &Hook,
    (scheme, proof): (&Scheme, &Proof),
    headers: &HeaderMap,
    request: &Request,
) -> Result<Vec<(By, Idempotency)>, Problem> {
    let mut claims = Vec::new();
    if let Some((by, id)) = id(&hook.spec.deduplicate, (scheme, proof), headers, &request.body)? {
        // The key alone is hashed where the caller gives it; no header can begin as the others do.
        let kind: &[u8] = if by == By::Key { b"" } else { b"\0id\0" };
        let key = Sha256::new().chain_update(kind).chain_update(&id).finalize().into();
        let until_failure = by != By::Key;
        claims.push((by, Idempotency { key, fingerprint: fingerprint(request), until_failure, lasts: None }));
    }
    if let Some(once) = proof.once {
        let key = Sha256::new().chain_update(b"\0signed\0").chain_update(once.digest).finalize().into();
        let (fingerprint, lasts) = (fingerprint(request), Some(Duration::from_secs(once.seconds)));
        claims.push((By::Signature, Idempotency { key, fingerprint, until_failure: true, lasts }));
    }
    Ok(claims)
}

/// The id of the request, where it has one.
fn id<'a>(
    place: &Deduplicate,
    (scheme, proof): (&Scheme, &'a Proof),
    headers: &'a HeaderMap,
    body: &[u8],
) -> Result<Option<Found<'a>>, Problem> {
    let found = match place {
        Deduplicate::Off => None,
        Deduplicate::Header(name) => in_header(headers, name),
        Deduplicate::Pointer(pointer) => in_body(body, pointer),
        Deduplicate::Auto => {
            if let Some(key) = given_key(headers)? {
                return Ok(Some((By::Key, key.into())));
            }
            match (&proof.id, scheme.event_id()) {
                (Some(id), _) => Some((By::SignedId, id.as_bytes().into())),
                (None, Some(IdPlace::Header(name))) => in_header(headers, name),
                (None, Some(IdPlace::Pointer(pointer))) => in_body(body, pointer),
                (None, None) => None,
            }
        }
    };
    Ok(found.filter(|(_, id)| (1..=KEY_BYTES_MAX).contains(&id.len())))
}

/// The caller's own key.
pub(super) fn given_key(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let mut given = headers.get_all("idempotency-key").iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(key), None) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.as_bytes())),
        _ => {
            let message = format!("one value of 1 to {KEY_BYTES_MAX} characters is allowed");
            Err(Problem::field("idempotency-key", message))
        }
    }
}

fn in_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<Found<'a>> {
    let mut values = headers.get_all(name).iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    Some((By::Id(name.to_owned()), only.as_bytes().into()))
}

fn in_body<'a>(body: &[u8], pointer: &str) -> Option<Found<'a>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let id = match body.pointer(pointer)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some((By::Id(pointer.to_owned()), id.into_bytes().into()))
}

/// The sha-256 of what should be the same when the key is.
fn fingerprint(request: &Request) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [request.method.as_bytes(), request.path.as_bytes(), request.query.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(&request.body);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        place: &Deduplicate,
        scheme: &str,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Option<(By, String)> {
        let scheme = Scheme::named(scheme).unwrap();
        let proof =
            Proof { id: (scheme.name() == "standard-webhooks").then(|| "msg_1".to_owned()), ..Proof::default() };
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let found = id(place, (&scheme, &proof), &headers, body.as_bytes()).unwrap();
        found.map(|(by, id)| (by, String::from_utf8(id.into_owned()).unwrap()))
    }

    #[test]
    fn the_callers_key_goes_before_the_signed_id_and_that_before_the_senders() {
        let auto = Deduplicate::Auto;
        let key = ("idempotency-key", "k");
        assert_eq!(found(&auto, "standard-webhooks", &[key], ""), Some((By::Key, "k".to_owned())));
        assert_eq!(found(&auto, "standard-webhooks", &[], ""), Some((By::SignedId, "msg_1".to_owned())));
        let github = found(&auto, "github", &[("x-github-delivery", "d")], "");
        assert_eq!(github, Some((By::Id("x-github-delivery".to_owned()), "d".to_owned())));
        let by = |pointer: &str| By::Id(pointer.to_owned());
        assert_eq!(found(&auto, "stripe", &[], r#"{"id":"evt_1"}"#), Some((by("/id"), "evt_1".to_owned())));
        assert_eq!(found(&auto, "telegram", &[], r#"{"update_id":7}"#), Some((by("/update_id"), "7".to_owned())));
    }

    #[test]
    fn a_hook_can_name_the_place_or_none() {
        let header = Deduplicate::Header("x-id".to_owned());
        let headers = [("x-id", "1"), ("idempotency-key", "k"), ("x-github-delivery", "d")];
        assert_eq!(found(&header, "github", &headers, ""), Some((By::Id("x-id".to_owned()), "1".to_owned())));
        let pointer = Deduplicate::Pointer("/event/id".to_owned());
        let body = r#"{"event":{"id":"e"}}"#;
        assert_eq!(found(&pointer, "github", &headers, body), Some((By::Id("/event/id".to_owned()), "e".to_owned())));
        assert_eq!(found(&Deduplicate::Off, "github", &headers, body), None);
    }

    #[test]
    fn an_id_that_is_not_there_once_is_none() {
        let header = Deduplicate::Header("x-id".to_owned());
        for headers in [&[][..], &[("x-id", "")], &[("x-id", "1"), ("x-id", "2")]] {
            let mut all = HeaderMap::new();
            for (name, value) in headers {
                all.append(*name, value.parse().unwrap());
            }
            let scheme = Scheme::named("bearer").unwrap();
            assert_eq!(id(&header, (&scheme, &Proof::default()), &all, b"").unwrap(), None, "{headers:?}");
        }
        for body in ["", "{", "[]", r#"{"id":null}"#, r#"{"id":{}}"#, r#"{"id":""}"#] {
            assert_eq!(found(&Deduplicate::Auto, "stripe", &[], body), None, "{body}");
        }
    }
}
