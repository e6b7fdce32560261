//! Tells what the session remembers. Replies to each message with its number; `data` of the reply lists the messages
//! before it. `data`: `{"limit": 100, "append": "a note to keep", "as": "assistant"}`; without `as` it is the system's.

use flowgate::session::{self, Role};
use flowgate::{Reply, Result, Trigger};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Input {
    #[serde(default = "hundred")]
    limit: u32,
    append: Option<String>,
    r#as: Option<String>,
}

fn hundred() -> u32 {
    100
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let messages = session::messages(input.limit)?;
    if let Some(note) = &input.append {
        let role = match input.r#as.as_deref() {
            Some("assistant") => Role::Assistant,
            Some("user") => Role::User,
            _ => Role::System,
        };
        session::append_json(role, note, &json!({ "appended": true }))?;
    }
    let turn = 1 + messages.iter().filter(|message| message.role == Role::User).count();
    let history: Vec<_> = messages
        .iter()
        .map(|message| {
            json!({ "seq": message.seq, "at_ms": message.at_ms, "role": format!("{:?}", message.role).to_lowercase(), "text": message.text })
        })
        .collect();
    Ok(Reply::json(&json!({ "messages": history }))?.with_text(format!("{turn}: {}", trigger.message()?)))
}

flowgate::flow!(handle);
