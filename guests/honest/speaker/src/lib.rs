//! Says things before it replies. `data`: `{"say": ["one", "two"], "pause_ms": 0}`. Each is said with a progress and with
//! its number as data. When nobody reads any more, it stops and fails.

use std::thread;
use std::time::Duration;

use flowgate::{Result, Trigger, output};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Input {
    say: Vec<String>,
    #[serde(default)]
    pause_ms: u64,
}

fn handle(trigger: Trigger) -> Result<String> {
    let input: Input = trigger.data()?;
    for (index, text) in input.say.iter().enumerate() {
        thread::sleep(Duration::from_millis(input.pause_ms));
        output::say_both(text, &json!({ "index": index }))?;
        output::progress(u8::try_from((index + 1) * 100 / input.say.len()).ok(), "speaking")?;
    }
    Ok(format!("said {}", input.say.len()))
}

flowgate::flow!(handle);
