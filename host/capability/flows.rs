//! `flowgate:flow/flows`: calls of other flows, each of which is an execution of its own.
//!
//! What runs executions lies above this room, so it brings a [`Port`] and [`Door`] hands it to the calls. A call waits without a
//! place of its own in any queue: where there is none to run it, it is refused at once, and so callers that wait for each other's
//! places cannot be.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::v0_1::flow::flow_types;
use crate::bindings::v0_1::flow::flows::{Error, Host, Invocation as Wanted};
use crate::bindings::v0_2::flow::flows as v0_2;
use crate::clock::Timestamp;
use crate::id::{ExecutionId, FlowId};
use crate::llm::Account;
use crate::trigger::{Failure, Json, Reply};

use super::grants::Grants;
use super::spans::{Open, Spans};
use super::{Options, Services};

/// Bytes of a session id.
const SESSION_BYTES_MAX: usize = 256;

/// Runs executions for flows.
pub trait Port: Send + Sync {
    /// Runs a flow and waits for its reply. The flow is stopped when the future is dropped.
    fn call(&self, caller: Caller, invocation: Invocation) -> BoxFuture<'static, Result<Reply, Refusal>>;

    /// Accepts an execution, which is durable when the future is ready.
    fn start(&self, caller: Caller, invocation: Invocation) -> BoxFuture<'static, Result<ExecutionId, Refusal>>;
}

/// Where the port comes in, once there is one. Clones share it.
#[derive(Clone, Default)]
pub struct Door(Arc<OnceLock<Arc<dyn Port>>>);

impl Door {
    /// Lets the port in. A second one changes nothing.
    pub fn open(&self, port: Arc<dyn Port>) {
        let _ = self.0.set(port);
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// What an execution may still use, together with those that it calls. Clones share it.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// How long it may run.
    pub cpu: Arc<dyn Budget>,
    /// What it may spend on language models.
    pub llm: Account,
}

/// What an execution may still run, together with those that it calls.
pub trait Budget: Send + Sync + fmt::Debug {
    /// How much is left.
    fn left(&self) -> Duration;

    /// Takes away what a called one has run, here and from all that wait for this one.
    fn charge(&self, used: Duration);
}

/// The execution that calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its id.
    pub execution: ExecutionId,
    /// Its flow.
    pub flow: FlowId,
    /// How many callers stand above it: 0 for one that a trigger made.
    pub depth: u32,
    /// When it is stopped.
    pub deadline: Timestamp,
    /// Who sent its trigger.
    pub user_id: Option<String>,
    /// Whether its content is forgotten in the end.
    pub confidential: bool,
    /// What it may still use.
    pub budgets: Budgets,
}

/// What is called.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The flow's name.
    pub flow: String,
    /// What is said to it.
    pub message: Option<String>,
    /// The payload.
    pub data: Json,
    /// The conversation.
    pub session_id: Option<String>,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// There is no such flow, or no version of it that could run.
    Unknown(String),
    /// The flow gave a failure.
    Failed(Failure),
    /// The host stopped the flow, for this reason.
    Stopped(String),
    /// There is no place for it.
    Busy,
}

/// The calls of one execution. Clones share their number.
#[derive(Clone)]
pub(super) struct Flows {
    door: Door,
    caller: Option<Caller>,
    grants: Arc<Grants>,
    spans: Spans,
    depth_max: u32,
    calls: Arc<AtomicU32>,
    calls_max: u32,
    bytes_max: usize,
}

impl Flows {
    pub(super) fn new(
        options: &Options,
        services: &Services,
        caller: Option<Caller>,
        grants: Arc<Grants>,
        spans: Spans,
    ) -> Self {
        Self {
            door: services.flows.clone(),
            caller,
            grants,
            spans,
            depth_max: options.call_depth_max,
            calls: Arc::default(),
            calls_max: options.calls_max,
            bytes_max: options.call_bytes_max,
        }
    }

    /// Whether the call may be made; what is needed to make it.
    fn admit(&self, wanted: Wanted) -> Result<(Arc<dyn Port>, Caller, Invocation), Error> {
        let Wanted { flow, message, data, session_id } = wanted;
        if !self.grants.flows.contains(&flow) {
            return Err(Error::NotGranted(format!("the flow may not call `{flow}`")));
        }
        let (Some(port), Some(caller)) = (self.door.0.get(), &self.caller) else { return Err(Error::Busy) };
        let bytes = message.as_ref().map_or(0, String::len) + data.len();
        if bytes > self.bytes_max {
            let text = format!("message and data have {bytes} bytes together and may have {}", self.bytes_max);
            return Err(Error::OverLimit(text));
        }
        if session_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > SESSION_BYTES_MAX) {
            return Err(Error::Invalid(format!("a session id has 1 to {SESSION_BYTES_MAX} bytes")));
        }
        let data =
            Json::parse(data).map_err(|error| Error::Invalid(format!("`data` is not one JSON text: {error}")))?;
        if caller.depth >= self.depth_max {
            return Err(Error::OverLimit(format!("flows call flows at most {} levels deep", self.depth_max)));
        }
        let one_more = |calls| (calls < self.calls_max).then_some(calls + 1);
        let over = |_| Error::OverLimit(format!("an execution calls flows at most {} times", self.calls_max));
        self.calls.fetch_update(Relaxed, Relaxed, one_more).map_err(over)?;
        Ok((port.clone(), caller.clone(), Invocation { flow, message, data, session_id }))
    }

    async fn call(&self, wanted: Wanted) -> Result<Reply, Error> {
        let span = self.span("flows.call", &wanted);
        let (port, caller, invocation) = recorded(&span, self.admit(wanted))?;
        let reply = port.call(caller, invocation).await;
        recorded(&span, reply.map_err(Error::from))
    }

    async fn start(&self, wanted: Wanted) -> Result<String, Error> {
        let span = self.span("flows.start", &wanted);
        let (port, caller, invocation) = recorded(&span, self.admit(wanted))?;
        let id = port.start(caller, invocation).await;
        recorded(&span, id.map(|id| id.to_string()).map_err(Error::from))
    }

    fn span(&self, call: &str, wanted: &Wanted) -> Open {
        let span = self.spans.open(call);
        span.set("flow", &wanted.flow);
        span
    }
}

fn recorded<T>(span: &Open, result: Result<T, Error>) -> Result<T, Error> {
    result.inspect_err(|error| {
        span.fail(match error {
            Error::NotGranted(_) => "not_granted",
            Error::Unknown(_) => "unknown",
            Error::OverLimit(_) => "over_limit",
            Error::Invalid(_) => "invalid",
            Error::Failed(_) => "failed",
            Error::Stopped(reason) => reason,
            Error::Busy => "busy",
        });
    })
}

impl Host for Flows {
    async fn call(&mut self, i: Wanted) -> wasmtime::Result<Result<flow_types::Reply, Error>> {
        Ok((*self).call(i).await.map(Into::into))
    }

    async fn start(&mut self, i: Wanted) -> wasmtime::Result<Result<String, Error>> {
        Ok((*self).start(i).await)
    }
}

impl v0_2::Host for Flows {}

/// A copy for a call that others do not wait for.
fn copy<T: Send>(store: &Accessor<T, HasSelf<Flows>>) -> Flows {
    store.with(|mut store| store.get().clone())
}

impl<T: Send> v0_2::HostWithStore<T> for HasSelf<Flows> {
    async fn call(
        store: &Accessor<T, Self>,
        i: v0_2::Invocation,
    ) -> wasmtime::Result<Result<v0_2::Reply, v0_2::Error>> {
        Ok(copy(store).call(i.into()).await.map(Into::into).map_err(Into::into))
    }

    async fn start(store: &Accessor<T, Self>, i: v0_2::Invocation) -> wasmtime::Result<Result<String, v0_2::Error>> {
        Ok(copy(store).start(i.into()).await.map_err(Into::into))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(why) => Self::Unknown(why),
            Refusal::Failed(failure) => Self::Failed(failure.into()),
            Refusal::Stopped(reason) => Self::Stopped(reason),
            Refusal::Busy => Self::Busy,
        }
    }
}
