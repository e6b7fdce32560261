//! An asynchronous flow that misbehaves as `data` says:
//!
//! - `{"do": "spin"}`: never comes to an end, and never waits.
//! - `{"do": "yield"}`: the same, and offers its thread to others all the while.
//! - `{"do": "wait"}`: waits for another day.
//! - `{"do": "flood"}`: streams a reply without an end.
//! - `{"do": "spawn"}`: begins ever more calls, and ends none.
//! - `{"do": "streams"}`: makes ever more streams.
//! - `{"do": "hold"}`: begins a reply and never ends it.
//! - `{"do": "trap"}`: begins a reply and panics.
//! - `{"do": "linger"}`: replies, and then runs on.
#![cfg(target_family = "wasm")]

use std::hint::black_box;

use exports::flowgate::flow::handler;
use flowgate::flow::flow_types::{Failure, Reply, Trigger};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::Deserialize;
use wasi::clocks::monotonic_clock;
use wit_bindgen::spawn_local;

wit_bindgen::generate!({
    path: [
        "../../../wit/deps/wasi-clocks-0.3.0",
        "../../../wit/deps/wasi-logging-0.1.0-draft",
        "../../../wit/deps/wasi-config-0.2.0-rc.1",
        "../../../wit/flow-0.2.0",
    ],
    inline: "package flowgate:guests;
        world unruly { include flowgate:flow/flow@0.2.0; import wasi:clocks/monotonic-clock@0.3.0; }",
    world: "flowgate:guests/unruly",
    generate_all,
});

const DAY_NS: u64 = 86_400_000_000_000;

#[derive(Deserialize)]
struct Input {
    r#do: String,
}

struct Unruly;

impl handler::Guest for Unruly {
    async fn handle(trigger: Trigger) -> Result<Reply, Failure> {
        let input: Input = serde_json::from_str(&trigger.data).map_err(|error| Failure::Failed(error.to_string()))?;
        let (mut parts, stream) = wit_stream::new();
        let mut reply = Reply { text: None, stream: None, data: None, raw: None };
        match input.r#do.as_str() {
            "spin" => spin(),
            "yield" => loop {
                wit_bindgen::yield_async().await;
            },
            "wait" => monotonic_clock::wait_for(DAY_NS).await,
            "spawn" => {
                let mut calls = FuturesUnordered::new();
                loop {
                    calls.push(monotonic_clock::wait_for(DAY_NS));
                    // Polled once, each is under way.
                    let _ = futures_util::poll!(calls.next());
                }
            }
            "streams" => {
                let mut held = Vec::new();
                loop {
                    held.push(wit_stream::new::<String>());
                }
            }
            "flood" => {
                spawn_local(async move { while parts.write_one("and on ".repeat(100)).await.is_none() {} });
                reply.stream = Some(stream);
            }
            "hold" => {
                spawn_local(async move {
                    parts.write_one("well".to_owned()).await;
                    monotonic_clock::wait_for(DAY_NS).await;
                    drop(parts);
                });
                reply.stream = Some(stream);
            }
            "trap" => {
                spawn_local(async move {
                    parts.write_one("well".to_owned()).await;
                    panic!("in the middle of a reply");
                });
                reply.stream = Some(stream);
            }
            _ => {
                spawn_local(async {
                    monotonic_clock::wait_for(1_000_000).await;
                    spin()
                });
                reply.text = Some("bye".to_owned());
            }
        }
        Ok(reply)
    }
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

export!(Unruly);
