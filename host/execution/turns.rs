//! The executions of each session that have not ended, in the order in which they came. The first one has the turn; the others wait
//! for it, wherever they are: in a task here, or as a job in the queue.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedMutexGuard};

use crate::id::{ExecutionId, FlowId};

/// A conversation with one flow.
pub(super) type Session = (FlowId, Arc<str>);

/// Who waits for whom.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lists: Mutex<Lists>,
    /// Signalled when somebody leaves.
    left: Notify,
}

#[derive(Debug, Default)]
struct Lists {
    sessions: HashMap<Session, VecDeque<ExecutionId>>,
    of: HashMap<ExecutionId, Session>,
    /// Those whose job is put off until their turn comes.
    parked: HashSet<ExecutionId>,
    /// Held while one message is merged.
    merging: HashMap<Session, Arc<tokio::sync::Mutex<()>>>,
}

impl Turns {
    /// Takes the last place; false when more than `before_max` are before it.
    pub(super) fn enter(&self, session: Session, id: ExecutionId, before_max: usize) -> bool {
        let mut lists = self.lists();
        let list = lists.sessions.entry(session.clone()).or_default();
        if list.len() > before_max {
            return false;
        }
        list.push_back(id);
        lists.of.insert(id, session);
        true
    }

    /// Those who stand before an execution.
    pub(super) fn before(&self, id: ExecutionId) -> Vec<ExecutionId> {
        let lists = self.lists();
        let list = lists.of.get(&id).and_then(|session| lists.sessions.get(session));
        list.into_iter().flatten().copied().take_while(|other| *other != id).collect()
    }

    /// The last one of a session.
    pub(super) fn last(&self, session: &Session) -> Option<ExecutionId> {
        self.lists().sessions.get(session)?.back().copied()
    }

    /// Whether nobody stands before it.
    pub(super) fn is_first(&self, id: ExecutionId) -> bool {
        self.lists().is_first(id)
    }

    /// Waits until nobody stands before it. Cancel safe.
    pub(super) async fn come(&self, id: ExecutionId) {
        while !self.is_first(id) {
            // Registered before the look, so that one who leaves in between is not missed.
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            if self.is_first(id) {
                return;
            }
            left.await;
        }
    }

    /// Notes that its job is put off; false when its turn has come meanwhile.
    pub(super) fn park(&self, id: ExecutionId) -> bool {
        let mut lists = self.lists();
        !lists.is_first(id) && lists.parked.insert(id)
    }

    /// Gives a place up; one that has none is no harm. Returns whose job need not be put off any longer.
    pub(super) fn leave(&self, id: ExecutionId) -> Option<ExecutionId> {
        let next = self.lists().leave(id);
        self.left.notify_waiters();
        next
    }

    /// Lets one message at a time be merged. Cancel safe.
    pub(super) async fn merging(&self, session: &Session) -> OwnedMutexGuard<()> {
        let one = {
            let mut lists = self.lists();
            // Whoever else holds one of these merges now; the others are of no use any more.
            lists.merging.retain(|_, one| Arc::strong_count(one) > 1);
            lists.merging.entry(session.clone()).or_default().clone()
        };
        one.lock_owned().await
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn is_first(&self, id: ExecutionId) -> bool {
        let list = self.of.get(&id).and_then(|session| self.sessions.get(session));
        list.is_none_or(|list| list.front() == Some(&id))
    }

    fn leave(&mut self, id: ExecutionId) -> Option<ExecutionId> {
        let session = self.of.remove(&id)?;
        self.parked.remove(&id);
        let list = self.sessions.get_mut(&session)?;
        list.retain(|other| *other != id);
        let Some(first) = list.front().copied() else {
            self.sessions.remove(&session);
            return None;
        };
        self.parked.remove(&first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str) -> Session {
        (FlowId::from_bytes([1; 16]), name.into())
    }

    #[tokio::test]
    async fn one_after_the_other_in_the_order_in_which_they_came() {
        let turns = Turns::default();
        let [a, b, c, other] = [1, 2, 3, 4].map(ExecutionId::at);
        for id in [a, b, c] {
            turns.enter(session("s"), id, 9);
        }
        turns.enter(session("t"), other, 0);
        assert!(turns.is_first(a) && turns.is_first(other) && !turns.is_first(b));
        assert!(turns.is_first(ExecutionId::at(9)), "one without a session waits for nobody");
        assert_eq!((turns.before(c), turns.last(&session("s"))), (vec![a, b], Some(c)));
        assert!(turns.park(b) && !turns.park(a));
        let mut second = std::pin::pin!(turns.come(b));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(turns.leave(a), Some(b), "whose job was put off");
        second.await;
        assert_eq!(turns.leave(b), None, "the third one's job was not");
        assert!(turns.is_first(c));
        turns.leave(c);
        assert_eq!(turns.last(&session("s")), None);
    }

    #[test]
    fn a_session_is_full_when_so_many_are_before() {
        let turns = Turns::default();
        let [a, b] = [1, 2].map(ExecutionId::at);
        assert!(turns.enter(session("s"), a, 0) && !turns.enter(session("s"), b, 0));
        turns.leave(a);
        assert!(turns.enter(session("s"), b, 0) && turns.enter(session("s"), a, 1));
    }
}
