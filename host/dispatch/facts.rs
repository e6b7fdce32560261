//! From a row of the log to what is known of it: the row says what happened to what, the rest is read where it is.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Dispatch, Options};
use crate::clock::Timestamp;
use crate::event::{self, Event, Facts, Flow, Said, Type};
use crate::id::{Digest, ExecutionId, FlowId, HookId};
use crate::store::{self, Execution, OutputRow};
use crate::trigger::{Failure, Json, Output, Reply, Trigger};

/// Executions of the events that are read together: most events have one with several others.
pub(super) type Known = HashMap<ExecutionId, Option<Arc<Found>>>;

/// An execution as it is now, with its trigger.
pub(super) struct Found {
    row: Execution,
    trigger: Trigger,
    steps: u32,
}

type Result<T> = std::result::Result<T, store::Error>;

impl Dispatch {
    /// What a row of the log tells; none when what it tells of is gone meanwhile.
    pub(super) async fn event(&self, row: &store::Event, known: &mut Known) -> Result<Option<Event>> {
        let Ok(kind) = row.r#type.parse::<Type>() else { return Ok(None) };
        let found = match row.execution {
            Some(id) => self.execution(row, id, known).await?,
            None => None,
        };
        // Of an execution that is still running there may be no row.
        let by = said::<By>(row).unwrap_or_default();
        let hook = found.as_ref().and_then(|found| found.row.hook).or(by.hook);
        let flow = match row.flow.or(found.as_ref().map(|found| found.row.flow)) {
            Some(id) => self.flow(id, hook).await?,
            None => None,
        };
        let facts = match &kind {
            Type::DeliveryFailing | Type::DeliveryRecovered | Type::DeliveryExhausted => {
                said(row).map(|facts| Facts::Delivery(Box::new(facts)))
            }
            Type::SubscriptionDisabled => said(row).map(|facts| Facts::Subscription(Box::new(facts))),
            _ => match (flow, &found) {
                (None, _) => None,
                (Some(flow), found) if is_session(&kind) => {
                    self.of_session(&kind, row, flow, found.as_deref(), by).await?
                }
                (Some(flow), Some(found)) => self.of_execution(&kind, row, flow, found).await?,
                (Some(flow), None) => of_flow(&kind, row, flow),
            },
        };
        Ok(facts.map(|facts| Event { id: row.id, kind, at: row.at, facts }))
    }

    async fn of_execution(&self, kind: &Type, row: &store::Event, flow: Flow, found: &Found) -> Result<Option<Facts>> {
        let (execution_id, session_id) = (found.row.id, found.row.session.clone());
        Ok(match kind {
            Type::ExecutionOutput => {
                let Some(place) = said::<Place>(row) else { return Ok(None) };
                let (attempt, step) = (place.attempt, place.n);
                let before = (attempt, step.saturating_sub(1));
                let outputs = self.0.parts.store.outputs(execution_id, before, 1).await?;
                let output = outputs.first().filter(|output| (output.attempt, output.n) == (attempt, step));
                let output = output.map(words).unwrap_or_default();
                let facts = event::Output { execution_id, flow, session_id, attempt, step, output };
                Some(Facts::Output(Box::new(facts)))
            }
            Type::Custom(_) => said::<Emitted>(row).map(|emitted| {
                let data = Json::of(&emitted.data).unwrap_or_default();
                Facts::Custom(Box::new(event::Custom { execution_id, flow, session_id, data }))
            }),
            _ => Some(Facts::Execution(Box::new(execution(kind, flow, found, &self.0.options)))),
        })
    }

    async fn of_session(
        &self,
        kind: &Type,
        row: &store::Event,
        flow: Flow,
        found: Option<&Found>,
        by: By,
    ) -> Result<Option<Facts>> {
        let user_id = found.map_or(by.user_id, |found| found.trigger.user_id.clone());
        if matches!(kind, Type::SessionStarted | Type::SessionCompleted) {
            return Ok(self.session(kind, row, flow, user_id));
        }
        let (Some(Numbered { seq }), Some(session_id), Some(execution_id)) =
            (said(row), row.session.clone(), row.execution)
        else {
            return Ok(None);
        };
        let read = self.0.parts.store.session_messages(flow.id, &session_id, 1, Some(seq + 1)).await?;
        let Some(message) = read.into_iter().find(|message| message.seq == seq) else { return Ok(None) };
        let (number, role) = (seq, message.role);
        let message = if found.map_or(by.confidential, |found| found.trigger.confidential) {
            Said::default()
        } else {
            let data = message.data.and_then(|data| Json::parse(data).ok());
            Said { text: Some(message.text), data }
        };
        let facts = event::Message { session_id, number, execution_id, flow, user_id, role, message };
        Ok(Some(Facts::Message(Box::new(facts))))
    }

    fn session(&self, kind: &Type, row: &store::Event, flow: Flow, user_id: Option<String>) -> Option<Facts> {
        let counted = said::<Counted>(row)?;
        let ended = *kind == Type::SessionCompleted;
        let active = || "active".to_owned();
        Some(Facts::Session(Box::new(event::Session {
            session_id: row.session.clone()?,
            flow,
            user_id,
            status: if ended { counted.status.unwrap_or_else(|| "resolved".to_owned()) } else { active() },
            started_at: counted.started_at_ms.map_or(row.at, Timestamp::from_unix_ms),
            finished_at: ended.then_some(row.at),
            message_count: counted.message_count,
            credits: self.0.options.credits(&Cost {
                cpu_us: counted.cpu_us,
                executions: counted.execution_count,
                llm_calls: counted.llm_calls,
                llm_tokens: counted.llm_tokens,
            }),
            satisfaction_score: counted.satisfaction_score,
            resolution: counted.resolution.as_ref().and_then(|said| Json::of(said).ok()),
        })))
    }

    async fn execution(&self, row: &store::Event, id: ExecutionId, known: &mut Known) -> Result<Option<Arc<Found>>> {
        if let Some(found) = known.get(&id) {
            return Ok(found.clone());
        }
        let store = &self.0.parts.store;
        let found = match store.execution_find(row.workspace, id).await? {
            Some(execution) => {
                let trigger = serde_json::from_str(&execution.trigger).map_err(|_| store::Error::Corrupt("trigger"))?;
                let said = store.outputs_count(id, execution.attempt).await?;
                let replied = execution.status == store::Status::Succeeded;
                Some(Arc::new(Found { row: execution, trigger, steps: said + u32::from(replied) }))
            }
            None => None,
        };
        known.insert(id, found.clone());
        Ok(found)
    }

    async fn flow(&self, id: FlowId, hook: Option<HookId>) -> Result<Option<Flow>> {
        let names = self.0.parts.store.flow_names(id, hook).await?;
        Ok(names.map(|names| Flow { id, name: names.flow, hook_id: hook, path_id: names.path_id }))
    }
}

impl Options {
    fn credits(&self, cost: &Cost) -> f64 {
        let run = self.millicredits_per_cpu_s as f64 * cost.cpu_us as f64 / 1e6;
        let called = self.millicredits_per_execution.saturating_mul(cost.executions) as f64;
        let asked = self.millicredits_per_llm_call.saturating_mul(cost.llm_calls) as f64;
        let tokens = self.millicredits_per_1000_tokens as f64 * cost.llm_tokens as f64 / 1e3;
        // To the thousandth: more digits than that say nothing.
        (run + called + asked + tokens).round() / 1_000.0
    }
}

/// What has a price.
struct Cost {
    cpu_us: u64,
    executions: u64,
    llm_calls: u64,
    llm_tokens: u64,
}

impl Cost {
    fn of(row: &Execution) -> Self {
        Self { cpu_us: row.cpu_us, executions: 1, llm_calls: row.llm.calls, llm_tokens: row.llm.tokens() }
    }
}

fn is_session(kind: &Type) -> bool {
    use Type::{SessionCompleted, SessionMessageReceived, SessionMessageSent, SessionStarted};
    matches!(kind, SessionStarted | SessionMessageReceived | SessionMessageSent | SessionCompleted)
}

fn of_flow(kind: &Type, row: &store::Event, flow: Flow) -> Option<Facts> {
    match kind {
        Type::VersionCreated | Type::VersionReady | Type::VersionFailed => said(row).map(|uploaded| {
            let Uploaded { version, size_bytes, failure } = uploaded;
            let error = failure.map(|message| event::Error { reason: "not_compiled".to_owned(), message });
            Facts::Version(Box::new(event::Version { flow, version, size_bytes, error }))
        }),
        Type::FlowPromoted => said(row).map(|moved| {
            let Promotion { alias, version, previous } = moved;
            Facts::Promotion(Box::new(event::Promotion { flow, alias, version, previous }))
        }),
        _ => None,
    }
}

/// An execution as it was at the event: one that has begun may have ended since.
fn execution(kind: &Type, flow: Flow, found: &Found, options: &Options) -> event::Execution {
    let Found { row, trigger, steps } = found;
    let ended = *kind != Type::ExecutionStarted;
    let outcome = row.outcome.as_deref().filter(|_| ended).and_then(|outcome| serde_json::from_str(outcome).ok());
    let (output, error) = outcome.map(|outcome| told(outcome, row)).unwrap_or_default();
    let input = event::Input { message: trigger.message.clone(), data: Some(trigger.data.clone()) };
    event::Execution {
        execution_id: row.id,
        flow,
        version: row.version,
        session_id: row.session.clone(),
        user_id: trigger.user_id.clone(),
        attempt: if ended { row.attempt } else { 1 },
        status: if ended { row.status.as_str() } else { store::Status::Running.as_str() }.to_owned(),
        started_at: row.started_at.unwrap_or(row.created_at),
        finished_at: row.finished_at.filter(|_| ended),
        cpu_ms: ended.then_some(row.cpu_us as f64 / 1e3),
        memory_bytes: ended.then_some(row.memory_bytes),
        credits: if ended { options.credits(&Cost::of(row)) } else { 0.0 },
        steps: if ended { *steps } else { 0 },
        input: (!trigger.confidential).then_some(input),
        output: output.filter(|_| !trigger.confidential),
        error,
    }
}

/// What came of an execution, as `execution::Outcome` writes it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Reply(Reply),
    Failure(Failure),
    Stopped { reason: String, message: String },
}

fn told(outcome: Outcome, row: &Execution) -> (Option<Said>, Option<event::Error>) {
    let reason = || row.reason.clone().unwrap_or_else(|| row.status.as_str().to_owned());
    let message = match outcome {
        Outcome::Reply(reply) => return (Some(Said { text: reply.text, data: reply.data }), None),
        Outcome::Stopped { reason, message } => return (None, Some(event::Error { reason, message })),
        Outcome::Failure(Failure::InvalidInput(error)) => error.message,
        Outcome::Failure(Failure::Failed { message } | Failure::Retry { message, .. }) => message,
    };
    (None, Some(event::Error { reason: reason(), message }))
}

/// What a flow said on the way.
fn words(row: &OutputRow) -> Said {
    match serde_json::from_str(&row.data) {
        Ok(Output::Say { text, data }) => Said { text, data },
        Ok(Output::Progress { message: text, .. } | Output::Delta { text }) => Said { text: Some(text), data: None },
        Err(_) => Said::default(),
    }
}

/// The facts of a row, as the store wrote them.
fn said<T: DeserializeOwned>(row: &store::Event) -> Option<T> {
    serde_json::from_str(&row.facts).ok()
}

#[derive(Deserialize)]
struct Place {
    attempt: u32,
    n: u32,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

#[derive(Deserialize)]
struct Emitted {
    data: Value,
}

/// Who says something in a conversation, where the row of the execution does not tell it yet.
#[derive(Deserialize, Default)]
#[serde(default)]
struct By {
    hook: Option<HookId>,
    user_id: Option<String>,
    confidential: bool,
}

#[derive(Deserialize)]
struct Uploaded {
    version: Digest,
    size_bytes: u64,
    failure: Option<String>,
}

#[derive(Deserialize)]
struct Promotion {
    alias: String,
    version: Digest,
    previous: Option<Digest>,
}

#[derive(Deserialize)]
struct Counted {
    started_at_ms: Option<i64>,
    #[serde(default)]
    message_count: u64,
    #[serde(default)]
    execution_count: u64,
    #[serde(default)]
    cpu_us: u64,
    #[serde(default)]
    llm_calls: u64,
    #[serde(default)]
    llm_tokens: u64,
    status: Option<String>,
    satisfaction_score: Option<f64>,
    resolution: Option<Value>,
}
