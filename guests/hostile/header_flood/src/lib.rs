//! Makes an HTTP response of very many or very long header fields. `data`: `{"fields": 100000, "bytes": 16}`, `bytes` for
//! each value, and `{"evil": true}` for one field whose value holds a line break.

use flowgate::{HttpReply, Result, Trigger};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default)]
struct Input {
    fields: usize,
    bytes: usize,
    evil: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { fields: 100_000, bytes: 16, evil: false }
    }
}

fn handle(trigger: Trigger) -> Result<HttpReply> {
    let input: Input = trigger.data()?;
    let reply = HttpReply::new(200).body("flooded");
    if input.evil {
        return Ok(reply.header("x-evil", "a\r\nset-cookie: admin=1"));
    }
    let value = "x".repeat(input.bytes);
    Ok((0..input.fields).fold(reply, |reply, number| reply.header(&format!("x-flood-{number}"), value.as_str())))
}

flowgate::flow!(handle);
