//! `flowgate:flow@0.2.0`: asynchronous flows.
//!
//! Capabilities speak the types of 0.1.0, which these are converted to and from; where nothing but the functions differs the
//! types have the same names and members. What is called and calls back concurrently owns its values, so a trigger is copied
//! once more than for 0.1.0.

use wasmtime::component::{Accessor, StreamReader};

use crate::trigger::{self, Header, HttpReply, Json};

use self::generated::flowgate::flow::flow_types;
use super::{About, BadReply, v0_1};

pub use self::generated::flowgate::flow;
pub use self::generated::{Flow, FlowPre};

#[expect(missing_docs, reason = "bindgen writes this module; the WIT carries the words")]
mod generated {
    wasmtime::component::bindgen!({
        path: ["wit/deps/wasi-logging-0.1.0-draft", "wit/deps/wasi-config-0.2.0-rc.1", "wit/flow-0.2.0"],
        world: "flowgate:flow/flow",
        imports: {
            "flowgate:flow/http": async | store | trappable,
            "flowgate:flow/output": async | store | trappable,
            "flowgate:flow/session": async | store | trappable,
            default: trappable,
        },
        exports: { default: async | store },
        with: {
            "flowgate:flow/llm-types": crate::bindings::v0_1::flow::llm,
            "flowgate:flow/spans.span": crate::bindings::v0_1::flow::spans::Span,
            "wasi:logging": crate::bindings::v0_1::wasi::logging,
            "wasi:config": crate::bindings::v0_1::wasi::config,
        },
        require_store_data_send: true,
    });
}

/// The name of the interface that makes a component a flow of this version.
pub const HANDLER: &str = "flowgate:flow/handler@0.2.0";

/// The name of the optional interface by which a flow describes itself.
pub const DESCRIBE: &str = "flowgate:flow/describe@0.2.0";

/// A reply of which a part may still come.
pub struct Begun {
    /// What is there already.
    pub reply: trigger::Reply,
    /// The text that follows.
    pub stream: Option<StreamReader<String>>,
}

/// Calls the flow's `handle`, within the event loop of its store. The outer error is a trap; the middle one a reply that
/// breaks the contract.
///
/// Dropping the future stops the guest for good: its store can then only be dropped.
pub async fn handle<T: Send>(
    flow: &Flow,
    store: &Accessor<T>,
    trigger: &trigger::Trigger,
    about: About<'_>,
) -> wasmtime::Result<Result<Result<Begun, trigger::Failure>, BadReply>> {
    let given = flow_types::Trigger {
        execution_id: about.execution.to_owned(),
        flow: about.flow.to_owned(),
        version: about.version.to_owned(),
        hook: trigger.hook.map(|hook| hook.to_string()).unwrap_or_default(),
        dialect: trigger.dialect.to_string(),
        attempt: about.attempt,
        received_at_ms: trigger.received_at_ms,
        deadline_ms: about.deadline_ms,
        message: trigger.message.clone(),
        user_id: trigger.user_id.clone(),
        session_id: trigger.session_id.clone(),
        data: trigger.data.as_str().to_owned(),
        metadata: trigger.metadata.as_str().to_owned(),
        request: flow_types::Request {
            method: trigger.request.method.clone(),
            path: trigger.request.path.clone(),
            query: trigger.request.query.clone(),
            headers: trigger.request.headers.iter().map(given_header).collect(),
            body: trigger.request.body.to_vec(),
            peer: trigger.request.peer.clone(),
        },
    };
    Ok(match flow.flowgate_flow_handler().call_handle(store, given).await? {
        Ok(reply) => begun(reply).map(Ok),
        Err(failure) => Ok(Err(failure.into())),
    })
}

fn given_header(header: &Header) -> flow_types::Header {
    flow_types::Header { name: header.name.clone(), value: header.value.to_vec() }
}

fn begun(reply: flow_types::Reply) -> Result<Begun, BadReply> {
    let data = reply.data.map(Json::parse).transpose();
    let data = data.map_err(|reason| BadReply { member: "data", reason })?;
    let raw = reply.raw.map(HttpReply::from);
    Ok(Begun { reply: trigger::Reply { text: reply.text, data, raw }, stream: reply.stream })
}

impl From<flow_types::HttpReply> for HttpReply {
    fn from(raw: flow_types::HttpReply) -> Self {
        let headers = raw.headers.into_iter().map(|field| Header { name: field.name, value: field.value.into() });
        Self { status: raw.status, headers: headers.collect(), body: raw.body.into() }
    }
}

impl From<flow_types::Failure> for trigger::Failure {
    fn from(failure: flow_types::Failure) -> Self {
        match failure {
            flow_types::Failure::InvalidInput(error) => Self::InvalidInput(trigger::InputError {
                field: error.field,
                expected: error.expected,
                received: error.received,
                message: error.message,
            }),
            flow_types::Failure::Failed(message) => Self::Failed { message },
            flow_types::Failure::Retry(retry) => Self::Retry { after_ms: retry.after_ms, message: retry.message },
        }
    }
}

impl From<trigger::Reply> for flow_types::Reply {
    fn from(reply: trigger::Reply) -> Self {
        let field = |Header { name, value }| flow_types::Header { name, value: value.into() };
        let raw = reply.raw.map(|HttpReply { status, headers, body }| flow_types::HttpReply {
            status,
            headers: headers.into_iter().map(field).collect(),
            body: body.into(),
        });
        Self { text: reply.text, stream: None, data: reply.data.map(Json::into_string), raw }
    }
}

impl From<trigger::Failure> for flow_types::Failure {
    fn from(failure: trigger::Failure) -> Self {
        match failure {
            trigger::Failure::InvalidInput(trigger::InputError { field, expected, received, message }) => {
                Self::InvalidInput(flow_types::InputError { field, expected, received, message })
            }
            trigger::Failure::Failed { message } => Self::Failed(message),
            trigger::Failure::Retry { after_ms, message } => Self::Retry(flow_types::RetryAfter { after_ms, message }),
        }
    }
}

impl From<flow::flows::Invocation> for v0_1::flow::flows::Invocation {
    fn from(invocation: flow::flows::Invocation) -> Self {
        let flow::flows::Invocation { flow, message, data, session_id } = invocation;
        Self { flow, message, data, session_id }
    }
}

impl From<v0_1::flow::flows::Error> for flow::flows::Error {
    fn from(error: v0_1::flow::flows::Error) -> Self {
        match error {
            v0_1::flow::flows::Error::NotGranted(text) => Self::NotGranted(text),
            v0_1::flow::flows::Error::Unknown(text) => Self::Unknown(text),
            v0_1::flow::flows::Error::OverLimit(text) => Self::OverLimit(text),
            v0_1::flow::flows::Error::Invalid(text) => Self::Invalid(text),
            v0_1::flow::flows::Error::Failed(failure) => Self::Failed(trigger::Failure::from(failure).into()),
            v0_1::flow::flows::Error::Stopped(reason) => Self::Stopped(reason),
            v0_1::flow::flows::Error::Busy => Self::Busy,
        }
    }
}

impl From<v0_1::flow::output::Error> for flow::output::Error {
    fn from(error: v0_1::flow::output::Error) -> Self {
        match error {
            v0_1::flow::output::Error::Gone => Self::Gone,
            v0_1::flow::output::Error::OverLimit(text) => Self::OverLimit(text),
            v0_1::flow::output::Error::Invalid(text) => Self::Invalid(text),
        }
    }
}

impl From<v0_1::flow::events::Error> for flow::events::Error {
    fn from(error: v0_1::flow::events::Error) -> Self {
        match error {
            v0_1::flow::events::Error::OverLimit(text) => Self::OverLimit(text),
            v0_1::flow::events::Error::Invalid(text) => Self::Invalid(text),
        }
    }
}

impl From<flow::http::Request> for v0_1::flow::http::Request {
    fn from(request: flow::http::Request) -> Self {
        let flow::http::Request { method, url, headers, body, timeout_ms } = request;
        let header =
            |field: flow_types::Header| v0_1::flow::flow_types::HeaderResult { name: field.name, value: field.value };
        Self { method, url, headers: headers.into_iter().map(header).collect(), body, timeout_ms }
    }
}

impl From<v0_1::flow::http::Response> for flow::http::Response {
    fn from(response: v0_1::flow::http::Response) -> Self {
        let v0_1::flow::http::Response { status, headers, body } = response;
        let header =
            |field: v0_1::flow::flow_types::HeaderResult| flow_types::Header { name: field.name, value: field.value };
        Self { status, headers: headers.into_iter().map(header).collect(), body }
    }
}

impl From<v0_1::flow::http::Error> for flow::http::Error {
    fn from(error: v0_1::flow::http::Error) -> Self {
        match error {
            v0_1::flow::http::Error::NotGranted(text) => Self::NotGranted(text),
            v0_1::flow::http::Error::Invalid(text) => Self::Invalid(text),
            v0_1::flow::http::Error::Unreachable(text) => Self::Unreachable(text),
            v0_1::flow::http::Error::Timeout => Self::Timeout,
            v0_1::flow::http::Error::OverLimit(text) => Self::OverLimit(text),
        }
    }
}

impl From<v0_1::flow::secrets::Error> for flow::secrets::Error {
    fn from(error: v0_1::flow::secrets::Error) -> Self {
        match error {
            v0_1::flow::secrets::Error::Unknown(text) => Self::Unknown(text),
            v0_1::flow::secrets::Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl From<v0_1::flow::secrets_reveal::Error> for flow::secrets_reveal::Error {
    fn from(error: v0_1::flow::secrets_reveal::Error) -> Self {
        match error {
            v0_1::flow::secrets_reveal::Error::Unknown(text) => Self::Unknown(text),
            v0_1::flow::secrets_reveal::Error::NotGranted(text) => Self::NotGranted(text),
            v0_1::flow::secrets_reveal::Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl From<v0_1::flow::session::Error> for flow::session::Error {
    fn from(error: v0_1::flow::session::Error) -> Self {
        match error {
            v0_1::flow::session::Error::NoSession => Self::NoSession,
            v0_1::flow::session::Error::Conflict(version) => Self::Conflict(version),
            v0_1::flow::session::Error::OverLimit(text) => Self::OverLimit(text),
            v0_1::flow::session::Error::Invalid(text) => Self::Invalid(text),
            v0_1::flow::session::Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl From<v0_1::flow::session::Role> for flow::session::Role {
    fn from(role: v0_1::flow::session::Role) -> Self {
        match role {
            v0_1::flow::session::Role::User => Self::User,
            v0_1::flow::session::Role::Assistant => Self::Assistant,
            v0_1::flow::session::Role::System => Self::System,
            v0_1::flow::session::Role::Tool => Self::Tool,
        }
    }
}

impl From<flow::session::Role> for v0_1::flow::session::Role {
    fn from(role: flow::session::Role) -> Self {
        match role {
            flow::session::Role::User => Self::User,
            flow::session::Role::Assistant => Self::Assistant,
            flow::session::Role::System => Self::System,
            flow::session::Role::Tool => Self::Tool,
        }
    }
}

impl From<v0_1::flow::session::Message> for flow::session::Message {
    fn from(message: v0_1::flow::session::Message) -> Self {
        let v0_1::flow::session::Message { seq, at_ms, role, text, data } = message;
        Self { seq, at_ms, role: role.into(), text, data }
    }
}

impl From<v0_1::flow::session::Entry> for flow::session::Entry {
    fn from(entry: v0_1::flow::session::Entry) -> Self {
        Self { value: entry.value, version: entry.version }
    }
}
