//! The incoming webhooks of AgenticFlow: `docs/dialects/agenticflow.md`.
//!
//! In: an agent's request at `/webhooks/agents/{hook}`, a workflow's at `/webhooks/workflows/{hook}`. Out: an execution id
//! at once, with an estimate of when it will have ended.
//! Source: the "Webhook Integration Guide" of AgenticFlow's documentation, read 2026-11.

use bytes::Bytes;
use serde::Serialize;

use super::{Answer, Callback, Fault, Malformed, Object, Payload, View, body, native};
use crate::id::ExecutionId;
use crate::trigger::{Json, Request};

pub(super) fn parse(request: &Request) -> Result<Payload, Malformed> {
    let object = body::object(request)?;
    let is_workflow = match request.path.strip_prefix("/webhooks/") {
        Some(rest) => rest.starts_with("workflows/"),
        None => object.member("input_data").is_some(),
    };
    if is_workflow { workflow(&object) } else { agent(&object) }
}

/// `{"message","user_id"?,"metadata"?,"context"?}`
fn agent(object: &Object<'_>) -> Result<Payload, Malformed> {
    let message = object.string("message")?;
    Ok(Payload {
        message: Some(message.ok_or(Malformed::Missing { field: "message", expected: "a string" })?),
        user_id: object.string("user_id")?,
        session_id: None,
        data: part(object.object("context")?)?,
        metadata: part(object.object("metadata")?)?,
    })
}

/// `{"input_data"?,"trigger_source"?,"metadata"?}`. The source of the trigger goes with the metadata.
fn workflow(object: &Object<'_>) -> Result<Payload, Malformed> {
    let metadata = part(object.object("metadata")?)?;
    let metadata = match object.string("trigger_source")?.and(object.member("trigger_source")) {
        Some(source) => super::object::with(&metadata, "trigger_source", source)?,
        None => metadata,
    };
    Ok(Payload { data: part(object.object("input_data")?)?, metadata, ..Payload::default() })
}

fn part(text: Option<&str>) -> Result<Json, Malformed> {
    Ok(text.map(body::json).transpose()?.unwrap_or_default())
}

/// An agent's request: a hook's URL is that of an agent.
pub(super) fn request(payload: &Payload) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<&'a Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a Json>,
    }
    super::bytes(&Body {
        message: payload.message.as_deref().unwrap_or_default(),
        user_id: payload.user_id.as_deref(),
        metadata: super::given(&payload.metadata),
        context: super::given(&payload.data),
    })
}

/// Nobody waits for the reply here.
pub(super) fn answer(view: &View<'_>) -> Answer {
    accepted(view)
}

#[derive(Serialize)]
struct Accepted<'a> {
    success: bool,
    message: &'static str,
    execution_id: ExecutionId,
    status: &'static str,
    estimated_completion: Option<&'a str>,
}

pub(super) fn accepted(view: &View<'_>) -> Answer {
    let body = Accepted {
        success: true,
        message: "Webhook processed successfully",
        execution_id: view.execution,
        status: "queued",
        estimated_completion: view.estimated_at,
    };
    super::json(200, &body)
}

/// The documented success without the members that tell of an execution.
pub(super) fn filtered() -> Answer {
    #[derive(Serialize)]
    struct Filtered {
        success: bool,
        message: &'static str,
        status: &'static str,
    }
    let message = "Webhook received; its filter started nothing";
    super::json(200, &Filtered { success: true, message, status: "filtered" })
}

pub(super) fn said(view: &View<'_>) -> Option<Callback> {
    native::said(view)
}

pub(super) fn callback(view: &View<'_>) -> Option<Callback> {
    native::callback(view)
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    code: String,
    message: String,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<&'a str>,
}

pub(super) fn error(fault: &Fault<'_>) -> Option<Answer> {
    let details = Details {
        field: fault.field,
        expected: fault.expected.map(type_word),
        received: fault.received.map(type_word),
    };
    let message = match details {
        Details { field: Some(field), received: Some("null"), .. } => format!("Required field '{field}' is missing"),
        Details { field: Some(field), expected: Some(expected), received: Some(received) } => {
            format!("Field '{field}' must be of type {expected}, not {received}")
        }
        _ => fault.message.to_owned(),
    };
    let error = Told { code: code(fault.code), message, details };
    Some(super::json(fault.simple_status(), &Failure { success: false, error }))
}

/// `INVALID_INPUT` is the one code that the product shows; the others are made like it.
fn code(slug: &str) -> String {
    match slug {
        "malformed-body" | "invalid-request" | "invalid-input" => "INVALID_INPUT".to_owned(),
        other => other.replace('-', "_").to_ascii_uppercase(),
    }
}

/// JSON's own word for what is called `a string` elsewhere.
fn type_word(words: &str) -> &str {
    match words.strip_prefix("an ").or_else(|| words.strip_prefix("a ")) {
        Some("list") => "array",
        Some(word) => word,
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::testing::{fault, request, text, view};

    fn at(path: &str, body: &str) -> Result<Payload, Malformed> {
        parse(&Request { path: path.to_owned(), ..request(body) })
    }

    #[test]
    fn an_agents_request_is_taken_apart() {
        let body =
            r#"{"message":"Hello","user_id":"user_123","metadata":{"source":"form"},"context":{"order_id":"1"}}"#;
        let payload = at("/webhooks/agents/x", body).unwrap();
        assert_eq!((payload.message.as_deref(), payload.user_id.as_deref()), (Some("Hello"), Some("user_123")));
        assert_eq!((payload.data.as_str(), payload.metadata.as_str()), (r#"{"order_id":"1"}"#, r#"{"source":"form"}"#));
    }

    #[test]
    fn a_workflows_request_is_taken_apart() {
        let body = r#"{"input_data":{"name":"John"},"trigger_source":"contact_form","metadata":{"form_id":"v2"}}"#;
        for path in ["/webhooks/workflows/x", "/hooks/x"] {
            let payload = at(path, body).unwrap();
            assert_eq!(payload.data.as_str(), r#"{"name":"John"}"#);
            assert_eq!(payload.metadata.as_str(), r#"{"trigger_source":"contact_form","form_id":"v2"}"#);
        }
        assert_eq!(at("/webhooks/workflows/x", "{}").unwrap(), Payload::default());
    }

    #[test]
    fn a_missing_message_is_an_agents_error_only() {
        for body in ["{}", r#"{"message":null}"#, r#"{"input_data":{}}"#] {
            let missing = Malformed::Missing { field: "message", expected: "a string" };
            assert_eq!(at("/webhooks/agents/x", body), Err(missing), "{body}");
        }
        assert!(matches!(at("/webhooks/agents/x", r#"{"message":5}"#), Err(Malformed::Type { field: "message", .. })));
    }

    #[test]
    fn the_success_is_the_documented_one() {
        let (status, body) = text(&accepted(&View { estimated_at: Some("2024-01-15T10:30:00Z"), ..view() }));
        let wanted = format!(
            r#"{{"success":true,"message":"Webhook processed successfully","execution_id":"{}","status":"queued","estimated_completion":"2024-01-15T10:30:00Z"}}"#,
            view().execution
        );
        assert_eq!((status, body), (200, wanted));
    }

    #[test]
    fn the_error_is_the_documented_one() {
        let (status, body) = text(&error(&fault()).unwrap());
        let wanted = r#"{"success":false,"error":{"code":"INVALID_INPUT","message":"Required field 'message' is missing","details":{"field":"message","expected":"string","received":"null"}}}"#;
        assert_eq!((status, body.as_str()), (400, wanted));
        let other = Fault { received: Some("a list"), ..fault() };
        let told: Value = serde_json::from_str(&text(&error(&other).unwrap()).1).unwrap();
        assert_eq!(told["error"]["message"], "Field 'message' must be of type string, not array");
        let unproven =
            Fault { status: 401, code: "unauthenticated", field: None, expected: None, received: None, ..fault() };
        let (status, body) = text(&error(&unproven).unwrap());
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &told["error"]["code"]), (401, &json!("UNAUTHENTICATED")));
        assert_eq!((&told["error"]["message"], &told["error"]["details"]), (&json!("told"), &json!({})));
    }
}
