//! A case's turns, said to a hook one after the other, and what came of each.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::remote::Remote;
use super::send::media_type;
use crate::dialect::Payload;
use crate::egress::{Body, Request};
use crate::project::case::{Came, Case, Turn};
use crate::trigger::Json;

/// How long a turn may take; the engine's own limits end it before.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// How often an execution is looked at that goes on after its answer.
const PERIOD: Duration = Duration::from_millis(20);

/// A conversation with a hook that lets everybody in.
pub(super) struct Talk<'a> {
    pub(super) case: &'a Case,
    /// As the API shows it.
    pub(super) hook: &'a Value,
    pub(super) remote: &'a Remote,
    /// What the names of sessions begin with, so that they meet no memory of an earlier time.
    pub(super) sessions: &'a str,
}

impl Talk<'_> {
    /// Says all turns. Returns all that is not as the case wants it.
    pub(super) async fn hold(&self) -> anyhow::Result<Vec<String>> {
        let (mut faults, several) = (Vec::new(), self.case.turns.len() > 1);
        for (n, turn) in (1..).zip(&self.case.turns) {
            let came = self.say(turn).await.with_context(|| format!("turn {n}"))?;
            let placed = |fault: String| if several { format!("turn {n}: {fault}") } else { fault };
            faults.extend(turn.expect.faults(&came).into_iter().map(placed));
        }
        Ok(faults)
    }

    async fn say(&self, turn: &Turn) -> anyhow::Result<Came> {
        let (remote, body) = (self.remote, body(turn, self.case, self.sessions)?);
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type(&body)))]);
        for (name, value) in &turn.headers {
            headers.insert(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        }
        let path = self.hook["url_path"].as_str().context("the server's answer has no `url_path`")?;
        let mut url = remote.at(&path.split('/').skip(1).collect::<Vec<_>>(), &[]);
        url.set_query(turn.query.as_deref());
        let (method, body) = (Method::POST, Body::from(body));
        let answer = remote.answer(Request { method, url, headers, body, deadline: PATIENCE, identity: None }).await?;
        // A problem names the execution in its body.
        let problem = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        let named = answer.headers.get("flowgate-execution-id").and_then(|id| id.to_str().ok());
        let Some(id) = named.or(problem["execution_id"].as_str()) else {
            bail!("the trigger made no execution: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        };
        let execution = loop {
            let execution = remote.get(&["v1", "executions", id], &[]).await?;
            if !execution["finished_at"].is_null() {
                break execution;
            }
            tokio::time::sleep(PERIOD).await;
        };
        came(&execution, remote).await
    }
}

/// What came of an execution that has ended, as the API shows it.
pub(super) async fn came(execution: &Value, remote: &Remote) -> anyhow::Result<Came> {
    let id = execution["id"].as_str().context("the server's answer has no `id`")?;
    let events = remote.get(&["v1", "executions", id, "events"], &[]).await?;
    let logs = remote.get(&["v1", "executions", id, "logs"], &[]).await?;
    let calls = remote.get(&["v1", "executions", id, "calls"], &[]).await?;
    let some = |name: &str| Some(execution[name].clone()).filter(|value| !value.is_null());
    let said = events["data"].as_array().into_iter().flatten().filter(|event| event["event"] != "end");
    let attempts = logs["data"].as_array().into_iter().flatten();
    let logged = attempts.flat_map(|attempt| attempt["lines"].as_array().into_iter().flatten());
    Ok(Came {
        status: execution["status"].as_str().unwrap_or_default().to_owned(),
        reason: execution["reason"].as_str().map(str::to_owned),
        reply: some("reply"),
        failure: some("failure"),
        stopped: some("stopped"),
        outputs: said.map(|event| json!({ "event": event["event"], "data": event["data"] })).collect(),
        events: emitted(&calls),
        logs: logged.map(|l| json!({ "level": l["level"], "source": l["source"], "message": l["message"] })).collect(),
        usage: execution["usage"].clone(),
    })
}

/// What an execution emitted, `{"name","data"}` each: its last attempt's events are those that became true.
fn emitted(calls: &Value) -> Vec<Value> {
    let last = calls["data"].as_array().and_then(|attempts| attempts.last());
    let calls = last.and_then(|last| last["calls"].as_array()).into_iter().flatten();
    let events = calls.filter(|call| call["kind"] == "event");
    events.map(|event| json!({ "name": event["name"], "data": event["data"] })).collect()
}

/// The body of a turn's request.
pub(super) fn body(turn: &Turn, case: &Case, sessions: &str) -> anyhow::Result<Bytes> {
    if let Some(body) = &turn.body {
        return Ok(body.clone().into());
    }
    let json = |value: &Option<Value>| value.as_ref().map(Json::of).transpose().map(Option::unwrap_or_default);
    Ok(case.dialect.request(&Payload {
        message: turn.message.clone(),
        user_id: turn.user.clone(),
        session_id: turn.session.as_ref().map(|session| format!("{sessions}{session}")),
        data: json(&turn.data)?,
        metadata: json(&turn.metadata)?,
    }))
}
