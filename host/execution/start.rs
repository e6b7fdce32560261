//! The three ways in: with a caller who waits, with one who does not, and with one who listens.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::attempt::Attempt;
use super::busy::{Turn, merges};
use super::goes_on::GoesOn;
use super::live::Live;
use super::open::Place;
use super::{Done, Error, Executions, Follow, Order, RUN};
use crate::capability::flows::Budgets;
use crate::hook::Record;
use crate::id::{ExecutionId, FlowId, WorkspaceId};
use crate::share::Share;
use crate::store::{self, Accepted, Lease, NewExecution, Start};
use crate::trigger::Trigger;

/// How a start ended for its caller.
#[derive(Debug)]
pub enum Ended {
    /// The execution has ended.
    Done(ExecutionId, Arc<Done>),
    /// It goes on, and is durable.
    Going(ExecutionId),
    /// The trigger was seen before; nothing was started.
    Seen {
        /// The execution that it made then.
        execution: ExecutionId,
        /// Which of its claims says so, counted from 0.
        claim: usize,
        /// False when that trigger was another one.
        same: bool,
    },
}

impl Ended {
    /// The execution.
    pub fn id(self) -> ExecutionId {
        match self {
            Self::Done(id, _) | Self::Going(id) | Self::Seen { execution: id, .. } => id,
        }
    }
}

/// An execution that runs here: how durable it is can change while it runs.
struct Here {
    workspace: WorkspaceId,
    attempt: Attempt,
    live: Arc<Live>,
    /// Locked while it changes and while the end is recorded.
    record: Mutex<Recorded>,
}

/// What the store knows of an execution that runs here.
enum Recorded {
    /// Nothing; all that it will.
    Not(Box<NewExecution>),
    /// That it runs; its job is claimed.
    Accepted(Lease),
    /// How this attempt ended.
    Ended,
}

impl Recorded {
    /// The claim on the job of an attempt that has not ended.
    fn lease(&self) -> Option<Lease> {
        match self {
            Self::Accepted(lease) => Some(*lease),
            Self::Not(_) | Self::Ended => None,
        }
    }
}

impl Executions {
    /// Runs an execution at once and waits for it, at most for `patience`. Dropping the future does not stop it.
    pub async fn wait(&self, order: Order, patience: Duration) -> Result<Ended, Error> {
        if merges(&order).is_some() {
            return self.accept_and_wait(order, patience).await;
        }
        let strict = order.hook.as_ref().is_some_and(|hook| hook.spec.record == Record::Strict);
        let (here, place) = match self.start(order, strict, "sync", self.0.options.sync_wall_ms).await? {
            Ok(started) => started,
            Err(seen) => return Ok(seen),
        };
        let id = here.attempt.id;
        // Most executions are over before anything is waited for, so this one runs here, and in a task of its own only from
        // when nobody waits any more.
        let mut run = self.run_guarded(here.clone(), Some(place));
        let ended = async {
            match (&mut run).await {
                Some(done) => done,
                None => here.live.done().await,
            }
        };
        let ended = timeout(patience, ended).await;
        run.alone();
        if let Ok(done) = ended {
            return Ok(Ended::Done(id, done));
        }
        self.make_durable(&here).await?;
        Ok(Ended::Going(id))
    }

    /// Makes an execution durable and leaves it to the workers.
    pub async fn accept(&self, order: Order) -> Result<Ended, Error> {
        match merges(&order) {
            Some(wait) => self.merge(order, wait).await,
            None => self.accept_at(order, Duration::ZERO).await,
        }
    }

    /// Makes an execution durable and leaves it to the workers, after a while.
    pub(super) async fn accept_at(&self, order: Order, wait: Duration) -> Result<Ended, Error> {
        self.refuse_when_full()?;
        let (new, attempt) = self.new_execution(order, "async", self.0.options.async_wall_ms);
        let id = new.id;
        let open = self.open(&attempt)?;
        let turn = self.turn(&attempt).await?;
        let ready_at = new.created_at.after(wait);
        match self.0.parts.store.execution_accept(new, Start::Queued(RUN, ready_at)).await? {
            Accepted::Seen { execution, claim, same } => Ok(Ended::Seen { execution, claim, same }),
            Accepted::New(_) => {
                open.into_iter().for_each(Place::keep);
                turn.into_iter().for_each(Turn::keep);
                self.0.queued.fetch_add(1, Ordering::Relaxed);
                self.0.parts.queue.wake(RUN);
                Ok(Ended::Going(id))
            }
        }
    }

    /// [`Executions::accept`], and then waits for the end, at most for `patience`.
    pub async fn accept_and_wait(&self, order: Order, patience: Duration) -> Result<Ended, Error> {
        let workspace = order.target.workspace;
        let id = match self.accept(order).await? {
            Ended::Going(id) => id,
            other => return Ok(other),
        };
        let live = self.0.live.enter(id);
        // It may have ended before anybody could listen.
        let row = self.0.parts.store.execution_find(workspace, id).await?;
        if let Some(done) = row.as_ref().and_then(Done::of) {
            self.0.live.leave(id, live);
            return Ok(Ended::Done(id, Arc::new(done)));
        }
        match timeout(patience, live.done()).await {
            Ok(done) => Ok(Ended::Done(id, done)),
            Err(_) => Ok(Ended::Going(id)),
        }
    }

    /// Makes an execution durable, runs it at once, and gives what it says as it says it.
    pub async fn stream(&self, order: Order) -> Result<Result<Follow, Ended>, Error> {
        let workspace = order.target.workspace;
        if merges(&order).is_some() {
            return match self.accept(order).await? {
                Ended::Going(id) => self.follow(workspace, id, None).await.map(Ok),
                other => Ok(Err(other)),
            };
        }
        let (here, place) = match self.start(order, true, "stream", self.0.options.async_wall_ms).await? {
            Ok(started) => started,
            Err(seen) => return Ok(Err(seen)),
        };
        let follow = self.follow_live(workspace, here.attempt.id, here.live.clone());
        self.run_guarded(here, Some(place)).alone();
        Ok(Ok(follow))
    }

    async fn start(
        &self,
        order: Order,
        strict: bool,
        mode: &'static str,
        wall_ms: u64,
    ) -> Result<Result<(Arc<Here>, Share<FlowId>), Ended>, Error> {
        self.refuse_when_full()?;
        let place = self.place(order.target.flow).await?;
        let (new, attempt) = self.new_execution(order, mode, wall_ms);
        let open = self.open(&attempt)?;
        let turn = self.turn(&attempt).await?;
        let workspace = new.workspace;
        let record = if strict || !new.claims.is_empty() {
            match self.accept_here(new).await? {
                Ok(lease) => Recorded::Accepted(lease),
                Err(seen) => return Ok(Err(seen)),
            }
        } else {
            Recorded::Not(Box::new(new))
        };
        open.into_iter().for_each(Place::keep);
        turn.into_iter().for_each(Turn::keep);
        let live = self.0.live.enter(attempt.id);
        Ok(Ok((Arc::new(Here { workspace, attempt, live, record: Mutex::new(record) }), place)))
    }

    /// The execution's place among those of its hook, where the hook bounds them.
    fn open(&self, attempt: &Attempt) -> Result<Option<Place<'_>>, Error> {
        let Some(hook) = &attempt.hook else { return Ok(None) };
        let Some(max) = hook.spec.concurrent() else { return Ok(None) };
        self.0.open.enter(hook.id, attempt.id, max).map(Some).ok_or(Error::TooMany(max))
    }

    fn refuse_when_full(&self) -> Result<(), Error> {
        if self.0.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Stopping);
        }
        if self.0.queued.load(Ordering::Relaxed) >= self.0.options.queued_max { Err(Error::Full) } else { Ok(()) }
    }

    async fn place(&self, flow: FlowId) -> Result<Share<FlowId>, Error> {
        let patience = Duration::from_millis(self.0.options.place_wait_ms);
        timeout(patience, self.0.places.take(flow)).await.map_err(|_| Error::Full)
    }

    /// Runs an execution at once, for a caller who waits and knows what to do when it fails.
    pub(super) fn run_once(&self, order: Order, wall: Duration, budgets: Budgets) -> Arc<Live> {
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let (new, attempt) = self.new_execution(order, "sync", wall_ms);
        let (live, attempt) = (self.0.live.enter(new.id), Attempt { budgets: Some(budgets), ..attempt });
        let (workspace, record) = (new.workspace, Mutex::new(Recorded::Not(Box::new(new))));
        self.run_guarded(Arc::new(Here { workspace, attempt, live: live.clone(), record }), None).alone();
        live
    }

    /// Runs an attempt to its end, whoever waits for it, and returns the execution's end if that is one.
    fn run_guarded(&self, here: Arc<Here>, place: Option<Share<FlowId>>) -> GoesOn<Option<Arc<Done>>> {
        let this = self.clone();
        GoesOn::new(async move {
            let run = AssertUnwindSafe(this.run_here(&here)).catch_unwind();
            let done = match run.await {
                Ok(done) => done,
                Err(_) => {
                    tracing::error!(execution = %here.attempt.id, "an execution panicked");
                    this.give_back(&here).await;
                    None
                }
            };
            drop(place);
            done
        })
    }

    async fn run_here(&self, here: &Here) -> Option<Arc<Done>> {
        // One that is stopped before its turn ends at once.
        tokio::select! {
            () = self.0.turns.come(here.attempt.id) => {}
            () = here.live.stop.cancelled() => {}
        }
        let mut ending = self.attempt(&here.attempt, &here.live).await;
        let mut record = here.record.lock().await;
        if let (Recorded::Not(new), None) = (&*record, &ending.done) {
            // There will be another attempt, which needs a job to carry it.
            match self.accept_here(NewExecution::clone(new)).await {
                Ok(Ok(lease)) => *record = Recorded::Accepted(lease),
                _ => ending = here.attempt.turned_away(ending.finish),
            }
        }
        let (id, done, told) = (here.attempt.id, ending.done, ending.finish.targets());
        let store = &self.0.parts.store;
        let (recorded, lease) = match std::mem::replace(&mut *record, Recorded::Ended) {
            Recorded::Accepted(lease) => {
                (store.execution_finish(here.workspace, id, lease, ending.finish).await, Some(lease))
            }
            // A callback is a promise to a third party, so it is durable before the caller hears of it. And the next turn
            // of a conversation, which may follow at once, must find this one.
            Recorded::Not(new) if !told.is_empty() || !ending.finish.messages.is_empty() => {
                (store.execution_record_durably(*new, ending.finish).await, None)
            }
            Recorded::Not(new) => {
                if let Some(done) = done.clone() {
                    self.end(id, done);
                }
                (store.execution_record(*new, ending.finish).await, None)
            }
            Recorded::Ended => return done,
        };
        drop(record);
        match (recorded, lease) {
            (Ok(()), _) => self.recorded(id, done.clone(), here.live.clone()),
            (Err(error), Some(lease)) => {
                self.not_recorded(id, &error);
                self.0.live.leave(id, here.live.clone());
                self.0.parts.queue.give_back(lease).await;
                self.0.queued.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            // Nothing of it is stored and nothing will be, so nobody may be told that it goes on.
            (Err(error), None) => {
                self.not_recorded(id, &error);
                let done = Arc::new(Done::not_recorded(self.now(), here.attempt.n));
                self.end(id, done.clone());
                return Some(done);
            }
        }
        if done.is_none() {
            self.0.queued.fetch_add(1, Ordering::Relaxed);
        }
        self.0.parts.deliveries.wake(told);
        done
    }

    /// Before a caller is told that its execution goes on, makes that true whatever happens.
    async fn make_durable(&self, here: &Here) -> Result<(), Error> {
        let mut record = here.record.lock().await;
        if let Recorded::Not(new) = &*record
            && let Ok(lease) = self.accept_here(NewExecution::clone(new)).await?
        {
            *record = Recorded::Accepted(lease);
        }
        Ok(())
    }

    async fn give_back(&self, here: &Here) {
        self.0.live.leave(here.attempt.id, here.live.clone());
        match here.record.lock().await.lease() {
            Some(lease) => self.0.parts.queue.give_back(lease).await,
            None => {
                self.0.open.leave(here.attempt.id);
                self.pass_on(here.attempt.id);
            }
        }
    }

    /// Makes an execution that runs here durable, or tells which one has its key.
    async fn accept_here(&self, new: NewExecution) -> Result<Result<Lease, Ended>, store::Error> {
        let queue = &self.0.parts.queue;
        let start = Start::Here { job: RUN, owner: queue.owner(), until: queue.lease_until() };
        match self.0.parts.store.execution_accept(new, start).await? {
            Accepted::New(lease) => lease.map(Ok).ok_or(store::Error::Corrupt("lease")),
            Accepted::Seen { execution, claim, same } => Ok(Err(Ended::Seen { execution, claim, same })),
        }
    }

    /// Tells those who wait what the store now knows.
    pub(super) fn recorded(&self, id: ExecutionId, done: Option<Arc<Done>>, live: Arc<Live>) {
        match done {
            Some(done) => self.end(id, done),
            None => self.0.live.leave(id, live),
        }
    }

    pub(super) fn not_recorded(&self, id: ExecutionId, error: &store::Error) {
        tracing::error!(execution = %id, error = error as &dyn std::error::Error, "an end was not recorded");
    }

    pub(super) fn new_execution(&self, mut order: Order, mode: &'static str, wall_ms: u64) -> (NewExecution, Attempt) {
        let now = self.now();
        let id = ExecutionId::at(now.unix_ms_unsigned());
        let wall = self.wall(order.hook.as_deref(), wall_ms);
        let converses = order.hook.as_ref().is_some_and(|hook| hook.spec.dialect.converses());
        if converses && order.trigger.message.is_some() && order.trigger.session_id.is_none() {
            order.trigger.session_id = Some(id.to_string());
        }
        let new = NewExecution {
            id,
            workspace: order.target.workspace,
            flow: order.target.flow,
            hook: order.hook.as_ref().map(|hook| hook.id),
            version: order.target.version,
            mode,
            session: order.trigger.session_id.clone(),
            replay_of: order.replay_of,
            parent: order.parent,
            created_at: now,
            deadline_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
            callback: order.hook.as_ref().and_then(|hook| Some(hook.spec.callback.as_ref()?.url.to_string())),
            trigger: json(&order.trigger),
            body: order.trigger.request.body.clone(),
            claims: order.claims,
            trigger_kept: super::attempt::kept(&order.trigger),
        };
        let trigger = Arc::new(order.trigger);
        let depth = order.parent.map_or(0, |parent| parent.depth + 1);
        let Order { target, hook, .. } = order;
        let attempt = Attempt { id, n: 1, target, hook, trigger, wall, llm_tokens_before: 0, depth, budgets: None };
        (new, attempt)
    }
}

fn json(trigger: &Trigger) -> String {
    serde_json::to_string(trigger).expect("a trigger has a JSON form")
}
