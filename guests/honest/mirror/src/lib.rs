//! Answers with the JSON of the request's body, and so with as many bytes as came in.

use flowgate::{Failure, Reply, Result, Trigger};
use serde_json::Value;

fn handle(trigger: Trigger) -> Result {
    let body: Value =
        serde_json::from_slice(&trigger.request.body).map_err(|_| Failure::invalid("body", "JSON", "other"))?;
    Reply::json(&body)
}

flowgate::flow!(handle);
