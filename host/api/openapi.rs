//! The OpenAPI 3.1 document, made of what stands at each handler and completed by what holds for all of them.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::OpenApi as _;

use super::{Described, schemas};
use crate::problem::{Fault, FieldError};

/// What no handler mentions by itself.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(schemas::Problem, Fault, FieldError)))]
struct Shared;

/// The document as JSON, made once.
pub(super) fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| build().to_string().into());
    DOCUMENT.clone()
}

fn build() -> Value {
    let mut described = Described::openapi();
    described.merge(Shared::openapi());
    let mut document = serde_json::to_value(&described).expect("an OpenAPI document has a JSON form");
    document["info"] = json!({
        "title": "Flowgate",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Manages flows, hooks and executions.",
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
    });
    document["components"]["securitySchemes"] = json!({
        "key": { "type": "http", "scheme": "bearer", "description": "An API key, `fgk_…`." },
    });
    let paths = document["paths"].as_object_mut().expect("there are paths");
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().expect("a path has operations") {
            complete(path, method, operation);
        }
    }
    document
}

/// Adds the key and its refusals, and gives every refusal its body.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let keyed = path.starts_with("/v1/") || path == "/metrics";
    if keyed {
        operation["security"] = json!([{ "key": [] }]);
        refusal(operation, "401", "the key is missing, wrong, expired or revoked");
    }
    let asks = operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["in"] == "query"));
    if asks || operation["requestBody"].is_object() {
        refusal(operation, "422", "a value cannot be as it is; `errors` names it");
    }
    if operation["requestBody"].is_object() {
        refusal(operation, "400", "the body cannot be read");
        refusal(operation, "413", "the body is too large");
    }
    if keyed && method != "get" {
        refusal(operation, "403", "the key may only look");
    }
    refusal(operation, "default", "any other problem");
    let responses = operation["responses"].as_object_mut().expect("an operation has responses");
    for (status, response) in responses {
        if !status.starts_with('2') {
            response["content"] = json!({
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
            });
        }
        // The word in the reason phrase's place is required, and says nothing where the body says it all.
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = json!("as described");
        }
    }
}

/// Says what a status means, unless the handler has said it.
fn refusal(operation: &mut Value, status: &str, description: &str) {
    if operation["responses"][status].is_null() {
        operation["responses"][status] = json!({ "description": description });
    }
}
