//! The schemas of a hook: its spec, and what makes and changes one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schemas::{NAME, list_of, name, object, or_null, whole, whole_or};
use crate::dialect::DIALECTS;
use crate::hook::{BODY_BYTES_MAX, ENCODINGS, MERGE_MS_MAX, SCHEDULE_MAX, SCHEDULE_S_MAX, WAIT_MS_MAX};
use crate::signature::{COMMON_FIELDS, FIELDS, SCHEMES};

/// A token (RFC 9110 §5.6.2), such as the name of a header.
const TOKEN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
/// A JSON pointer to a member (RFC 6901).
const POINTER: &str = "^/";

/// The schema of a hook's spec. The room `hook` says more about each member.
pub(super) fn spec() -> Value {
    let dialects = DIALECTS.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    let encodings = ENCODINGS.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    let schedule = json!({
        "type": "array", "items": whole("Seconds.", 0, SCHEDULE_S_MAX), "maxItems": SCHEDULE_MAX,
    });
    let limit = |description: &str, least: u64, most: u64| or_null(whole(description, least, most));
    json!({
        "type": "object",
        "properties": {
            "dialect": { "type": "string", "enum": dialects, "default": "native", "description": "The wire format." },
            "auth": {
                "type": "array",
                "minItems": 1,
                "items": auth(),
                "description": "How a caller proves itself; one of these is enough. `[{\"scheme\":\"none\"}]` lets everybody in. Needed in the native dialect; the others have their product's.",
            },
            "alias": {
                "type": "string", "pattern": NAME, "default": "live", "description": "The alias of the flow that runs.",
            },
            "mode": {
                "type": "string", "enum": ["sync", "async", "stream"], "default": "sync",
                "description": "How a caller gets the answer when it does not say.",
            },
            "sync_wait_ms": whole_or(25_000, "How long a caller waits for the reply before it gets a 202.", 0, WAIT_MS_MAX),
            "body_bytes_max": whole_or(1 << 20, "Bytes of a request's body.", 0, BODY_BYTES_MAX as u64),
            "allow_from": list_of(
                &json!({ "type": "string", "pattern": "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$" }),
                "The addresses and ranges of addresses that may send, such as `198.51.100.7` and `2001:db8::/32`; empty for all.",
            ),
            "content_types": list_of(
                &json!({ "type": "string", "pattern": "^(\\*/\\*|[A-Za-z0-9!#$%&'+.^_`|~-]+/(\\*|[A-Za-z0-9!#$%&'+.^_`|~-]+))$" }),
                "The types of bodies that are taken, such as `application/json` and `text/*`; empty for all.",
            ),
            "content_encodings": list_of(
                &json!({ "type": "string", "enum": encodings }),
                "The encodings of bodies that are undone. Signatures cover the encoded bytes; `body_bytes_max` holds for both.",
            ),
            "record": {
                "type": "string", "enum": ["relaxed", "strict"], "default": "relaxed",
                "description": "Whether a synchronous execution is durable before it runs.",
            },
            "on_busy": {
                "type": "string", "enum": ["queue", "reject", "interrupt", "merge"], "default": "queue",
                "description": "What happens to a trigger whose session has an execution under way: it waits until those before it have ended, is refused, has those before it canceled, or its message is added to that of the one that waits to begin.",
            },
            "merge_ms": whole_or(1_000, "How long the first message of a session waits for further ones, where they are merged.", 0, MERGE_MS_MAX),
            "retry": object("What a flow that asks for another attempt gets.", &[], &json!({
                "attempts_max": whole_or(5, "The first included.", 1, 100),
                "schedule_s": schedule,
            })),
            "limits": object(
                "Bounds of the hook's requests, and bounds of its executions that are tighter than the server's.",
                &[],
                &json!({
                    "cpu_ms_max": limit("How long the guest may really run.", 1, u64::MAX),
                    "memory_bytes_max": limit("Bytes of the guest's memory.", 0, u64::MAX),
                    "wall_ms_max": limit("From the start of an attempt to its end.", 1, u64::MAX),
                    "requests_per_minute": limit("Requests in a minute; 100 in the dialect `almyty`, else unbounded.", 1, u32::MAX.into()),
                    "concurrent": limit("Executions that have not ended; 10 in the dialect `almyty`, else unbounded.", 1, u32::MAX.into()),
                }),
            ),
            "callback": object("Where outcomes are delivered.", &["url"], &json!({
                "url": { "type": "string", "format": "uri" },
                "schedule_s": or_null(schedule.clone()),
                "basic": or_null(object(
                    "Basic authentication, where the receiver asks for it. The password is written, and not shown.",
                    &["user"],
                    &json!({
                        "user": { "type": "string", "pattern": "^[^:\\x00-\\x1f\\x7f]*$" },
                        "password": { "type": "string" },
                    }),
                )),
            })),
            "filter": {
                "type": "object",
                "description": "What a genuine request must be for its flow to run: conditions over `headers`, `query`, `body`, `message`, `user_id`, `session_id`, `data` and `metadata`.",
                "additionalProperties": true,
            },
            "deduplicate": {
                "description": "How a request is known that came before: by the caller's `Idempotency-Key`, the signed id or the sender's own one (`auto`); not at all; or by a header or member that is named here. What is signed with a timestamp passes only once in any case.",
                "default": "auto",
                "oneOf": [
                    { "type": "string", "enum": ["auto", "off"] },
                    object("A header.", &["header"], &json!({ "header": { "type": "string", "pattern": TOKEN } })),
                    object("A member.", &["pointer"], &json!({ "pointer": { "type": "string", "pattern": POINTER } })),
                ],
            },
            "capture": {
                "type": "boolean", "default": false,
                "description": "Whether requests are only recorded, genuine or not, and nothing runs.",
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

/// What makes a hook.
pub(super) fn new_hook() -> Value {
    let mut schema = spec_and(
        "A hook to be made; null stands for a member's default.",
        &["name", "flow"],
        &json!({
            "name": name("Unique in the workspace."),
            "path_id": or_null(path_id()),
            "flow": name("The flow that it triggers."),
            "secret": {
                "type": ["string", "null"], "minLength": 1,
                "description": "The secret that callers prove; one is made when this is absent.",
            },
        }),
    );
    schema["example"] = json!({ "name": "orders", "flow": "support", "auth": [{ "scheme": "github" }] });
    schema
}

/// What changes one.
pub(super) fn hook_change() -> Value {
    spec_and(
        "Any of these; null stands for a member's default.",
        &[],
        &json!({
            "name": or_null(name("Unique in the workspace.")),
            "path_id": or_null(path_id()),
            "flow": or_null(name("The flow that it triggers.")),
            "enabled": { "type": ["boolean", "null"], "description": "False: every request is refused." },
        }),
    )
}

/// The members of a spec, null included, among others.
fn spec_and(description: &str, required: &[&str], others: &Value) -> Value {
    let Value::Object(members) = spec()["properties"].take() else { unreachable!("a schema has properties") };
    let mut members = members.into_iter().map(|(name, schema)| (name, or_null(schema))).collect::<Map<_, _>>();
    members.extend(others.as_object().into_iter().flatten().map(|(name, schema)| (name.clone(), schema.clone())));
    object(description, required, &members.into())
}

/// One way to prove a caller: the schemes that take the same fields, for each such set of fields.
pub(super) fn auth() -> Value {
    let mut kinds = BTreeMap::<_, Vec<_>>::new();
    for row in SCHEMES {
        kinds.entry(row.fields()).or_default().push(row.name);
    }
    let entries = kinds.into_iter().map(|(fields, schemes)| {
        let fields = FIELDS.iter().filter(|(name, _)| fields.contains(name) || COMMON_FIELDS.contains(name));
        let fields = fields.map(|(name, kind)| ((*name).to_owned(), or_null(of_type(kind))));
        let scheme = ("scheme".to_owned(), json!({ "type": "string", "enum": schemes }));
        object(
            "What differs from the scheme's row in the table of schemes.",
            &["scheme"],
            &[scheme].into_iter().chain(fields).collect::<Map<_, _>>().into(),
        )
    });
    json!({ "oneOf": entries.collect::<Vec<_>>() })
}

/// The schema of a field by its type.
fn of_type(rust: &str) -> Value {
    let text = json!({ "type": "string" });
    match rust {
        "String" => text,
        "bool" => json!({ "type": "boolean" }),
        "u32" => whole("Seconds.", 0, u32::MAX.into()),
        "Vec<String>" => json!({ "type": "array", "items": text, "minItems": 1 }),
        "BTreeMap<String, String>" => json!({ "type": "object", "additionalProperties": text }),
        other => unreachable!("a field of the type `{other}` has no schema"),
    }
}

fn path_id() -> Value {
    json!({
        "type": "string", "pattern": "^(?!hok_)(?!\\.{1,2}$)[A-Za-z0-9._~-]{1,128}$",
        "description": "The id by which senders know it in the paths of its dialect, unique there.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::{Basic, Callback, Spec};
    use crate::signature::Scheme;

    #[test]
    fn the_schema_of_a_spec_has_the_members_of_a_spec() {
        let mut whole = Spec::new(vec![Scheme::named("github").unwrap()]);
        whole.callback = Some(Callback {
            url: "https://example.com".parse().unwrap(),
            schedule_s: Some(vec![1]),
            basic: Some(Basic { user: "u".to_owned() }),
        });
        whole.filter = serde_json::from_value(json!({ "body.n": 1 })).unwrap();
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
