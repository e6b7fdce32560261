//! Schemas of the types that cross the wire here and live in rooms that know nothing of OpenAPI.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::clock::Timestamp;
use crate::dialect::DIALECTS;
use crate::hook::{ENCODINGS, Spec, Use};
use crate::id::{Digest, Id, Kind};
use crate::problem::{Fault, FieldError};
use crate::store::{DeliveryStatus, Status, VersionState};
use crate::trigger::Json;

/// An error (RFC 9457).
#[expect(dead_code, reason = "describes what `problem::Problem` writes")]
#[derive(ToSchema)]
pub(super) struct Problem {
    /// The page that explains it.
    r#type: String,
    title: String,
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// Names the kind of problem.
    code: String,
    fault: Fault,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// The execution that it is about.
    execution_id: Option<String>,
    /// The wrong fields.
    errors: Option<Vec<FieldError>>,
}

/// What changes in a hook: any of these, and any member of its spec, where null stands for the default.
pub(super) enum HookChange {}

/// The bytes of a component.
pub(super) enum Component {}

fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value(json).expect("a schema that is written here can be read")
}

impl<K: Kind> PartialSchema for Id<K> {
    fn schema() -> RefOr<Schema> {
        schema(json!({ "type": "string", "pattern": format!("^{}_[0-9a-f]{{32}}$", K::PREFIX) }))
    }
}

impl<K: Kind> ToSchema for Id<K> {
    fn name() -> Cow<'static, str> {
        let kind = std::any::type_name::<K>();
        format!("{}Id", kind.rsplit("::").next().unwrap_or(kind)).into()
    }
}

/// Gives a type the schema that stands beside it.
macro_rules! schemas {
    ($($type:ty, $name:literal: $schema:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema
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
    Digest, "Digest": schema(json!({
        "type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "description": "The sha-256 of a component's bytes.",
    }));
    Timestamp, "Timestamp": schema(json!({ "type": "string", "format": "date-time" }));
    Json, "Json": <Value as PartialSchema>::schema();
    Status, "ExecutionStatus": words(Status::ALL.iter().map(|one| one.as_str()));
    VersionState, "VersionState": words(VersionState::ALL.iter().map(|one| one.as_str()));
    DeliveryStatus, "DeliveryStatus": words(DeliveryStatus::ALL.iter().map(|one| one.as_str()));
    Use, "SecretUse": words(["auth", "callback", "callback_password"]);
    Component, "Component": schema(json!({ "type": "string", "contentMediaType": "application/wasm" }));
    Spec, "HookSpec": schema(spec());
    HookChange, "HookChange": schema(hook_change());
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> RefOr<Schema> {
    schema(json!({ "type": "string", "enum": words.into_iter().collect::<Vec<_>>() }))
}

/// The schema of a hook's spec. The room `hook` says more about each member.
fn spec() -> Value {
    let whole =
        |description: &str, default: u64| json!({ "type": "integer", "description": description, "default": default });
    let limit = |description: &str| json!({ "type": "integer", "description": description });
    let dialects = DIALECTS.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    let encodings = ENCODINGS.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    let seconds = json!({ "type": "array", "items": { "type": "integer" } });
    json!({
        "type": "object",
        "properties": {
            "dialect": { "type": "string", "enum": dialects, "default": "native", "description": "The wire format." },
            "auth": {
                "type": "array",
                "description": "How a caller proves itself; one of these is enough. `[{\"scheme\":\"none\"}]` lets everybody in. Needed in the native dialect; the others have their product's.",
                "items": {
                    "type": "object",
                    "required": ["scheme"],
                    "properties": { "scheme": { "type": "string" } },
                    "additionalProperties": true,
                },
            },
            "alias": { "type": "string", "default": "live", "description": "The alias of the flow that runs." },
            "mode": {
                "type": "string", "enum": ["sync", "async", "stream"], "default": "sync",
                "description": "How a caller gets the answer when it does not say.",
            },
            "sync_wait_ms": whole("How long a caller waits for the reply before it gets a 202.", 25_000),
            "body_bytes_max": whole("Bytes of a request's body.", 1 << 20),
            "allow_from": {
                "type": "array", "items": { "type": "string" }, "default": [],
                "description": "The addresses and ranges of addresses that may send, such as `198.51.100.7` and `2001:db8::/32`; empty for all.",
            },
            "content_types": {
                "type": "array", "items": { "type": "string" }, "default": [],
                "description": "The types of bodies that are taken, such as `application/json` and `text/*`; empty for all.",
            },
            "content_encodings": {
                "type": "array", "items": { "type": "string", "enum": encodings }, "default": [],
                "description": "The encodings of bodies that are undone. Signatures cover the encoded bytes; `body_bytes_max` holds for both.",
            },
            "record": {
                "type": "string", "enum": ["relaxed", "strict"], "default": "relaxed",
                "description": "Whether a synchronous execution is durable before it runs.",
            },
            "retry": {
                "type": "object",
                "description": "What a flow that asks for another attempt gets.",
                "properties": { "attempts_max": whole("The first included.", 5), "schedule_s": seconds },
            },
            "limits": {
                "type": "object",
                "description": "Bounds of the hook's requests, and bounds of its executions that are tighter than the server's.",
                "properties": {
                    "cpu_ms_max": limit("How long the guest may really run."),
                    "memory_bytes_max": limit("Bytes of the guest's memory."),
                    "wall_ms_max": limit("From the start of an attempt to its end."),
                    "requests_per_minute": limit("Requests in a minute; 100 in the dialect `almyty`, else unbounded."),
                    "concurrent": limit("Executions that have not ended; 10 in the dialect `almyty`, else unbounded."),
                },
            },
            "callback": {
                "type": "object",
                "description": "Where outcomes are delivered.",
                "required": ["url"],
                "properties": {
                    "url": { "type": "string", "format": "uri" },
                    "schedule_s": seconds,
                    "basic": {
                        "type": "object",
                        "description": "Basic authentication, where the receiver asks for it. The password is written, and not shown.",
                        "required": ["user"],
                        "properties": { "user": { "type": "string" }, "password": { "type": "string" } },
                    },
                },
            },
            "public_url": {
                "type": "string", "format": "uri",
                "description": "The URL that senders were told, for the schemes that sign it.",
            },
            "disable_sensitive_logging": {
                "type": "boolean", "default": false,
                "description": "Whether content is kept out of every record once an execution has ended.",
            },
        },
    })
}

fn hook_change() -> Value {
    let mut change = spec();
    let members = change.as_object_mut().expect("a schema is an object");
    members.insert("description".to_owned(), "Any of these; null stands for a member's default.".into());
    change["properties"]["name"] = json!({ "type": "string" });
    change["properties"]["path_id"] = json!({ "type": ["string", "null"] });
    change["properties"]["flow"] = json!({ "type": "string" });
    change["properties"]["enabled"] = json!({ "type": "boolean" });
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::{Basic, Callback};
    use crate::signature::Scheme;

    #[test]
    fn the_schema_of_a_spec_has_the_members_of_a_spec() {
        let mut whole = Spec::new(vec![Scheme::named("github").unwrap()]);
        whole.callback = Some(Callback {
            url: "https://example.com".parse().unwrap(),
            schedule_s: Some(vec![1]),
            basic: Some(Basic { user: "u".to_owned() }),
        });
        whole.public_url = Some("https://example.com".to_owned());
        let (whole, described) = (serde_json::to_value(whole).unwrap(), spec());
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&described["properties"]), names(&whole));
        for part in ["callback", "retry"] {
            assert_eq!(names(&described["properties"][part]["properties"]), names(&whole[part]));
        }
        for (name, member) in described["properties"].as_object().unwrap() {
            if let Some(default) = member.get("default") {
                assert_eq!(*default, whole[name], "{name}");
            }
        }
    }
}
