//! An execution as it is shown.

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::request_view::Request;
use crate::clock::Timestamp;
use crate::execution::Outcome;
use crate::id::{Digest, ExecutionId, HookId};
use crate::store::{self, Origin, Status};
use crate::trigger::{self, Failure, Json, Reply};

/// One trigger given to one version. Lists have neither trigger nor outcome.
#[derive(Serialize, ToSchema)]
pub(super) struct Execution {
    id: ExecutionId,
    /// None when the flow is gone.
    flow: Option<String>,
    version: Digest,
    hook: Option<HookId>,
    pub(super) status: Status,
    /// The slug of the detail.
    reason: Option<String>,
    /// `sync`, `async` or `stream`.
    mode: String,
    /// Attempts begun.
    attempt: u32,
    session_id: Option<String>,
    /// What this one has the trigger of again: another execution, or a request that made none.
    replay_of: Option<Origin>,
    /// The execution whose flow called this one.
    parent_id: Option<ExecutionId>,
    created_at: Timestamp,
    /// When its last attempt began.
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// Milliseconds that an attempt may take.
    deadline_ms: u64,
    usage: Usage,
    /// Where the outcome is delivered.
    callback_url: Option<String>,
    /// What the flow answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    reply: Option<Reply>,
    /// What the flow said instead of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    failure: Option<Failure>,
    /// Why the host stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<Stopped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<Trigger>,
    links: Links,
}

/// What the guest used.
#[derive(Serialize, ToSchema)]
struct Usage {
    /// All attempts together.
    cpu_us: u64,
    /// At its peak.
    memory_bytes: u64,
    /// What it spent on language models, all attempts together; absent when it asked none.
    #[serde(skip_serializing_if = "Option::is_none")]
    llm: Option<LlmUsage>,
}

/// What an execution spent on language models.
#[derive(Serialize, ToSchema)]
struct LlmUsage {
    calls: u64,
    /// Tokens in, those cached included.
    input_tokens: u64,
    output_tokens: u64,
    /// Tokens in that the provider had cached.
    cached_tokens: u64,
    /// Millionths of a US dollar, where the models have prices.
    cost_micro_usd: u64,
}

impl LlmUsage {
    fn of(usage: store::LlmUsage) -> Option<Self> {
        let store::LlmUsage { calls, input_tokens, output_tokens, cached_tokens, micro_usd } = usage;
        let shown = Self { calls, input_tokens, output_tokens, cached_tokens, cost_micro_usd: micro_usd };
        (calls > 0).then_some(shown)
    }
}

/// Why the host stopped an execution.
#[derive(Serialize, ToSchema)]
struct Stopped {
    reason: String,
    message: String,
}

/// Where more is to be read.
#[derive(Serialize, ToSchema)]
struct Links {
    #[serde(rename = "self")]
    own: String,
    logs: String,
    spans: String,
    calls: String,
    events: String,
    deliveries: String,
}

/// What happened and what was wanted of the flow.
#[derive(Serialize, ToSchema)]
struct Trigger {
    dialect: String,
    received_at: Timestamp,
    message: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    data: Json,
    metadata: Json,
    /// Whether the content was not recorded, as its sender wanted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    confidential: bool,
    request: Request,
}

impl Execution {
    /// The execution without trigger and outcome.
    pub(super) fn listed(row: store::Execution, flow: Option<String>) -> Self {
        let id = row.id;
        let links = Links {
            own: format!("/v1/executions/{id}"),
            logs: format!("/v1/executions/{id}/logs"),
            spans: format!("/v1/executions/{id}/spans"),
            calls: format!("/v1/executions/{id}/calls"),
            events: format!("/v1/executions/{id}/events"),
            deliveries: format!("/v1/deliveries?execution={id}"),
        };
        Self {
            id,
            flow,
            version: row.version,
            hook: row.hook,
            status: row.status,
            reason: row.reason,
            mode: row.mode,
            attempt: row.attempt,
            session_id: row.session,
            replay_of: row.replay_of,
            parent_id: row.parent,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            deadline_ms: row.deadline_ms,
            usage: Usage { cpu_us: row.cpu_us, memory_bytes: row.memory_bytes, llm: LlmUsage::of(row.llm) },
            callback_url: row.callback,
            reply: None,
            failure: None,
            stopped: None,
            trigger: None,
            links,
        }
    }

    /// The whole execution.
    pub(super) fn whole(mut row: store::Execution, flow: Option<String>) -> Result<Self, store::Error> {
        let (json, body, outcome) =
            (std::mem::take(&mut row.trigger), std::mem::take(&mut row.body), row.outcome.take());
        let trigger = serde_json::from_str(&json).map_err(|_| store::Error::Corrupt("trigger"))?;
        let mut shown = Self { trigger: Some(Trigger::new(trigger, &body)), ..Self::listed(row, flow) };
        let outcome = outcome.map(|json| serde_json::from_str(&json)).transpose();
        match outcome.map_err(|_| store::Error::Corrupt("outcome"))? {
            Some(Outcome::Reply(reply)) => shown.reply = Some(reply),
            Some(Outcome::Failure(failure)) => shown.failure = Some(failure),
            Some(Outcome::Stopped { reason, message }) => shown.stopped = Some(Stopped { reason, message }),
            None => {}
        }
        Ok(shown)
    }
}

impl Trigger {
    fn new(trigger: trigger::Trigger, body: &Bytes) -> Self {
        let received_at_ms = i64::try_from(trigger.received_at_ms).unwrap_or(i64::MAX);
        Self {
            dialect: trigger.dialect.into_owned(),
            received_at: Timestamp::from_unix_ms(received_at_ms),
            message: trigger.message,
            user_id: trigger.user_id,
            session_id: trigger.session_id,
            data: trigger.data,
            metadata: trigger.metadata,
            confidential: trigger.confidential,
            request: Request::new(trigger.request, body),
        }
    }
}
