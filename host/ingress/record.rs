//! The one place from which requests get on record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::HeaderMap;
use moka::sync::Cache;

use super::receive::Arrival;
use super::{Ingress, prove};
use crate::execution::{Detail, Timings};
use crate::hook::Hook;
use crate::id::{ExecutionId, HookId, RequestId};
use crate::signature::strip_query;
use crate::store::{self, BODY_KEPT_BYTES_MAX, Recorded, Verdict};
use crate::trigger::{Header, Request};

/// How often something happened within the running second, by key.
pub(super) type PerSecond<K> = Cache<K, Arc<AtomicU32>>;

/// Whose records are counted: each verdict of a hook by itself, so that no kind keeps another from being recorded.
pub(super) type Whose = (Option<HookId>, &'static str);

/// What is to be recorded of a request.
pub(super) struct Entry {
    pub(super) verdict: Verdict,
    /// The HTTP status of its answer.
    pub(super) status: u16,
    /// The slug of the problem that is its answer.
    pub(super) code: Option<&'static str>,
    /// Exactly why, for the operator.
    pub(super) reason: String,
    /// The execution that it repeats.
    pub(super) execution: Option<ExecutionId>,
    pub(super) shows: Shows,
}

/// How much of a request may be on record.
pub(super) enum Shows {
    /// What cannot be a credential: a refused one may be another hook's.
    Little,
    /// All but the hook's credentials, as its sender is proven.
    Genuine(Request),
    /// All but what looks like a credential.
    Unproven(Request),
}

impl Ingress {
    /// True when one more request of this kind may be recorded in this second.
    pub(super) fn may_record(&self, hook: Option<&Hook>, verdict: Verdict) -> bool {
        let whose = (hook.map(|hook| hook.id), verdict.as_str());
        let recorded = self.0.recorded.get_with(whose, Arc::default).fetch_add(1, Ordering::Relaxed);
        recorded < self.0.options.recorded_per_s_max
    }

    /// Records a request behind its answer, if not too many were recorded in this second.
    pub(super) async fn record(&self, arrival: &Arrival, hook: Option<&Hook>, entry: Entry) {
        if self.may_record(hook, entry.verdict) {
            let recorded = self.0.parts.store.request_record(recorded(arrival, hook, entry)).await;
            if let Err(error) = recorded {
                tracing::error!(error = &error as &dyn std::error::Error, "a request was not recorded");
            }
        }
    }

    /// Records a request, durably, and returns its id.
    pub(super) async fn record_durably(
        &self,
        arrival: &Arrival,
        hook: &Hook,
        entry: Entry,
    ) -> Result<RequestId, store::Error> {
        let recorded = recorded(arrival, Some(hook), entry);
        let id = recorded.id;
        self.0.parts.store.request_record_durably(recorded).await.map(|()| id)
    }
}

fn recorded(arrival: &Arrival, hook: Option<&Hook>, entry: Entry) -> Recorded {
    let Entry { verdict, status, code, reason, execution, shows } = entry;
    let confidential = hook.is_some_and(is_confidential);
    let genuine = matches!(shows, Shows::Genuine(_));
    let mut request = match shows {
        Shows::Genuine(request) if !confidential => request,
        Shows::Unproven(request) if !confidential => without_likely_credentials(request),
        _ => little(arrival, hook),
    };
    let body = std::mem::take(&mut request.body);
    let keeps = matches!(verdict, Verdict::Filtered | Verdict::Captured) && !confidential;
    let body = Some(body).filter(|body| keeps && body.len() <= BODY_KEPT_BYTES_MAX);
    let answered_us = arrival.elapsed_us();
    let detail = Detail {
        request,
        header_names: names(&arrival.head.headers),
        body_bytes: arrival.body_bytes,
        genuine,
        timings: Timings { answered_us, ..arrival.timings },
    };
    Recorded {
        id: RequestId::at(arrival.at.unix_ms_unsigned()),
        workspace: hook.map(|hook| hook.workspace),
        hook: hook.map(|hook| hook.id),
        at: arrival.at,
        verdict,
        status,
        code: code.map(str::to_owned),
        reason,
        execution,
        detail: serde_json::to_string(&detail).expect("these members have a JSON form"),
        kept_bytes: body.as_ref().map(|body| body.len() as u64),
        body,
    }
}

/// Whether nothing that a request says may be on record.
fn is_confidential(hook: &Hook) -> bool {
    hook.spec.disable_sensitive_logging
}

/// The headers that nobody proves anything by.
const HARMLESS: &[&str] =
    &["accept", "content-encoding", "content-length", "content-type", "host", "prefer", "user-agent"];

/// Method, path, peer and headers, without anything that could be a credential.
fn little(arrival: &Arrival, hook: Option<&Hook>) -> Request {
    let shown = |header: &Header| HARMLESS.contains(&header.name.as_str());
    let (head, query) = (&arrival.head, arrival.head.uri.query().unwrap_or(""));
    let hidden = hook.iter().flat_map(|hook| &hook.spec.auth).flat_map(|scheme| scheme.redacts().query_params);
    let mut hidden = hidden.collect::<Vec<_>>();
    hidden.extend(likely_credentials(query));
    Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        // Without a hook nothing says which parameters are credentials.
        query: hook.filter(|hook| !is_confidential(hook)).map(|_| strip_query(query, &hidden)).unwrap_or_default(),
        headers: prove::headers(&head.headers).filter(shown).collect(),
        peer: arrival.peer.to_string(),
        ..Request::default()
    }
}

/// The names of all headers, each once.
fn names(headers: &HeaderMap) -> Vec<String> {
    headers.keys().map(|name| name.as_str().to_owned()).collect()
}

/// A request whose sender did not prove itself may hold credentials that its hook knows nothing of.
fn without_likely_credentials(mut request: Request) -> Request {
    request.headers.retain(|header| !is_likely_credential(&header.name));
    request.query = strip_query(&request.query, &likely_credentials(&request.query));
    request
}

fn likely_credentials(query: &str) -> Vec<String> {
    let names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned());
    names.filter(|name| is_likely_credential(name)).collect()
}

/// Whether a header or parameter is called as credentials are.
fn is_likely_credential(name: &str) -> bool {
    const WORDS: &[&str] =
        &["auth", "token", "secret", "key", "sign", "hmac", "password", "passwd", "credential", "cookie", "session"];
    let name = name.to_ascii_lowercase();
    name != "idempotency-key"
        && (name == "sig" || name.ends_with("-sig") || WORDS.iter().any(|word| name.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_like_a_credential_is_not_shown() {
        for name in [
            "authorization",
            "cookie",
            "x-hub-signature-256",
            "X-Api-Key",
            "apiKey",
            "access_token",
            "x-gitlab-token",
            "x-shopify-hmac-sha256",
            "x-hook-secret",
            "x-my-sig",
        ] {
            assert!(is_likely_credential(name), "{name}");
        }
        for name in ["content-type", "x-github-event", "idempotency-key", "x-request-id", "webhook-id", "page"] {
            assert!(!is_likely_credential(name), "{name}");
        }
        assert_eq!(likely_credentials("a=1&api%4bey=2&b=3"), ["apiKey"]);
    }
}
