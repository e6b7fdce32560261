//! `flowgate:transform@0.1.0`: components that reshape deliveries.

use bytes::Bytes;
use wasmtime::AsContextMut;

use crate::trigger::Json;

use self::generated::exports::flowgate::transform::transformer;

pub use self::generated::{Transform, TransformPre};

#[expect(missing_docs, reason = "bindgen writes this module; the WIT carries the words")]
mod generated {
    wasmtime::component::bindgen!({
        path: ["wit/deps/wasi-logging-0.1.0-draft", "wit/deps/wasi-config-0.2.0-rc.1", "wit/transform-0.1.0"],
        world: "flowgate:transform/transform",
        ownership: Borrowing { duplicate_if_necessary: true },
        exports: { default: async },
        require_store_data_send: true,
        with: {
            "wasi:logging/logging": crate::bindings::v0_1::wasi::logging::logging,
            "wasi:config/store": crate::bindings::v0_1::wasi::config::store,
        },
    });
}

/// The name of the interface that makes a component a transform of this version.
pub const TRANSFORMER: &str = "flowgate:transform/transformer@0.1.0";

/// What a transform is given.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The delivery's id.
    pub id: &'a str,
    /// What it tells.
    pub kind: &'a str,
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// The subscription's id.
    pub subscription: &'a str,
    /// The body as it would be sent: one JSON text.
    pub payload: &'a str,
}

/// What a transform makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The body.
    pub body: Bytes,
    /// The body's type.
    pub content_type: String,
    /// Names and values, unchecked.
    pub headers: Vec<(String, String)>,
}

/// A transform gave something that its types allow and its contract does not.
#[derive(Debug, thiserror::Error)]
#[error("the body of the message is not one JSON text: {0}")]
pub struct BadMessage(serde_json::Error);

/// What a transform came to: a message, or none; or why it made neither, in its own words.
pub type Made = Result<Option<Message>, String>;

/// Calls the transform. The outer error is a trap; the middle one a message that breaks the contract.
///
/// Dropping the future stops the guest for good: its store can then only be dropped.
pub async fn transform<S>(
    transform: &Transform,
    store: S,
    event: Event<'_>,
) -> wasmtime::Result<Result<Made, BadMessage>>
where
    S: AsContextMut,
    S::Data: Send,
{
    let Event { id, kind, at_ms, subscription, payload } = event;
    let lowered = transformer::Event { id, type_: kind, at_ms, subscription, payload };
    Ok(match transform.flowgate_transform_transformer().call_transform(store, lowered).await? {
        Ok(message) => message.map(Message::try_from).transpose().map(Ok),
        Err(words) => Ok(Err(words)),
    })
}

impl TryFrom<transformer::Message> for Message {
    type Error = BadMessage;

    fn try_from(message: transformer::Message) -> Result<Self, BadMessage> {
        let (body, content_type) = match message.body {
            transformer::Body::Json(text) => {
                let json = Json::parse(text).map_err(BadMessage)?;
                (Bytes::from(json.as_str().to_owned()), "application/json".to_owned())
            }
            transformer::Body::Raw(raw) => (raw.bytes.into(), raw.content_type),
        };
        let headers = message.headers.into_iter().map(|header| (header.name, header.value)).collect();
        Ok(Self { body, content_type, headers })
    }
}
