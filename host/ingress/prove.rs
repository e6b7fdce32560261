//! Whether a request is genuine, and what of it a flow may see.

use axum::http::HeaderMap;
use bytes::Bytes;

use super::receive::Arrival;
use crate::clock::Timestamp;
use crate::hook::{Hook, Use};
use crate::signature::{self, Message, Proof, Redacts};
use crate::trigger::{Header, Request};

/// Holds a request against every scheme of its hook; one is enough. The error is the exact reason, for the operator.
pub(super) fn prove(hook: &Hook, arrival: &Arrival, body: &[u8], now: Timestamp) -> Result<Proof, String> {
    let secrets = hook.secrets.live(Use::Auth, now);
    let message = Message {
        method: arrival.head.method.as_str(),
        path: arrival.head.uri.path(),
        query: arrival.head.uri.query().unwrap_or(""),
        headers: &arrival.head.headers,
        body,
        public_url: hook.spec.public_url.as_deref(),
    };
    let mut reasons = Vec::new();
    for scheme in &hook.spec.auth {
        match signature::verify(scheme, &secrets, &message, now.unix_ms()) {
            Ok(proof) => return Ok(proof),
            Err(refusal) => reasons.push(format!("{}: {refusal}", scheme.name())),
        }
    }
    Err(reasons.join("; "))
}

/// The request as a flow may see it: without what would let the flow pass for its caller.
pub(super) fn visible(hook: &Hook, arrival: &Arrival, body: Bytes) -> Request {
    let mut hidden = Redacts::default();
    for scheme in &hook.spec.auth {
        let Redacts { headers, query_params } = scheme.redacts();
        hidden.headers.extend(headers);
        hidden.query_params.extend(query_params);
    }
    let query = arrival.head.uri.query().unwrap_or("");
    Request {
        method: arrival.head.method.as_str().to_owned(),
        path: arrival.head.uri.path().to_owned(),
        query: signature::strip_query(query, &hidden.query_params),
        headers: headers(&arrival.head.headers, &hidden),
        body,
        peer: arrival.peer.to_string(),
    }
}

fn headers(all: &HeaderMap, hidden: &Redacts) -> Vec<Header> {
    all.iter()
        // Whatever the scheme, these carry credentials, and often somebody else's.
        .filter(|(name, _)| !matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization"))
        .filter(|(name, _)| !hidden.headers.contains(name))
        .map(|(name, value)| Header { name: name.as_str().to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) })
        .collect()
}
