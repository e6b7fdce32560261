//! Starts, runs, records, cancels and replays executions.
//!
//! Every accepted trigger makes one execution, and synchronous reply, poll, stream and callback are views of it. A
//! caller that goes away stops nothing. It is durable in one of two ways:
//!
//! - **accepted first**: its row and its job are on the disk before it runs or before its caller gets a 202. A crash
//!   leaves the job, and the next process runs the execution again as attempt n + 1.
//! - **recorded after**: a caller who waits gets the reply at once, and the row follows in one of the next commits. A crash
//!   takes the caller's connection with it, so nothing was promised. When the caller's patience ends before the execution
//!   does, it becomes an accepted one before the 202 is sent.
//!
//! Outcome, outputs, logs, the session's messages, callbacks and the end of the job are one transaction. Only a dialect that
//! calls back with every output does not wait for it: see `told`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Timestamp};
use crate::delivery::Deliveries;
use crate::dialect::Malformed;
use crate::engine::Engine;
use crate::hook::{Hook, Hooks};
use crate::id::{self, ExecutionId, FlowId, RequestId, WorkspaceId};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::registry::{self, Registry, Target};
use crate::share::Shares;
use crate::store::{
    self, Calls, Execution, ExecutionFilter, Idempotency, Logs, Origin, Page, Parent, Spans, Status, Store,
};
use crate::trigger::Trigger;

mod attempt;
mod busy;
mod called;
mod follow;
mod goes_on;
mod live;
mod open;
mod outcome;
mod replay;
mod request;
mod start;
mod told;
mod turns;
mod work;

pub use follow::{Event, Follow};
pub use outcome::{Done, Outcome};
pub use replay::Which;
pub use request::{Came, Detail, Timings, trigger_of};
pub use start::Ended;

/// The kind of the job that runs an execution.
const RUN: &str = "run";

/// Executions whose times an estimate is made of, and the estimate where there are none.
const ESTIMATED_BY: u32 = 50;
const UNKNOWN_TIME: Duration = Duration::from_secs(5);

/// A flow has at most so many times the places that are free: alone, three quarters of them all. So one whose executions do not
/// end leaves some for the others.
const TIMES_FREE_MAX: usize = 3;

/// How executions are run.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Executions with a waiting caller, at one time. More callers wait for a place, then are turned away. One flow alone has
    /// at most three quarters of them.
    pub sync_at_once: usize,
    /// Milliseconds that a caller may wait for a place.
    pub place_wait_ms: u64,
    /// Executions without a waiting caller, at one time. More of them wait in the queue.
    pub async_at_once: usize,
    /// Executions that may wait in the queue. More triggers are turned away; flows that start others, at half of it.
    pub queued_max: u64,
    /// Executions of one session that may wait for their turn. More triggers of the session are turned away.
    pub session_waiting_max: usize,
    /// Milliseconds from start to end of an attempt with a waiting caller.
    pub sync_wall_ms: u64,
    /// Milliseconds from start to end of an attempt without one.
    pub async_wall_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync_at_once: 128,
            place_wait_ms: 25,
            async_at_once: 64,
            queued_max: 200_000,
            session_waiting_max: 20,
            sync_wall_ms: 30_000,
            async_wall_ms: 15 * 60 * 1_000,
        }
    }
}

/// What can go wrong before there is an execution. What goes wrong in one is its [`Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Every place is taken, or the queue is full.
    #[error("the server has as much to do as it can")]
    Full,
    /// The hook has as many executions as it may have.
    #[error("the hook has {0} executions at one time, and all of them are under way")]
    TooMany(u32),
    /// The session has an execution under way, and its hook rejects further ones.
    #[error("the session `{0}` has an execution under way")]
    SessionBusy(String),
    /// As many executions of the session wait as may.
    #[error("the session `{0}` has an execution under way, and {1} more are before this one")]
    SessionFull(String, usize),
    /// The server is about to stop.
    #[error("the server is stopping")]
    Stopping,
    /// There is no such execution.
    #[error("there is no execution {0}")]
    Unknown(ExecutionId),
    /// Its content was not kept, as its hook asks.
    #[error("the content of execution {0} was not kept, so it cannot be replayed")]
    Forgotten(ExecutionId),
    /// There is no such request.
    #[error("there is no request {0}")]
    UnknownRequest(RequestId),
    /// Whoever asked named an alias that the flow has not.
    #[error("the flow has no alias `{0}`")]
    UnknownAlias(String),
    /// The request cannot be replayed.
    #[error("request {0} cannot be replayed: {1}")]
    NotReplayable(RequestId, String),
    /// The request is not as its hook's dialect says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The flow cannot be resolved.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The store fails.
    #[error("the store fails")]
    Store(#[source] store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Busy => Self::Full,
            other => Self::Store(other),
        }
    }
}

/// What is to be executed.
#[derive(Debug, Clone)]
pub struct Order {
    /// What runs.
    pub target: Arc<Target>,
    /// Where the trigger came in; none for one made by an operator.
    pub hook: Option<Arc<Hook>>,
    /// What happened.
    pub trigger: Trigger,
    /// Refuse the trigger when one of them was seen before.
    pub claims: Vec<Idempotency>,
    /// What it has the trigger of again.
    pub replay_of: Option<Origin>,
    /// Who called it; none when a trigger made it.
    pub parent: Option<Parent>,
}

/// A handle to the executions. Clones share it.
#[derive(Clone)]
pub struct Executions(Arc<Inner>);

/// What the executions are made of.
#[derive(Clone)]
pub struct Parts {
    /// Where they are recorded.
    pub store: Store,
    /// Tells the time.
    pub clock: Clock,
    /// Runs them.
    pub engine: Engine,
    /// Resolves their flows.
    pub registry: Registry,
    /// Knows their hooks.
    pub hooks: Hooks,
    /// Holds those that wait.
    pub queue: Queue,
    /// Sends their callbacks.
    pub deliveries: Deliveries,
    /// Counts how they end.
    pub metrics: Metrics,
}

struct Inner {
    parts: Parts,
    options: Options,
    live: live::Running,
    places: Shares<FlowId>,
    open: open::Open,
    turns: turns::Turns,
    queued: AtomicU64,
    interrupted: AtomicBool,
}

impl Executions {
    /// Executions of the flows in `parts`.
    pub fn new(parts: Parts, options: Options) -> Self {
        let places = Shares::sparing(options.sync_at_once, TIMES_FREE_MAX);
        Self(Arc::new(Inner {
            parts,
            options,
            live: live::Running::default(),
            places,
            open: open::Open::default(),
            turns: turns::Turns::default(),
            queued: AtomicU64::new(0),
            interrupted: AtomicBool::new(false),
        }))
    }

    /// Counts what the process before has left unfinished. To be called once, before the first trigger.
    pub async fn recover(&self) -> Result<(), store::Error> {
        self.0.open.recall(self.0.parts.store.executions_open().await?);
        self.recall().await
    }

    /// Runs what waits in the queue, until `stop`; returns when the last of it has ended.
    pub async fn run(&self, stop: CancellationToken) {
        let unfinished = self.0.parts.store.executions_unfinished().await.unwrap_or_default();
        let queued = unfinished.iter().map(|(_, n)| n).sum();
        self.0.queued.store(queued, Ordering::Relaxed);
        let this = self.clone();
        let work = move |job| {
            let this = this.clone();
            async move { this.work(job).await }
        };
        self.0.parts.queue.run(RUN, self.0.options.async_at_once, stop, work).await;
    }

    /// Ends everything that runs, as the host is about to stop: accepted executions go back to the queue, for the next
    /// process.
    pub fn interrupt(&self) {
        self.0.interrupted.store(true, Ordering::Relaxed);
        self.0.live.stop_all();
    }

    /// How many executions run or are waited for here.
    pub fn running(&self) -> usize {
        self.0.live.len()
    }

    /// How many executions wait in the queue or run from it.
    pub fn queued(&self) -> u64 {
        self.0.queued.load(Ordering::Relaxed)
    }

    /// Waits until nothing runs or is waited for here. Cancel safe.
    pub async fn idle(&self) {
        self.0.live.idle().await;
    }

    /// One execution, whole.
    pub async fn find(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Execution, Error> {
        if let Some(found) = self.0.parts.store.execution_find(workspace, id).await? {
            return Ok(found);
        }
        // It may have ended a moment ago, its record still on the way.
        self.0.parts.store.flush().await?;
        self.0.parts.store.execution_find(workspace, id).await?.ok_or(Error::Unknown(id))
    }

    /// A part of a workspace's executions, newest first, without triggers.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        filter: ExecutionFilter,
        page: Page<id::Execution>,
    ) -> Result<Vec<Execution>, Error> {
        // Those that have just ended are in it too, unless the disk is full: then what is there can still be read.
        let _ = self.0.parts.store.flush().await;
        Ok(self.0.parts.store.executions(workspace, filter, page).await?)
    }

    /// When an execution of this flow that is accepted now will have ended, if it is like the last ones.
    pub async fn estimate(&self, workspace: WorkspaceId, flow: FlowId) -> Result<Timestamp, Error> {
        let mut times = self.0.parts.store.execution_times(workspace, flow, ESTIMATED_BY).await?;
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().map(Duration::from_millis);
        Ok(self.now().after(median.unwrap_or(UNKNOWN_TIME)))
    }

    /// The logs of an execution, one entry an attempt that logged. A running attempt's log comes when it ends.
    pub async fn logs(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Vec<Logs>, Error> {
        self.find(workspace, id).await?;
        Ok(self.0.parts.store.logs(id).await?)
    }

    /// How long the calls of an execution took, one entry an attempt that made any. Those of a running attempt come when
    /// it ends.
    pub async fn spans(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Vec<Spans>, Error> {
        self.find(workspace, id).await?;
        Ok(self.0.parts.store.spans(id).await?)
    }

    /// What the calls of an execution came to, one entry an attempt of which something is kept. Those of a running attempt
    /// come when it ends.
    pub async fn calls(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Vec<Calls>, Error> {
        self.find(workspace, id).await?;
        Ok(self.0.parts.store.calls(id).await?)
    }

    /// Cancels an execution: at once when it waits, and by stopping it when it runs. Returns where it stands now; one
    /// that has ended stays as it is.
    pub async fn cancel(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Status, Error> {
        self.stop(workspace, id, "canceled").await
    }

    /// Cancels an execution for a reason.
    async fn stop(&self, workspace: WorkspaceId, id: ExecutionId, reason: &'static str) -> Result<Status, Error> {
        let now = self.0.parts.clock.now();
        let done = Done::canceled(now, reason);
        let kept = attempt::kept(&work::stored_trigger(&self.find(workspace, id).await?)?);
        let status = self.0.parts.store.execution_cancel(workspace, id, now, reason, done.outcome.json(), kept).await?;
        let (status, canceled) = status.ok_or(Error::Unknown(id))?;
        if canceled {
            self.one_less();
            self.end(id, Arc::new(done));
        } else if status == Status::Running {
            self.0.live.cancel_for(id, reason);
        }
        Ok(status)
    }

    /// Tells those who wait for an execution that it has ended.
    fn end(&self, id: ExecutionId, done: Arc<Done>) {
        self.0.open.leave(id);
        self.0.live.end(id, done);
        self.pass_on(id);
    }

    fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    fn wall(&self, hook: Option<&Hook>, default_ms: u64) -> Duration {
        let own = hook.and_then(|hook| hook.spec.limits.wall_ms_max);
        Duration::from_millis(own.map_or(default_ms, |own| own.min(default_ms)))
    }
}
