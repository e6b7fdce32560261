//! OpenAI's chat completions and embeddings, as many others speak them too.
//!
//! Sources, read 2026-11: OpenAI's API reference (`POST /v1/chat/completions`, "The chat completion chunk object",
//! `POST /v1/embeddings`) and Ollama's page on its compatibility. Read leniently, since the compatible servers differ:
//! whatever is missing is taken as not said, and whatever is unknown is passed over.

use serde_json::{Map, Value, json};

use super::Error;
use super::chat::{Choice, Finish, Format, Message, Part, Request, Role, Usage};
use super::gather::Gathered;

/// The body of a request. `completion_tokens`: whether the bound has its newer name, which OpenAI's own models demand and
/// which other servers do not know.
pub(super) fn body(model: &str, request: &Request, max_tokens: u32, completion_tokens: bool) -> Map<String, Value> {
    let mut body = request.extra.clone();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", json!(model));
    set("messages", request.messages.iter().flat_map(message).collect());
    set("stream", json!(true));
    set("stream_options", json!({"include_usage": true}));
    set(if completion_tokens { "max_completion_tokens" } else { "max_tokens" }, json!(max_tokens));
    if let Some(temperature) = request.temperature {
        set("temperature", json!(temperature));
    }
    if let Some(seed) = request.seed {
        set("seed", json!(seed));
    }
    if !request.stop.is_empty() {
        set("stop", json!(request.stop));
    }
    if !request.tools.is_empty() {
        let tool = |tool: &super::Tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            }})
        };
        set("tools", request.tools.iter().map(tool).collect());
        match &request.choice {
            Choice::Auto => None,
            Choice::None => set("tool_choice", json!("none")),
            Choice::Required => set("tool_choice", json!("required")),
            Choice::Named(name) => set("tool_choice", json!({"type": "function", "function": {"name": name}})),
        };
    }
    match &request.format {
        Format::Text => None,
        Format::Json => set("response_format", json!({"type": "json_object"})),
        Format::Schema { name, schema } => {
            // Kept to the letter only where the schema is of the kind that this is offered for.
            let strict = schema["additionalProperties"] == false;
            let schema = json!({"name": name, "schema": schema, "strict": strict});
            set("response_format", json!({"type": "json_schema", "json_schema": schema}))
        }
    };
    body
}

/// A message in OpenAI's words: one for each result of a tool, else one.
fn message(message: &Message) -> Vec<Value> {
    let mut all = Vec::new();
    let (mut content, mut calls) = (Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            Part::Text(text) => content.push(json!({"type": "text", "text": text})),
            Part::Image { media_type, base64 } => {
                let url = format!("data:{media_type};base64,{base64}");
                content.push(json!({"type": "image_url", "image_url": {"url": url}}));
            }
            Part::ToolCall(call) => calls.push(json!({
                "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments.to_string()},
            })),
            Part::ToolResult { id, content, is_error } => {
                let content = if *is_error { format!("error: {content}") } else { content.clone() };
                all.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
            }
        }
    }
    if message.role == Role::Tool || (content.is_empty() && calls.is_empty()) {
        return all;
    }
    // Most servers take a plain text only where they could take parts.
    let plain = content.iter().all(|part| part["type"] == "text");
    let content = match (plain, message.text()) {
        (true, text) if text.is_empty() && !calls.is_empty() => Value::Null,
        (true, text) => Value::String(text),
        (false, _) => Value::Array(content),
    };
    let mut own = json!({"role": message.role, "content": content});
    if !calls.is_empty() {
        own["tool_calls"] = Value::Array(calls);
    }
    all.push(own);
    all
}

/// Takes the data of one event in. True at the end of the stream.
pub(super) fn read(gathered: &mut Gathered, data: &str) -> Result<bool, Error> {
    if data.trim() == "[DONE]" {
        return Ok(true);
    }
    let chunk: Value = serde_json::from_str(data).map_err(|_| Error::unreadable())?;
    if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
        return Err(Error::Provider(super::wire::said(error)));
    }
    take(gathered, &chunk, "delta")?;
    Ok(false)
}

/// Takes a whole answer in, from a server that does not stream.
pub(super) fn read_whole(gathered: &mut Gathered, answer: &Value) -> Result<(), Error> {
    take(gathered, answer, "message")
}

fn take(gathered: &mut Gathered, chunk: &Value, member: &str) -> Result<(), Error> {
    if let Some(model) = chunk["model"].as_str().filter(|model| !model.is_empty()) {
        gathered.model = Some(model.to_owned());
    }
    if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
        gathered.usage = Some(self::usage(usage));
    }
    let choice = &chunk["choices"][0];
    let said = &choice[member];
    gathered.text(said["content"].as_str().unwrap_or_default())?;
    for (place, call) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let place = call["index"].as_u64().unwrap_or(place as u64);
        let (text, function) = (|value: &Value| value.as_str().unwrap_or_default().to_owned(), &call["function"]);
        // Some servers give the arguments as an object.
        let arguments = match &function["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        gathered.call(place, &text(&call["id"]), &text(&function["name"]), &arguments)?;
    }
    if let Some(reason) = choice["finish_reason"].as_str() {
        gathered.finish = Some(finish(reason));
    }
    Ok(())
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

fn usage(usage: &Value) -> Usage {
    let tokens = |value: &Value| u32::try_from(value.as_u64().unwrap_or(0)).unwrap_or(u32::MAX);
    Usage {
        input_tokens: tokens(&usage["prompt_tokens"]),
        output_tokens: tokens(&usage["completion_tokens"]),
        cached_tokens: tokens(&usage["prompt_tokens_details"]["cached_tokens"]),
    }
}

/// The vectors of an answer about embeddings, in the order of the inputs, and the tokens in if they are told.
pub(super) fn embeddings(answer: &Value, inputs: usize) -> Result<(Vec<Vec<f32>>, Option<u32>), Error> {
    let mut vectors = vec![Vec::new(); inputs];
    for (place, one) in answer["data"].as_array().into_iter().flatten().enumerate() {
        let place = one["index"].as_u64().map_or(Some(place), |index| usize::try_from(index).ok());
        let numbers = one["embedding"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(vector) = place.and_then(|place| vectors.get_mut(place)) {
            *vector = numbers.iter().filter_map(Value::as_f64).map(|number| number as f32).collect();
        }
    }
    if vectors.iter().any(Vec::is_empty) {
        return Err(Error::unreadable());
    }
    let told = answer["usage"]["prompt_tokens"].as_u64();
    Ok((vectors, told.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX))))
}
