//! Who has a turn now, so that it can be told of new deliveries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::store::Target;

/// The targets that have their turn. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Target, Arc<Notify>>>>);

/// A target's turn; dropped at its end.
#[derive(Debug)]
pub(super) struct Entered {
    turns: Turns,
    target: Target,
    signal: Arc<Notify>,
}

impl Turns {
    /// Begins a target's turn.
    pub(super) fn enter(&self, target: Target) -> Entered {
        let signal = Arc::new(Notify::new());
        self.with(|turns| turns.insert(target, signal.clone()));
        Entered { turns: self.clone(), target, signal }
    }

    /// Tells a target's turn to look again. False when it has none.
    pub(super) fn tell(&self, target: Target) -> bool {
        self.with(|turns| turns.get(&target).map(|signal| signal.notify_one())).is_some()
    }

    /// Whether nobody has a turn.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.with(|turns| turns.is_empty())
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Target, Arc<Notify>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entered {
    /// Rings when there is something to look for; keeps one ring for later.
    pub(super) fn signal(&self) -> Arc<Notify> {
        self.signal.clone()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.turns.with(|turns| {
            // A lost lease may have given the turn to another worker, whose entry this is not.
            if turns.get(&self.target).is_some_and(|signal| Arc::ptr_eq(signal, &self.signal)) {
                turns.remove(&self.target);
            }
        });
    }
}
