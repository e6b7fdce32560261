//! `flowgate execution export`: what happened, as a case for `flowgate test`.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::Deserialize as _;
use serde_json::Value;

use super::execution_answers::{Untold, play};
use super::out::Out;
use super::remote::Remote;
use super::send::media_type;
use super::talk::{body, came};
use crate::capability::SECRETS_MAX;
use crate::dialect::Dialect;
use crate::project::case::{Case, Event, Expect, Turn};

/// Earlier executions of the conversation that are looked for.
const EARLIER_MAX: usize = 200;

/// Headers that the connection or the sender's program made, and not what is sent.
const INCIDENTAL: [&str; 8] =
    ["accept", "accept-encoding", "connection", "content-length", "date", "host", "prefer", "user-agent"];

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// `exe_…`
    execution: String,
    /// Leave out what was said before in the conversation. The flow then begins with an empty memory.
    #[arg(long)]
    alone: bool,
}

impl Export {
    /// Writes the case as JSON. The executions before it in the conversation become turns before it, since a flow answers
    /// out of what it remembers. What the server has kept of answers to the flow's requests is in the case.
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let execution = remote.get(&["v1", "executions", &self.execution], &[]).await?;
        let flow = execution["flow"].as_str().context("the flow of this execution is gone")?.to_owned();
        let earlier = if self.alone { Vec::new() } else { earlier(&execution, &flow, remote).await? };
        let config = remote.get(&["v1", "flows", &flow, "config"], &[]).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut case = Case {
            about: Some(format!(
                "{} of {}, by {}",
                self.execution,
                text(&execution["created_at"]),
                text(&execution["version"])
            )),
            dialect: Dialect::deserialize(&execution["trigger"]["dialect"]).context("the execution's dialect")?,
            config: BTreeMap::deserialize(config)?,
            secrets: secrets(&flow, remote).await?,
            ..Case::default()
        };
        let mut untold = 0;
        for execution in earlier.iter().chain([&execution]) {
            let id = text(&execution["id"]);
            let not = || format!("{id} cannot be a case");
            let answers = play(&id, &mut case, remote).await.with_context(not)?;
            untold += answers.calls;
            let turn = self.turn(execution, &case, &answers, remote).await;
            case.turns.push(turn.with_context(not)?);
        }
        if untold > 0 {
            out.hint(format_args!(
                "the answers to {untold} calls were not kept, and are not in the case: `flowgate dev --record` keeps them, or \
                 write them as `[[http]]` and `[models]`"
            ))?;
        }
        Ok(out.data(&serde_json::to_value(&case)?)?)
    }

    async fn turn(&self, execution: &Value, case: &Case, untold: &Untold, remote: &Remote) -> anyhow::Result<Turn> {
        let trigger = &execution["trigger"];
        if trigger["confidential"] == true {
            bail!("it is confidential: what was said in it was not recorded");
        }
        if execution["finished_at"].is_null() {
            bail!("it has not ended; `flowgate execution tail` waits for it");
        }
        if trigger["dialect"] != serde_json::to_value(case.dialect)? {
            bail!("its conversation changed from one dialect to another; `--alone` leaves out what was before");
        }
        let request = &trigger["request"];
        if request["body_base64"].is_string() {
            bail!("its body is not text");
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let content =
            |value: &Value| Some(value.clone()).filter(|value| !value.is_null() && *value != serde_json::json!({}));
        let mut turn = Turn {
            message: text(&trigger["message"]),
            session: text(&trigger["session_id"]),
            user: text(&trigger["user_id"]),
            data: content(&trigger["data"]),
            metadata: content(&trigger["metadata"]),
            query: text(&request["query"]).filter(|query| !query.is_empty()),
            ..Turn::default()
        };
        let sent = text(&request["body_text"]).unwrap_or_default();
        // What a person can read and change is better than bytes, as long as the flow cannot tell the difference.
        if serde_json::from_slice::<Value>(&body(&turn, case, "")?).ok() != serde_json::from_str(&sent).ok() {
            turn = Turn { body: Some(sent.clone()), query: turn.query, ..Turn::default() };
        }
        for header in request["headers"].as_array().into_iter().flatten() {
            let (name, value) = (text(&header["name"]).unwrap_or_default(), text(&header["value"]).unwrap_or_default());
            let usual = name == "content-type" && value == media_type(sent.as_bytes());
            if !usual && !INCIDENTAL.contains(&name.as_str()) {
                turn.headers.insert(name, value);
            }
        }
        let came = came(execution, remote).await?;
        let event = |event: &Value| Event {
            name: text(&event["name"]).unwrap_or_default(),
            data: Some(event["data"].clone()),
            conditions: None,
        };
        let events = came.events.iter().map(event).collect::<Vec<_>>();
        turn.expect = Expect {
            status: Some(came.status).filter(|status| status != "succeeded"),
            reason: came.reason,
            reply: came.reply,
            failure: came.failure,
            outputs: Some(came.outputs).filter(|outputs| !outputs.is_empty() && !untold.forwarded),
            events: Some(events).filter(|events| !events.is_empty()),
            ..Expect::default()
        };
        Ok(turn)
    }
}

/// The names of the secrets that the flow has.
async fn secrets(flow: &str, remote: &Remote) -> anyhow::Result<Vec<String>> {
    let list = remote.get(&["v1", "flows", flow, "secrets"], &[("limit", SECRETS_MAX.to_string())]).await?;
    let names = list["data"].as_array().into_iter().flatten().filter_map(|secret| secret["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// The conversation's executions before this one, oldest first, whole.
async fn earlier(execution: &Value, flow: &str, remote: &Remote) -> anyhow::Result<Vec<Value>> {
    let Some(session) = execution["session_id"].as_str() else { return Ok(Vec::new()) };
    let id = execution["id"].as_str().unwrap_or_default();
    let query = [
        ("flow", flow.to_owned()),
        ("session", session.to_owned()),
        ("cursor", id.to_owned()),
        ("limit", EARLIER_MAX.to_string()),
    ];
    let list = remote.get(&["v1", "executions"], &query).await?;
    if list["next_cursor"].is_string() {
        bail!("the conversation has more than {EARLIER_MAX} executions before this one; `--alone` leaves them out");
    }
    let mut earlier = Vec::new();
    for one in list["data"].as_array().into_iter().flatten().rev() {
        earlier.push(remote.get(&["v1", "executions", one["id"].as_str().unwrap_or_default()], &[]).await?);
    }
    Ok(earlier)
}
