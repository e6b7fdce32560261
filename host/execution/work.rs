//! The worker's side: executions that wait in the queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::attempt::{Attempt, Ending};
use super::{Error, Executions};
use crate::id::ExecutionId;
use crate::store::{self, Execution, Job};
use crate::trigger::Trigger;

/// Attempts of one execution, those that a crash ended included: one that brings the host down must not do so for ever.
const ATTEMPTS_MAX: u32 = 200;

impl Executions {
    pub(super) async fn work(&self, job: Job) -> Result<(), store::Error> {
        let id = <[u8; 16]>::try_from(&job.subject[..]).map_err(|_| store::Error::Corrupt("job"))?;
        let id = ExecutionId::from_bytes(id);
        // Entered before it is said to run, so that whoever cancels a running execution finds it here.
        let live = self.0.live.enter(id);
        if !self.0.turns.is_first(id) {
            self.0.live.leave(id, live);
            return self.park(job.lease, id).await;
        }
        let begun = self.0.parts.store.execution_begin(job.lease, id, self.now()).await;
        let Ok(Some(execution)) = begun else {
            // It was canceled, and so taken out of the count already; or the store fails, and the job comes again.
            self.0.live.leave(id, live);
            if begun.is_ok() {
                self.pass_on(id);
            }
            return begun.map(drop);
        };
        let Ending { finish, done } = match self.prepared(&execution).await {
            Ok(attempt) => self.attempt(&attempt, &live).await,
            Err(why) => Attempt::broken(&execution, self.now(), &why),
        };
        let (ended, told) = (done.is_some(), finish.targets());
        let finished = self.0.parts.store.execution_finish(job.workspace, id, job.lease, finish).await;
        if ended && finished.is_ok() {
            self.one_less();
        }
        self.0.parts.deliveries.wake(told);
        match &finished {
            Ok(()) => self.recorded(id, done, live),
            Err(error) => {
                self.not_recorded(id, error);
                self.0.live.leave(id, live);
            }
        }
        finished
    }

    /// One execution less waits or runs in the queue.
    pub(super) fn one_less(&self) {
        let _ = self.0.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    /// What an attempt needs, or why there can be none.
    async fn prepared(&self, execution: &Execution) -> Result<Attempt, String> {
        let parts = &self.0.parts;
        if execution.attempt > ATTEMPTS_MAX {
            return Err(format!("{ATTEMPTS_MAX} attempts have not brought it to an end"));
        }
        let hook = match execution.hook {
            Some(hook) => parts.hooks.find(hook).await.map_err(|error| error.to_string())?,
            None => None,
        };
        let target = parts.registry.resolve_version(execution.flow, execution.version).await;
        let called = match execution.attempt {
            1 => 0,
            _ => parts.store.llm_called(execution.id).await.map_err(|error| error.to_string())?,
        };
        Ok(Attempt {
            id: execution.id,
            n: execution.attempt,
            target: target.map_err(|error| error.to_string())?,
            hook,
            trigger: Arc::new(stored_trigger(execution).map_err(|error| error.to_string())?),
            wall: Duration::from_millis(execution.deadline_ms),
            llm_tokens_before: execution.llm.tokens() + called,
            depth: execution.depth,
            budgets: None,
        })
    }
}

/// The trigger of a stored execution, body included.
pub(super) fn stored_trigger(execution: &Execution) -> Result<Trigger, Error> {
    let mut trigger: Trigger =
        serde_json::from_str(&execution.trigger).map_err(|_| Error::Store(store::Error::Corrupt("trigger")))?;
    trigger.request.body = execution.body.clone();
    Ok(trigger)
}
