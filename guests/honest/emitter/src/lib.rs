//! Emits events and replies with what it is told. `data`: `{"emit": [["ticket.opened", {"id": 1}]], "reply": {…},
//! "fail": "why"}`; a refused event ends it.

use flowgate::{Failure, Reply, Result, Trigger, events};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    emit: Vec<(String, Value)>,
    #[serde(default)]
    reply: Value,
    fail: Option<String>,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    for (name, data) in &input.emit {
        events::emit(name, data)?;
    }
    match input.fail {
        Some(why) => Err(Failure::failed(why)),
        None => Ok(Reply::json(&input.reply)?.with_text(format!("emitted {}", input.emit.len()))),
    }
}

flowgate::flow!(handle);
