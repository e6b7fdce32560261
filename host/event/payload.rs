//! What is around an event's `data`, and the bytes that are sent.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Event, Facts, agenticflow, catalogue};
use crate::clock::Timestamp;
use crate::id::SubscriptionId;
use crate::signature;
use crate::trigger::Json;

/// What is around an event's `data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `{"type","timestamp","data"}`, as Standard Webhooks advises
    /// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, read 2026-08).
    #[default]
    Native,
    /// `{"event","timestamp","webhook_id","data"}`, as AgenticFlow's "Webhook Integration Guide" shows it (read 2026-11).
    AgenticFlow,
}

impl Format {
    /// The word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::AgenticFlow => "agenticflow",
        }
    }
}

#[derive(Serialize)]
struct Native<'a> {
    r#type: &'a str,
    timestamp: Timestamp,
    data: &'a Json,
}

#[derive(Serialize)]
struct AgenticFlow<'a> {
    event: &'a str,
    timestamp: String,
    webhook_id: SubscriptionId,
    data: &'a Json,
}

impl Event {
    /// AgenticFlow's name for it, where there is one.
    pub fn view(&self) -> Option<&'static str> {
        catalogue::view_of(&self.kind).map(|row| row.name)
    }

    /// Its `data` under one of its names; under any other than [`Event::view`], the native one.
    pub fn data(&self, name: &str) -> Json {
        let view = self.view().filter(|view| *view == name).and_then(|_| agenticflow::data(self));
        view.unwrap_or_else(|| match &self.facts {
            Facts::Execution(facts) => json(facts),
            Facts::Output(facts) => json(facts),
            Facts::Session(facts) => json(facts),
            Facts::Message(facts) => json(facts),
            Facts::Version(facts) => json(facts),
            Facts::Promotion(facts) => json(facts),
            Facts::Delivery(facts) => json(facts),
            Facts::Subscription(facts) => json(facts),
            Facts::Custom(facts) => json(facts),
        })
    }

    /// The bytes to send: compact JSON whose members are in the same order every time. `data` is [`Event::data`] under this
    /// name, or a part of it.
    ///
    /// AgenticFlow's sample for Node verifies `JSON.stringify` of the parsed body, so in its format the text is what
    /// JavaScript would write: `12` and not `12.0`, members called like array indexes first. Only a body beyond 256 KiB is
    /// left as it is.
    pub fn payload(&self, name: &str, format: Format, subscription: SubscriptionId, data: &Json) -> Bytes {
        match format {
            Format::Native => json(&Native { r#type: name, timestamp: self.at, data }).into_string().into(),
            Format::AgenticFlow => {
                let timestamp = self.at.whole_seconds();
                let body = json(&AgenticFlow { event: name, timestamp, webhook_id: subscription, data }).into_string();
                signature::stringify(body.as_bytes()).map_or_else(|| body.into(), Bytes::from)
            }
        }
    }
}

pub(super) fn json(value: &impl Serialize) -> Json {
    Json::of(value).expect("facts have a JSON form")
}
