//! Between the guest's words and those of the room.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::bindings::v0_1::flow::llm as wire;
use crate::llm::{self, Usage};

/// Members of `extra` that would get past what the host has judged, or that it says itself.
const OWN_MEMBERS: [&str; 15] = [
    "model",
    "messages",
    "system",
    "input",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "best_of",
    "tools",
    "tool_choice",
    "response_format",
    "functions",
];

/// What the guest asks, or which member of it is wrong.
pub(super) fn request(asked: wire::Request) -> Result<llm::Request, String> {
    if asked.messages.is_empty() {
        return Err("`messages` has none".to_owned());
    }
    let messages = asked.messages.into_iter().enumerate().map(|(n, message)| {
        let parts = message.parts.into_iter().map(part).collect::<Result<_, _>>();
        Ok(llm::Message {
            role: role(message.role),
            parts: parts.map_err(|why: String| format!("`messages[{n}]` {why}"))?,
        })
    });
    let tools = asked.tools.into_iter().enumerate().map(|(n, tool)| {
        named(&tool.name).map_err(|why| format!("`tools[{n}].name` {why}"))?;
        let parameters = object(&tool.parameters).map_err(|why| format!("`tools[{n}].parameters` {why}"))?;
        Ok(llm::Tool { name: tool.name, description: tool.description, parameters: parameters.into() })
    });
    let (messages, tools) = (messages.collect::<Result<Vec<_>, String>>()?, tools.collect::<Result<Vec<_>, String>>()?);
    let known = |name: &String| tools.iter().any(|tool| tool.name == *name);
    let choice = match asked.tool_choice {
        wire::ToolChoice::Auto => llm::Choice::Auto,
        wire::ToolChoice::None => llm::Choice::None,
        wire::ToolChoice::Required if tools.is_empty() => {
            return Err("`tool-choice` requires a tool of none".to_owned());
        }
        wire::ToolChoice::Required => llm::Choice::Required,
        wire::ToolChoice::Named(name) if known(&name) => llm::Choice::Named(name),
        wire::ToolChoice::Named(_) => return Err("`tool-choice` names none of the `tools`".to_owned()),
    };
    let format = match asked.format {
        wire::Format::Text => llm::Format::Text,
        wire::Format::Json => llm::Format::Json,
        wire::Format::JsonSchema(wire::NamedSchema { name, schema }) => {
            named(&name).map_err(|why| format!("`format.name` {why}"))?;
            let schema = object(&schema).map_err(|why| format!("`format.schema` {why}"))?.into();
            llm::Format::Schema { name, schema }
        }
    };
    if asked.max_tokens == Some(0) {
        return Err("`max-tokens` is 0".to_owned());
    }
    if asked.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return Err("`temperature` is not within 0 and 2".to_owned());
    }
    let extra = asked.extra.map(|extra| object(&extra)).transpose().map_err(|why| format!("`extra` {why}"))?;
    let extra = extra.unwrap_or_default();
    if let Some(own) = extra.keys().find(|key| OWN_MEMBERS.contains(&key.as_str())) {
        return Err(format!("`extra.{own}` is for the host to say"));
    }
    let (max_tokens, temperature) = (asked.max_tokens, asked.temperature);
    let (stop, seed) = (asked.stop, asked.seed);
    Ok(llm::Request { messages, tools, choice, format, max_tokens, temperature, stop, seed, extra })
}

fn role(role: wire::Role) -> llm::Role {
    match role {
        wire::Role::System => llm::Role::System,
        wire::Role::User => llm::Role::User,
        wire::Role::Assistant => llm::Role::Assistant,
        wire::Role::Tool => llm::Role::Tool,
    }
}

fn part(part: wire::Part) -> Result<llm::Part, String> {
    Ok(match part {
        wire::Part::Text(text) => llm::Part::Text(text),
        wire::Part::Image(wire::Image { media_type, data }) => {
            if !media_type.starts_with("image/") || media_type.len() > 100 || !media_type.is_ascii() {
                return Err("has an image whose `media-type` is none, such as `image/png`".to_owned());
            }
            llm::Part::Image { media_type, base64: BASE64_STANDARD.encode(data) }
        }
        wire::Part::ToolCall(call) => {
            let arguments = serde_json::from_str(&call.arguments);
            let arguments = arguments.map_err(|_| "has a tool call whose `arguments` are not JSON".to_owned())?;
            llm::Part::ToolCall(llm::ToolCall { id: call.id, name: call.name, arguments })
        }
        wire::Part::ToolResult(wire::ToolResult { id, content, is_error }) => {
            llm::Part::ToolResult { id, content, is_error }
        }
    })
}

fn named(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err("is not 1 to 64 of `a-z A-Z 0-9 _ -`")
}

fn object(text: &str) -> Result<Map<String, Value>, &'static str> {
    serde_json::from_str(text).map_err(|_| "is not a JSON object")
}

impl From<llm::ToolCall> for wire::ToolCall {
    fn from(call: llm::ToolCall) -> Self {
        Self { id: call.id, name: call.name, arguments: call.arguments.to_string() }
    }
}

/// A reply in the guest's words.
pub(super) fn whole(reply: llm::Reply, cost: Option<u64>) -> wire::Reply {
    let text = Some(reply.text).filter(|text| !text.is_empty() || reply.calls.is_empty()).map(wire::Part::Text);
    let calls = reply.calls.into_iter().map(|call| wire::Part::ToolCall(call.into()));
    let finish = match reply.finish {
        llm::Finish::Stop => wire::Finish::Stop,
        llm::Finish::Length => wire::Finish::Length,
        llm::Finish::ToolCalls => wire::Finish::ToolCalls,
        llm::Finish::ContentFilter => wire::Finish::ContentFilter,
        llm::Finish::Other => wire::Finish::Other,
    };
    wire::Reply {
        model: reply.model,
        message: wire::Message { role: wire::Role::Assistant, parts: text.into_iter().chain(calls).collect() },
        finish,
        usage: told(reply.usage, cost),
    }
}

/// What a call took, in the guest's words.
pub(super) fn told(usage: Usage, cost_micro_usd: Option<u64>) -> wire::Usage {
    let Usage { input_tokens, output_tokens, cached_tokens } = usage;
    wire::Usage { input_tokens, output_tokens, cached_tokens, cost_micro_usd }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> wire::Request {
        let part = wire::Part::Text("hello".to_owned());
        wire::Request {
            model: "fast".to_owned(),
            messages: vec![wire::Message { role: wire::Role::User, parts: vec![part] }],
            tools: Vec::new(),
            tool_choice: wire::ToolChoice::Auto,
            format: wire::Format::Text,
            max_tokens: None,
            temperature: None,
            stop: Vec::new(),
            seed: None,
            extra: None,
            forward: false,
        }
    }

    fn tool(name: &str, parameters: &str) -> wire::Tool {
        wire::Tool { name: name.to_owned(), description: String::new(), parameters: parameters.to_owned() }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_member() {
        let messages = |part| vec![wire::Message { role: wire::Role::User, parts: vec![part] }];
        let image = wire::Image { media_type: "text/html".to_owned(), data: Vec::new() };
        let call = wire::ToolCall { id: "1".to_owned(), name: "a".to_owned(), arguments: "{".to_owned() };
        let schema = wire::NamedSchema { name: "a b".to_owned(), schema: "{}".to_owned() };
        for (wrong, member) in [
            (wire::Request { messages: Vec::new(), ..asked() }, "`messages`"),
            (wire::Request { messages: messages(wire::Part::Image(image)), ..asked() }, "`messages[0]`"),
            (wire::Request { messages: messages(wire::Part::ToolCall(call)), ..asked() }, "`messages[0]`"),
            (wire::Request { tools: vec![tool("a b", "{}")], ..asked() }, "`tools[0].name`"),
            (wire::Request { tools: vec![tool("a", "[]")], ..asked() }, "`tools[0].parameters`"),
            (wire::Request { tool_choice: wire::ToolChoice::Required, ..asked() }, "`tool-choice`"),
            (wire::Request { tool_choice: wire::ToolChoice::Named("a".to_owned()), ..asked() }, "`tool-choice`"),
            (wire::Request { format: wire::Format::JsonSchema(schema), ..asked() }, "`format.name`"),
            (wire::Request { max_tokens: Some(0), ..asked() }, "`max-tokens`"),
            (wire::Request { temperature: Some(f32::NAN), ..asked() }, "`temperature`"),
            (wire::Request { extra: Some("[]".to_owned()), ..asked() }, "`extra`"),
            (wire::Request { extra: Some("{\"max_tokens\": 9}".to_owned()), ..asked() }, "`extra.max_tokens`"),
        ] {
            let why = request(wrong).unwrap_err();
            assert!(why.starts_with(member), "{why}");
        }
        let fine =
            wire::Request { extra: Some("{\"user\": \"u\"}".to_owned()), tools: vec![tool("a", "{}")], ..asked() };
        assert_eq!(request(fine).unwrap().tools[0].name, "a");
    }
}
