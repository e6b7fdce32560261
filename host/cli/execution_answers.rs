//! What requests and models answered an execution, as the parts of a case that answer the same.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use http::header::CONTENT_TYPE;
use serde::Deserialize as _;
use serde_json::Value;

use super::remote::Remote;
use crate::llm::{Mode, Rule, Spec};
use crate::project::case::{Case, Exchange, Response};

/// Headers of answers that the connection or the server's program made, and not what is said.
const INCIDENTAL: [&str; 6] = ["connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"];

/// What stands in a URL for a secret.
const REDACTED: &str = "[redacted]";

/// What a case cannot tell of an execution's calls.
#[derive(Default)]
pub(super) struct Untold {
    /// Calls whose answers the server has not kept.
    pub(super) calls: usize,
    /// Whether a model's words went to the caller as they came: in other pieces each time.
    pub(super) forwarded: bool,
}

/// Adds to a case what an execution was answered.
pub(super) async fn play(id: &str, case: &mut Case, remote: &Remote) -> anyhow::Result<Untold> {
    let calls = remote.get(&["v1", "executions", id, "calls"], &[]).await?;
    let spans = remote.get(&["v1", "executions", id, "spans"], &[]).await?;
    let (mut untold, mut answered) = (Untold::default(), 0);
    for call in of_all(&calls, "calls") {
        match call["kind"].as_str() {
            Some("http") => case.http.push(exchange(call)?),
            Some("llm") => {
                untold.forwarded |= call["forward"] == true;
                let script = || Spec { mode: Mode::Script, ..Spec::default() };
                let alias = call["model"].as_str().unwrap_or_default().to_owned();
                case.models.entry(alias).or_insert_with(script).rules.push(Rule::deserialize(&call["answer"])?);
            }
            _ => continue,
        }
        answered += usize::from(call["answer"]["error"].is_null());
    }
    let asked =
        |span: &&Value| span["error"].is_null() && ["http.fetch", "llm.chat"].iter().any(|name| span["name"] == *name);
    untold.calls = of_all(&spans, "spans").filter(asked).count().saturating_sub(answered);
    Ok(untold)
}

/// The members of all attempts.
fn of_all<'a>(list: &'a Value, part: &'a str) -> impl Iterator<Item = &'a Value> {
    let attempts = list["data"].as_array().into_iter().flatten();
    attempts.flat_map(move |attempt| attempt[part].as_array().into_iter().flatten())
}

fn exchange(call: &Value) -> anyhow::Result<Exchange> {
    let text = |name: &str| call[name].as_str();
    let (method, url) = (text("method").unwrap_or_default(), text("url").unwrap_or_default());
    if let Some(error) = text("error") {
        bail!("{method} {url} got no answer ({error}), which a case cannot play");
    }
    let status = call["status"].as_u64().and_then(|status| u16::try_from(status).ok()).context("an answer's status")?;
    let mut headers = match &call["headers"] {
        Value::Null => BTreeMap::new(),
        headers => BTreeMap::<String, String>::deserialize(headers)?,
    };
    headers.retain(|name, _| !INCIDENTAL.contains(&name.as_str()));
    let kind = headers.get(CONTENT_TYPE.as_str()).cloned().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_json = essence == "application/json" || essence.ends_with("+json");
    let json = text("body_text").filter(|_| is_json).and_then(|body| serde_json::from_str::<Value>(body).ok());
    let (base64, body_text) = (text("body_base64"), text("body_text").filter(|_| json.is_none()));
    let usual = match (&json, body_text, base64) {
        (Some(_), ..) => "application/json",
        (None, Some(_), _) => "text/plain; charset=utf-8",
        (None, None, _) => "application/octet-stream",
    };
    if kind == usual {
        headers.remove(CONTENT_TYPE.as_str());
    }
    let url = url.split_once(REDACTED).map_or_else(|| url.to_owned(), |(start, _)| format!("{start}*"));
    Ok(Exchange {
        method: Some(method.to_owned()),
        url,
        conditions: None,
        response: Response {
            status,
            headers,
            text: body_text.map(str::to_owned),
            json,
            base64: base64.map(str::to_owned),
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn played(call: &Value) -> Value {
        serde_json::to_value(exchange(call).unwrap()).unwrap()
    }

    #[test]
    fn an_answer_is_told_as_briefly_as_it_can_be() {
        let call = json!({
            "kind": "http", "method": "GET", "url": "https://a.example/x?y=1", "status": 200, "body_text": "{\"a\": 1}",
            "headers": {"content-type": "application/json", "date": "today", "etag": "\"1\""},
        });
        let told = json!({
            "method": "GET", "url": "https://a.example/x?y=1",
            "response": {"status": 200, "headers": {"etag": "\"1\""}, "json": {"a": 1}},
        });
        assert_eq!(played(&call), told);
        let response = |kind: &str, part: &str, body: &str| {
            let call =
                json!({"method": "GET", "url": "u", "status": 404, "headers": {"content-type": kind}, part: body});
            played(&call)["response"].clone()
        };
        assert_eq!(
            response("application/problem+json", "body_text", "{}"),
            json!({"status": 404, "headers": {"content-type": "application/problem+json"}, "json": {}})
        );
        let plain = response("text/plain; charset=utf-8", "body_text", "a");
        assert_eq!(plain, json!({"status": 404, "text": "a"}));
        let no_json = response("application/json", "body_text", "{");
        assert_eq!((&no_json["text"], &no_json["headers"]["content-type"]), (&json!("{"), &json!("application/json")));
        let image = response("image/png", "body_base64", "//4=");
        assert_eq!((&image["base64"], &image["headers"]["content-type"]), (&json!("//4="), &json!("image/png")));
    }

    #[test]
    fn what_has_a_secret_in_its_url_is_known_by_what_is_before() {
        let call = json!({"method": "GET", "url": "https://a.example/x?key=[redacted]&z=1", "status": 204});
        assert_eq!(played(&call)["url"], "https://a.example/x?key=*");
    }

    #[test]
    fn what_was_not_answered_cannot_be_played() {
        let error = exchange(&json!({"method": "GET", "url": "https://a.example/", "error": "timeout"})).unwrap_err();
        assert!(error.to_string().contains("GET https://a.example/ got no answer (timeout)"), "{error}");
    }
}
