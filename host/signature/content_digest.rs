//! `Content-Digest`, which ties a body to headers that are signed.
//!
//! Source: RFC 9530 §2 and §5 (2024): `sha-256` and `sha-512` are the algorithms that may be relied on.

use http::HeaderName;
use ring::digest::{SHA256, SHA512, digest};
use sfv::{Dictionary, ListEntry, Parser};

use super::verify::only_header;
use super::{Message, Refusal, equal};

/// The header's name.
pub(super) static CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Holds the body against its digests. At least one must be of a kind that can be relied on, and all of those must be
/// right; digests of other kinds are passed over.
pub(super) fn check(message: &Message<'_>) -> Result<(), Refusal> {
    let text = only_header(message, &CONTENT_DIGEST)?;
    let digests = Parser::new(text).parse::<Dictionary>();
    let digests = digests.map_err(|_| Refusal::NotStructured(CONTENT_DIGEST.to_string()))?;
    let mut known = 0;
    for (name, algorithm) in [("sha-256", &SHA256), ("sha-512", &SHA512)] {
        let Some(ListEntry::Item(item)) = digests.get(name) else { continue };
        let given = item.bare_item.as_byte_sequence().ok_or(Refusal::NoContentDigest)?;
        if !equal(given, digest(algorithm, message.body)) {
            return Err(Refusal::OtherContentDigest);
        }
        known += 1;
    }
    if known == 0 { Err(Refusal::NoContentDigest) } else { Ok(()) }
}

/// The header's value for a body.
pub(super) fn of(body: &[u8]) -> String {
    let digest = sfv::Item::new(digest(&SHA256, body).as_ref());
    format!("sha-256={}", sfv::FieldType::serialize(&digest))
}
