//! Asks for another attempt at the first one and succeeds at the next. `data`: `{"failures": 1, "after_ms": null}`.

use std::time::Duration;

use flowgate::{Failure, Result, Trigger};
use serde::Deserialize;

#[derive(Deserialize)]
struct Input {
    #[serde(default = "one")]
    failures: u32,
    after_ms: Option<u64>,
}

fn one() -> u32 {
    1
}

fn handle(trigger: Trigger) -> Result<String> {
    let input: Input = trigger.data()?;
    if trigger.attempt > input.failures {
        return Ok(format!("attempt {}", trigger.attempt));
    }
    let message = format!("attempt {} is not enough", trigger.attempt);
    Err(match input.after_ms {
        Some(after_ms) => Failure::retry_after(Duration::from_millis(after_ms), message),
        None => Failure::retry(message),
    })
}

flowgate::flow!(handle);
