//! Schemas of the types that cross the wire here and live in rooms that know nothing of OpenAPI.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::executions::Replay;
use super::{grants_schema, hook_schema};
use crate::capability::Grants;
use crate::clock::Timestamp;
use crate::hook::{LIST_MAX, Spec, Use};
use crate::id::{self, Digest, Id, Kind};
use crate::problem::{Fault, FieldError};
use crate::store::{Blame, DeliveryStatus, Origin, Standing, Status, Target, Verdict, VersionState};
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

/// A hook to be made: itself, and the members of its spec, where null stands for the default.
pub(super) enum NewHook {}

/// What changes in a hook: any of these, and any member of its spec, where null stands for the default.
pub(super) enum HookChange {}

/// The name of something that is the caller's.
pub(super) enum Name {}

/// The name of a secret of a flow.
pub(super) enum SecretName {}

/// The bytes of a component.
pub(super) enum Component {}

/// Any bytes.
pub(super) enum Bytes {}

/// The name of a bucket.
pub(super) enum BucketName {}

pub(super) fn schema(json: Value) -> RefOr<Schema> {
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
    Verdict, "RequestVerdict": words(Verdict::ALL.iter().map(|one| one.as_str()));
    Origin, "ReplayOrigin": schema(json!({
        "type": "string", "pattern": format!("^({}|{})_[0-9a-f]{{32}}$", id::Execution::PREFIX, id::Request::PREFIX),
    }));
    VersionState, "VersionState": words(VersionState::ALL.iter().map(|one| one.as_str()));
    DeliveryStatus, "DeliveryStatus": words(DeliveryStatus::ALL.iter().map(|one| one.as_str()));
    Blame, "Blame": words(Blame::ALL.iter().map(|one| one.as_str()));
    Standing, "TargetStanding": words(Standing::ALL.iter().map(|one| one.as_str()));
    Target, "Target": schema(json!({ "type": "string", "pattern": "^(hok|sub)_[0-9a-f]{32}$" }));
    Use, "SecretUse": words(["auth", "callback", "callback_password"]);
    Component, "Component": schema(json!({ "type": "string", "contentMediaType": "application/wasm" }));
    Bytes, "Bytes": schema(json!({ "type": "string", "contentMediaType": "application/octet-stream" }));
    BucketName, "BucketName": schema(json!({ "type": "string", "pattern": "^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$" }));
    Spec, "HookSpec": schema(hook_schema::spec());
    Replay, "Replay": schema(replay());
    NewHook, "NewHook": schema(hook_schema::new_hook());
    HookChange, "HookChange": schema(hook_schema::hook_change());
    Grants, "Grants": schema(grants_schema::grants());
    SecretName, "SecretName": schema(grants_schema::secret_name());
    Name, "Name": schema(json!({ "type": "string", "pattern": NAME, "description": NAME_RULE }));
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> RefOr<Schema> {
    schema(json!({ "type": "string", "enum": words.into_iter().collect::<Vec<_>>() }))
}

/// Which version gets a trigger again: `version` or `alias`, and not both.
fn replay() -> Value {
    let (version, alias) = (schema_of::<Digest>("This one."), "The one that this alias of the flow stands for now.");
    let alias = json!({ "type": ["string", "null"], "description": alias });
    let none = json!({ "type": "null" });
    json!({ "anyOf": [
        object("A version.", &[], &json!({ "version": or_null(version), "alias": none })),
        object("An alias.", &[], &json!({ "version": none, "alias": alias })),
    ]})
}

fn schema_of<T: PartialSchema>(description: &str) -> Value {
    let mut schema = serde_json::to_value(T::schema()).expect("a schema has a JSON form");
    schema["description"] = description.into();
    schema
}

/// What [`crate::id::check_name`] lets through.
pub(super) const NAME: &str = "^[a-z0-9][a-z0-9_-]{0,62}$";
const NAME_RULE: &str = "1 to 63 of the characters a-z, 0-9, `-` and `_`, the first a letter or digit.";

pub(super) fn name(description: &str) -> Value {
    json!({ "type": "string", "pattern": NAME, "description": description })
}

/// A whole number from `least` to `most`.
pub(super) fn whole(description: &str, least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

/// The same, which takes a default's place.
pub(super) fn whole_or(default: u64, description: &str, least: u64, most: u64) -> Value {
    let mut schema = whole(description, least, most);
    schema["default"] = default.into();
    schema
}

/// The same, null included.
pub(super) fn or_null(mut schema: Value) -> Value {
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.push(json!({ "type": "null" }));
        return schema;
    }
    schema["type"] = json!([schema["type"], "null"]);
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema
}

/// A list with a bound, empty by default.
pub(super) fn list_of(items: &Value, description: &str) -> Value {
    json!({ "type": "array", "items": items, "maxItems": LIST_MAX, "default": [], "description": description })
}

/// An object with these members and no other.
pub(super) fn object(description: &str, required: &[&str], properties: &Value) -> Value {
    json!({
        "type": "object", "description": description,
        "required": required, "properties": properties, "additionalProperties": false,
    })
}
