//! The schemas of what a subscription does, which lives in a room that knows nothing of OpenAPI.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::subscription::{Spec, Use};

/// What changes in a subscription: any of these, and any member of its spec, where null stands for the default.
pub(super) enum SubscriptionChange {}

fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value(json).expect("a schema that is written here can be read")
}

impl PartialSchema for Spec {
    fn schema() -> RefOr<Schema> {
        let mut spec = spec();
        spec["required"] = json!(["url", "events"]);
        schema(spec)
    }
}

impl ToSchema for Spec {
    fn name() -> Cow<'static, str> {
        "SubscriptionSpec".into()
    }
}

impl PartialSchema for Use {
    fn schema() -> RefOr<Schema> {
        schema(json!({ "type": "string", "enum": ["signing", "credential"] }))
    }
}

impl ToSchema for Use {
    fn name() -> Cow<'static, str> {
        "SubscriptionSecretUse".into()
    }
}

impl PartialSchema for SubscriptionChange {
    fn schema() -> RefOr<Schema> {
        let mut change = spec();
        change["description"] = json!("Any of these; null stands for a member's default.");
        change["properties"]["name"] = json!({ "type": "string" });
        change["properties"]["enabled"] = json!({ "type": "boolean" });
        schema(change)
    }
}

impl ToSchema for SubscriptionChange {
    fn name() -> Cow<'static, str> {
        "SubscriptionChange".into()
    }
}

/// The room `subscription` says more about each member.
fn spec() -> Value {
    let whole = |description: &str, least: u64, most: u64| json!({ "type": "integer", "minimum": least, "maximum": most, "description": description });
    let texts = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 64 });
    let mut properties = json!({
        "url": { "type": "string", "format": "uri", "description": "The receiver." },
        "events": texts,
        "format": {
            "type": "string", "enum": ["native", "agenticflow"], "default": "native",
            "description": "What is around an event's `data`.",
        },
        "filter": {
            "type": ["object", "array", "string", "number", "boolean"],
            "description": "What `data` must be like; docs/subscriptions.md has the operators.",
        },
        "conditions": {
            "type": "object", "additionalProperties": true,
            "description": "The same in AgenticFlow's words: `{\"message_count\":{\"gt\":10}}`.",
        },
        "include_fields": texts,
        "batch": {
            "type": "object", "additionalProperties": false,
            "description": "Several events in one delivery. Whatever comes first sends them.",
            "properties": {
                "events_max": whole("Events.", 1, 1_000),
                "wait_s": whole("Seconds that the first event waits.", 1, 86_400),
                "bytes_max": whole("Bytes of the payloads together.", 1_024, 4 << 20),
            },
        },
        "order": {
            "description": "Which deliveries are sent one after the other: `none`, those of one `session`, or those with the same value at a JSON pointer.",
            "oneOf": [
                { "type": "string", "enum": ["none", "session"] },
                {
                    "type": "object", "additionalProperties": false, "required": ["pointer"],
                    "properties": { "pointer": { "type": "string", "pattern": "^/", "maxLength": 256 } },
                },
            ],
        },
        "schedule": {
            "description": "When a failed attempt is followed by another: the server's schedule, AgenticFlow's, or seconds to wait.",
            "oneOf": [
                { "type": "string", "enum": ["standard", "agenticflow"] },
                {
                    "type": "array", "maxItems": 50,
                    "items": { "type": "integer", "minimum": 0, "maximum": 604_800 },
                },
            ],
        },
        "signature": {
            "type": "object", "required": ["scheme"], "additionalProperties": true,
            "description": "How a delivery proves that it is ours: a scheme of docs/schemes.md. The format's own way when absent.",
            "properties": { "scheme": { "type": "string" } },
        },
        "headers": {
            "type": "object", "additionalProperties": { "type": "string" }, "maxProperties": 32,
            "description": "Own headers, but for those that are the server's.",
        },
        "in_flight_max": whole("Deliveries under way at one time.", 1, 256),
        "rate_per_s": whole("Deliveries begun in a second.", 1, 10_000),
    });
    properties["events"]["description"] =
        json!("Names and wildcards, such as `execution.*`; GET /v1/events lists them.");
    properties["include_fields"]["description"] = json!("Dotted paths of the part of `data` that is sent.");
    properties["authentication"] = authentication();
    properties["in_flight_max"]["default"] = json!(8);
    json!({ "type": "object", "properties": properties })
}

fn authentication() -> Value {
    let text = json!({ "type": "string" });
    let one = |kind: &str, required: &[&str], more: Value| {
        let mut properties = more;
        properties["type"] = json!({ "type": "string", "enum": [kind] });
        let required = std::iter::once(&"type").chain(required).collect::<Vec<_>>();
        json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
    };
    json!({
        "description": "What else the receiver asks for. What is secret in it is taken in and not given out.",
        "oneOf": [
            one("bearer", &[], json!({ "token": text })),
            one("basic", &[], json!({ "user": text, "username": text, "password": text })),
            one("header", &["name"], json!({ "name": text, "value": text })),
            one("oauth2", &["token_url", "client_id"], json!({
                "token_url": { "type": "string", "format": "uri" }, "client_id": text, "client_secret": text,
                "scope": text, "client_auth": { "type": "string", "enum": ["basic", "body"] },
            })),
            one("mtls", &["certificate"], json!({ "certificate": text, "private_key": text })),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_a_spec_has_the_members_of_a_spec() {
        let whole = json!({
            "url": "https://a.example/", "events": ["*"], "filter": { "a": 1 }, "conditions": { "a": 1 },
            "include_fields": ["a"], "batch": {}, "schedule": "standard", "signature": { "scheme": "none" },
            "authentication": { "type": "bearer" }, "headers": { "x-a": "b" }, "rate_per_s": 1,
        });
        let read: Spec = serde_json::from_value(whole).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&spec()["properties"]), names(&written));
        assert_eq!(names(&spec()["properties"]["batch"]["properties"]), names(&written["batch"]));
        assert_eq!(spec()["properties"]["in_flight_max"]["default"], written["in_flight_max"]);
        assert_eq!(spec()["properties"]["format"]["default"], written["format"]);
    }
}
