//! The OpenAPI 3.1 document, made of what stands at each handler and completed by what holds for all of them.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use super::{Described, links, schemas};
use crate::problem::{Fault, FieldError};

/// What no handler mentions by itself.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(schemas::Problem, Fault, FieldError)))]
struct Shared;

/// The refusals that every operation of a kind can answer: status, name, when.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("400", "MalformedBody", "The body cannot be read."),
    ("401", "Unauthenticated", "The key is missing, wrong, expired or revoked."),
    ("403", "Forbidden", "The key may only look."),
    ("404", "NotFound", "What the path names is not there."),
    ("408", "BodyTimeout", "The body did not arrive in time."),
    ("413", "BodyTooLarge", "The body is too large."),
    ("415", "UnsupportedEncoding", "The body is encoded; it is taken as it is."),
    ("422", "InvalidRequest", "A value cannot be as it is; `errors` names it."),
    ("5XX", "ServerProblem", "The server cannot do it now; `retryable` says whether it is worth another try."),
];

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
    for (status, name, description) in REFUSALS {
        document["components"]["responses"][name] = refusal(status, description);
    }
    let schemas = document["components"]["schemas"].clone();
    for (path, item) in document["paths"].as_object_mut().expect("there are paths") {
        for (method, operation) in item.as_object_mut().expect("a path has operations") {
            complete(path, method, operation);
            place(operation, &schemas);
            need(operation, &schemas);
        }
    }
    links::add(&mut document);
    document
}

/// Adds the key and the refusals that are not its own, and gives every refusal its body.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let keyed = path.starts_with("/v1/") || path == "/metrics";
    if keyed {
        operation["security"] = json!([{ "key": [] }]);
    }
    let body = operation["requestBody"].is_object();
    let asks = operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["in"] != "path"));
    let responses = operation["responses"].as_object_mut().expect("an operation has responses");
    for (status, name, _) in REFUSALS {
        let applies = match *status {
            "401" => keyed,
            "403" => keyed && method != "get",
            "404" => path.contains('{'),
            "422" => body || asks,
            "5XX" => true,
            _ => body,
        };
        if applies && !responses.contains_key(*status) {
            responses.insert((*status).to_owned(), json!({ "$ref": format!("#/components/responses/{name}") }));
        }
    }
    for (status, response) in responses {
        if response["$ref"].is_string() {
            continue;
        }
        if !status.starts_with('2') {
            *response = refusal(status, response["description"].as_str().unwrap_or_default());
        }
        // A description is required, and says nothing where the body says it all.
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = json!("as described");
        }
        for header in response.get_mut("headers").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            header["required"] = json!(status == "201" || status == "202");
        }
    }
}

/// A response with a problem, and with the headers that belong to its status.
fn refusal(status: &str, description: &str) -> Value {
    let header = |required: bool, kind: &str, text: &str| json!({ "required": required, "schema": { "type": kind }, "description": text });
    let mut response = json!({
        "description": description,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    match status {
        "401" => response["headers"]["WWW-Authenticate"] = header(true, "string", "`Bearer`"),
        "503" => response["headers"]["Retry-After"] = header(true, "integer", "Seconds."),
        "5XX" => response["headers"]["Retry-After"] = header(false, "integer", "Seconds, with a 503."),
        _ => {}
    }
    response
}

/// Says what a list's cursors look like: they name a row.
fn place(operation: &mut Value, schemas: &Value) {
    let Some(list) = behind(&operation["responses"]["200"], schemas) else { return };
    let row = &list["properties"]["data"]["items"];
    let parts = row["allOf"].as_array().into_iter().flatten().chain([row]);
    let names = parts.flat_map(|part| ["id", "digest"].map(|member| &part["properties"][member]["$ref"]));
    let Some(named) = names.filter_map(Value::as_str).next() else { return };
    let named = named.to_owned();
    let parameters = operation["parameters"].as_array_mut().into_iter().flatten();
    for cursor in parameters.filter(|one| one["name"] == "cursor") {
        cursor["schema"] = json!({ "$ref": named });
    }
}

/// Says whether an operation needs its JSON: an empty body counts as `{}`.
fn need(operation: &mut Value, schemas: &Value) {
    if let Some(schema) = behind(&operation["requestBody"], schemas) {
        let needed = schema["required"].as_array().is_some_and(|members| !members.is_empty());
        operation["requestBody"]["required"] = needed.into();
    }
}

/// The schema that the JSON of a request or response refers to.
fn behind<'a>(part: &Value, schemas: &'a Value) -> Option<&'a Value> {
    let path = part["content"]["application/json"]["schema"]["$ref"].as_str()?;
    schemas.get(path.rsplit('/').next()?)
}
