//! `flowgate:flow@0.1.0`: synchronous flows.
//!
//! The trigger is lowered from borrowed data straight into the guest's memory, and what the guest returns is moved out of
//! the lifted values, so a body is copied once in each direction.

use wasmtime::AsContextMut;

use crate::trigger::{self, Header, HttpReply, Json, Level};

use self::generated::flowgate::flow::flow_types;
use self::generated::wasi::logging::logging::Level as GuestLevel;
use super::{About, BadReply};

pub use self::generated::flowgate::flow;
pub use self::generated::wasi;
pub use self::generated::{Flow, FlowPre};

#[expect(missing_docs, reason = "bindgen writes this module; the WIT carries the words")]
mod generated {
    wasmtime::component::bindgen!({
        path: ["wit/deps/wasi-logging-0.1.0-draft", "wit/deps/wasi-config-0.2.0-rc.1", "wit/flow-0.1.0"],
        world: "flowgate:flow/flow",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: {
            "flowgate:flow/http": async | trappable,
            "flowgate:flow/llm": async | trappable,
            "flowgate:flow/output": async | trappable,
            "flowgate:flow/flows": async | trappable,
            "flowgate:flow/session": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        require_store_data_send: true,
    });
}

/// The name of the interface that makes a component a flow of this version.
pub const HANDLER: &str = "flowgate:flow/handler@0.1.0";

/// The name of the optional interface by which a flow describes itself.
pub const DESCRIBE: &str = "flowgate:flow/describe@0.1.0";

/// Calls the flow's `handle`. The outer error is a trap; the middle one a reply that breaks the contract.
///
/// Dropping the future stops the guest for good: its store can then only be dropped.
pub async fn handle<S>(
    flow: &Flow,
    store: S,
    trigger: &trigger::Trigger,
    about: About<'_>,
) -> wasmtime::Result<Result<Result<trigger::Reply, trigger::Failure>, BadReply>>
where
    S: AsContextMut,
    S::Data: Send,
{
    let headers: Vec<_> = trigger.request.headers.iter().map(borrow_header).collect();
    let hook = trigger.hook.map(|hook| hook.to_string()).unwrap_or_default();
    let lowered = flow_types::Trigger {
        execution_id: about.execution,
        flow: about.flow,
        version: about.version,
        hook: &hook,
        dialect: &trigger.dialect,
        attempt: about.attempt,
        received_at_ms: trigger.received_at_ms,
        deadline_ms: about.deadline_ms,
        message: trigger.message.as_deref(),
        user_id: trigger.user_id.as_deref(),
        session_id: trigger.session_id.as_deref(),
        data: trigger.data.as_str(),
        metadata: trigger.metadata.as_str(),
        request: flow_types::Request {
            method: &trigger.request.method,
            path: &trigger.request.path,
            query: &trigger.request.query,
            headers: &headers,
            body: &trigger.request.body,
            peer: &trigger.request.peer,
        },
    };
    Ok(match flow.flowgate_flow_handler().call_handle(store, lowered).await? {
        Ok(reply) => reply.try_into().map(Ok),
        Err(failure) => Ok(Err(failure.into())),
    })
}

fn borrow_header(header: &Header) -> flow_types::HeaderParam<'_> {
    flow_types::HeaderParam { name: &header.name, value: &header.value }
}

impl TryFrom<flow_types::Reply> for trigger::Reply {
    type Error = BadReply;

    fn try_from(reply: flow_types::Reply) -> Result<Self, BadReply> {
        let data = reply.data.map(Json::parse).transpose();
        Ok(Self {
            text: reply.text,
            data: data.map_err(|reason| BadReply { member: "data", reason })?,
            raw: reply.raw.map(HttpReply::from),
        })
    }
}

impl From<flow_types::HttpReply> for HttpReply {
    fn from(raw: flow_types::HttpReply) -> Self {
        let headers = raw.headers.into_iter().map(|field| Header { name: field.name, value: field.value.into() });
        Self { status: raw.status, headers: headers.collect(), body: raw.body.into() }
    }
}

impl From<trigger::Reply> for flow_types::Reply {
    fn from(reply: trigger::Reply) -> Self {
        let field = |Header { name, value }| flow_types::HeaderResult { name, value: value.into() };
        let raw = reply.raw.map(|HttpReply { status, headers, body }| flow_types::HttpReply {
            status,
            headers: headers.into_iter().map(field).collect(),
            body: body.into(),
        });
        Self { text: reply.text, data: reply.data.map(Json::into_string), raw }
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

impl From<GuestLevel> for Level {
    fn from(level: GuestLevel) -> Self {
        match level {
            GuestLevel::Trace => Self::Trace,
            GuestLevel::Debug => Self::Debug,
            GuestLevel::Info => Self::Info,
            GuestLevel::Warn => Self::Warn,
            GuestLevel::Error => Self::Error,
            GuestLevel::Critical => Self::Critical,
        }
    }
}
