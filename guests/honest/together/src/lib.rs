//! Does many things at one time, by the SDK. `data`: `{"lines": [[STEP, …], …]}`: all lines at once, the steps of each one after
//! the other, where a step is `{"ask": "words"}` to the model `fast`, `{"embed": "words"}` to it, `{"call": "flow", "data": {…}}`,
//! `{"start": "flow"}`, `{"fetch": "http://…"}` or `{"count": "key"}`; its reply tells what came of each. `{"read": "words",
//! "pieces": 3}` reads so many pieces of the model's reply, or all of them, and tells them; `{"pass_on": "words"}` replies with
//! that reply.
#![cfg(target_family = "wasm")]

use flowgate::asynchronous::{self, Streaming, keyvalue};
use flowgate::llm::{self, Chat};
use flowgate::{Reply, Result, Trigger, flows, http};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Lines { lines: Vec<Vec<Step>> },
    Read { read: String, pieces: Option<usize> },
    PassOn { pass_on: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Ask {
        ask: String,
    },
    Embed {
        embed: String,
    },
    Call {
        call: String,
        #[serde(default)]
        data: Value,
    },
    Start {
        start: String,
    },
    Fetch {
        fetch: String,
    },
    Count {
        count: String,
    },
}

async fn handle(trigger: Trigger) -> Result<Streaming> {
    match trigger.data()? {
        Input::Lines { lines } => {
            let done = asynchronous::join_all(lines.iter().map(|line| follow(line))).await;
            Ok(Reply::json(&done)?.into())
        }
        Input::Read { read, pieces } => {
            let mut words = asynchronous::open(&asking(&read)).await?;
            let mut told = Vec::new();
            while pieces.is_none_or(|most| told.len() < most) {
                let Some(piece) = words.next().await else { break };
                told.push(piece);
            }
            if pieces.is_some() {
                drop(words);
                return Ok(Reply::json(&json!({ "pieces": told }))?.into());
            }
            let whole = words.whole().await?;
            let told = json!({ "pieces": told, "text": whole.text(), "output_tokens": whole.usage.output_tokens });
            Ok(Reply::json(&told)?.into())
        }
        Input::PassOn { pass_on } => Ok(asynchronous::open(&asking(&pass_on)).await?.into_reply()),
    }
}

fn asking(words: &str) -> Chat {
    Chat::new("fast").user(words).max_tokens(100)
}

async fn follow(line: &[Step]) -> Vec<Value> {
    let mut done = Vec::new();
    for step in line {
        done.push(one(step).await.unwrap_or_else(|error| json!({ "error": error })));
    }
    done
}

/// What came of a step, or why nothing did.
async fn one(step: &Step) -> std::result::Result<Value, String> {
    match step {
        Step::Ask { ask } => {
            let reply = asynchronous::chat(&asking(ask)).await.map_err(|error| error.to_string())?;
            Ok(json!(reply.text()))
        }
        Step::Embed { embed } => {
            let embedded: std::result::Result<_, llm::Error> = asynchronous::embed("fast", &[embed.clone()]).await;
            let (vectors, _) = embedded.map_err(|error| error.to_string())?;
            Ok(json!(vectors.len()))
        }
        Step::Call { call, data } => {
            let call = flows::Call::to(call).with_data(data).map_err(|error| error.to_string())?;
            let reply = asynchronous::call(&call).await.map_err(|error| error.to_string())?;
            let data: Option<Value> = reply.data.and_then(|data| serde_json::from_str(&data).ok());
            Ok(json!({ "text": reply.text, "data": data }))
        }
        Step::Start { start } => {
            let id = asynchronous::start(&flows::Call::to(start)).await.map_err(|error| error.to_string())?;
            Ok(json!(id))
        }
        Step::Fetch { fetch } => {
            let answer = asynchronous::fetch(http::get(fetch)).await.map_err(|error| error.to_string())?;
            Ok(json!(answer.status))
        }
        Step::Count { count } => {
            let sum = keyvalue::bucket().increment(count, 1).await.map_err(|error| error.to_string())?;
            Ok(json!(sum))
        }
    }
}

flowgate::flow_async!(handle);
