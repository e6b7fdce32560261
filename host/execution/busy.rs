//! What happens when a trigger comes for a session that has an execution under way: as its hook says.

use std::time::Duration;

use super::attempt::Attempt;
use super::turns::Session;
use super::{Ended, Error, Executions, Order, RUN};
use crate::hook::OnBusy;
use crate::id::{ExecutionId, WorkspaceId};
use crate::store::{self, Accepted};
use crate::trigger::Trigger;

/// Bytes of a message that several were merged into.
const MERGED_BYTES_MAX: usize = 1 << 20;

/// The reason of an execution in whose place a later one stepped.
const SUPERSEDED: &str = "superseded";

/// How long the job of an execution is put off that waits for its turn. It is made ready when the turn comes; this is for when
/// that is missed.
const PARKED: Duration = Duration::from_secs(30);

/// A place in a session. Dropped, it is given up, unless it is kept until the execution ends.
pub(super) struct Turn {
    executions: Executions,
    id: ExecutionId,
    kept: bool,
}

impl Turn {
    /// Keeps the place until the execution ends.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.kept {
            self.executions.pass_on(self.id);
        }
    }
}

impl Executions {
    /// The execution's place in its session, where it has one.
    pub(super) async fn turn(&self, attempt: &Attempt) -> Result<Option<Turn>, Error> {
        let (Some(hook), Some(session)) = (&attempt.hook, &attempt.trigger.session_id) else { return Ok(None) };
        let on_busy = hook.spec.on_busy;
        let before_max = if on_busy == OnBusy::Reject { 0 } else { self.0.options.session_waiting_max };
        let key: Session = (attempt.target.flow, session.as_str().into());
        if !self.0.turns.enter(key, attempt.id, before_max) {
            return Err(match on_busy {
                OnBusy::Reject => Error::SessionBusy(session.clone()),
                _ => Error::SessionFull(session.clone(), before_max),
            });
        }
        let turn = Turn { executions: self.clone(), id: attempt.id, kept: false };
        if on_busy == OnBusy::Interrupt {
            for other in self.0.turns.before(attempt.id) {
                self.supersede(attempt.target.workspace, other).await?;
            }
        }
        Ok(Some(turn))
    }

    async fn supersede(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<(), Error> {
        match self.stop(workspace, id, SUPERSEDED).await {
            // It runs here, and nothing of it is stored yet.
            Err(Error::Unknown(_)) => {
                self.0.live.cancel_for(id, SUPERSEDED);
                Ok(())
            }
            stopped => stopped.map(drop),
        }
    }

    /// Puts the job of an execution off until its turn comes.
    pub(super) async fn park(&self, lease: store::Lease, id: ExecutionId) -> Result<(), store::Error> {
        self.0.parts.store.job_again(lease, self.now().after(PARKED)).await?;
        if !self.0.turns.park(id) {
            self.hasten(id);
        }
        Ok(())
    }

    /// Gives the place of an execution up, and the turn to the next one.
    pub(super) fn pass_on(&self, id: ExecutionId) {
        if let Some(next) = self.0.turns.leave(id) {
            self.hasten(next);
        }
    }

    fn hasten(&self, id: ExecutionId) {
        let this = self.clone();
        tokio::spawn(async move {
            let parts = &this.0.parts;
            match parts.store.job_hasten(RUN, id.as_bytes(), this.now()).await {
                Ok(()) => parts.queue.wake(RUN),
                Err(error) => tracing::warn!(execution = %id, %error, "its turn comes late"),
            }
        });
    }

    /// Takes the places again of what the process before has left unfinished.
    pub(super) async fn recall(&self) -> Result<(), store::Error> {
        for (flow, session, id, begun) in self.0.parts.store.sessions_unfinished().await? {
            self.0.turns.enter((flow, session.into()), id, usize::MAX);
            // A job that was put off until its turn is ready again.
            if !begun {
                self.0.parts.store.job_hasten(RUN, id.as_bytes(), self.now()).await?;
            }
        }
        Ok(())
    }

    /// Adds the message to an execution of its session that has not begun, or accepts one that waits for further messages.
    pub(super) async fn merge(&self, order: Order, wait: Duration) -> Result<Ended, Error> {
        let (Some(text), Some(session)) = (order.trigger.message.clone(), order.trigger.session_id.clone()) else {
            return self.accept_at(order, Duration::ZERO).await;
        };
        let session: Session = (order.target.flow, session.into());
        let _alone = self.0.turns.merging(&session).await;
        if let Some(last) = self.0.turns.last(&session) {
            let (new, _) = self.new_execution(order.clone(), "async", self.0.options.async_wall_ms);
            let new = store::NewExecution { id: last, ..new };
            let joined = move |json: &str| joined(json, &text);
            match self.0.parts.store.execution_merge(new, joined).await? {
                Some(Accepted::Seen { execution, claim, same }) => return Ok(Ended::Seen { execution, claim, same }),
                Some(Accepted::New(_)) => return Ok(Ended::Going(last)),
                None => {}
            }
        }
        self.accept_at(order, wait).await
    }
}

/// How long an order waits for further messages, where its hook merges them.
pub(super) fn merges(order: &Order) -> Option<Duration> {
    let hook = order.hook.as_ref().filter(|hook| hook.spec.on_busy == OnBusy::Merge)?;
    let converses = order.trigger.message.is_some() && order.trigger.session_id.is_some();
    converses.then(|| Duration::from_millis(hook.spec.merge_ms))
}

/// A trigger with another message on a line of its own; none when that would be too long.
fn joined(json: &str, text: &str) -> Option<String> {
    let mut trigger: Trigger = serde_json::from_str(json).ok()?;
    let message = [trigger.message.as_deref()?, text].join("\n");
    trigger.message = (message.len() <= MERGED_BYTES_MAX).then_some(message);
    trigger.message.as_ref()?;
    serde_json::to_string(&trigger).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_joined_and_the_rest_stays_as_it_is() {
        let first = r#"{"dialect":"native","received_at_ms":1,"message":"a","data":{"n":1.50},"metadata":{},"request":{"method":"","path":"","query":"","headers":[],"peer":""}}"#;
        let both = joined(first, "b").unwrap();
        assert!(both.contains(r#""message":"a\nb""#) && both.contains(r#""data":{"n":1.50}"#), "{both}");
        assert_eq!(joined(first, &"x".repeat(MERGED_BYTES_MAX)), None);
    }
}
