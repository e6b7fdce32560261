//! A conversation with a model, in no provider's own words.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// What a model is asked. The alias is said beside it, so that the same request may go to another one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// What it may call.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub choice: Choice,
    /// What the reply is to look like.
    pub format: Format,
    /// Tokens of the reply at most.
    pub max_tokens: Option<u32>,
    /// 0 for the likeliest reply.
    pub temperature: Option<f32>,
    /// Texts that end the reply.
    pub stop: Vec<String>,
    /// For providers that can repeat a reply.
    pub seed: Option<u64>,
    /// Members that the provider is sent besides.
    pub extra: Map<String, Value>,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person, or what stands for one.
    User,
    /// The model.
    Assistant,
    /// A tool.
    Tool,
}

/// What somebody says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text(String),
    /// A picture.
    Image {
        /// For example `image/png`.
        media_type: String,
        /// The bytes in base64.
        base64: String,
    },
    /// The model wants a tool to be called.
    ToolCall(ToolCall),
    /// What came of that.
    ToolResult {
        /// The call's id.
        id: String,
        /// For the model to read.
        content: String,
        /// Whether the tool failed.
        is_error: bool,
    },
}

/// The model wants a tool to be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique in the conversation.
    pub id: String,
    /// The tool.
    pub name: String,
    /// What it is given.
    pub arguments: Value,
}

/// Something that a model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// For the model to read.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

/// Whether a tool must be called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The model decides.
    #[default]
    Auto,
    /// None is.
    None,
    /// Some tool is.
    Required,
    /// This one is.
    Named(String),
}

/// What a reply is to look like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As the model likes.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// One JSON text that a schema allows.
    Schema {
        /// What the schema is called.
        name: String,
        /// The schema.
        schema: Value,
    },
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done.
    Stop,
    /// It had no more tokens.
    Length,
    /// It waits for tools.
    ToolCalls,
    /// The provider cut it off, or the model refused.
    ContentFilter,
    /// Something else.
    Other,
}

/// What a call took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens in, those cached included.
    pub input_tokens: u32,
    /// Tokens out.
    pub output_tokens: u32,
    /// Tokens in that the provider had cached.
    pub cached_tokens: u32,
}

/// What a model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The model, as the provider calls it.
    pub model: String,
    /// All that it said, in one text.
    pub text: String,
    /// The tools that it wants to be called.
    pub calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: Finish,
    /// What it took.
    pub usage: Usage,
}

/// A piece of a reply that is on its way.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// Some more words.
    Text(String),
    /// A whole call of a tool.
    ToolCall(ToolCall),
    /// All of it, at its end.
    Done(Reply),
}

/// What an image is taken for, as providers count at most for one of the size that they scale to.
const IMAGE_TOKENS: u64 = 1_600;

/// What a message, tool or the like takes beside its text.
const FRAME_TOKENS: u64 = 8;

/// How many tokens a text of so many bytes probably has at most. English has four bytes to a token, most other languages and
/// code three or more.
pub fn text_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(3)
}

impl Request {
    /// How many tokens it probably has at most. Nobody but the provider can count them.
    pub fn tokens(&self) -> u64 {
        let part = |part: &Part| match part {
            Part::Text(text) => text_tokens(text.len()),
            Part::Image { .. } => IMAGE_TOKENS,
            Part::ToolCall(call) => FRAME_TOKENS + text_tokens(call.name.len() + call.arguments.to_string().len()),
            Part::ToolResult { content, .. } => FRAME_TOKENS + text_tokens(content.len()),
        };
        let messages = self.messages.iter().map(|one| FRAME_TOKENS + one.parts.iter().map(part).sum::<u64>());
        let tools = self.tools.iter().map(|tool| {
            let text = tool.name.len() + tool.description.len() + tool.parameters.to_string().len();
            FRAME_TOKENS + text_tokens(text)
        });
        let format = match &self.format {
            Format::Schema { schema, .. } => text_tokens(schema.to_string().len()),
            _ => 0,
        };
        messages.sum::<u64>() + tools.sum::<u64>() + format
    }

    /// The sha-256, in hex, of what makes two requests the same: everything, with the members of objects in order.
    pub fn hash(&self) -> String {
        // `serde_json` keeps the members of a `Value` sorted, and those of a struct come in their one order.
        let canonical = serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default();
        hex::encode(Sha256::digest(canonical))
    }

    /// The text of the system's messages, in order.
    pub(super) fn system(&self) -> String {
        let system = self.messages.iter().filter(|message| message.role == Role::System);
        system.map(Message::text).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
    }
}

impl Message {
    /// All its words.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_are_the_same_however_their_json_was_written() {
        let request = |schema: &str| Request {
            tools: vec![Tool {
                name: "a".into(),
                description: "b".into(),
                parameters: serde_json::from_str(schema).unwrap(),
            }],
            ..Request::default()
        };
        let one = request(r#"{"type": "object", "properties": {"x": {}, "a": {}}}"#);
        assert_eq!(one.hash(), request(r#"{"properties":{"a":{},"x":{}},"type":"object"}"#).hash());
        assert_ne!(one.hash(), request(r#"{"type":"object"}"#).hash());
        assert_ne!(one.hash(), Request { temperature: Some(0.5), ..one.clone() }.hash());
    }

    #[test]
    fn tokens_are_counted_on_the_high_side() {
        let text = "The quick brown fox jumps over the lazy dog.";
        let message = |parts| Request { messages: vec![Message { role: Role::User, parts }], ..Request::default() };
        // Ten tokens for any model.
        let tokens = message(vec![Part::Text(text.to_owned())]).tokens();
        assert!((10..40).contains(&tokens), "{tokens}");
        let call = Part::ToolCall(ToolCall { id: "1".into(), name: "a".into(), arguments: json!({"x": text}) });
        assert!(message(vec![call]).tokens() > tokens);
    }
}
