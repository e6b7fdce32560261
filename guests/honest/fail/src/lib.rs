//! Fails with the trigger's message. `data`: `{"kind": "failed"}`, or `"invalid"` to blame the caller's `customer.email`.

use flowgate::{Failure, Result, Trigger};
use serde::Deserialize;

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    kind: Kind,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Failed,
    Invalid,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    Err(match input.kind {
        Kind::Failed => Failure::failed(trigger.message.unwrap_or_else(|| "no".to_owned())),
        Kind::Invalid => Failure::invalid("customer.email", "string", "null"),
    })
}

flowgate::flow!(handle);
