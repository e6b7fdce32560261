//! The host as a component sees it: the SDK's plain types on this side, the generated ones on the other.

use std::time::Duration;

use serde::Serialize;

use crate::bindings::flowgate::flow::{
    events as wire_events, flow_types as wire, output as wire_output, session as wire_session, spans as wire_spans,
};
use crate::bindings::wasi::config::store;
use crate::bindings::wasi::logging::logging;
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
