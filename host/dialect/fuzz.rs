//! Fuzz targets: whatever a caller writes becomes a trigger or a fault that can be told in the caller's dialect.

use flowgate_fuzz::{Grow, fuzz};
use serde::de::IgnoredAny;

use super::testing::view;
use super::*;
use crate::trigger::{HttpReply, InputError};

/// The products' documented bodies, and what else comes along.
const BODIES: &[&str] = &[
    r#"{"message":"hi","user_id":"u","session_id":"s","data":{ "n": 1.0 },"metadata":{"a":1}}"#,
    r#"{"message":"Hello","userId":"user123","sessionId":"session123"}"#,
    r#"{"userId":"user123","sessionId":"session123","text":"Hello","data":{"exampleKey":"exampleValue"}}"#,
    r#"{"input":"Summarise this","context":{"customer":{"email":"a@example.com"}}}"#,
    r#"{"message":"Analyze this","context":{"user_id":"1"},"thread_id":"t","data":[1,{"a":null}]}"#,
    r#"{"input_data":{"name":"Ada"},"metadata":{"source":"crm"}}"#,
    r#"{"a":{"a":{"a":[[[[{}]]]]}},"a\u0000":1,"\ud83d\ude00":"\ud800"}"#,
    "message=hi&a=1&a=2&%zz=+",
    "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=f; \
     filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n",
    "<order id=\"1\"/>",
    "[1, 2]",
    "plain text",
    "",
];
const KINDS: &[&str] = &[
    "application/json",
    "application/problem+json; charset=utf-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=\"a b\"",
    "application/xml",
    "application/x-ndjson",
    "text/plain",
    "application/octet-stream",
    "",
];

fn request(grow: &mut Grow<'_>) -> Request {
    let field = |name: &str, value: Vec<u8>| Header { name: name.to_owned(), value: value.into() };
    let mut headers = Vec::new();
    if !grow.once_in(4) {
        headers.push(field("content-type", grow.bytes(KINDS)));
    }
    Request {
        method: "POST".to_owned(),
        path: grow.text(&["/webhooks/agents/x", "/webhooks/workflows/x", "/agents/x/webhook"]),
        query: grow.text(&["", "a=1"]),
        headers,
        body: grow.bytes(BODIES).into(),
        peer: "192.0.2.1".to_owned(),
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[test]
fn a_body_becomes_a_payload_or_a_fault_that_can_be_told() {
    fuzz!(|grow| {
        let (name, dialect) = *grow.pick(DIALECTS);
        let request = request(grow);
        match dialect.parse(&request) {
            Ok(payload) => {
                assert!([payload.data, payload.metadata].iter().all(|json| is_json(json.as_str().as_bytes())));
            }
            Err(malformed) => {
                let message = malformed.to_string();
                let field = grow.text(&["message"]);
                let told = Fault {
                    status: 422,
                    code: "invalid-request",
                    message: &message,
                    field: Some(&field),
                    expected: None,
                    received: None,
                };
                let answer = dialect.error(&told);
                assert!(answer.is_none_or(|answer| is_json(&answer.body) && answer.status < 500), "{name}");
            }
        }
    });
}

#[test]
fn a_reply_can_be_told_in_every_dialect() {
    fuzz!(|grow| {
        let (name, dialect) = *grow.pick(DIALECTS);
        let texts = ["", "hi", "é\u{1f600}\"\\\n"];
        let json = |grow: &mut Grow<'_>| Json::parse(grow.text(&["{}", "[1]", "null", "\"x\"", r#"{"a":1}"#])).ok();
        let outputs = [
            Output::Say { text: Some(grow.text(&texts)), data: json(grow) },
            Output::Progress { percent: Some(5), message: grow.text(&texts) },
            Output::Delta { text: grow.text(&texts) },
        ];
        let raw = grow.once_in(4).then(|| HttpReply { status: 200, headers: Vec::new(), body: Bytes::new() });
        let reply = Reply { text: Some(grow.text(&texts)), data: json(grow), raw: raw.clone() };
        let problem = InputError {
            field: grow.text(&texts),
            expected: String::new(),
            received: String::new(),
            message: grow.text(&texts),
        };
        let failure = Failure::InvalidInput(problem);
        let (user, session) = (grow.text(&texts), grow.text(&texts));
        let view = View {
            reply: Some(&reply).filter(|_| !grow.once_in(4)),
            failure: Some(&failure).filter(|_| grow.once_in(4)),
            output: Some(grow.pick(&outputs)),
            user_id: Some(&user),
            session_id: Some(&session),
            ..view()
        };
        assert!(is_json(&dialect.accepted(&view).body), "{name}");
        assert!(raw.is_some() || is_json(&dialect.answer(&view).body), "{name}");
        assert!(dialect.callback(&view).iter().all(|callback| is_json(&callback.body)), "{name}");
    });
}
