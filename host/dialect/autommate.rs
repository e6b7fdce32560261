//! The webhook channel of Autom Mate: `docs/dialects/autommate.md`.
//!
//! In: `{"message","userId","sessionId"}`. Out: what the flow decides, in the same response.
//! Source: the page "Webhook" of Autom Mate's documentation, read 2026-11.

use bytes::Bytes;
use serde::Serialize;

use super::{Answer, Callback, Fault, Malformed, Payload, View, body, native};
use crate::trigger::{Reply, Request};

pub(super) fn parse(request: &Request) -> Result<Payload, Malformed> {
    let object = body::object(request)?;
    Ok(Payload {
        message: object.string("message")?,
        user_id: object.string("userId")?,
        session_id: object.string("sessionId")?,
        data: object.without(&["message", "userId", "sessionId"]),
        ..Payload::default()
    })
}

pub(super) fn request(payload: &Payload) -> Bytes {
    let members = [
        ("message", payload.message.as_deref()),
        ("userId", payload.user_id.as_deref()),
        ("sessionId", payload.session_id.as_deref()),
    ];
    super::bytes(&super::object::with_texts(&payload.data, &members))
}

/// The flow's own response, or its data, or else its text.
pub(super) fn answer(view: &View<'_>) -> Answer {
    #[derive(Serialize)]
    struct Text<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
    }
    match view.reply {
        Some(Reply { raw: Some(_), .. }) => native::answer(view),
        Some(Reply { data: Some(data), .. }) => super::json(200, data),
        reply => super::json(200, &Text { text: reply.and_then(|reply| reply.text.as_deref()) }),
    }
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

/// The product's page shows no error, so the house's own form is as good as any and says more.
pub(super) fn error(fault: &Fault<'_>) -> Option<Answer> {
    native::error(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::testing::{request, text, view};
    use crate::trigger::{HttpReply, Json};

    #[test]
    fn the_documented_payload_is_taken_apart() {
        let payload = parse(&request(r#"{"message":"Hello","userId":"user123","sessionId":"session123"}"#)).unwrap();
        assert_eq!(payload.message.as_deref(), Some("Hello"));
        assert_eq!((payload.user_id.as_deref(), payload.session_id.as_deref()), (Some("user123"), Some("session123")));
        assert_eq!(payload.data, Json::empty());
    }

    #[test]
    fn what_is_not_documented_reaches_the_flow_as_data() {
        let payload = parse(&request(r#"{"message":"Hello", "ticket": { "n": 1.0 }, "a": []}"#)).unwrap();
        assert_eq!(payload.data.as_str(), r#"{"ticket":{ "n": 1.0 },"a":[]}"#);
    }

    #[test]
    fn another_type_than_documented_is_refused() {
        let told = |body| parse(&request(body)).unwrap_err().to_string();
        assert_eq!(told(r#"{"userId":7}"#), "`userId` must be a string, not a number");
        assert_eq!(told("[]"), "`body` must be an object, not a list");
        assert!(matches!(parse(&request("")), Err(Malformed::Json(_))));
    }

    #[test]
    fn the_flow_decides_the_format() {
        let data = Json::parse(r#"{"order":"A-1"}"#.to_owned()).unwrap();
        let raw = HttpReply { status: 201, headers: vec![], body: bytes::Bytes::from_static(b"<ok/>") };
        let said = |reply: &Reply| text(&answer(&View { reply: Some(reply), ..view() }));
        let mut reply = Reply { text: Some("Hi".to_owned()), ..Reply::default() };
        assert_eq!(said(&reply), (200, r#"{"text":"Hi"}"#.to_owned()));
        reply.data = Some(data);
        assert_eq!(said(&reply), (200, r#"{"order":"A-1"}"#.to_owned()));
        reply.raw = Some(raw);
        assert_eq!(said(&reply), (201, "<ok/>".to_owned()));
    }
}
