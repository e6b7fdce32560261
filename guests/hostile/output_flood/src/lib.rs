//! Says more than anybody can read and takes no notice of refusals, then replies with how many there were.
//! `data`: `{"outputs": 100000, "bytes": 1024}`, `bytes` for each output.

use flowgate::{Result, Trigger, output};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default)]
struct Input {
    outputs: u64,
    bytes: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self { outputs: 100_000, bytes: 1024 }
    }
}

fn handle(trigger: Trigger) -> Result<String> {
    let input: Input = trigger.data()?;
    let text = "x".repeat(input.bytes);
    let refused = (0..input.outputs).filter(|_| output::say(&text).is_err()).count();
    Ok(format!("said {}, of which {refused} were refused", input.outputs))
}

flowgate::flow!(handle);
