//! Tells what its instance has been told so far, itself included. `data`: `{"panic": true}` to trap, `{"hold_kib": 1024}` to
//! keep so much memory.

use std::sync::Mutex;

use flowgate::{Reply, Result, Trigger, log};
use serde::Deserialize;
use serde_json::json;

static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HELD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

#[derive(Default, Deserialize)]
#[serde(default)]
struct Input {
    panic: bool,
    hold_kib: usize,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let message = trigger.message.unwrap_or_default();
    println!("told {message}");
    log::info!("noted {message}");
    let mut told = TOLD.lock().expect("one thread");
    told.push(message);
    assert!(!input.panic, "as told");
    HELD.lock().expect("one thread").resize(input.hold_kib << 10, 1);
    Reply::json(&json!({ "told": *told }))
}

flowgate::flow!(handle);
