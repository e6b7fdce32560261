//! Executions that flows call.
//!
//! One that is waited for runs at once, within what is left of its caller's time and budget, and only once: its caller decides what
//! to do when it fails. It is stopped when nobody waits for it any more. One that is only started is like any that is accepted.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::outcome::HOST_BUSY;
use super::{Done, Ended, Error, Executions, Inner, Order, Outcome};
use crate::capability::flows::{Caller, Invocation, Port, Refusal};
use crate::id::ExecutionId;
use crate::registry::{self, LIVE};
use crate::store::Parent;
use crate::trigger::{Reply, Trigger};

/// The wire format that a flow's call is as if it had come by.
const DIALECT: &str = "native";

impl Executions {
    /// By which flows call each other. It does not keep the executions alive.
    pub fn port(&self) -> Arc<dyn Port> {
        Arc::new(Flows(Arc::downgrade(&self.0)))
    }

    async fn call_flow(&self, caller: Caller, invocation: Invocation) -> Result<Reply, Refusal> {
        if self.0.interrupted.load(Ordering::Relaxed) {
            return Err(Refusal::Busy);
        }
        let order = self.called(&caller, invocation).await?;
        let left = caller.deadline.since(self.now());
        let live = self.run_once(order, left, caller.budgets);
        // Dropped with this future, it stops whom nobody waits for any more.
        let _stop = live.stop.clone().drop_guard();
        let done = live.done().await;
        replied(&done)
    }

    async fn start_flow(&self, caller: Caller, invocation: Invocation) -> Result<ExecutionId, Refusal> {
        // Flows that start each other without end leave half of the queue to triggers.
        if self.queued() >= self.0.options.queued_max / 2 {
            return Err(Refusal::Busy);
        }
        let order = self.called(&caller, invocation).await?;
        self.accept(order).await.map(Ended::id).map_err(|error| refusal(&error))
    }

    /// What is to be executed for a caller.
    async fn called(&self, caller: &Caller, invocation: Invocation) -> Result<Order, Refusal> {
        let Invocation { flow, message, data, session_id } = invocation;
        let session = session_id.as_deref();
        let target = async {
            let registry = &self.0.parts.registry;
            let workspace = registry.flow_by_id(caller.flow).await?.workspace;
            let flow = registry.flow(workspace, &flow).await?;
            registry.resolve(flow.id, &Arc::from(LIVE), session).await
        };
        let target = target.await.map_err(|error| refusal(&error.into()))?;
        let trigger = Trigger {
            dialect: DIALECT.into(),
            received_at_ms: self.now().unix_ms_unsigned(),
            message,
            user_id: caller.user_id.clone(),
            session_id,
            data,
            confidential: caller.confidential,
            ..Trigger::default()
        };
        let parent = Some(Parent { execution: caller.execution, depth: caller.depth });
        Ok(Order { target, hook: None, trigger, claims: Vec::new(), replay_of: None, parent })
    }
}

fn replied(done: &Done) -> Result<Reply, Refusal> {
    match &done.outcome {
        Outcome::Reply(reply) => Ok(reply.clone()),
        Outcome::Failure(failure) => Err(Refusal::Failed(failure.clone())),
        Outcome::Stopped { reason, .. } if reason == HOST_BUSY => Err(Refusal::Busy),
        Outcome::Stopped { reason, .. } => Err(Refusal::Stopped(reason.clone())),
    }
}

fn refusal(error: &Error) -> Refusal {
    use registry::Error::{NotReady, UnknownAlias, UnknownFlow};
    match error {
        Error::Registry(UnknownFlow(_) | UnknownAlias(_) | NotReady { .. }) => Refusal::Unknown(error.to_string()),
        Error::Full | Error::TooMany(_) | Error::SessionFull(..) | Error::Stopping => Refusal::Busy,
        other => {
            tracing::warn!(error = other as &dyn std::error::Error, "a flow could not be called");
            Refusal::Stopped("host_error".to_owned())
        }
    }
}

/// The way from the flows to the executions, which may be gone.
struct Flows(Weak<Inner>);

impl Port for Flows {
    fn call(&self, caller: Caller, invocation: Invocation) -> BoxFuture<'static, Result<Reply, Refusal>> {
        let executions = self.0.upgrade().map(Executions);
        async move { executions.ok_or(Refusal::Busy)?.call_flow(caller, invocation).await }.boxed()
    }

    fn start(&self, caller: Caller, invocation: Invocation) -> BoxFuture<'static, Result<ExecutionId, Refusal>> {
        let executions = self.0.upgrade().map(Executions);
        async move { executions.ok_or(Refusal::Busy)?.start_flow(caller, invocation).await }.boxed()
    }
}
