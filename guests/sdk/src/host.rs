//! The host as a component sees it: the SDK's plain types on this side, the generated ones on the other.

use std::time::Duration;

use serde::Serialize;

use crate::bindings::flowgate::flow::{
    events as wire_events, flow_types as wire, llm as wire_llm, output as wire_output, session as wire_session, spans as wire_spans,
};
use crate::bindings::wasi::config::store;
use crate::bindings::wasi::logging::logging;
use crate::llm::{self, Chunk};
use crate::log::Level;
use crate::session::{Entry, Message, Role};
use crate::{Failure, Header, HttpReply, InputError, Reply, Request, Result, Trigger, config, events, output, session};

pub use crate::bindings::describing::exports::flowgate::flow::describe::Guest as Describe;
pub use crate::bindings::exports::flowgate::flow::handler::Guest as Handler;
pub use wire::Trigger as WireTrigger;

/// What the export returns.
pub type WireResult = std::result::Result<wire::Reply, wire::Failure>;

/// Calls the author's function.
pub fn handle<R: Into<Reply>>(handle: impl Fn(Trigger) -> Result<R, Failure>, trigger: WireTrigger) -> WireResult {
    match handle(trigger.into()) {
        Ok(reply) => Ok(reply.into().into()),
        Err(failure) => Err(failure.into()),
    }
}

/// The JSON of the author's description.
///
/// # Panics
/// When it does not serialise, which ends the call with that message.
pub fn describe(description: &impl Serialize) -> String {
    serde_json::to_string(description).expect("a description serialises")
}

pub(crate) fn say(text: Option<&str>, data: Option<&str>) -> Result<(), output::Error> {
    Ok(wire_output::say(text, data)?)
}

pub(crate) fn progress(percent: Option<u8>, message: &str) -> Result<(), output::Error> {
    Ok(wire_output::progress(percent, message)?)
}

pub(crate) fn emit(name: &str, data: &str) -> Result<(), events::Error> {
    wire_events::emit(name, data).map_err(|error| match error {
        wire_events::Error::OverLimit(limit) => events::Error::OverLimit(limit),
        wire_events::Error::Invalid(reason) => events::Error::Invalid(reason),
    })
}

pub(crate) fn messages(limit: u32, before: Option<u64>) -> Result<Vec<Message>, session::Error> {
    Ok(wire_session::messages(limit, before)?.into_iter().map(Message::from).collect())
}

pub(crate) fn append(role: Role, text: &str, data: Option<&str>) -> Result<u64, session::Error> {
    Ok(wire_session::append(role.into(), text, data)?)
}

pub(crate) fn get(key: &str) -> Result<Option<Entry>, session::Error> {
    Ok(wire_session::get(key)?.map(|entry| Entry { value: entry.value, version: entry.version }))
}

pub(crate) fn set(key: &str, value: &[u8], expect: Option<u64>) -> Result<u64, session::Error> {
    Ok(wire_session::set(key, value, expect)?)
}

pub(crate) fn delete(key: &str) -> Result<(), session::Error> {
    Ok(wire_session::delete(key)?)
}

/// A reply that is on its way.
pub(crate) struct ChatStream(wire_llm::ChatStream);

impl ChatStream {
    pub(crate) fn next(&self) -> Result<Option<Chunk>, llm::Error> {
        Ok(self.0.next()?.map(|chunk| match chunk {
            wire_llm::Chunk::Text(text) => Chunk::Text(text),
            wire_llm::Chunk::ToolCall(call) => Chunk::ToolCall(call.into()),
            wire_llm::Chunk::Done(reply) => Chunk::Done(reply.into()),
        }))
    }
}

pub(crate) fn chat(chat: &llm::Chat) -> Result<llm::Reply, llm::Error> {
    Ok(wire_llm::chat(&chat.into())?.into())
}

pub(crate) fn open(chat: &llm::Chat) -> Result<ChatStream, llm::Error> {
    Ok(ChatStream(wire_llm::open(&chat.into())?))
}

pub(crate) fn embed(model: &str, inputs: &[String]) -> Result<(Vec<Vec<f32>>, llm::Usage), llm::Error> {
    let embedded = wire_llm::embed(model, inputs)?;
    Ok((embedded.vectors, embedded.usage.into()))
}

pub(crate) fn models() -> Vec<String> {
    wire_llm::models()
}

/// A span of the host's, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Span(wire_spans::Span);

impl Span {
    pub(crate) fn open(name: &str) -> Self {
        Self(wire_spans::Span::new(name))
    }

    pub(crate) fn set(&self, key: &str, value: &str) {
        self.0.set(key, value);
    }

    pub(crate) fn end(self, error: Option<&str>) {
        self.0.end(error);
    }
}

pub(crate) fn config(key: &str) -> Result<Option<String>, config::Error> {
    store::get(key).map_err(|error| match error {
        store::Error::Upstream(text) | store::Error::Io(text) => config::Error(text),
    })
}

pub(crate) fn log(level: Level, context: &str, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
        Level::Critical => logging::Level::Critical,
    };
    logging::log(level, context, message);
}

impl From<wire::Trigger> for Trigger {
    fn from(t: wire::Trigger) -> Self {
        Self {
            execution_id: t.execution_id,
            flow: t.flow,
            version: t.version,
            hook: t.hook,
            dialect: t.dialect,
            attempt: t.attempt,
            received_at_ms: t.received_at_ms,
            deadline_ms: t.deadline_ms,
            message: t.message,
            user_id: t.user_id,
            session_id: t.session_id,
            data: t.data,
            metadata: t.metadata,
            request: t.request.into(),
        }
    }
}

impl From<wire::Request> for Request {
    fn from(r: wire::Request) -> Self {
        let headers = r.headers.into_iter().map(|h| Header { name: h.name, value: h.value }).collect();
        Self { method: r.method, path: r.path, query: r.query, headers, body: r.body, peer: r.peer }
    }
}

impl From<Reply> for wire::Reply {
    fn from(reply: Reply) -> Self {
        Self { text: reply.text, data: reply.data, raw: reply.raw.map(wire::HttpReply::from) }
    }
}

impl From<HttpReply> for wire::HttpReply {
    fn from(r: HttpReply) -> Self {
        let headers = r.headers.into_iter().map(|h| wire::Header { name: h.name, value: h.value }).collect();
        Self { status: r.status, headers, body: r.body }
    }
}

impl From<Failure> for wire::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InvalidInput(InputError { field, expected, received, message }) => {
                Self::InvalidInput(wire::InputError { field, expected, received, message })
            }
            Failure::Failed(message) => Self::Failed(message),
            Failure::Retry { after, message } => Self::Retry(wire::RetryAfter { after_ms: after.map(millis), message }),
        }
    }
}

impl From<wire_output::Error> for output::Error {
    fn from(error: wire_output::Error) -> Self {
        match error {
            wire_output::Error::Gone => Self::Gone,
            wire_output::Error::OverLimit(limit) => Self::OverLimit(limit),
            wire_output::Error::Invalid(reason) => Self::Invalid(reason),
        }
    }
}

impl From<wire_session::Error> for session::Error {
    fn from(error: wire_session::Error) -> Self {
        match error {
            wire_session::Error::NoSession => Self::NoSession,
            wire_session::Error::Conflict(version) => Self::Conflict(version),
            wire_session::Error::OverLimit(limit) => Self::OverLimit(limit),
            wire_session::Error::Invalid(reason) => Self::Invalid(reason),
            wire_session::Error::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<wire_session::Message> for Message {
    fn from(m: wire_session::Message) -> Self {
        let role = match m.role {
            wire_session::Role::User => Role::User,
            wire_session::Role::Assistant => Role::Assistant,
            wire_session::Role::System => Role::System,
            wire_session::Role::Tool => Role::Tool,
        };
        Self { seq: m.seq, at_ms: m.at_ms, role, text: m.text, data: m.data }
    }
}

impl From<Role> for wire_session::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
            Role::System => Self::System,
            Role::Tool => Self::Tool,
        }
    }
}

impl From<&llm::Chat> for wire_llm::Request {
    fn from(chat: &llm::Chat) -> Self {
        let tool = |tool: &llm::Tool| wire_llm::Tool {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.to_string(),
        };
        Self {
            model: chat.model.clone(),
            messages: chat.messages.iter().map(message).collect(),
            tools: chat.tools.iter().map(tool).collect(),
            tool_choice: match &chat.tool_choice {
                llm::ToolChoice::Auto => wire_llm::ToolChoice::Auto,
                llm::ToolChoice::None => wire_llm::ToolChoice::None,
                llm::ToolChoice::Required => wire_llm::ToolChoice::Required,
                llm::ToolChoice::Named(name) => wire_llm::ToolChoice::Named(name.clone()),
            },
            format: match &chat.format {
                llm::Format::Text => wire_llm::Format::Text,
                llm::Format::Json => wire_llm::Format::Json,
                llm::Format::Schema { name, schema } => wire_llm::Format::JsonSchema(wire_llm::NamedSchema {
                    name: name.clone(),
                    schema: schema.to_string(),
                }),
            },
            max_tokens: chat.max_tokens,
            temperature: chat.temperature,
            stop: chat.stop.clone(),
            seed: chat.seed,
            extra: chat.extra.as_ref().map(ToString::to_string),
            forward: chat.forward,
        }
    }
}

fn message(message: &llm::Message) -> wire_llm::Message {
    let role = match message.role {
        Role::System => wire_llm::Role::System,
        Role::User => wire_llm::Role::User,
        Role::Assistant => wire_llm::Role::Assistant,
        Role::Tool => wire_llm::Role::Tool,
    };
    let part = |part: &llm::Part| match part.clone() {
        llm::Part::Text(text) => wire_llm::Part::Text(text),
        llm::Part::Image(llm::Image { media_type, data }) => {
            wire_llm::Part::Image(wire_llm::Image { media_type, data })
        }
        llm::Part::ToolCall(llm::ToolCall { id, name, arguments }) => {
            wire_llm::Part::ToolCall(wire_llm::ToolCall { id, name, arguments: arguments.to_string() })
        }
        llm::Part::ToolResult(llm::ToolResult { id, content, is_error }) => {
            wire_llm::Part::ToolResult(wire_llm::ToolResult { id, content, is_error })
        }
    };
    wire_llm::Message { role, parts: message.parts.iter().map(part).collect() }
}

impl From<wire_llm::ToolCall> for llm::ToolCall {
    fn from(call: wire_llm::ToolCall) -> Self {
        // The host gives one JSON text; should it ever not, the tool sees what it was.
        let arguments = serde_json::from_str(&call.arguments).unwrap_or(serde_json::Value::String(call.arguments));
        Self { id: call.id, name: call.name, arguments }
    }
}

impl From<wire_llm::Reply> for llm::Reply {
    fn from(reply: wire_llm::Reply) -> Self {
        let part = |part| match part {
            wire_llm::Part::Text(text) => llm::Part::Text(text),
            wire_llm::Part::Image(image) => {
                llm::Part::Image(llm::Image { media_type: image.media_type, data: image.data })
            }
            wire_llm::Part::ToolCall(call) => llm::Part::ToolCall(call.into()),
            wire_llm::Part::ToolResult(wire_llm::ToolResult { id, content, is_error }) => {
                llm::Part::ToolResult(llm::ToolResult { id, content, is_error })
            }
        };
        let parts = reply.message.parts.into_iter().map(part).collect();
        Self {
            model: reply.model,
            message: llm::Message { role: Role::Assistant, parts },
            finish: match reply.finish {
                wire_llm::Finish::Stop => llm::Finish::Stop,
                wire_llm::Finish::Length => llm::Finish::Length,
                wire_llm::Finish::ToolCalls => llm::Finish::ToolCalls,
                wire_llm::Finish::ContentFilter => llm::Finish::ContentFilter,
                wire_llm::Finish::Other => llm::Finish::Other,
            },
            usage: reply.usage.into(),
        }
    }
}

impl From<wire_llm::Usage> for llm::Usage {
    fn from(usage: wire_llm::Usage) -> Self {
        let wire_llm::Usage { input_tokens, output_tokens, cached_tokens, cost_micro_usd } = usage;
        Self { input_tokens, output_tokens, cached_tokens, cost_micro_usd }
    }
}

impl From<wire_llm::Error> for llm::Error {
    fn from(error: wire_llm::Error) -> Self {
        match error {
            wire_llm::Error::NotGranted(why) => Self::NotGranted(why),
            wire_llm::Error::BudgetExceeded(wire_llm::Budget { name, limit, used, wanted }) => {
                Self::BudgetExceeded { name, limit, used, wanted }
            }
            wire_llm::Error::RateLimited(wait) => Self::RateLimited(wait.map(Duration::from_millis)),
            wire_llm::Error::Invalid(why) => Self::Invalid(why),
            wire_llm::Error::Provider(why) => Self::Provider(why),
            wire_llm::Error::Timeout => Self::Timeout,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
