//! Language models, which the host asks for the flow: it has the keys, counts the tokens and keeps to the budgets.
//!
//! A flow names an alias such as `fast`, which its operator granted; the operator decides which model that is.
//!
//! ```
//! use flowgate::llm::Chat;
//! use flowgate::{Reply, Result, Trigger};
//!
//! fn handle(trigger: Trigger) -> Result {
//!     let reply = Chat::new("fast").system("Answer in one sentence.").user(trigger.message()?).send()?;
//!     Ok(Reply::text(reply.text()))
//! }
//! # flowgate::flow!(handle);
//! ```
//!
//! [`Chat::forward`] lets the caller read the text while the model still writes it. [`Agent`](crate::Agent) lets the model
//! call functions of yours.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{host, session};

pub use crate::session::Role;

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    /// An alias that the operator granted to the flow.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub tool_choice: ToolChoice,
    /// What the reply is to look like.
    pub format: Format,
    /// Tokens of the reply at most; as the operator has it when absent.
    pub max_tokens: Option<u32>,
    /// 0 for the likeliest reply.
    pub temperature: Option<f32>,
    /// Texts that end the reply.
    pub stop: Vec<String>,
    /// For providers that can repeat a reply.
    pub seed: Option<u64>,
    /// Members to add to what the provider is sent: a JSON object.
    pub extra: Option<Value>,
    /// Whether the text also goes to the flow's caller as it comes.
    pub forward: bool,
}

/// What somebody says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text(String),
    /// A picture.
    Image(Image),
    /// The model wants a tool to be called.
    ToolCall(ToolCall),
    /// What came of that.
    ToolResult(ToolResult),
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// For example `image/png`.
    pub media_type: String,
    /// The bytes of the file.
    pub data: Vec<u8>,
}

/// The model wants a tool to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique in the conversation.
    pub id: String,
    /// The tool.
    pub name: String,
    /// What it is given.
    pub arguments: Value,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call's id.
    pub id: String,
    /// For the model to read.
    pub content: String,
    /// Whether the tool failed.
    pub is_error: bool,
}

/// Something that a model may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// For the model to read.
    pub description: String,
    /// The JSON Schema of its arguments, an object.
    pub parameters: Value,
}

/// Whether a tool must be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ToolChoice {
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Format {
    /// As the model likes.
    #[default]
    Text,
    /// One JSON text.
    Json,
    /// One JSON text that a schema allows.
    Schema {
        /// What the schema is called.
        name: String,
        /// The schema.
        schema: Value,
    },
}

/// What a call took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens in, those cached included.
    pub input_tokens: u32,
    /// Tokens out.
    pub output_tokens: u32,
    /// Tokens in that the provider had cached.
    pub cached_tokens: u32,
    /// Millionths of a US dollar, where the operator configured prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done, or met a stop text.
    Stop,
    /// It had no more tokens.
    Length,
    /// It waits for the results of tools.
    ToolCalls,
    /// The provider cut it off.
    ContentFilter,
    /// Something else.
    Other,
}

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The model that answered, as the provider calls it.
    pub model: String,
    /// What it said.
    pub message: Message,
    /// Why it ended.
    pub finish: Finish,
    /// What it took.
    pub usage: Usage,
}

/// A piece of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Some more words.
    Text(String),
    /// A whole call of a tool.
    ToolCall(ToolCall),
    /// All of it, at its end.
    Done(Reply),
}

/// Why a call was not answered. `?` makes a [`Failure`](crate::Failure) of it: one to try again where the provider is busy,
/// slow or broken, else a final one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The flow was not granted this model, or there is none of this name.
    NotGranted(String),
    /// The call would exceed a budget. Nothing was sent.
    BudgetExceeded {
        /// Which budget, for example `tokens per execution`.
        name: String,
        /// All of it.
        limit: u64,
        /// What is spent.
        used: u64,
        /// What the call might have cost.
        wanted: u64,
    },
    /// The provider's own limit, with how long to wait where it says so.
    RateLimited(Option<Duration>),
    /// The request is refused; the text names the member.
    Invalid(String),
    /// The provider failed; the text is for people.
    Provider(String),
    /// There was no whole reply in time.
    Timeout,
}

impl Chat {
    /// Asks the model behind an alias.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::default(),
            format: Format::default(),
            max_tokens: None,
            temperature: None,
            stop: Vec::new(),
            seed: None,
            extra: None,
            forward: false,
        }
    }

    /// Adds instructions.
    #[must_use]
    pub fn system(self, text: impl Into<String>) -> Self {
        self.message(Message::new(Role::System, text))
    }

    /// Adds what the person says.
    #[must_use]
    pub fn user(self, text: impl Into<String>) -> Self {
        self.message(Message::new(Role::User, text))
    }

    /// Adds what the model said before.
    #[must_use]
    pub fn assistant(self, text: impl Into<String>) -> Self {
        self.message(Message::new(Role::Assistant, text))
    }

    /// Adds a message.
    #[must_use]
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// Adds the last `limit` messages of the session, without those of tools.
    pub fn history(mut self, limit: u32) -> Result<Self, session::Error> {
        let history = session::messages(limit)?.into_iter().filter(|message| message.role != Role::Tool);
        self.messages.extend(history.map(|message| Message::new(message.role, message.text)));
        Ok(self)
    }

    /// Lets the caller read the text while the model still writes it: a caller that streams gets it piece by piece, as by
    /// [`output::say`](crate::output::say).
    #[must_use]
    pub fn forward(self) -> Self {
        Self { forward: true, ..self }
    }

    /// Tokens of the reply at most.
    #[must_use]
    pub fn max_tokens(self, tokens: u32) -> Self {
        Self { max_tokens: Some(tokens), ..self }
    }

    /// 0 for the likeliest reply, 2 for the wildest.
    #[must_use]
    pub fn temperature(self, temperature: f32) -> Self {
        Self { temperature: Some(temperature), ..self }
    }

    /// The reply is to be one JSON text that is a `T`; [`Reply::json`] reads it.
    #[must_use]
    pub fn json<T: JsonSchema>(self) -> Self {
        let name = T::schema_name().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        let mut schema = schema::<T>();
        close(&mut schema);
        Self { format: Format::Schema { name, schema }, ..self }
    }

    /// Asks, and waits for the whole reply.
    pub fn send(&self) -> Result<Reply, Error> {
        host::chat(self)
    }

    /// Asks, and reads the reply as it comes. Dropping the stream stops the model.
    ///
    /// ```no_run
    /// # use flowgate::llm::{Chat, Chunk, Error};
    /// # fn f() -> Result<(), Error> {
    /// for chunk in Chat::new("fast").user("Count to ten.").stream()? {
    ///     if let Chunk::Text(text) = chunk? {
    ///         print!("{text}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(&self) -> Result<Stream, Error> {
        host::open(self).map(|stream| Stream(Some(stream)))
    }
}

/// A reply that comes in pieces, of which [`Chunk::Done`] is the last one.
pub struct Stream(Option<host::ChatStream>);

impl Iterator for Stream {
    type Item = Result<Chunk, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.0.as_ref()?.next();
        if !matches!(next, Ok(Some(Chunk::Text(_) | Chunk::ToolCall(_)))) {
            self.0 = None;
        }
        next.transpose()
    }
}

/// Vectors for texts, one each, in order, and what they took.
pub fn embed(model: &str, inputs: &[String]) -> Result<(Vec<Vec<f32>>, Usage), Error> {
    host::embed(model, inputs)
}

/// The aliases that the flow was granted.
pub fn models() -> Vec<String> {
    host::models()
}

impl Message {
    /// A message of words.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text(text.into())] }
    }

    /// All its words.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

impl Reply {
    /// A reply of words, for tests.
    pub fn says(text: impl Into<String>) -> Self {
        let message = Message::new(Role::Assistant, text);
        Self { model: "test".to_owned(), message, finish: Finish::Stop, usage: Usage::default() }
    }

    /// A reply that calls a tool, for tests.
    pub fn calls(name: &str, arguments: Value) -> Self {
        let call = ToolCall { id: format!("call_{name}"), name: name.to_owned(), arguments };
        let message = Message { role: Role::Assistant, parts: vec![Part::ToolCall(call)] };
        Self { finish: Finish::ToolCalls, message, ..Self::says("") }
    }

    /// All its words.
    pub fn text(&self) -> String {
        self.message.text()
    }

    /// Its text as a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let text = self.text();
        serde_json::from_str(&text)
            .map_err(|error| Error::Provider(format!("the reply is not what was asked: {error}")))
    }

    /// The tools that the model wants to be called.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.message.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(why) => write!(f, "the model {why}"),
            Self::BudgetExceeded { name, limit, used, wanted } => {
                write!(f, "the budget of {limit} {name} does not allow {wanted} more, {used} are used")
            }
            Self::RateLimited(_) => f.write_str("the model's provider is busy"),
            Self::Invalid(why) => write!(f, "the request to the model was refused: {why}"),
            Self::Provider(why) => write!(f, "the model's provider failed: {why}"),
            Self::Timeout => f.write_str("the model did not answer in time"),
        }
    }
}

impl std::error::Error for Error {}

/// The JSON Schema of a type, with all its parts in place.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(members) = schema.as_object_mut() {
        members.remove("$schema");
        members.remove("title");
    }
    schema
}

/// Closes the objects of a schema: all members must be there and no others, as providers want it that keep to a schema.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(names) = members.get("properties").and_then(Value::as_object) {
                let names = names.keys().cloned().collect::<Vec<_>>();
                members.insert("required".to_owned(), json!(names));
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
