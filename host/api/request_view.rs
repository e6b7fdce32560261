//! A request to a hook as it is shown.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::execution::{Came, Detail};
use crate::id::{ExecutionId, HookId, RequestId};
use crate::store::{Execution, Recorded, Status, Verdict};
use crate::trigger::{self, Header};

/// An HTTP request without its credentials.
#[derive(Serialize, ToSchema)]
pub(super) struct Request {
    method: String,
    path: String,
    query: String,
    #[schema(value_type = Vec<Object>)]
    headers: Vec<Header>,
    peer: String,
    /// The body when it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
    /// The body when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Request {
    pub(super) fn new(request: trigger::Request, body: &[u8]) -> Self {
        let trigger::Request { method, path, query, headers, peer, .. } = request;
        let body_text = std::str::from_utf8(body).ok().filter(|text| !text.is_empty()).map(str::to_owned);
        let body_base64 = (body_text.is_none() && !body.is_empty()).then(|| BASE64_STANDARD.encode(body));
        Self { method, path, query, headers, peer, body_text, body_base64 }
    }
}

/// A request that came to a hook, and what became of it.
#[derive(Serialize, ToSchema)]
pub(super) struct HookRequest {
    id: RequestId,
    at: Timestamp,
    hook: Option<HookId>,
    verdict: Verdict,
    /// The HTTP status that it was answered with; none where its execution says more.
    status: Option<u16>,
    /// The slug of the problem that it was answered with.
    code: Option<String>,
    /// Exactly why; where the execution stands, when it made one.
    reason: String,
    /// The execution that it made, or repeats.
    execution_id: Option<ExecutionId>,
    /// Whether its sender was proven.
    genuine: bool,
    /// Whether its body is here to be replayed.
    body_kept: bool,
    body_bytes: Option<u64>,
    timings: Timings,
    /// None in a list when the trigger that it made is long.
    request: Option<Request>,
    /// The names of all its headers; none for a request that made an execution, which are all there.
    header_names: Option<Vec<String>>,
}

/// Where the time went. Requests without an execution have microseconds up to their answer, the others moments.
#[derive(Default, Serialize, ToSchema)]
struct Timings {
    /// Until the body was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_us: Option<u64>,
    /// To hold it against the hook's schemes.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof_us: Option<u64>,
    /// From its arrival to its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_us: Option<u64>,
    /// When the last attempt of the execution began.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    /// When the execution ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
}

impl From<Came> for HookRequest {
    fn from(came: Came) -> Self {
        let (id, keeps_body, detail) = (came.id(), came.keeps_body(), came.detail());
        let shown = match came {
            Came::Recorded(recorded) => Self::recorded(*recorded, detail.unwrap_or_default()),
            Came::Accepted(execution) => Self::accepted(id, *execution, detail),
        };
        Self { body_kept: keeps_body, ..shown }
    }
}

impl HookRequest {
    fn recorded(recorded: Recorded, detail: Detail) -> Self {
        let Recorded { id, hook, at, verdict, status, code, reason, execution, body, .. } = recorded;
        let Detail { request, header_names, body_bytes, genuine, timings } = detail;
        let (body_us, proof_us) = (timings.body_us, timings.proof_us);
        let answered_us = Some(timings.answered_us);
        Self {
            id,
            at,
            hook,
            verdict,
            status: Some(status),
            code,
            reason,
            execution_id: execution,
            genuine,
            body_kept: false,
            body_bytes,
            timings: Timings { body_us, proof_us, answered_us, ..Timings::default() },
            request: Some(Request::new(request, body.as_deref().unwrap_or_default())),
            header_names: Some(header_names),
        }
    }

    fn accepted(id: RequestId, execution: Execution, detail: Option<Detail>) -> Self {
        let Execution { started_at, finished_at, status, reason, .. } = execution;
        let reason = match (status, reason) {
            (Status::Succeeded, _) | (_, None) => status.as_str().to_owned(),
            (_, Some(reason)) => format!("{}: {reason}", status.as_str()),
        };
        Self {
            id,
            at: execution.created_at,
            hook: execution.hook,
            verdict: Verdict::Accepted,
            status: None,
            code: None,
            reason,
            execution_id: Some(execution.id),
            genuine: true,
            body_kept: true,
            body_bytes: detail.as_ref().and_then(|detail| detail.body_bytes),
            timings: Timings { started_at, finished_at, ..Timings::default() },
            request: detail.map(|detail| Request::new(detail.request, &execution.body)),
            header_names: None,
        }
    }
}
