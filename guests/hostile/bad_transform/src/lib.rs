//! A transform that does what `data.do` says: `loop` for ever, `wait` for ever, `panic`, `refuse`, answer with `huge`,
//! `forged` or `broken` messages; anything else is sent as it came.
#![cfg(target_family = "wasm")]

use serde_json::Value;

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

struct BadTransform;

impl Guest for BadTransform {
    fn transform(event: Event) -> Result<Option<Message>, String> {
        let payload: Value = serde_json::from_str(&event.payload).map_err(|error| error.to_string())?;
        let mut headers = Vec::new();
        let body = match payload["data"]["do"].as_str() {
            Some("loop") => loop {
                std::hint::black_box(&payload);
            },
            Some("wait") => {
                std::thread::sleep(std::time::Duration::from_secs(3_600));
                Body::Json(event.payload)
            }
            Some("panic") => panic!("I have had enough"),
            Some("refuse") => return Err("not today".to_owned()),
            Some("huge") => Body::Raw(Raw { content_type: "text/plain".to_owned(), bytes: vec![b'x'; 6 << 20] }),
            Some("forged") => {
                headers.push(Header { name: "webhook-signature".to_owned(), value: "v1,forged".to_owned() });
                Body::Json(event.payload)
            }
            Some("broken") => Body::Json("{".to_owned()),
            _ => Body::Json(event.payload),
        };
        Ok(Some(Message { body, headers }))
    }
}

export!(BadTransform);
