//! Replies with a huge text. `data`: `{"bytes": 33554432}`.

use flowgate::{Result, Trigger};
use serde::Deserialize;

#[derive(Deserialize)]
struct Input {
    #[serde(default = "huge")]
    bytes: usize,
}

fn huge() -> usize {
    32 << 20
}

fn handle(trigger: Trigger) -> Result<String> {
    Ok("x".repeat(trigger.data::<Input>()?.bytes))
}

flowgate::flow!(handle);
