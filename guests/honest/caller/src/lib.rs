//! Calls other flows. `data`: `{"calls": [{"flow", "message", "data", "session_id", "start"}]}`, and its reply's data has what came of
//! each; or `{"again": true}`: calls itself with the same until it may not, and tells how deep it came.

use flowgate::{Reply, Result, Trigger, flows};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    again: bool,
    #[serde(default)]
    calls: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    flow: String,
    message: Option<String>,
    #[serde(default)]
    data: Value,
    session_id: Option<String>,
    #[serde(default)]
    start: bool,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    if input.again {
        return Reply::json(&again(&trigger.flow));
    }
    let told: Vec<Value> = input.calls.iter().map(one).collect();
    Reply::json(&told)
}

fn again(own: &str) -> Value {
    let deeper = flows::Call::to(own).with_data(&json!({ "again": true })).map(|call| call.call());
    match deeper {
        Ok(Ok(reply)) => {
            let told: Value = reply.data.and_then(|data| serde_json::from_str(&data).ok()).unwrap_or_default();
            json!({ "depth": told["depth"].as_u64().unwrap_or_default() + 1, "why": told["why"] })
        }
        Ok(Err(error)) | Err(error) => json!({ "depth": 0, "why": error.to_string() }),
    }
}

fn one(wanted: &Wanted) -> Value {
    let mut call = flows::Call::to(&wanted.flow);
    if let Some(message) = &wanted.message {
        call = call.with_message(message);
    }
    if let Some(id) = &wanted.session_id {
        call = call.with_session(id);
    }
    let data = if wanted.data.is_null() { json!({}) } else { wanted.data.clone() };
    let done = call.with_data(&data).and_then(|call| {
        if wanted.start {
            call.start().map(|id| json!({ "started": id }))
        } else {
            call.call().map(|reply| {
                let data: Option<Value> = reply.data.and_then(|data| serde_json::from_str(&data).ok());
                json!({ "text": reply.text, "data": data })
            })
        }
    });
    done.unwrap_or_else(|error| match error {
        flows::Error::Failed(failure) => json!({ "failed": format!("{failure:?}") }),
        flows::Error::Stopped(reason) => json!({ "stopped": reason }),
        other => json!({ "error": other.to_string() }),
    })
}

flowgate::flow!(handle);
