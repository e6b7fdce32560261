//! What is known of an event. The JSON form of each is the native `data`; what is absent is left out.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{DeliveryId, Digest, ExecutionId, FlowId, HookId, SubscriptionId};
use crate::trigger::Json;

/// What is known of an event. JSON: `{"execution":{…}}` and so on, so that it can be stored and read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// Of `execution.*`, but `execution.output`.
    Execution(Box<Execution>),
    /// Of `execution.output`.
    Output(Box<Output>),
    /// Of `session.started` and `session.completed`.
    Session(Box<Session>),
    /// Of `session.message.*`.
    Message(Box<Message>),
    /// Of `flow.version.*`.
    Version(Box<Version>),
    /// Of `flow.promoted`.
    Promotion(Box<Promotion>),
    /// Of `delivery.*`.
    Delivery(Box<Delivery>),
    /// Of `subscription.*`.
    Subscription(Box<Subscription>),
    /// Of `custom.*`.
    Custom(Box<Custom>),
}

/// Which flow, and how those who call it know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Its id.
    pub id: FlowId,
    /// Its name.
    pub name: String,
    /// The hook by which it was triggered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_id: Option<HookId>,
    /// The id in the hook's URL, where that is not the hook's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_id: Option<String>,
}

/// An execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Its id.
    pub execution_id: ExecutionId,
    /// What runs.
    pub flow: Flow,
    /// The version that runs.
    pub version: Digest,
    /// The conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Who triggered it, in the caller's own terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Counts from 1.
    pub attempt: u32,
    /// `running`, `succeeded`, `failed`, `canceled` or `timed_out`.
    pub status: String,
    /// When the first attempt began; when it was accepted, if none did.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Milliseconds that the guest really ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<f64>,
    /// Bytes of the guest's memory at its largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What it has cost, by the server's prices.
    pub credits: f64,
    /// What the flow has said, the reply included where there is one.
    pub steps: u32,
    /// What the flow was given; absent when content is not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// What it replied; absent when it did not, or content is not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Said>,
    /// Why there is no reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// What a flow was given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Input {
    /// The text that a person or a system sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Said {
    /// For a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// For a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// A slug, such as `cpu_budget` or `flow_error`.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// What a flow says before its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The execution.
    pub execution_id: ExecutionId,
    /// What runs.
    pub flow: Flow,
    /// The conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The attempt that says it.
    pub attempt: u32,
    /// Which of its outputs, counted from 1.
    pub step: u32,
    /// What it says.
    pub output: Said,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id, in the caller's own terms.
    pub session_id: String,
    /// Who talks.
    pub flow: Flow,
    /// With whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// `active`, or how it ended: `resolved` where the flow does not say.
    pub status: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Messages of both sides.
    pub message_count: u64,
    /// What its executions have cost.
    pub credits: f64,
    /// What the flow says of the other's satisfaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satisfaction_score: Option<f64>,
    /// What the flow says of how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Json>,
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The conversation.
    pub session_id: String,
    /// Which of its messages, counted from 1.
    pub number: u64,
    /// The execution that it triggered, or that sent it.
    pub execution_id: ExecutionId,
    /// Who talks.
    pub flow: Flow,
    /// With whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// `user` or `assistant`.
    pub role: String,
    /// What was said; empty when content is not recorded.
    pub message: Said,
}

/// A version of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The flow.
    pub flow: Flow,
    /// The digest.
    pub version: Digest,
    /// Bytes of the component.
    pub size_bytes: u64,
    /// Why it cannot run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// A move of an alias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// The flow.
    pub flow: Flow,
    /// What moved.
    pub alias: String,
    /// Where it points now.
    pub version: Digest,
    /// Where it pointed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

/// A delivery that tells something of its receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub delivery_id: DeliveryId,
    /// The subscription that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<SubscriptionId>,
    /// The hook that it is a callback of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_id: Option<HookId>,
    /// The receiver, without what may be secret in it.
    pub url: String,
    /// The event that it tells of.
    pub event: String,
    /// Attempts made.
    pub attempts: u32,
    /// Failures of the receiver in a row.
    pub failures: u32,
    /// Since when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// The status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub subscription_id: SubscriptionId,
    /// Its name.
    pub name: String,
    /// The receiver, without what may be secret in it.
    pub url: String,
    /// Why.
    pub reason: String,
}

/// What a flow tells in its own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Custom {
    /// The execution that says it.
    pub execution_id: ExecutionId,
    /// The flow.
    pub flow: Flow,
    /// The conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// What it says.
    pub data: Json,
}
