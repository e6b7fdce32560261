//! The schema of a flow's grants. The room `capability` says more about each member.

use serde_json::{Value, json};

use super::schemas::{NAME, object, or_null, whole};
use crate::capability::{GRANTS_MAX, METHODS, MODEL_CHARS_MAX, PATTERN_BYTES_MAX};

/// What [`crate::capability::check_secret_name`] lets through.
const SECRET_NAME: &str = "^[A-Z][A-Z0-9_]{0,63}$";

pub(super) fn secret_name() -> Value {
    json!({
        "type": "string", "pattern": SECRET_NAME,
        "description": "1 to 64 of the characters A-Z, 0-9 and `_`, the first a letter.",
    })
}

pub(super) fn grants() -> Value {
    let list = |items: Value, description: &str| json!({ "type": "array", "items": items, "maxItems": GRANTS_MAX, "default": [], "description": description });
    let budget = |description: &str| or_null(whole(description, 0, u64::MAX));
    let http = object(
        "Where requests may go, how, and what they may carry.",
        &["host"],
        &json!({
            "host": {
                "type": "string", "maxLength": PATTERN_BYTES_MAX,
                "pattern": "^(\\*|(\\*\\.)?[a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?$",
                "description": "A name, `*.` and a name for all below it, an address, or `*`; with `:port` where it is not the scheme's own.",
            },
            "scheme": { "type": "string", "enum": ["http", "https"], "default": "https" },
            "methods": list(json!({ "type": "string", "enum": METHODS }), "All when empty."),
            "paths": list(
                json!({ "type": "string", "pattern": "^/[^*]*\\*?$", "maxLength": PATTERN_BYTES_MAX }),
                "As they are sent, where a `*` at the end stands for any rest; all when empty.",
            ),
            "secrets": list(secret_name(), "Those whose placeholders are filled in on the way there."),
        }),
    );
    let model = json!({ "type": "string", "pattern": "^[!-~]+$", "maxLength": MODEL_CHARS_MAX });
    let llm = object(
        "Which models the flow may ask, and what it may spend on them.",
        &[],
        &json!({
            "models": list(model, "Aliases of the server's configuration."),
            "tokens_per_execution": budget("Tokens, in and out."),
            "tokens_per_day": budget("Tokens of a UTC day, of all executions of the flow."),
            "micro_usd_per_day": budget("Millionths of a US dollar of a UTC day."),
        }),
    );
    object(
        "What a flow is permitted. What is not named is not granted.",
        &[],
        &json!({
            "http": list(http, "Where its requests may go."),
            "reveal": list(secret_name(), "The secrets that it may see in clear."),
            "llm": or_null(llm),
            "flows": list(json!({ "type": "string", "pattern": NAME }), "The flows that it may call."),
        }),
    )
}
