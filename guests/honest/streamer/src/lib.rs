//! Streams its reply, word by word. `data`: `{"first": "Well, ", "words": ["one ", "two"], "pause_ms": 0}`. What it still does
//! when nobody reads any more, it logs.
#![cfg(target_family = "wasm")]

use exports::flowgate::flow::handler;
use flowgate::flow::flow_types::{Failure, Reply, Trigger};
use serde::Deserialize;
use wasi::clocks::monotonic_clock;
use wasi::logging::logging::{Level, log};

wit_bindgen::generate!({
    path: [
        "../../../wit/deps/wasi-clocks-0.3.0",
        "../../../wit/deps/wasi-logging-0.1.0-draft",
        "../../../wit/deps/wasi-config-0.2.0-rc.1",
        "../../../wit/flow-0.2.0",
    ],
    inline: "package flowgate:guests;
        world streamer { include flowgate:flow/flow@0.2.0; import wasi:clocks/monotonic-clock@0.3.0; }",
    world: "flowgate:guests/streamer",
    generate_all,
});

#[derive(Deserialize)]
struct Input {
    first: Option<String>,
    words: Vec<String>,
    #[serde(default)]
    pause_ms: u64,
}

struct Streamer;

impl handler::Guest for Streamer {
    async fn handle(trigger: Trigger) -> Result<Reply, Failure> {
        let input: Input = serde_json::from_str(&trigger.data).map_err(|error| Failure::Failed(error.to_string()))?;
        let (mut words, stream) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            for word in input.words {
                monotonic_clock::wait_for(input.pause_ms * 1_000_000).await;
                if let Some(word) = words.write_one(word).await {
                    log(Level::Warn, "streamer", &format!("nobody reads {word:?}"));
                    return;
                }
            }
        });
        Ok(Reply { text: input.first, stream: Some(stream), data: Some("{\"done\":true}".to_owned()), raw: None })
    }
}

export!(Streamer);
