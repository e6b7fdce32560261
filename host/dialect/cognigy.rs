//! The webhook endpoint of Cognigy.AI: `docs/dialects/cognigy.md`.
//!
//! In: `{"userId","sessionId","text"?,"data"?}`, of which at least one of the last two. Out: accepted at once, then one
//! POST for each output to the configured URL.
//! Source: the page "Webhook" of Cognigy.AI's endpoint reference, read 2026-11.

use bytes::Bytes;
use serde::Serialize;

use super::{Answer, Callback, Fault, Malformed, Payload, View, body};
use crate::id::ExecutionId;
use crate::trigger::{Json, Output, Request};

/// What the callbacks are called in the list of deliveries.
const EVENT: &str = "output";

/// The user and the session of a request that names none, and must.
const SOMEBODY: &str = "flowgate";

pub(super) fn parse(request: &Request) -> Result<Payload, Malformed> {
    let object = body::object(request)?;
    let needed = |field| object.string(field)?.ok_or(Malformed::Missing { field, expected: "a string" });
    let (user_id, session_id) = (needed("userId")?, needed("sessionId")?);
    // Both "missing or invalid" is the product's error, so one that is invalid beside a good one is passed over.
    let message = object.string("text").ok().flatten();
    let data = object.object("data").ok().flatten().map(body::json).transpose()?;
    if message.is_none() && data.is_none() {
        return Err(Malformed::Incomplete("at least one of `text`, a string, and `data`, an object, is needed"));
    }
    let data = data.unwrap_or_default();
    Ok(Payload { message, user_id: Some(user_id), session_id: Some(session_id), data, ..Payload::default() })
}

pub(super) fn request(payload: &Payload) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        user_id: &'a str,
        session_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a Json>,
    }
    let text = payload.message.as_deref();
    super::bytes(&Body {
        user_id: payload.user_id.as_deref().unwrap_or(SOMEBODY),
        session_id: payload.session_id.as_deref().unwrap_or(SOMEBODY),
        text,
        data: super::given(&payload.data).or(text.is_none().then_some(&payload.data)),
    })
}

/// Nobody waits for the reply here: it is called back.
pub(super) fn answer(view: &View<'_>) -> Answer {
    accepted(view)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    trace_id: String,
}

/// The page shows no body. The trace id is the one that the callbacks will carry.
pub(super) fn accepted(view: &View<'_>) -> Answer {
    super::json(200, &Accepted { trace_id: trace_id(view.execution) })
}

/// Without an execution there is no trace.
pub(super) fn filtered() -> Answer {
    super::native::filtered()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    user_id: Option<&'a str>,
    session_id: Option<&'a str>,
    #[serde(rename = "AIOutput")]
    output: AiOutput<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AiOutput<'a> {
    text: &'a str,
    data: Json,
    trace_id: &'a str,
    disable_sensitive_logging: bool,
    source: &'static str,
}

/// Each thing that the flow says.
pub(super) fn said(view: &View<'_>) -> Option<Callback> {
    match view.output? {
        Output::Say { text, data } => output(view, text.as_deref(), data.as_ref()),
        Output::Progress { .. } | Output::Delta { .. } => None,
    }
}

/// The reply, if it says something, is the last output.
pub(super) fn callback(view: &View<'_>) -> Option<Callback> {
    let reply = view.reply?;
    output(view, reply.text.as_deref(), reply.data.as_ref())
}

fn output(view: &View<'_>, text: Option<&str>, data: Option<&Json>) -> Option<Callback> {
    if text.is_none() && data.is_none() {
        return None;
    }
    let trace_id = trace_id(view.execution);
    let output = AiOutput {
        text: text.unwrap_or_default(),
        data: data.map(as_object).unwrap_or_default(),
        trace_id: &trace_id,
        disable_sensitive_logging: view.confidential,
        source: "bot",
    };
    let body = Body { user_id: view.user_id, session_id: view.session_id, output };
    Some(Callback { event: EVENT.to_owned(), body: super::bytes(&body) })
}

/// `AIOutput.data` is an object by the page; any other value is put into one.
fn as_object(data: &Json) -> Json {
    #[derive(Serialize)]
    struct Value<'a> {
        value: &'a Json,
    }
    if data.as_str().starts_with('{') {
        return data.clone();
    }
    Json::of(&Value { value: data }).expect("JSON in an object is JSON")
}

/// `endpoint-httpIncomingMessage-` and a UUID: the execution's.
fn trace_id(execution: ExecutionId) -> String {
    let hex = hex::encode(execution.as_bytes());
    let [a, b, c, d, e] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    format!("endpoint-httpIncomingMessage-{a}-{b}-{c}-{d}-{e}")
}

#[derive(Serialize)]
struct Failure<'a> {
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// The page says that there is an error, and not what it looks like.
pub(super) fn error(fault: &Fault<'_>) -> Option<Answer> {
    let status = fault.simple_status();
    let error = Told { status, code: fault.code, message: fault.message, field: fault.field };
    Some(super::json(status, &Failure { error }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::testing::{fault, request, text, view};
    use crate::trigger::Reply;

    fn with(more: &str) -> Result<Payload, Malformed> {
        parse(&request(&format!(r#"{{"userId":"user123","sessionId":"session123"{more}}}"#)))
    }

    #[test]
    fn text_and_data_may_come_alone_or_together() {
        let both = with(r#","text":"Hello","data":{"exampleKey":"exampleValue"}"#).unwrap();
        assert_eq!((both.user_id.as_deref(), both.session_id.as_deref()), (Some("user123"), Some("session123")));
        assert_eq!((both.message.as_deref(), both.data.as_str()), (Some("Hello"), r#"{"exampleKey":"exampleValue"}"#));
        assert_eq!(with(r#","text":"Hello""#).unwrap().data, Json::empty());
        assert_eq!(with(r#","data":{}"#).unwrap().message, None);
        assert_eq!(with(r#","text":5,"data":{}"#).unwrap().message, None);
    }

    #[test]
    fn neither_is_an_error_and_so_is_a_wrong_type_of_both() {
        for more in ["", r#","text":null"#, r#","text":5,"data":"x""#, r#","data":[]"#] {
            assert!(matches!(with(more), Err(Malformed::Incomplete(_))), "{more}");
        }
    }

    #[test]
    fn user_and_session_are_required() {
        let missing = |body| parse(&request(body)).unwrap_err().to_string();
        assert_eq!(missing(r#"{"sessionId":"s","text":"x"}"#), "`userId` is missing");
        assert_eq!(missing(r#"{"userId":"u","text":"x"}"#), "`sessionId` is missing");
        assert_eq!(missing(r#"{"userId":1,"text":"x"}"#), "`userId` must be a string, not a number");
    }

    #[test]
    fn each_output_is_a_callback_of_its_own() {
        let say = Output::Say { text: Some("one".to_owned()), data: None };
        let view = View { output: Some(&say), user_id: Some("u"), session_id: Some("s"), confidential: true, ..view() };
        let first = r#"{"userId":"u","sessionId":"s","AIOutput":{"text":"one","data":{},"traceId":"endpoint-httpIncomingMessage-01010101-0101-0101-0101-010101010101","disableSensitiveLogging":true,"source":"bot"}}"#;
        assert_eq!(&said(&view).unwrap().body[..], first.as_bytes());
        let progress = Output::Progress { percent: None, message: "half".to_owned() };
        assert_eq!(said(&View { output: Some(&progress), ..view }), None);
    }

    #[test]
    fn the_reply_is_the_last_output_and_one_that_says_nothing_is_not_sent() {
        let data = Json::parse("[1]".to_owned()).unwrap();
        let reply = Reply { data: Some(data), ..Reply::default() };
        let sent = callback(&View { reply: Some(&reply), ..view() }).unwrap();
        let body = serde_json::from_slice::<Value>(&sent.body).unwrap();
        assert_eq!((&body["AIOutput"]["text"], &body["AIOutput"]["data"]), (&json!(""), &json!({ "value": [1] })));
        assert_eq!(callback(&View { reply: Some(&Reply::default()), ..view() }), None);
        assert_eq!(callback(&view()), None);
    }

    #[test]
    fn an_error_is_told_with_status_400() {
        let wanted = r#"{"error":{"status":400,"code":"invalid-request","message":"told","field":"message"}}"#;
        assert_eq!(text(&error(&fault()).unwrap()), (400, wanted.to_owned()));
    }
}
