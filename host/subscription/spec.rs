//! What a customer writes about a subscription.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::authentication::Authentication;
use super::headers::Headers;
use super::schedule::Schedule;
use crate::event::{Format, Patterns};
use crate::filter::{self, Filter, Projection};
use crate::id;
use crate::signature::Scheme;

/// A subscription's behaviour. JSON with a member for each field; all but `events` may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The receiver; none where somebody comes and asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// What it is told of: names and wildcards.
    pub events: Patterns,
    /// What is around an event's `data`.
    #[serde(default)]
    pub format: Format,
    /// What `data` must be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The same in AgenticFlow's words, `{"message_count":{"gt":10}}`; with a filter, both must fit.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "filter::bare")]
    pub conditions: Option<Filter>,
    /// The part of `data` that is sent; all of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_fields: Option<Projection>,
    /// The component that says what is sent instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// Several events in one delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// Which deliveries wait for each other.
    #[serde(default)]
    pub order: Order,
    /// When a failed attempt is followed by another.
    #[serde(default)]
    pub schedule: Schedule,
    /// How a delivery proves that it is ours; the format's own way when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Scheme>,
    /// What else the receiver asks for. What is secret in it is one of the subscription's secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// Own headers.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// Deliveries under way at one time.
    #[serde(default = "in_flight_max")]
    pub in_flight_max: u32,
    /// Deliveries begun in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
}

fn in_flight_max() -> u32 {
    8
}

/// A component that reshapes deliveries: a flow whose versions are transforms, and the alias of the one that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// The flow's name.
    pub flow: String,
    /// `live` unless told otherwise.
    #[serde(default = "live")]
    pub alias: String,
}

fn live() -> String {
    "live".to_owned()
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.flow, self.alias)
    }
}

/// When several events go out as one. Whatever comes first sends them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// Events.
    pub events_max: u32,
    /// Seconds that the first event of a batch waits.
    pub wait_s: u32,
    /// Bytes of the payloads together.
    pub bytes_max: u32,
}

impl Default for Batch {
    /// As AgenticFlow's page shows it.
    fn default() -> Self {
        Self { events_max: 100, wait_s: 300, bytes_max: 1 << 20 }
    }
}

/// Which deliveries of a subscription are sent one after the other, in the order of their events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// None of them.
    #[default]
    None,
    /// Those of one conversation.
    Session,
    /// Those with the same value at this place in `data`: a JSON pointer (RFC 6901), such as `/output/data/order_id`.
    Pointer(String),
}

/// A field that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its dotted path.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Invalid {
    pub(super) fn new(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

pub(super) fn told(problems: &[Invalid]) -> String {
    problems.iter().map(|one| format!("`{}`: {}", one.field, one.message)).collect::<Vec<_>>().join("; ")
}

impl Spec {
    /// A spec with the defaults.
    pub fn new(url: Option<Url>, events: Patterns) -> Self {
        Self {
            url,
            events,
            format: Format::default(),
            filter: None,
            conditions: None,
            include_fields: None,
            transform: None,
            batch: None,
            order: Order::default(),
            schedule: Schedule::default(),
            signature: None,
            authentication: None,
            headers: Headers::default(),
            in_flight_max: in_flight_max(),
            rate_per_s: None,
        }
    }

    /// How a delivery is signed.
    pub fn scheme(&self) -> Scheme {
        let usual = match self.format {
            Format::Native => "standard-webhooks",
            Format::AgenticFlow => "agenticflow",
        };
        self.signature.clone().unwrap_or_else(|| Scheme::named(usual).expect("the row is in the table"))
    }

    /// Everything that cannot be as it is.
    pub(super) fn check(&self) -> Vec<Invalid> {
        let mut problems = Vec::new();
        let mut within = |field: &str, value: u32, least: u32, most: u32| {
            if !(least..=most).contains(&value) {
                problems.push(Invalid::new(field, format_args!("is {value}; allowed: {least} to {most}")));
            }
        };
        within("in_flight_max", self.in_flight_max, 1, 256);
        within("rate_per_s", self.rate_per_s.unwrap_or(1), 1, 10_000);
        if let Some(batch) = &self.batch {
            within("batch.events_max", batch.events_max, 1, 1_000);
            within("batch.wait_s", batch.wait_s, 1, 86_400);
            within("batch.bytes_max", batch.bytes_max, 1_024, 4 << 20);
        }
        if let Order::Pointer(pointer) = &self.order
            && !(pointer.starts_with('/') && pointer.len() <= 256)
        {
            let allowed = "a JSON pointer such as `/output/data/order_id`";
            problems.push(Invalid::new("order.pointer", format_args!("is `{pointer}`; allowed: {allowed}")));
        }
        for (field, name) in self.transform.iter().flat_map(|one| [("flow", &one.flow), ("alias", &one.alias)]) {
            problems.extend(id::check_name(name).err().map(|why| Invalid::new(format!("transform.{field}"), why)));
        }
        problems.extend(self.authentication.iter().flat_map(Authentication::check));
        let own = self.scheme().redacts().headers;
        problems.extend(self.headers.check(&own).into_iter().map(|why| Invalid::new("headers", why)));
        problems
    }
}
