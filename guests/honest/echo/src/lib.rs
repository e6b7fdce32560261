//! Gives back all that it was given: the message as text, everything else as data.

use flowgate::{Description, Reply, Result, Trigger};
use serde_json::{Value, json};

fn handle(trigger: Trigger) -> Result {
    let headers = trigger.request.headers.iter();
    let headers: Vec<_> = headers.map(|header| json!([header.name, String::from_utf8_lossy(&header.value)])).collect();
    let reply = Reply::json(&json!({
        "execution_id": trigger.execution_id,
        "flow": trigger.flow,
        "version": trigger.version,
        "hook": trigger.hook,
        "dialect": trigger.dialect,
        "attempt": trigger.attempt,
        "received_at_ms": trigger.received_at_ms,
        "deadline_ms": trigger.deadline_ms,
        "message": trigger.message,
        "user_id": trigger.user_id,
        "session_id": trigger.session_id,
        "data": trigger.data::<Value>()?,
        "metadata": trigger.metadata::<Value>()?,
        "request": {
            "method": trigger.request.method,
            "path": trigger.request.path,
            "query": trigger.request.query,
            "headers": headers,
            "body": String::from_utf8_lossy(&trigger.request.body),
            "peer": trigger.request.peer,
        },
    }))?;
    Ok(match trigger.message {
        Some(message) => reply.with_text(message),
        None => reply,
    })
}

flowgate::flow!(
    handle,
    describe = Description {
        title: Some("Echo".to_owned()),
        description: Some("Gives back all that it was given.".to_owned()),
        input: Some(json!({ "type": "object" })),
        output: Some(json!({ "type": "object", "required": ["data", "request"] })),
        ..Description::default()
    }
);
