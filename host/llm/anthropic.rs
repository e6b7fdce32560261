//! Anthropic's Messages.
//!
//! Sources, read 2026-11: `platform.claude.com/docs`, "Create a Message", "Streaming messages", "Stop reasons and fallback",
//! "Errors". A reply of a given shape is had by a tool that the model must call, which every model of theirs can; what it is
//! called with is the reply's text.

use serde_json::{Map, Value, json};

use super::Error;
use super::chat::{Choice, Finish, Format, Message, Part, Request, Role, Usage};
use super::gather::Gathered;

/// The version of the format, which goes with every request.
pub(super) const VERSION: &str = "2023-06-01";

/// The tool that stands for a reply of one JSON object.
const JSON: &str = "reply_json";

/// The body of a request.
pub(super) fn body(model: &str, request: &Request, max_tokens: u32) -> Map<String, Value> {
    let mut body = request.extra.clone();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", json!(model));
    set("max_tokens", json!(max_tokens));
    set("stream", json!(true));
    set("messages", messages(&request.messages));
    let system = request.system();
    if !system.is_empty() {
        set("system", json!(system));
    }
    if let Some(temperature) = request.temperature {
        set("temperature", json!(temperature));
    }
    if !request.stop.is_empty() {
        set("stop_sequences", json!(request.stop));
    }
    let mut tools: Vec<_> = request
        .tools
        .iter()
        .map(|tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters}))
        .collect();
    let mut choice = match &request.choice {
        Choice::Auto => json!({"type": "auto"}),
        Choice::None => json!({"type": "none"}),
        Choice::Required => json!({"type": "any"}),
        Choice::Named(name) => json!({"type": "tool", "name": name}),
    };
    if let Some(shape) = shape(&request.format) {
        // With tools of its own beside it, the model chooses between calling one and replying.
        choice = match (request.tools.is_empty(), &request.choice) {
            (false, Choice::Auto | Choice::Required) => json!({"type": "any"}),
            (false, Choice::Named(_)) => choice,
            _ => json!({"type": "tool", "name": shape}),
        };
        let schema = match &request.format {
            Format::Schema { schema, .. } => schema.clone(),
            _ => json!({"type": "object"}),
        };
        tools.push(json!({"name": shape, "description": "Gives the reply.", "input_schema": schema}));
    }
    if !tools.is_empty() {
        set("tools", json!(tools));
        set("tool_choice", choice);
    }
    body
}

/// The name of the tool that stands for a reply of a given shape.
pub(super) fn shape(format: &Format) -> Option<&str> {
    match format {
        Format::Text => None,
        Format::Json => Some(JSON),
        Format::Schema { name, .. } => Some(name),
    }
}

/// The messages but the system's. What tools return is the user's here, and neighbours of one role are one message.
fn messages(messages: &[Message]) -> Value {
    let mut all: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages.iter().filter(|message| message.role != Role::System) {
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        let blocks = message.parts.iter().filter_map(block);
        match all.last_mut() {
            Some((last, so_far)) if *last == role => so_far.extend(blocks),
            _ => all.push((role, blocks.collect())),
        }
    }
    let filled = all.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    filled.map(|(role, content)| json!({"role": role, "content": content})).collect()
}

fn block(part: &Part) -> Option<Value> {
    Some(match part {
        // An empty text is refused.
        Part::Text(text) if text.is_empty() => return None,
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image { media_type, base64 } => {
            json!({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": base64}})
        }
        Part::ToolCall(call) => {
            let input = if call.arguments.is_object() { call.arguments.clone() } else { json!({}) };
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
        }
        Part::ToolResult { id, content, is_error } => {
            json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error})
        }
    })
}

/// What is known of the stream between two events.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The tool that stands for the reply.
    shape: Option<String>,
    /// The place of the block that is such a reply.
    shaped: Option<u64>,
}

impl Reader {
    pub(super) fn of(request: &Request) -> Self {
        Self { shape: shape(&request.format).map(str::to_owned), shaped: None }
    }

    /// Takes the data of one event in. True at the end of the stream.
    pub(super) fn read(&mut self, gathered: &mut Gathered, data: &str) -> Result<bool, Error> {
        let event: Value = serde_json::from_str(data).map_err(|_| Error::unreadable())?;
        let place = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => self.start(gathered, &event["message"]),
            "content_block_start" => self.block(gathered, place, &event["content_block"])?,
            "content_block_delta" => {
                let delta = &event["delta"];
                gathered.text(delta["text"].as_str().unwrap_or_default())?;
                match delta["partial_json"].as_str() {
                    Some(json) if self.shaped == Some(place) => gathered.text(json)?,
                    Some(json) => gathered.call(place, "", "", json)?,
                    None => {}
                }
            }
            "content_block_stop" => gathered.close(),
            "message_delta" => {
                self.finish(gathered, event["delta"]["stop_reason"].as_str());
                let usage = gathered.usage.get_or_insert_default();
                usage.output_tokens = tokens(&event["usage"]["output_tokens"]).max(usage.output_tokens);
            }
            "message_stop" => return Ok(true),
            "error" => return Err(Error::Provider(super::wire::said(&event["error"]))),
            _ => {}
        }
        Ok(false)
    }

    /// Takes a whole answer in, from a server that does not stream.
    pub(super) fn read_whole(&mut self, gathered: &mut Gathered, answer: &Value) -> Result<(), Error> {
        self.start(gathered, answer);
        for (place, block) in answer["content"].as_array().into_iter().flatten().enumerate() {
            self.block(gathered, place as u64, block)?;
            gathered.close();
        }
        self.finish(gathered, answer["stop_reason"].as_str());
        Ok(())
    }

    fn start(&mut self, gathered: &mut Gathered, message: &Value) {
        gathered.model = message["model"].as_str().map(str::to_owned);
        let usage = &message["usage"];
        let read = tokens(&usage["cache_read_input_tokens"]);
        // What is read from the cache or written to it is counted apart.
        let rest = tokens(&usage["input_tokens"]).saturating_add(tokens(&usage["cache_creation_input_tokens"]));
        gathered.usage = Some(Usage {
            input_tokens: rest.saturating_add(read),
            output_tokens: tokens(&usage["output_tokens"]),
            cached_tokens: read,
        });
    }

    fn block(&mut self, gathered: &mut Gathered, place: u64, block: &Value) -> Result<(), Error> {
        let text = |member: &str| block[member].as_str().unwrap_or_default();
        if block["type"] != "tool_use" {
            return gathered.text(text("text"));
        }
        let input = block["input"].as_object().filter(|input| !input.is_empty());
        let input = input.map(|_| block["input"].to_string()).unwrap_or_default();
        if self.shape.as_deref() == Some(text("name")) {
            self.shaped = Some(place);
            return gathered.text(&input);
        }
        gathered.call(place, text("id"), text("name"), &input)
    }

    fn finish(&self, gathered: &mut Gathered, reason: Option<&str>) {
        let Some(reason) = reason else { return };
        gathered.finish = Some(match reason {
            // The reply itself was the call.
            "tool_use" if self.shaped.is_some() => Finish::Stop,
            "end_turn" | "stop_sequence" => Finish::Stop,
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "tool_use" => Finish::ToolCalls,
            "refusal" => Finish::ContentFilter,
            _ => Finish::Other,
        });
    }
}

fn tokens(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or(0)).unwrap_or(u32::MAX)
}
