//! Waits for many things at one time, without an SDK. `data`: `{"calls": 4, "ms": 100, "fetch": ["http://…"], "wasi": false}`:
//! so many pauses of that length, each followed by a note of its own in the session, all at once; then all the URLs at once,
//! by `flowgate:flow/http` or by `wasi:http`. The reply tells how long the pauses took together, what the session then has,
//! and what came of the requests.
#![cfg(target_family = "wasm")]

use exports::flowgate::flow::{describe, handler};
use flowgate::flow::flow_types::{Failure, InputError, Reply, Trigger};
use flowgate::flow::{http, output, session};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;
use wasi::clocks::monotonic_clock;
use wasi::http::{client, types};

wit_bindgen::generate!({
    path: [
        "../../../wit/deps/wasi-clocks-0.3.0",
        "../../../wit/deps/wasi-random-0.3.0",
        "../../../wit/deps/wasi-filesystem-0.3.0",
        "../../../wit/deps/wasi-sockets-0.3.0",
        "../../../wit/deps/wasi-cli-0.3.0",
        "../../../wit/deps/wasi-http-0.3.0",
        "../../../wit/deps/wasi-logging-0.1.0-draft",
        "../../../wit/deps/wasi-config-0.2.0-rc.1",
        "../../../wit/flow-0.2.0",
    ],
    inline: "package flowgate:guests;
        world concurrent { include flowgate:flow/described-flow@0.2.0; import wasi:clocks/monotonic-clock@0.3.0; import wasi:http/client@0.3.0; }",
    world: "flowgate:guests/concurrent",
    generate_all,
});

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    calls: u32,
    #[serde(default)]
    ms: u64,
    #[serde(default)]
    fetch: Vec<String>,
    #[serde(default)]
    wasi: bool,
}

struct Concurrent;

impl handler::Guest for Concurrent {
    async fn handle(trigger: Trigger) -> Result<Reply, Failure> {
        let input: Input = serde_json::from_str(&trigger.data).map_err(|error| {
            let (expected, received) = ("{calls, ms}".to_owned(), trigger.data.clone());
            Failure::InvalidInput(InputError {
                field: "data".to_owned(),
                expected,
                received,
                message: error.to_string(),
            })
        })?;
        let since = monotonic_clock::now();
        let calls = join_all((0..input.calls).map(|n| call(n, input.ms))).await;
        calls.into_iter().collect::<Result<Vec<_>, _>>()?;
        let took_ms = (monotonic_clock::now() - since) / 1_000_000;
        let entries = join_all((0..input.calls).map(|n| async move { session::get(format!("call-{n}")).await })).await;
        let entries = entries.into_iter().collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let kept = entries.into_iter().flatten().map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
        let fetched = join_all(input.fetch.iter().map(|url| fetch(url, input.wasi))).await;
        let data = json!({ "took_ms": took_ms, "kept": kept.collect::<Vec<_>>(), "fetched": fetched });
        Ok(Reply {
            text: Some(format!("{} calls", input.calls)),
            stream: None,
            data: Some(data.to_string()),
            raw: None,
        })
    }
}

async fn call(n: u32, ms: u64) -> Result<(), Failure> {
    monotonic_clock::wait_for(ms * 1_000_000).await;
    session::set(format!("call-{n}"), format!("kept {n}").into_bytes(), None).await.map_err(failed)?;
    output::say(Some(format!("call {n}")), None).await.map_err(failed)
}

/// The status of the answer, or why there is none.
async fn fetch(url: &str, wasi: bool) -> String {
    if wasi {
        return match send(url).await {
            Ok(response) => response.get_status_code().to_string(),
            Err(error) => format!("{error:?}"),
        };
    }
    let (method, url) = ("GET".to_owned(), url.to_owned());
    match http::fetch(http::Request { method, url, headers: vec![], body: vec![], timeout_ms: None }).await {
        Ok(response) => response.status.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

async fn send(url: &str) -> Result<types::Response, types::ErrorCode> {
    let (authority, path) = url.trim_start_matches("http://").split_once('/').unwrap_or((url, ""));
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = types::Request::new(types::Fields::new(), None, no_trailers, None);
    let whole = request.set_scheme(Some(&types::Scheme::Http)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(&format!("/{path}"))).is_ok();
    if whole { client::send(request).await } else { Err(types::ErrorCode::HttpRequestUriInvalid) }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

impl describe::Guest for Concurrent {
    fn describe() -> String {
        json!({ "title": "Concurrent" }).to_string()
    }
}

export!(Concurrent);
