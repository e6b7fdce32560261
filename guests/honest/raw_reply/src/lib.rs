//! Makes the HTTP response itself. `data`: `{"status": 201, "headers": [["x-order", "7"]], "body": "made"}`.

use flowgate::{HttpReply, Result, Trigger};
use serde::Deserialize;

#[derive(Deserialize)]
struct Input {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
}

fn handle(trigger: Trigger) -> Result<HttpReply> {
    let input: Input = trigger.data()?;
    let bare = HttpReply::new(input.status).body(input.body);
    Ok(input.headers.into_iter().fold(bare, |reply, (name, value)| reply.header(&name, value)))
}

flowgate::flow!(handle);
