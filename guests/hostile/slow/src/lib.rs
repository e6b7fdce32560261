//! Takes its time, but behaves: sleeps in steps and says so after each. `data`: `{"ms": 1000, "steps": 1}`, `ms` in all.

use std::thread;
use std::time::Duration;

use flowgate::{Result, Trigger, output};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default)]
struct Input {
    ms: u64,
    steps: u32,
}

impl Default for Input {
    fn default() -> Self {
        Self { ms: 1000, steps: 1 }
    }
}

fn handle(trigger: Trigger) -> Result<String> {
    let input: Input = trigger.data()?;
    let steps = input.steps.max(1);
    for step in 1..=steps {
        thread::sleep(Duration::from_millis(input.ms) / steps);
        output::say(&format!("step {step} of {steps}"))?;
    }
    Ok(format!("slept {} ms", input.ms))
}

flowgate::flow!(handle);
