//! The schemas of what a subscription does, which lives in a room that knows nothing of OpenAPI.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::hook_schema::auth;
use super::schemas::{object, or_null, schema, whole, whole_or};
use crate::subscription::{Spec, Use};

/// A subscription to be made: itself, and the members of its spec, where null stands for the default.
pub(super) enum NewSubscription {}

/// What changes in a subscription: any of these, and any member of its spec, where null stands for the default.
pub(super) enum SubscriptionChange {}

/// Gives a type the schema that stands beside it.
macro_rules! schemas {
    ($($type:ty, $name:literal: $schema:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                schema($schema)
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

schemas! {
    Spec, "SubscriptionSpec": json!({ "type": "object", "properties": spec() });
    Use, "SubscriptionSecretUse": json!({ "type": "string", "enum": ["signing", "credential"] });
    NewSubscription, "NewSubscription": new();
    SubscriptionChange, "SubscriptionChange": change();
}

fn new() -> Value {
    let mut schema = spec_and(
        "A subscription to be made; null stands for a member's default.",
        &["events"],
        &json!({
            "name": name(),
            "secret": {
                "type": ["string", "null"], "minLength": 1,
                "description": "What signs its deliveries; one is made when this is absent.",
            },
        }),
    );
    schema["example"] = json!({ "url": "https://receiver.example/hooks", "events": ["execution.*"] });
    schema
}

fn change() -> Value {
    let enabled = json!({ "type": ["boolean", "null"], "description": "False: it is told of nothing." });
    let about = "Any of these; null stands for a member's default.";
    spec_and(about, &[], &json!({ "name": name(), "enabled": enabled }))
}

fn name() -> Value {
    json!({
        "type": ["string", "null"], "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\u0000-\\u001f\\u007f-\\u009f\\s][^\\u0000-\\u001f\\u007f-\\u009f]*$",
        "maxLength": 100, "description": "For people; need not be unique. Its id when absent.",
    })
}

/// The members of a spec, null included where there is a default, among others.
fn spec_and(description: &str, required: &[&str], others: &Value) -> Value {
    let with_null = |(name, schema): (String, Value)| {
        let schema = if required.contains(&name.as_str()) { schema } else { or_null(schema) };
        (name, schema)
    };
    let Value::Object(members) = spec() else { unreachable!("members are an object") };
    let mut members = members.into_iter().map(with_null).collect::<Map<_, _>>();
    members.extend(others.as_object().into_iter().flatten().map(|(name, schema)| (name.clone(), schema.clone())));
    object(description, required, &members.into())
}

/// The members of a spec. The room `subscription` says more about each.
fn spec() -> Value {
    let texts = |description: &str| {
        json!({
            "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 64, "description": description,
        })
    };
    json!({
        "url": { "type": "string", "format": "uri", "description": "The receiver; without one, nothing is sent, and the events are pulled." },
        "events": texts("Names and wildcards, such as `execution.*`; GET /v1/events lists them."),
        "format": {
            "type": "string", "enum": ["native", "agenticflow"], "default": "native",
            "description": "What is around an event's `data`.",
        },
        "filter": {
            "type": "object", "additionalProperties": true,
            "description": "What `data` must be like; docs/subscriptions.md has the operators.",
        },
        "conditions": {
            "type": "object", "additionalProperties": true,
            "description": "The same in AgenticFlow's words: `{\"message_count\":{\"gt\":10}}`.",
        },
        "include_fields": texts("Dotted paths of the part of `data` that is sent; all of it when absent."),
        "transform": object(
            "A component that says what is sent instead: a flow whose versions export `flowgate:transform/transformer`.",
            &["flow"],
            &json!({ "flow": plain(), "alias": with_default(plain(), "live") }),
        ),
        "batch": object(
            "Several events in one delivery. Whatever comes first sends them.",
            &[],
            &json!({
                "events_max": whole_or(100, "Events.", 1, 1_000),
                "wait_s": whole_or(300, "Seconds that the first event waits.", 1, 86_400),
                "bytes_max": whole_or(1 << 20, "Bytes of the payloads together.", 1_024, 4 << 20),
            }),
        ),
        "order": {
            "description": "Which deliveries are sent one after the other: none, those of one session, or those with the same value at a JSON pointer.",
            "oneOf": [
                { "type": "string", "enum": ["none", "session"] },
                object("", &["pointer"], &json!({
                    "pointer": { "type": "string", "pattern": "^/[ -~]*$", "maxLength": 256 },
                })),
            ],
        },
        "schedule": {
            "description": "When a failed attempt is followed by another: the server's schedule, AgenticFlow's, or seconds to wait.",
            "oneOf": [
                { "type": "string", "enum": ["standard", "agenticflow"] },
                { "type": "array", "maxItems": 50, "items": whole("Seconds.", 0, 604_800) },
            ],
        },
        "signature": auth(),
        "authentication": authentication(),
        "headers": {
            "type": "object", "additionalProperties": { "type": "string" },
            "description": "Own headers, 32 at most, but for those that are the server's.",
        },
        "in_flight_max": whole_or(8, "Deliveries under way at one time.", 1, 256),
        "rate_per_s": whole("Deliveries begun in a second.", 1, 10_000),
    })
}

/// A name of a flow or an alias.
fn plain() -> Value {
    json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$", "maxLength": 63 })
}

fn with_default(mut schema: Value, default: &str) -> Value {
    schema["default"] = json!(default);
    schema
}

fn authentication() -> Value {
    let text = json!({ "type": "string" });
    let one = |kind: &str, required: &[&str], mut members: Value| {
        members["type"] = json!({ "type": "string", "enum": [kind] });
        object("", &[&["type"], required].concat(), &members)
    };
    json!({
        "description": "What else the receiver asks for. What is secret in it is taken in and not given out.",
        "oneOf": [
            one("bearer", &[], json!({ "token": text })),
            one("basic", &["user"], json!({ "user": text, "password": text })),
            one("header", &["name"], json!({ "name": text, "value": text })),
            one("oauth2", &["token_url", "client_id"], json!({
                "token_url": { "type": "string", "format": "uri" }, "client_id": text, "client_secret": text,
                "scope": { "type": ["string", "null"] },
                "client_auth": { "type": "string", "enum": ["basic", "body"] },
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
            "include_fields": ["a"], "transform": { "flow": "a" }, "batch": {}, "schedule": "standard", "signature": { "scheme": "none" },
            "authentication": { "type": "bearer" }, "headers": { "x-a": "b" }, "rate_per_s": 1,
        });
        let read: Spec = serde_json::from_value(whole).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&spec()), names(&written));
        assert_eq!(names(&spec()["batch"]["properties"]), names(&written["batch"]));
        assert_eq!(spec()["in_flight_max"]["default"], written["in_flight_max"]);
        assert_eq!(spec()["format"]["default"], written["format"]);
    }
}
