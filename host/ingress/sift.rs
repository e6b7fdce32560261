//! What a hook's filter sees of a request.

use serde_json::{Map, Value};

use crate::trigger::{Json, Request, Trigger};

/// `{"headers","query","body","message","user_id","session_id","data","metadata"}`, without what is absent. A header that
/// comes several times is one text with commas, as RFC 9110 §5.3 says; of a parameter that does, the first counts. The
/// body is its JSON, or else its text.
pub(super) fn seen(trigger: &Trigger) -> Value {
    let Request { headers, query, body, .. } = &trigger.request;
    let mut seen = Map::new();
    let mut by_name = Map::new();
    for header in headers {
        let value = String::from_utf8_lossy(&header.value);
        match by_name.get_mut(&header.name) {
            Some(Value::String(before)) => *before = format!("{before}, {value}"),
            _ => drop(by_name.insert(header.name.clone(), value.into_owned().into())),
        }
    }
    let mut parameters = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        parameters.entry(name).or_insert_with(|| value.into_owned().into());
    }
    let text = |text: &Option<String>| text.clone().map(Value::String);
    let members = [
        ("headers", Some(by_name.into())),
        ("query", Some(parameters.into())),
        ("body", read(body)),
        ("message", text(&trigger.message)),
        ("user_id", text(&trigger.user_id)),
        ("session_id", text(&trigger.session_id)),
        ("data", json(&trigger.data)),
        ("metadata", json(&trigger.metadata)),
    ];
    seen.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    seen.into()
}

/// None for what cannot be read within the usual depth, which then fits no condition.
fn json(json: &Json) -> Option<Value> {
    serde_json::from_str(json.as_str()).ok()
}

fn read(body: &[u8]) -> Option<Value> {
    let text = || std::str::from_utf8(body).ok().filter(|text| !text.is_empty()).map(Value::from);
    serde_json::from_slice(body).ok().or_else(text)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::trigger::Header;

    #[test]
    fn a_filter_sees_the_request_and_what_the_dialect_made_of_it() {
        let header = |name: &str, value: &'static str| Header { name: name.to_owned(), value: value.into() };
        let request = Request {
            query: "a=1&a=2&b=%20".to_owned(),
            headers: vec![header("x-event", "push"), header("accept", "a"), header("accept", "b")],
            body: Bytes::from_static(br#"{"action":"opened"}"#),
            ..Request::default()
        };
        let trigger = Trigger { message: Some("hi".to_owned()), request, ..Trigger::default() };
        let wanted = json!({
            "headers": { "x-event": "push", "accept": "a, b" }, "query": { "a": "1", "b": " " },
            "body": { "action": "opened" }, "message": "hi", "data": {}, "metadata": {},
        });
        assert_eq!(seen(&trigger), wanted);
    }

    #[test]
    fn a_body_that_is_no_json_is_text_or_nothing() {
        assert_eq!(read(b"hello"), Some(json!("hello")));
        assert_eq!((read(b""), read(b"\xff")), (None, None));
    }
}
