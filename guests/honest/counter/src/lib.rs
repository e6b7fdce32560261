//! Counts in the session's state by compare-and-set. `data`: `{"add": 1}`.

use flowgate::{Reply, Result, Trigger, session};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Input {
    #[serde(default = "one")]
    add: i64,
}

fn one() -> i64 {
    1
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let count = session::update("count", |count: &mut i64| {
        *count += input.add;
        Ok(*count)
    })?;
    let version = session::get("count")?.map(|entry| entry.version);
    Ok(Reply::json(&json!({ "count": count, "version": version }))?.with_text(count.to_string()))
}

flowgate::flow!(handle);
