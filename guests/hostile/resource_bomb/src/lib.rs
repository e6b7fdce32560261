//! Takes handles of the host and never gives them back. `data`: `{"handles": 10000000}`.
#![cfg(target_family = "wasm")]

use flowgate::{Result, Trigger};
use serde::Deserialize;
use wasi::clocks::monotonic_clock::subscribe_duration;

wit_bindgen::generate!({
    path: ["../../../wit/deps/wasi-io-0.2.12", "../../../wit/deps/wasi-clocks-0.2.12"],
    inline: "package flowgate:guests; world resource-bomb { import wasi:clocks/monotonic-clock@0.2.12; }",
    world: "flowgate:guests/resource-bomb",
    generate_all,
});

#[derive(Deserialize)]
struct Input {
    #[serde(default = "ten_million")]
    handles: u64,
}

fn ten_million() -> u64 {
    10_000_000
}

fn handle(trigger: Trigger) -> Result<String> {
    let handles = trigger.data::<Input>()?.handles;
    for _ in 0..handles {
        std::mem::forget(subscribe_duration(u64::MAX));
    }
    Ok(format!("took {handles}"))
}

flowgate::flow!(handle);
