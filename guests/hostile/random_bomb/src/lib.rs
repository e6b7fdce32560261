//! Asks for more random bytes than anybody needs. `data`: `{"bytes": 1099511627776}`.
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
}

fn terabyte() -> u64 {
    1 << 40
}

fn handle(trigger: Trigger) -> Result<String> {
    let bytes = get_random_bytes(trigger.data::<Input>()?.bytes);
    Ok(format!("got {}", bytes.len()))
}

flowgate::flow!(handle);
