//! Where an answer leads: OpenAPI's links, from what an operation returns to the operations that take it.

use serde_json::{Map, Value, json};

/// What the answer of one operation gives to all operations at and below a path.
struct Lead {
    from: &'static str,
    status: &'static str,
    /// Its parameters, and nothing but these, are given.
    to: &'static str,
    /// A JSON pointer into the answer for the last parameter; the others are those of the request.
    last: &'static str,
}

macro_rules! leads {
    ($($from:literal $status:literal $last:literal => $to:literal;)*) => {
        const LEADS: &[Lead] = &[$(Lead { from: $from, status: $status, to: $to, last: $last },)*];
    };
}

leads! {
    "list_flows" "200" "/data/0/name" => "/v1/flows/{flow}";
    "create_flow" "201" "/name" => "/v1/flows/{flow}";
    "list_versions" "200" "/data/0/digest" => "/v1/flows/{flow}/versions/{digest}";
    "upload_version" "201" "/digest" => "/v1/flows/{flow}/versions/{digest}";
    "upload_version" "200" "/digest" => "/v1/flows/{flow}/versions/{digest}";
    "list_aliases" "200" "/data/0/name" => "/v1/flows/{flow}/aliases/{alias}";
    "promote_alias" "200" "/name" => "/v1/flows/{flow}/aliases/{alias}";
    "list_buckets" "200" "/data/0/name" => "/v1/flows/{flow}/keyvalue/{bucket}";
    "list_keyvalue_keys" "200" "/data/0/key" => "/v1/flows/{flow}/keyvalue/{bucket}/{key}";
    "list_flow_secrets" "200" "/data/0/name" => "/v1/flows/{flow}/secrets/{name}";
    "set_flow_secret" "200" "/name" => "/v1/flows/{flow}/secrets/{name}";
    "list_hooks" "200" "/data/0/id" => "/v1/hooks/{hook}";
    "create_hook" "201" "/id" => "/v1/hooks/{hook}";
    "get_hook" "200" "/secrets/0/id" => "/v1/hooks/{hook}/secrets/{secret}";
    "rotate_hook_secret" "201" "/id" => "/v1/hooks/{hook}/secrets/{secret}";
    "list_subscriptions" "200" "/data/0/id" => "/v1/subscriptions/{subscription}";
    "create_subscription" "201" "/id" => "/v1/subscriptions/{subscription}";
    "get_subscription" "200" "/secrets/0/id" => "/v1/subscriptions/{subscription}/secrets/{secret}";
    "rotate_subscription_secret" "201" "/id" => "/v1/subscriptions/{subscription}/secrets/{secret}";
    "list_subscription_consumers" "200" "/data/0/name" => "/v1/subscriptions/{subscription}/consumers/{consumer}";
    "commit_subscription_events" "200" "/name" => "/v1/subscriptions/{subscription}/consumers/{consumer}";
    "list_hook_requests" "200" "/data/0/id" => "/v1/requests/{id}";
    "list_stray_requests" "200" "/data/0/id" => "/v1/requests/{id}";
    "replay_request" "202" "/execution_id" => "/v1/executions/{id}";
    "list_executions" "200" "/data/0/id" => "/v1/executions/{id}";
    "replay_execution" "202" "/execution_id" => "/v1/executions/{id}";
    "list_deliveries" "200" "/data/0/id" => "/v1/deliveries/{id}";
    "create_key" "201" "/id" => "/v1/keys/{id}";
}

/// Adds the links to a document.
pub(super) fn add(document: &mut Value) {
    let targets = operations(document);
    let paths = document["paths"].as_object_mut().expect("there are paths");
    let operations = paths.values_mut().flat_map(|item| item.as_object_mut().into_iter().flatten());
    for (_, operation) in operations {
        let id = operation["operationId"].clone();
        for lead in LEADS.iter().filter(|lead| id == lead.from) {
            let links =
                targets.iter().filter(|(_, path)| lead.reaches(path)).map(|(id, _)| (id.clone(), lead.link(id)));
            operation["responses"][lead.status]["links"] = links.collect::<Map<_, _>>().into();
        }
    }
}

/// All operations: id and path.
fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |(_, it)| (path, it)));
    all.filter_map(|(path, it)| Some((it["operationId"].as_str()?.to_owned(), path.clone()))).collect()
}

fn parameters(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

impl Lead {
    fn reaches(&self, path: &str) -> bool {
        path.strip_prefix(self.to).is_some_and(|rest| !rest.contains('{') && (rest.is_empty() || rest.starts_with('/')))
    }

    fn link(&self, operation: &str) -> Value {
        let given = parameters(self.to).rev().enumerate().map(|(place, name)| {
            let from =
                if place == 0 { format!("$response.body#{}", self.last) } else { format!("$request.path.{name}") };
            (name.to_owned(), from.into())
        });
        json!({ "operationId": operation, "parameters": given.collect::<Map<_, _>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lead_begins_at_an_operation_and_ends_at_others() {
        let document = serde_json::from_slice::<Value>(&super::super::openapi::document()).unwrap();
        let all = operations(&document);
        for lead in LEADS {
            let (_, path) = all.iter().find(|(id, _)| id == lead.from).expect(lead.from);
            let methods = document["paths"][path].as_object().unwrap().values();
            let from = methods.into_iter().find(|it| it["operationId"] == lead.from).unwrap();
            assert!(from["responses"][lead.status]["content"].is_object(), "{}", lead.from);
            let known = parameters(path).chain(parameters(lead.to).last()).collect::<Vec<_>>();
            assert!(parameters(lead.to).all(|name| known.contains(&name)), "{}", lead.from);
            assert!(all.iter().any(|(_, path)| lead.reaches(path)), "{}", lead.to);
        }
    }
}
