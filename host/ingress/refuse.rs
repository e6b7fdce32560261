//! Refused requests: the answer, and the record with the exact reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::response::Response;
use moka::sync::Cache;
use serde_json::json;

use super::Ingress;
use super::receive::Arrival;
use crate::hook::Hook;
use crate::id::RequestId;
use crate::problem::{Problem, kind};
use crate::signature::strip_query;
use crate::store::Refused;

/// How often something happened within the running second, by key.
pub(super) type PerSecond<K> = Cache<K, Arc<AtomicU32>>;

/// Why a request goes no further.
pub(super) struct Refusal {
    /// What its sender is told.
    pub(super) problem: Problem,
    /// What the operator is told; the problem's own words when there is nothing to hide.
    pub(super) reason: Option<String>,
    pub(super) hook: Option<Arc<Hook>>,
}

impl Refusal {
    pub(super) fn of(hook: &Arc<Hook>) -> impl Fn(Problem) -> Self + '_ {
        |problem| Self { problem, reason: None, hook: Some(hook.clone()) }
    }

    /// The one answer to all who do not prove who they are.
    pub(super) fn unproven(reason: String, hook: Option<Arc<Hook>>) -> Self {
        let detail = "there is no such hook, or the request does not prove that it may use it";
        Self { problem: Problem::new(&kind::UNAUTHENTICATED, detail), reason: Some(reason), hook }
    }
}

impl Ingress {
    /// True when the address has failed too often in this second to be listened to.
    pub(super) fn fails_too_often(&self, arrival: &Arrival) -> bool {
        let failures = self.0.failures.get(&arrival.peer).map_or(0, |count| count.load(Ordering::Relaxed));
        failures >= self.0.options.failures_per_s_max
    }

    /// Records a refused request, and answers it.
    pub(super) async fn refuse(&self, arrival: &Arrival, refusal: Refusal) -> Response {
        let Refusal { problem, reason, hook } = refusal;
        self.0.parts.metrics.request(problem.kind().slug);
        if problem.kind().status == 401 {
            self.0.failures.get_with(arrival.peer, Arc::default).fetch_add(1, Ordering::Relaxed);
        }
        // Who has not proven anything hears what he would if there were no hook.
        let known = hook.as_deref().filter(|_| problem.kind().status != 401);
        let dialect = known.map_or(arrival.dialect(), |hook| hook.spec.dialect);
        let id = hook.as_ref().map(|hook| hook.id);
        let recorded = self.0.recorded.get_with(id, Arc::default).fetch_add(1, Ordering::Relaxed);
        if recorded < self.0.options.recorded_per_s_max {
            let record = Refused {
                id: RequestId::at(arrival.at.unix_ms_unsigned()),
                workspace: hook.as_ref().map(|hook| hook.workspace),
                hook: id,
                at: arrival.at,
                status: problem.kind().status,
                verdict: problem.kind().slug.to_owned(),
                reason: reason.unwrap_or_else(|| problem.detail().to_owned()),
                detail: detail(arrival, hook.as_deref()),
            };
            if let Err(error) = self.0.parts.store.request_record(record).await {
                tracing::error!(error = &error as &dyn std::error::Error, "a refused request was not recorded");
            }
        }
        problem.in_dialect(dialect)
    }
}

/// Method, path, peer and headers, without anything that could be a credential: a refused one may be another hook's.
fn detail(arrival: &Arrival, hook: Option<&Hook>) -> String {
    let shown = |name: &str| {
        matches!(
            name,
            "accept" | "content-encoding" | "content-length" | "content-type" | "host" | "prefer" | "user-agent"
        )
    };
    let headers = arrival.head.headers.iter().filter(|(name, _)| shown(name.as_str()));
    let headers = headers.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())));
    let names = arrival.head.headers.keys().map(|name| name.as_str()).collect::<Vec<_>>();
    let hidden = hook.iter().flat_map(|hook| &hook.spec.auth).flat_map(|scheme| scheme.redacts().query_params);
    let hidden = hidden.collect::<Vec<_>>();
    let query = hook.map(|_| strip_query(arrival.head.uri.query().unwrap_or(""), &hidden));
    json!({
        "method": arrival.head.method.as_str(),
        "path": arrival.head.uri.path(),
        "query": query,
        "peer": arrival.peer,
        "headers": headers.collect::<std::collections::BTreeMap<_, _>>(),
        "header_names": names,
    })
    .to_string()
}
