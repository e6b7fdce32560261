//! The host as a component sees it: the SDK's plain types on this side, the generated ones on the other.

use std::time::Duration;

use serde::Serialize;

use crate::bindings::flowgate::flow::{
    events as wire_events, flow_types as wire, flows as wire_flows, http as wire_http, llm as wire_llm,
    output as wire_output, secrets as wire_secrets, secrets_reveal as wire_reveal, session as wire_session,
    spans as wire_spans,
};
use crate::bindings::keeping::wasi::keyvalue::{atomics, store as buckets};
use crate::bindings::wasi::config::store;
use crate::bindings::wasi::logging::logging;
use crate::llm::{self, Chunk};
use crate::log::Level;
use crate::session::{Entry, Message, Role};
use crate::{
    Failure, Header, HttpReply, InputError, Reply, Request, Result, Trigger, config, events, flows, http, keyvalue,
    output, secrets, session,
};

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

pub(crate) fn fetch(request: http::Request) -> Result<http::Response, http::Error> {
    let http::Request { method, url, headers, body, timeout } = request;
    let headers = headers.into_iter().map(|h| wire::Header { name: h.name, value: h.value }).collect();
    let (body, timeout_ms) = (body.map_err(http::Error::Invalid)?, timeout.map(millis));
    let answer = wire_http::fetch(&wire_http::Request { method, url, headers, body, timeout_ms });
    let answer = answer.map_err(|error| match error {
        wire_http::Error::NotGranted(text) => http::Error::NotGranted(text),
        wire_http::Error::Invalid(text) => http::Error::Invalid(text),
        wire_http::Error::Unreachable(text) => http::Error::Unreachable(text),
        wire_http::Error::Timeout => http::Error::Timeout,
        wire_http::Error::OverLimit(text) => http::Error::OverLimit(text),
    })?;
    let headers = answer.headers.into_iter().map(|h| Header { name: h.name, value: h.value }).collect();
    Ok(http::Response { status: answer.status, headers, body: answer.body })
}

pub(crate) fn secret_exists(name: &str) -> Result<bool, secrets::Error> {
    Ok(wire_secrets::exists(name)?)
}

pub(crate) fn secret_placeholder(name: &str) -> Result<String, secrets::Error> {
    Ok(wire_secrets::placeholder(name)?)
}

pub(crate) fn secret_reveal(name: &str) -> Result<String, secrets::Error> {
    wire_reveal::reveal(name).map_err(|error| match error {
        wire_reveal::Error::Unknown(name) => secrets::Error::Unknown(name),
        wire_reveal::Error::NotGranted(name) => secrets::Error::NotGranted(name),
        wire_reveal::Error::Unavailable(reason) => secrets::Error::Unavailable(reason),
    })
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

pub(crate) fn call(call: &flows::Call) -> Result<Reply, flows::Error> {
    Ok(wire_flows::call(&invocation(call))?.into())
}

pub(crate) fn start(call: &flows::Call) -> Result<String, flows::Error> {
    Ok(wire_flows::start(&invocation(call))?)
}

fn invocation(call: &flows::Call) -> wire_flows::Invocation {
    let flows::Call { flow, message, data, session_id } = call.clone();
    wire_flows::Invocation { flow, message, data, session_id }
}

/// A bucket of the host's.
#[derive(Debug)]
pub(crate) struct Bucket(buckets::Bucket);

impl Bucket {
    pub(crate) fn open(name: &str) -> Result<Self, keyvalue::Error> {
        Ok(Self(buckets::open(name)?))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, keyvalue::Error> {
        Ok(self.0.get(key)?)
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), keyvalue::Error> {
        Ok(self.0.set(key, value)?)
    }

    pub(crate) fn delete(&self, key: &str) -> Result<(), keyvalue::Error> {
        Ok(self.0.delete(key)?)
    }

    pub(crate) fn keys(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), keyvalue::Error> {
        let part = self.0.list_keys(cursor)?;
        Ok((part.keys, part.cursor))
    }

    pub(crate) fn increment(&self, key: &str, delta: i64) -> Result<i64, keyvalue::Error> {
        Ok(atomics::increment(&self.0, key, delta)?)
    }

    pub(crate) fn begin(&self, key: &str) -> Result<Cas, keyvalue::Error> {
        Ok(Cas(atomics::Cas::new(&self.0, key)?))
    }
}

/// A value that is to be replaced only if it stays as it is.
pub(crate) struct Cas(atomics::Cas);

impl Cas {
    pub(crate) fn current(&self) -> Result<Option<Vec<u8>>, keyvalue::Error> {
        Ok(self.0.current()?)
    }

    /// Replaces it, or gives what has come in between.
    pub(crate) fn swap(self, value: &[u8]) -> Result<Option<Self>, keyvalue::Error> {
        match atomics::swap(self.0, value) {
            Ok(()) => Ok(None),
            Err(atomics::CasError::CasFailed(newer)) => Ok(Some(Self(newer))),
            Err(atomics::CasError::StoreError(error)) => Err(error.into()),
        }
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

impl From<wire::Reply> for Reply {
    fn from(reply: wire::Reply) -> Self {
        let raw = reply.raw.map(|raw| HttpReply {
            status: raw.status,
            headers: raw.headers.into_iter().map(|h| Header { name: h.name, value: h.value }).collect(),
            body: raw.body,
        });
        Self { text: reply.text, data: reply.data, raw }
    }
}

/// Not a `From`, since whatever is an error becomes a failure by its words.
fn failure(failure: wire::Failure) -> Failure {
    match failure {
        wire::Failure::InvalidInput(wire::InputError { field, expected, received, message }) => {
            Failure::InvalidInput(InputError { field, expected, received, message })
        }
        wire::Failure::Failed(message) => Failure::Failed(message),
        wire::Failure::Retry(wire::RetryAfter { after_ms, message }) => {
            Failure::Retry { after: after_ms.map(Duration::from_millis), message }
        }
    }
}

impl From<wire_flows::Error> for flows::Error {
    fn from(error: wire_flows::Error) -> Self {
        match error {
            wire_flows::Error::NotGranted(why) => Self::NotGranted(why),
            wire_flows::Error::Unknown(why) => Self::Unknown(why),
            wire_flows::Error::OverLimit(why) => Self::OverLimit(why),
            wire_flows::Error::Invalid(why) => Self::Invalid(why),
            wire_flows::Error::Failed(failed) => Self::Failed(failure(failed)),
            wire_flows::Error::Stopped(reason) => Self::Stopped(reason),
            wire_flows::Error::Busy => Self::Busy,
        }
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

impl From<wire_secrets::Error> for secrets::Error {
    fn from(error: wire_secrets::Error) -> Self {
        match error {
            wire_secrets::Error::Unknown(name) => Self::Unknown(name),
            wire_secrets::Error::Unavailable(reason) => Self::Unavailable(reason),
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

impl From<buckets::Error> for keyvalue::Error {
    fn from(error: buckets::Error) -> Self {
        match error {
            buckets::Error::NoSuchStore => Self::NoSuchBucket,
            buckets::Error::AccessDenied => Self::AccessDenied,
            buckets::Error::Other(why) => Self::Other(why),
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
