//! Makes a message for Slack of an event, with the greeting in its config. An event whose `data.status` is `skipped` is not
//! sent; one whose `data.as` is `text` is sent as plain text.
#![cfg(target_family = "wasm")]

use serde_json::{Value, json};

wit_bindgen::generate!({
    path: [
        "../../../wit/deps/wasi-logging-0.1.0-draft",
        "../../../wit/deps/wasi-config-0.2.0-rc.1",
        "../../../wit/transform-0.1.0",
    ],
    world: "flowgate:transform/transform",
    generate_all,
});

use exports::flowgate::transform::transformer::{Body, Event, Guest, Header, Message, Raw};
use wasi::config::store;
use wasi::logging::logging::{Level, log};

struct SlackMessage;

impl Guest for SlackMessage {
    fn transform(event: Event) -> Result<Option<Message>, String> {
        let payload: Value = serde_json::from_str(&event.payload).map_err(|error| error.to_string())?;
        log(Level::Info, "slack", &format!("{} for {}", event.type_, event.subscription));
        let data = &payload["data"];
        if data["status"] == "skipped" {
            return Ok(None);
        }
        let greeting = store::get("greeting").ok().flatten().unwrap_or_default();
        let text = format!("{greeting}{}: {}", event.type_, data["flow"]["name"].as_str().unwrap_or("a flow"));
        let body = if data["as"] == "text" {
            Body::Raw(Raw { content_type: "text/plain; charset=utf-8".to_owned(), bytes: text.into_bytes() })
        } else {
            Body::Json(json!({ "text": text }).to_string())
        };
        let headers = vec![Header { name: "x-event".to_owned(), value: event.type_ }];
        Ok(Some(Message { body, headers }))
    }
}

export!(SlackMessage);
