//! Proves a webhook genuine, and signs ours.
//!
//! A [`Scheme`] is data: a row of [`SCHEMES`] with the changes that a hook asks for. [`verify`] holds a request against it
//! and says exactly why it does not pass; [`sign`] makes what `verify` accepts. The room is pure: it does no I/O, knows no
//! clock and no other room, and can run in a fuzzer.
//!
//! Rules that hold for every scheme:
//! - The bytes that came are verified, before anything parses them. The exception is a scheme whose signature is in the body.
//! - Every secret is compared by [`equal`], in constant time, and every candidate is compared with every live secret.
//! - An empty secret, signature or scheme never passes. No authentication is a scheme of its own, [`none`](SCHEMES).
//! - A header or parameter that carries a credential and comes twice is refused.
//! - A timestamp must lie in the window, in the past and in the future alike.

mod algorithm;
mod components;
mod content_digest;
mod entry;
mod equal;
mod facts;
mod form;
#[cfg(test)]
mod fuzz;
mod handshake;
mod http_message;
mod jwk;
mod jwt;
#[cfg(test)]
mod page;
mod part;
mod public_key;
mod query;
mod refusal;
mod scheme;
mod schemes;
mod secret;
mod sign;
mod stamp;
pub mod standard;
mod stringify;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verify;

use http::HeaderMap;

pub use entry::{COMMON_FIELDS, FIELDS};
pub use equal::equal;
pub use facts::Facts;
pub use handshake::{Answer, handshake};
pub use query::strip_query;
pub use refusal::Refusal;
pub use scheme::{Error, Redacts, Scheme};
pub use schemes::{IdPlace, Row, SCHEMES};
pub use secret::Secret;
pub use sign::{Credentials, sign};
pub use stringify::stringify;
pub use verify::{Once, Proof, verify};

/// How many signatures one header may offer; more are refused, since each costs a comparison per secret.
pub const CANDIDATES_MAX: usize = 16;

/// An HTTP request as [`verify`] and [`sign`] see it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// `POST`, …
    pub method: &'a str,
    /// Percent-encoded, as received.
    pub path: &'a str,
    /// Without the leading `?`; empty when there is none.
    pub query: &'a str,
    /// As received.
    pub headers: &'a HeaderMap,
    /// As received: not decoded, not decompressed.
    pub body: &'a [u8],
    /// The URL that the sender was told, with the query it sent. It comes from configuration and never from `Host` or
    /// `X-Forwarded-*`, which the sender chooses.
    pub public_url: Option<&'a str>,
}
