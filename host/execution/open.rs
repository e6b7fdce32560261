//! The executions of each hook that have not ended, for the hooks that bound their number.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::{ExecutionId, HookId};

/// Who has how many.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    hooks: HashMap<ExecutionId, HookId>,
    counts: HashMap<HookId, u32>,
}

/// An execution that has a place. Dropped, it gives it back, unless it is kept until the execution ends.
#[derive(Debug)]
pub(super) struct Place<'a> {
    open: &'a Open,
    id: ExecutionId,
    kept: bool,
}

impl Open {
    /// A place for an execution; none when the hook has `max` already.
    pub(super) fn enter(&self, hook: HookId, id: ExecutionId, max: u32) -> Option<Place<'_>> {
        let mut counts = self.counts();
        if counts.counts.get(&hook).is_some_and(|count| *count >= max) || max == 0 {
            return None;
        }
        counts.add(hook, id);
        Some(Place { open: self, id, kept: false })
    }

    /// Counts what the process before left behind.
    pub(super) fn recall(&self, unfinished: Vec<(ExecutionId, HookId)>) {
        let mut counts = self.counts();
        unfinished.into_iter().for_each(|(id, hook)| counts.add(hook, id));
    }

    /// Gives the place of an execution back; one that has none is no harm.
    pub(super) fn leave(&self, id: ExecutionId) {
        let mut counts = self.counts();
        let Some(hook) = counts.hooks.remove(&id) else { return };
        if let Some(count) = counts.counts.get_mut(&hook) {
            *count -= 1;
            if *count == 0 {
                counts.counts.remove(&hook);
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, hook: HookId, id: ExecutionId) {
        if self.hooks.insert(id, hook).is_none() {
            *self.counts.entry(hook).or_default() += 1;
        }
    }
}

impl Place<'_> {
    /// Keeps the place until the execution ends.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.open.leave(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_has_as_many_as_it_may_and_others_are_not_touched() {
        let open = Open::default();
        let (one, other) = (HookId::at(1), HookId::at(2));
        let ids = [1, 2, 3].map(ExecutionId::at);
        open.recall(vec![(ids[0], one)]);
        open.enter(one, ids[1], 2).unwrap().keep();
        assert!(open.enter(one, ids[2], 2).is_none());
        assert!(open.enter(other, ids[2], 1).is_some(), "and its place is given back when it is dropped");
        assert!(open.enter(other, ids[2], 1).is_some());
        open.leave(ids[0]);
        open.leave(ids[0]);
        assert!(open.enter(one, ids[2], 2).is_some());
        assert!(open.enter(other, ids[2], 0).is_none());
    }
}
