//! What a subscription is told of an event, and the request that tells it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};
use url::Url;

use super::{Order, Reshaped, Subscription, Use};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::filter::Why;
use crate::signature;
use crate::trigger::Json;

/// Characters of a lane. What is longer shares one with what begins alike, which keeps the order.
const LANE_CHARS_MAX: usize = 200;

/// What a subscription is told of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The name under which it is told.
    pub name: String,
    /// The payload.
    pub body: Bytes,
    /// Messages with the same one are sent in order.
    pub lane: Option<String>,
}

/// Why a subscription is not told of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// It does not want events of this kind.
    Event,
    /// Its filter says no.
    Filter(Why),
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event => f.write_str("no entry of `events` has this name"),
            Self::Filter(why) => why.fmt(f),
        }
    }
}

/// Where a request goes and with which headers. Those that hold a secret are marked sensitive.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The receiver, with what the signature adds to its query.
    pub url: Url,
    /// Own headers, content type, signature, and the authentication where a header says it all.
    pub headers: HeaderMap,
}

impl Subscription {
    /// What it is told of an event, or why it is not.
    pub fn message(&self, event: &Event) -> Result<Message, Passed> {
        let spec = &self.spec;
        let name = spec.events.name_of(event, spec.format).ok_or(Passed::Event)?;
        let data = event.data(&name);
        let looks = spec.filter.is_some() || spec.conditions.is_some() || spec.include_fields.is_some();
        if !looks && !matches!(spec.order, Order::Pointer(_)) {
            return Ok(self.told(event, name, &data, &Value::Null));
        }
        let value = parsed(&data);
        self.check(&value).map_err(Passed::Filter)?;
        Ok(self.told(event, name, &data, &value))
    }

    /// What it would be told of an event under this name, whether it wants that or not, with other members of `data` where
    /// `over` has them; and why its filter would not let it pass.
    pub fn trial(&self, event: &Event, name: String, over: Map<String, Value>) -> (Message, Option<Why>) {
        let mut data = event.data(&name);
        let mut value = parsed(&data);
        if let (false, Some(members)) = (over.is_empty(), value.as_object_mut()) {
            members.extend(over);
            data = Json::of(&value).unwrap_or_default();
        }
        let why = self.check(&value).err();
        (self.told(event, name, &data, &value), why)
    }

    fn check(&self, data: &Value) -> Result<(), Why> {
        let filters = [&self.spec.filter, &self.spec.conditions];
        filters.into_iter().flatten().try_for_each(|filter| filter.check(data))
    }

    /// `value` is `data`, where something looks into it.
    fn told(&self, event: &Event, name: String, data: &Json, value: &Value) -> Message {
        let part = self.spec.include_fields.as_ref().and_then(|fields| Json::of(&fields.of(value)).ok());
        let body = event.payload(&name, self.spec.format, self.id, part.as_ref().unwrap_or(data));
        Message { name, body, lane: self.lane(event, value) }
    }

    fn lane(&self, event: &Event, data: &Value) -> Option<String> {
        let lane = match &self.spec.order {
            Order::None => return None,
            Order::Session => event.session()?.to_owned(),
            Order::Pointer(pointer) => match data.pointer(pointer)? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        };
        Some(lane.chars().take(LANE_CHARS_MAX).collect())
    }

    /// The request that sends a body to `url`: signed as of `now` with the live secrets, under the id of its delivery.
    /// `reshaped` is what goes with a body that is not JSON of ours.
    ///
    /// A scheme whose header holds one signature takes the newest secret at the first attempt, the one before it at the
    /// second, and so on round the live ones: during a rotation a receiver that knows either gets each message.
    pub fn request(
        &self,
        url: &Url,
        id: &str,
        body: &[u8],
        reshaped: Option<&Reshaped>,
        attempt: u32,
        now: Timestamp,
    ) -> Result<Signed, signature::Error> {
        let mut secrets = self.secrets.live(Use::Signing, now);
        if !secrets.is_empty() {
            let turn = attempt.saturating_sub(1) as usize % secrets.len();
            secrets.rotate_left(turn);
        }
        let mut headers = self.spec.headers.fields();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(reshaped.map(Reshaped::fields).unwrap_or_default());
        let mut url = url.clone();
        let public_url = url.to_string();
        let message = signature::Message {
            method: "POST",
            path: url.path(),
            query: url.query().unwrap_or_default(),
            headers: &headers,
            body,
            public_url: Some(&public_url),
        };
        let added = signature::sign(&self.spec.scheme(), &secrets, &message, id, now.unix_ms())?;
        headers.extend(added.headers);
        for (name, value) in added.query {
            url.query_pairs_mut().append_pair(&name, &value);
        }
        headers.extend(self.credential_field(now));
        Ok(Signed { url, headers })
    }
}

fn parsed(data: &Json) -> Value {
    serde_json::from_str(data.as_str()).unwrap_or_default()
}
