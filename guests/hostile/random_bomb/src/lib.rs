//! Asks for more random bytes than anybody needs. `data`: `{"bytes": 1099511627776, "times": 1}`.
#![cfg(target_family = "wasm")]

use flowgate::{Result, Trigger};
use serde::Deserialize;
use wasi::random::random::get_random_bytes;

wit_bindgen::generate!({
    path: "../../../wit/deps/wasi-random-0.2.12",
    inline: "package flowgate:guests; world random-bomb { import wasi:random/random@0.2.12; }",
    world: "flowgate:guests/random-bomb",
    generate_all,
});

#[derive(Deserialize)]
struct Input {
    #[serde(default = "terabyte")]
    bytes: u64,
    #[serde(default = "once")]
    times: u64,
}

fn terabyte() -> u64 {
    1 << 40
}

fn once() -> u64 {
    1
}

fn handle(trigger: Trigger) -> Result<String> {
    let input: Input = trigger.data()?;
    let got: usize = (0..input.times).map(|_| get_random_bytes(input.bytes).len()).sum();
    Ok(format!("got {got}"))
}

flowgate::flow!(handle);
