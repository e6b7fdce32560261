//! Flowgate's own wire format; `docs/dialects/native.md` describes it for callers.
//!
//! In: any body. A JSON object with no other members than `message`, `user_id`, `session_id`, `data` and `metadata` is
//! read as these; any other JSON is the `data`, and so are forms and JSON on lines; a text is the `message`; anything else
//! reaches the flow as bytes.
//!
//! Out: `{"execution_id":…,"status":…,"reply":{"text":…,"data":…}}`, or the flow's own HTTP response.

use bytes::Bytes;
use serde::Serialize;

use super::body::{self, Body, json};
use super::{Answer, Callback, Fault, Malformed, Payload, View, first_object, form, multipart};
use crate::id::{ExecutionId, HookId};
use crate::trigger::{Failure, Header, Json, Reply, Request};

const ENVELOPE: &[&str] = &["message", "user_id", "session_id", "data", "metadata"];

pub(super) fn parse(request: &Request) -> Result<Payload, Malformed> {
    let data = match body::read(request)? {
        Body::Json(text) => return parse_json(text),
        // What `curl -d` sends is called a form, and no form begins like this: there, braces and brackets are escaped.
        Body::Form(body) if body::begins_like_json(body) => return parse_json(body::text(body)?),
        Body::Text(text) | Body::Xml(text) => {
            return Ok(Payload { message: Some(text.to_owned()), ..Payload::default() });
        }
        Body::Form(body) => form::parse(body)?,
        Body::Multipart(content_type) => multipart::parse(content_type, &request.body)?,
        Body::Lines(body) => body::lines(body)?,
        Body::Other => return Ok(Payload::default()),
    };
    Ok(Payload { data, ..Payload::default() })
}

fn parse_json(text: &str) -> Result<Payload, Malformed> {
    let object = match first_object(text)? {
        Some(object) if object.names().all(|name| ENVELOPE.contains(&name)) => object,
        _ => return Ok(Payload { data: json(text.trim())?, ..Payload::default() }),
    };
    Ok(Payload {
        message: object.string("message")?,
        user_id: object.string("user_id")?,
        session_id: object.string("session_id")?,
        data: object.member("data").map(json).transpose()?.unwrap_or_default(),
        metadata: object.object("metadata")?.map(json).transpose()?.unwrap_or_default(),
    })
}

pub(super) fn request(payload: &Payload) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        session_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<&'a Json>,
    }
    super::bytes(&Body {
        message: payload.message.as_deref(),
        user_id: payload.user_id.as_deref(),
        session_id: payload.session_id.as_deref(),
        data: super::given(&payload.data),
        metadata: super::given(&payload.metadata),
    })
}

#[derive(Serialize)]
struct Standing<'a> {
    execution_id: ExecutionId,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a Reply>,
}

pub(super) fn answer(view: &View<'_>) -> Answer {
    if let Some(raw) = view.reply.and_then(|reply| reply.raw.as_ref()) {
        return Answer { status: raw.status, headers: raw.headers.clone(), body: raw.body.clone() };
    }
    standing(200, view, view.reply)
}

pub(super) fn accepted(view: &View<'_>) -> Answer {
    let mut answer = standing(202, view, None);
    let location = format!("/v1/executions/{}", view.execution);
    answer.headers.push(Header { name: "location".to_owned(), value: location.into() });
    answer
}

/// No execution, and nothing to be done about it: `{"filtered":true}`.
pub(super) fn filtered() -> Answer {
    #[derive(Serialize)]
    struct Filtered {
        filtered: bool,
    }
    super::json(200, &Filtered { filtered: true })
}

fn standing(status: u16, view: &View<'_>, reply: Option<&Reply>) -> Answer {
    super::json(status, &Standing { execution_id: view.execution, status: view.status, reply })
}

/// The form that Standard Webhooks advises: `{"type":…,"timestamp":…,"data":{…}}`.
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'a str,
    timestamp: Option<&'a str>,
    data: Ended<'a>,
}

#[derive(Serialize)]
struct Ended<'a> {
    execution_id: ExecutionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook: Option<HookId>,
    flow: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
}

/// Whoever wants to hear every output streams.
pub(super) fn said(_: &View<'_>) -> Option<Callback> {
    None
}

pub(super) fn callback(view: &View<'_>) -> Option<Callback> {
    let event = format!("execution.{}", view.status);
    let data = Ended {
        execution_id: view.execution,
        hook: view.hook,
        flow: view.flow,
        status: view.status,
        reason: view.reason,
        session_id: view.session_id,
        user_id: view.user_id,
        reply: view.reply,
        failure: view.failure,
    };
    let body = super::bytes(&Event { r#type: &event, timestamp: view.finished_at, data });
    Some(Callback { event, body })
}

/// Native errors are the house's own, which say more than a fault does.
pub(super) fn error(_: &Fault<'_>) -> Option<Answer> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::testing::view;

    fn request(content_type: &str, body: &'static [u8]) -> Request {
        let header = Header { name: "content-type".into(), value: content_type.to_owned().into() };
        Request { headers: vec![header], body: Bytes::from_static(body), ..Request::default() }
    }

    fn json(body: &'static str) -> Result<Payload, Malformed> {
        parse(&request("application/json; charset=utf-8", body.as_bytes()))
    }

    #[test]
    fn an_envelope_is_taken_apart() {
        let body = r#"{"message":"hi \u00e9","session_id":"s","data":{ "n": 1.0 },"metadata":{"a":1},"user_id":null}"#;
        let payload = json(body).unwrap();
        assert_eq!(payload.message.as_deref(), Some("hi é"));
        assert_eq!((payload.session_id.as_deref(), payload.user_id), (Some("s"), None));
        assert_eq!((payload.data.as_str(), payload.metadata.as_str()), (r#"{ "n": 1.0 }"#, r#"{"a":1}"#));
    }

    #[test]
    fn any_other_json_is_the_data() {
        for body in [r#"{"message":"hi","order":1}"#, "[1, 2]", "42", "\"x\""] {
            let payload = json(body).unwrap();
            assert_eq!((payload.data.as_str(), payload.message), (body, None));
        }
        assert_eq!(json("{}").unwrap(), Payload::default());
    }

    #[test]
    fn wrong_types_and_broken_json_are_refused_by_name() {
        let error = json(r#"{"message":5}"#).unwrap_err();
        assert_eq!(error.to_string(), "`message` must be a string, not a number");
        let error = json(r#"{"metadata":[1]}"#).unwrap_err();
        assert_eq!(error.to_string(), "`metadata` must be an object, not a list");
        assert_eq!(json(r#"{"data":1,"data":2}"#), Err(Malformed::Twice("data".into())));
        for broken in ["{", r#"{"a":1} x"#, "{\"a\":\"\u{1}\"}", "nul"] {
            assert!(matches!(json(broken), Err(Malformed::Json(_))), "{broken}");
        }
        assert!(matches!(parse(&request("application/json", b"\"\xff\"")), Err(Malformed::Json(_))));
    }

    #[test]
    fn text_is_the_message_and_bytes_stay_bytes() {
        let payload = parse(&request("text/plain", "grüezi".as_bytes())).unwrap();
        assert_eq!(payload.message.as_deref(), Some("grüezi"));
        assert_eq!(parse(&request("application/octet-stream", b"\xff{")).unwrap(), Payload::default());
    }

    #[test]
    fn xml_is_a_message_too() {
        for kind in ["application/xml", "text/xml; charset=utf-8", "application/soap+xml"] {
            assert_eq!(parse(&request(kind, b"<a/>")).unwrap().message.as_deref(), Some("<a/>"), "{kind}");
        }
        assert_eq!(parse(&request("application/xml", b"\xff\xfe<\0")).unwrap(), Payload::default());
    }

    #[test]
    fn forms_are_data() {
        let form = |body: &'static str| parse(&request("application/x-www-form-urlencoded", body.as_bytes()));
        let slack = form("token=x&payload=%7B%22a%22%3A1%7D").unwrap();
        assert_eq!((slack.data.as_str(), slack.message), (r#"{"payload":"{\"a\":1}","token":"x"}"#, None));
        assert_eq!(form(r#"{"message":"by curl"}"#).unwrap().message.as_deref(), Some("by curl"));
        let file = b"--b\r\nContent-Disposition: form-data; name=f; filename=n\r\n\r\n\xff\r\n--b--";
        let data = parse(&request("multipart/form-data; boundary=b", file)).unwrap().data;
        assert_eq!(data.as_str(), r#"{"f":{"filename":"n","offset":59,"part":0,"size_bytes":1}}"#);
    }

    #[test]
    fn lines_of_json_are_a_list() {
        let lines = |body: &'static str| parse(&request("application/x-ndjson", body.as_bytes()));
        for (body, list) in [("{\"n\": 1.0}\r\n\n[2]\n3", "[{\"n\": 1.0},[2],3]"), ("\n", "[]"), ("null\n", "[null]")] {
            assert_eq!(lines(body).unwrap().data.as_str(), list, "{body:?}");
        }
        for (body, told) in [
            ("1\n\n{\"a\":}", "line 3 cannot be read: it is not JSON: expected value at column 6"),
            ("1, 2", "line 1 cannot be read: it is not JSON: trailing characters at column 2"),
            ("{\"a\":1,\"a\":2}", "line 1 cannot be read: the member `a` comes twice"),
        ] {
            assert_eq!(lines(body).unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn deep_nesting_is_passed_on_and_does_not_overflow() {
        let deep = format!("{{\"data\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let request = Request { body: deep.into(), ..request("application/json", b"") };
        assert_eq!(parse(&request).unwrap().data.as_str().len(), 200_000);
    }

    #[test]
    fn a_raw_reply_is_the_whole_response() {
        let raw = crate::trigger::HttpReply { status: 299, headers: vec![], body: Bytes::from_static(b"x") };
        let reply = Reply { raw: Some(raw), ..Reply::default() };
        let view = View { reply: Some(&reply), ..view() };
        assert_eq!((answer(&view).status, &answer(&view).body[..]), (299, &b"x"[..]));
    }

    #[test]
    fn accepted_tells_where_to_look() {
        let answer = accepted(&view());
        assert_eq!(answer.status, 202);
        assert_eq!(answer.headers[1].value, format!("/v1/executions/{}", view().execution));
    }
}
