//! AgenticFlow's names for what happens, with the fields that its page shows in the order in which it shows them.
//!
//! Source: the "Webhook Integration Guide" of AgenticFlow's documentation, read 2026-11. It shows `data` for
//! `workflow.execution.completed` and `agent.conversation.completed`; the others are made like these.

use serde::Serialize;

use super::facts::{Error, Execution, Flow, Input, Message, Output, Said, Session};
use super::payload::json;
use super::{Event, Facts};
use crate::clock::Timestamp;
use crate::trigger::Json;

/// `data` in AgenticFlow's words; none for what has no name there.
pub(super) fn data(event: &Event) -> Option<Json> {
    match &event.facts {
        Facts::Execution(facts) => Some(workflow(facts)),
        Facts::Output(facts) => Some(step(facts, event.at)),
        Facts::Session(facts) => Some(conversation(facts)),
        Facts::Message(facts) => Some(message(facts, event.at)),
        _ => None,
    }
}

/// The id by which senders know a workflow or an agent: the one in its webhook's URL.
fn id(flow: &Flow) -> String {
    let hook = || flow.hook_id.map(|hook| hook.to_string());
    flow.path_id.clone().or_else(hook).unwrap_or_else(|| flow.id.to_string())
}

#[derive(Serialize)]
struct Workflow<'a> {
    workflow_id: String,
    execution_id: String,
    status: &'a str,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
    input_data: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_data: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits_used: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps_completed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure<'a>>,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: String,
    message: &'a str,
}

fn workflow(facts: &Execution) -> Json {
    let status = match facts.status.as_str() {
        "succeeded" => "success",
        other => other,
    };
    let finished = facts.finished_at;
    json(&Workflow {
        workflow_id: id(&facts.flow),
        execution_id: facts.execution_id.to_string(),
        status,
        started_at: facts.started_at.whole_seconds(),
        completed_at: finished.map(Timestamp::whole_seconds),
        duration_seconds: finished.map(|finished| finished.since(facts.started_at).as_secs_f64()),
        input_data: input(facts.input.as_ref()),
        output_data: finished.map(|_| said(facts.output.as_ref())),
        credits_used: finished.map(|_| facts.credits),
        steps_completed: finished.map(|_| facts.steps),
        error: facts.error.as_ref().map(failure),
    })
}

fn failure(error: &Error) -> Failure<'_> {
    Failure { code: error.reason.to_ascii_uppercase(), message: &error.message }
}

/// What a workflow is given; what an agent is given has a message and maybe no data.
fn input(given: Option<&Input>) -> Json {
    let Some(given) = given else { return Json::empty() };
    let data = given.data.as_ref().filter(|data| data.as_str() != "{}");
    match (&given.message, data) {
        (_, Some(data)) => data.clone(),
        (Some(message), None) => json(&serde_json::json!({ "message": message })),
        (None, None) => Json::empty(),
    }
}

fn said(said: Option<&Said>) -> Json {
    let Some(Said { text, data }) = said else { return Json::empty() };
    match (text, data) {
        (_, Some(data)) => data.clone(),
        (Some(text), None) => json(&serde_json::json!({ "text": text })),
        (None, None) => Json::empty(),
    }
}

#[derive(Serialize)]
struct Step {
    workflow_id: String,
    execution_id: String,
    step: u32,
    status: &'static str,
    completed_at: String,
    output_data: Json,
}

fn step(facts: &Output, at: Timestamp) -> Json {
    json(&Step {
        workflow_id: id(&facts.flow),
        execution_id: facts.execution_id.to_string(),
        step: facts.step,
        status: "success",
        completed_at: at.whole_seconds(),
        output_data: said(Some(&facts.output)),
    })
}

#[derive(Serialize)]
struct Conversation<'a> {
    agent_id: String,
    conversation_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    status: &'a str,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    satisfaction_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits_used: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<&'a Json>,
}

fn conversation(facts: &Session) -> Json {
    json(&Conversation {
        agent_id: id(&facts.flow),
        conversation_id: &facts.session_id,
        user_id: facts.user_id.as_deref(),
        status: &facts.status,
        started_at: facts.started_at.whole_seconds(),
        completed_at: facts.finished_at.map(Timestamp::whole_seconds),
        message_count: facts.finished_at.map(|_| facts.message_count),
        satisfaction_score: facts.satisfaction_score,
        credits_used: facts.finished_at.map(|_| facts.credits),
        resolution: facts.resolution.as_ref(),
    })
}

#[derive(Serialize)]
struct Spoken<'a> {
    agent_id: String,
    conversation_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    execution_id: String,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Json>,
    created_at: String,
}

fn message(facts: &Message, at: Timestamp) -> Json {
    json(&Spoken {
        agent_id: id(&facts.flow),
        conversation_id: &facts.session_id,
        user_id: facts.user_id.as_deref(),
        execution_id: facts.execution_id.to_string(),
        role: &facts.role,
        message: facts.message.text.as_deref(),
        data: facts.message.data.as_ref(),
        created_at: at.whole_seconds(),
    })
}
