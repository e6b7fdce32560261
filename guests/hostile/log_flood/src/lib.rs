//! Logs without measure, then replies. `data`: `{"lines": 100000, "bytes": 100}`, `bytes` for each line.

use flowgate::{Result, Trigger, log};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default)]
struct Input {
    lines: u64,
    bytes: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self { lines: 100_000, bytes: 100 }
    }
}

fn handle(trigger: Trigger) -> Result<String> {
    let input: Input = trigger.data()?;
    let line = "x".repeat(input.bytes);
    for number in 0..input.lines {
        log::info!("{number} {line}");
    }
    Ok(format!("logged {}", input.lines))
}

flowgate::flow!(handle);
