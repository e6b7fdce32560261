//! Reads what the model `mock` says piece by piece. `data`: `{"stop_after": 3, "keep": false, "embed": ["a", "b"]}`: after so
//! many pieces it lets go of the stream, or keeps it open to its own end. Replies with what it read, the models that it may
//! ask, and the vectors of the texts.

use flowgate::llm::{self, Chat, Chunk};
use flowgate::{Reply, Result, Trigger};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Input {
    stop_after: Option<usize>,
    #[serde(default)]
    keep: bool,
    #[serde(default)]
    embed: Vec<String>,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let mut stream = Chat::new("mock").user(trigger.message()?).stream()?;
    let (mut pieces, mut finish) = (Vec::new(), None);
    while input.stop_after.is_none_or(|most| pieces.len() < most) {
        match stream.next().transpose()? {
            Some(Chunk::Text(text)) => pieces.push(text),
            Some(Chunk::ToolCall(_)) => {}
            Some(Chunk::Done(reply)) => finish = Some(reply.finish),
            None => break,
        }
    }
    if input.keep {
        // As a flow does that panics, or that runs into its deadline.
        std::mem::forget(stream);
    }
    let vectors = if input.embed.is_empty() { Vec::new() } else { llm::embed("mock", &input.embed)?.0 };
    let told = json!({ "pieces": pieces, "finish": finish, "models": llm::models(), "vectors": vectors });
    Reply::json(&told)
}

flowgate::flow!(handle);
