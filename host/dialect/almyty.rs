//! The webhooks of almyty's agents: `docs/dialects/almyty.md`.
//!
//! In: the agent's input, at `/agents/{hook}/webhook`. Out: an execution id at once, which is polled at
//! `/agents/{hook}/executions/{execution}`.
//! Source: the page "Webhooks" of almyty's documentation (v1), read 2026-11.

use bytes::Bytes;
use serde::Serialize;

use super::{Answer, Callback, Fault, Malformed, Payload, View, body, native};
use crate::id::ExecutionId;
use crate::trigger::{Json, Request};

pub(super) fn parse(request: &Request) -> Result<Payload, Malformed> {
    body::free(request)
}

/// The documented shape; an agent may expect another.
pub(super) fn request(payload: &Payload) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a Json>,
    }
    super::bytes(&Body { message: payload.message.as_deref(), payload: super::given(&payload.data) })
}

/// Nobody waits for the reply here: it is polled, or called back.
pub(super) fn answer(view: &View<'_>) -> Answer {
    accepted(view)
}

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    data: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    execution_id: ExecutionId,
    status: &'static str,
}

/// The status is `running` by the product's page, whether a worker has it yet or not.
pub(super) fn accepted(view: &View<'_>) -> Answer {
    let data = Accepted { execution_id: view.execution, status: "running" };
    super::json(200, &Success { success: true, data })
}

/// The envelope of a success, and nothing to poll in it.
pub(super) fn filtered() -> Answer {
    #[derive(Serialize)]
    struct Filtered {
        filtered: bool,
    }
    super::json(200, &Success { success: true, data: Filtered { filtered: true } })
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
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// The counterpart of the envelope of a success; the page shows none.
pub(super) fn error(fault: &Fault<'_>) -> Option<Answer> {
    let error = Told { code: fault.code, message: fault.message, field: fault.field };
    Some(super::json(fault.simple_status(), &Failure { success: false, error }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::testing::{fault, request, text, view};

    #[test]
    fn the_agents_input_is_kept_whole() {
        let body = r#"{ "message": "Process this incoming data", "payload": { "key": "value" } }"#;
        let payload = parse(&request(body)).unwrap();
        assert_eq!((payload.data.as_str(), payload.message.as_deref()), (body, Some("Process this incoming data")));
        let foreign = parse(&request(r#"{"message":{"text":"of some other sender"}}"#)).unwrap();
        assert_eq!(foreign.message, None);
    }

    #[test]
    fn a_trigger_is_running_at_once() {
        let (id, wanted) = (view().execution, accepted(&view()));
        let body = format!(r#"{{"success":true,"data":{{"executionId":"{id}","status":"running"}}}}"#);
        assert_eq!(text(&wanted), (200, body));
    }

    #[test]
    fn an_error_has_the_envelopes_other_half() {
        let (status, body) = text(&error(&fault()).unwrap());
        assert_eq!(status, 400);
        let wanted = r#"{"success":false,"error":{"code":"invalid-request","message":"told","field":"message"}}"#;
        assert_eq!(body, wanted);
    }
}
