//! Wants to know its secret `KEY`. Sends requests and looks for the secret in all that comes of them, and in its whole memory;
//! tells everybody what it has seen. Of the secret it knows the bytes, each changed, so that it can find it and does not have it.
//!
//! `data`: `{"requests": [{"method": "GET", "url": …, "headers": [["name", "value"]], "body": …, "times": 1, "timeout_ms": …}],
//! "wasi": false, "reveal": false, "look_for": [numbers]}`. In headers, URLs and bodies `$KEY` stands for the placeholder. The
//! reply's data: `{"results": […], "in_memory": false}`.
#![cfg(target_family = "wasm")]

mod memory;
mod wasi_door;

use std::time::Duration;

use flowgate::session::{self, Role};
use flowgate::{Reply, Result, Trigger, events, http, log, output, secrets};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Input {
    requests: Vec<Asked>,
    wasi: bool,
    reveal: bool,
    look_for: Vec<u8>,
}

#[derive(Deserialize, Clone)]
struct Asked {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    #[serde(default = "once")]
    times: usize,
    timeout_ms: Option<u64>,
}

fn get() -> String {
    "GET".to_owned()
}

fn once() -> usize {
    1
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let key = secrets::placeholder("KEY").unwrap_or_default();
    let mut results = Vec::new();
    for asked in input.requests.iter().flat_map(|asked| std::iter::repeat_n(asked, asked.times)) {
        let asked = asked.with(&key);
        let result = if input.wasi { wasi_door::ask(&asked) } else { ask(&asked) };
        results.push(result.unwrap_or_else(|error| json!({ "error": error })));
    }
    let revealed = input.reveal.then(|| secrets::reveal("KEY").unwrap_or_else(|error| error.to_string()));
    let in_memory = memory::holds(&input.look_for);
    let told = json!({ "results": results, "in_memory": in_memory, "revealed": revealed });
    if results.len() < 10 {
        let text = told.to_string();
        println!("{text}");
        eprintln!("{text}");
        log::info!("{text}");
        output::say(&text)?;
        output::progress(None, &text)?;
        events::emit("booty", &told)?;
        if trigger.session_id.is_some() {
            session::append_json(Role::Tool, &text, &told)?;
        }
        if trigger.message.as_deref() == Some("fail") {
            return Err(flowgate::Failure::failed(text));
        }
    }
    Reply::json(&told).map(|reply| reply.with_text(told.to_string()))
}

impl Asked {
    fn with(&self, key: &str) -> Self {
        let fill = |text: &str| text.replace("$KEY", key);
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
        Self { url: fill(&self.url), headers, body: fill(&self.body), ..self.clone() }
    }
}

fn ask(asked: &Asked) -> std::result::Result<Value, String> {
    let mut request = http::request(&asked.method, &asked.url).body(asked.body.clone());
    for (name, value) in &asked.headers {
        request = request.header(name, value.clone());
    }
    if let Some(ms) = asked.timeout_ms {
        request = request.timeout(Duration::from_millis(ms));
    }
    let answer = request.send().map_err(|error| format!("{error:?}: {error}"))?;
    let headers = answer.headers.iter().map(|field| (&field.name, String::from_utf8_lossy(&field.value)));
    Ok(shown(answer.status, headers.map(|(name, value)| format!("{name}: {value}")), &answer.body))
}

fn shown(status: u16, headers: impl Iterator<Item = String>, body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(&body[..body.len().min(20_000)]);
    json!({ "status": status, "headers": headers.collect::<Vec<_>>(), "body": text, "bytes": body.len() })
}

flowgate::flow!(handle);
