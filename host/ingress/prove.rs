//! Whether a request is genuine, and what of it a flow may see.

use axum::http::HeaderMap;
use bytes::Bytes;

use super::receive::Arrival;
use crate::clock::Timestamp;
use crate::hook::{Hook, Use};
use crate::signature::{self, Answer, Message, Proof, Redacts, Scheme};
use crate::trigger::{Header, Request};

/// What a request is, as far as its hook's schemes can tell.
pub(super) enum Judged<'a> {
    /// Somebody who holds a live secret sent it, by this scheme of the hook.
    Genuine(&'a Scheme, Proof),
    /// Its sender asks whether it may send, and this is the answer.
    Asked(Answer),
    /// Neither; the exact reason, for the operator.
    Unproven(String),
}

/// Holds a request against every scheme of its hook; one is enough.
pub(super) fn judge<'a>(hook: &'a Hook, arrival: &Arrival, body: &[u8], now: Timestamp) -> Judged<'a> {
    let secrets = hook.secrets.live(Use::Auth, now);
    let query = arrival.head.uri.query().unwrap_or("");
    let url = hook.spec.public_url.as_deref().map(|url| with_query(url, query));
    let message = Message {
        method: arrival.head.method.as_str(),
        path: arrival.head.uri.path(),
        query,
        headers: &arrival.head.headers,
        body,
        public_url: url.as_deref(),
    };
    let mut reasons = Vec::new();
    for scheme in &hook.spec.auth {
        match signature::verify(scheme, &secrets, &message, now.unix_ms()) {
            Ok(proof) => {
                let answer = signature::handshake(scheme, &secrets, &message, Some(&proof));
                return answer.map_or(Judged::Genuine(scheme, proof), Judged::Asked);
            }
            Err(refusal) => reasons.push(format!("{}: {refusal}", scheme.name())),
        }
    }
    let mut answers = hook.spec.auth.iter().filter_map(|one| signature::handshake(one, &secrets, &message, None));
    answers.next().map_or_else(|| Judged::Unproven(reasons.join("; ")), Judged::Asked)
}

/// The URL that the sender called: the configured one, with the query that came. Nothing else of the request is believed.
pub(super) fn with_query(url: &str, query: &str) -> String {
    let base = url.split(['?', '#']).next().unwrap_or(url);
    if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") }
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
        headers: headers(&arrival.head.headers)
            // Whatever the scheme, these carry credentials, and often somebody else's.
            .filter(|header| !matches!(header.name.as_str(), "authorization" | "cookie" | "proxy-authorization"))
            .filter(|header| !hidden.headers.iter().any(|name| name.as_str() == header.name))
            .collect(),
        body,
        peer: arrival.peer.to_string(),
    }
}

/// All headers, in order.
pub(super) fn headers(all: &HeaderMap) -> impl Iterator<Item = Header> + '_ {
    all.iter()
        .map(|(name, value)| Header { name: name.as_str().to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::with_query;

    #[test]
    fn the_url_has_the_query_that_came() {
        for (url, query, called) in [
            ("https://a.example/h", "", "https://a.example/h"),
            ("https://a.example/h", "a=1", "https://a.example/h?a=1"),
            ("https://a.example/h?a=1", "a=1&bodySHA256=00", "https://a.example/h?a=1&bodySHA256=00"),
            ("https://a.example/h?a=1#b", "", "https://a.example/h"),
        ] {
            assert_eq!(with_query(url, query), called, "{url} {query}");
        }
    }
}
