//! Refused requests: the answer, and the record with the exact reason.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::response::Response;

use super::Ingress;
use super::receive::Arrival;
use super::record::{Entry, Shows};
use crate::hook::Hook;
use crate::problem::{Problem, kind};
use crate::store::Verdict;

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

    /// Counts a request that did not prove who sent it.
    pub(super) fn failed(&self, arrival: &Arrival) {
        self.0.failures.get_with(arrival.peer, Arc::default).fetch_add(1, Ordering::Relaxed);
    }

    /// Records a refused request, and answers it.
    pub(super) async fn refuse(&self, arrival: &Arrival, refusal: Refusal) -> Response {
        let Refusal { problem, reason, hook } = refusal;
        self.0.parts.metrics.request(problem.kind().slug);
        if problem.kind().status == 401 {
            self.failed(arrival);
        }
        let entry = Entry {
            verdict: Verdict::Refused,
            status: problem.kind().status,
            code: Some(problem.kind().slug),
            reason: reason.unwrap_or_else(|| problem.detail().to_owned()),
            execution: None,
            shows: Shows::Little,
        };
        self.record(arrival, hook.as_deref(), entry).await;
        // Who has not proven anything hears what he would if there were no hook.
        let known = hook.as_deref().filter(|_| problem.kind().status != 401);
        problem.in_dialect(known.map_or(arrival.dialect(), |hook| hook.spec.dialect))
    }
}
