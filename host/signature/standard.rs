//! Standard Webhooks 1.0, as our own deliveries use it.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md> (2026-08).

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Error, Message, Scheme, Secret};

static SCHEME: LazyLock<Scheme> =
    LazyLock::new(|| Scheme::named("standard-webhooks").expect("the row is in the table"));

/// The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` for a delivery.
///
/// `id` names the message and stays the same over its retries; `timestamp_s` is the time of this attempt in Unix seconds.
/// There is one `v1,<base64>` per secret, separated by spaces, so that a receiver can change its secret without losing a
/// message. Errs when there is no secret, one is not base64 after `whsec_`, or the id is not 1 to 256 of `A-Z a-z 0-9 _ -`.
pub fn sign(
    id: &str,
    timestamp_s: i64,
    body: &[u8],
    secrets: &[Secret],
) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let headers = HeaderMap::new();
    let message = Message { method: "POST", path: "", query: "", headers: &headers, body, public_url: None };
    let now_unix_ms = timestamp_s.saturating_mul(1_000);
    super::sign(&SCHEME, secrets, &message, id, now_unix_ms).map(|credentials| credentials.headers)
}
