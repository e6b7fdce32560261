//! The webhook channel of UPTIQ: `docs/dialects/uptiq.md`.
//!
//! In: any body, signed by HMAC-SHA256 in `x-signature`. Out: the result of the workflow.
//! Source: the page "Webhook" of UPTIQ's documentation (docs.uptiq.ai/core-concepts/agent/webhook.md), read 2026-11.

use bytes::Bytes;

use super::{Answer, Callback, Fault, Malformed, Payload, View, autommate, body, native};
use crate::trigger::Request;

pub(super) fn parse(request: &Request) -> Result<Payload, Malformed> {
    body::free(request)
}

pub(super) fn request(payload: &Payload) -> Bytes {
    super::bytes(&super::object::with_texts(&payload.data, &[("message", payload.message.as_deref())]))
}

/// The page names no format: the workflow's result is what the flow returns.
pub(super) fn answer(view: &View<'_>) -> Answer {
    autommate::answer(view)
}

pub(super) fn accepted(view: &View<'_>) -> Answer {
    native::accepted(view)
}

pub(super) fn filtered() -> Answer {
    native::filtered()
}

pub(super) fn said(view: &View<'_>) -> Option<Callback> {
    native::said(view)
}

pub(super) fn callback(view: &View<'_>) -> Option<Callback> {
    native::callback(view)
}

/// The product's page shows no error.
pub(super) fn error(fault: &Fault<'_>) -> Option<Answer> {
    native::error(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::testing::{request, text, view};
    use crate::trigger::{Json, Reply};

    #[test]
    fn the_whole_payload_is_the_workflows_input() {
        let body = r#"{ "documentId": "doc_1", "pages": 3, "message": "extracted" }"#;
        let payload = parse(&request(body)).unwrap();
        assert_eq!((payload.data.as_str(), payload.message.as_deref()), (body, Some("extracted")));
        let list = parse(&request("[1, 2]")).unwrap();
        assert_eq!((list.data.as_str(), list.message), ("[1, 2]", None));
    }

    #[test]
    fn the_answer_is_the_workflows_result() {
        let data = Json::parse(r#"{"summary":"ok"}"#.to_owned()).unwrap();
        let reply = Reply { data: Some(data), ..Reply::default() };
        assert_eq!(text(&answer(&View { reply: Some(&reply), ..view() })), (200, r#"{"summary":"ok"}"#.to_owned()));
    }
}
