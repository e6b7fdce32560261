//! Instances that run more than one execution, for flows whose owner asks for it.
//!
//! What a guest leaves in its memory, its next execution finds: so an instance serves one version of one flow only, and
//! none lives longer than a random number of executions, so that no flow comes to depend on what the one before left. An
//! execution that was stopped takes its instance with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::bindings::v0_1::Flow;
use crate::capability::Ctx;
use crate::clock::Stopwatch;
use crate::id::{Digest, FlowId};

/// Whose an instance is.
pub(super) type Owner = (FlowId, Digest);

/// An instance between two executions.
pub(super) struct Instance {
    pub(super) store: wasmtime::Store<Ctx>,
    pub(super) live: Live,
}

/// What was instantiated, and how long it lives.
pub(super) struct Live {
    pub(super) flow: Flow,
    /// Executions that it may still begin.
    left: u32,
}

impl Live {
    /// A fresh one, for some number of executions up to `reuse_max`.
    pub(super) fn new(flow: Flow, reuse_max: u32) -> Self {
        Self { flow, left: rand::random_range(1..=reuse_max.max(1)) }
    }

    /// Counts an execution that begins.
    pub(super) fn begin(&mut self) -> &Flow {
        self.left -= 1;
        &self.flow
    }
}

/// The instances that wait for their next execution.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    waiting: Mutex<Waiting>,
    instances_max: usize,
    idle: Duration,
}

#[derive(Default)]
struct Waiting {
    /// Each with the time since it waits; the last one has waited least, and is taken first.
    by_owner: HashMap<Owner, Vec<(Stopwatch, Instance)>>,
    count: usize,
    swept: bool,
}

impl Pool {
    pub(super) fn new(instances_max: usize, idle: Duration) -> Self {
        Self(Arc::new(Inner { waiting: Mutex::default(), instances_max, idle }))
    }

    /// An instance of this owner's, if one waits.
    pub(super) fn take(&self, owner: Owner) -> Option<Instance> {
        let mut waiting = self.0.lock();
        let (_, instance) = waiting.by_owner.get_mut(&owner)?.pop()?;
        waiting.count -= 1;
        Some(instance)
    }

    /// Keeps an instance that may run again, unless there are enough. Must be called within a Tokio runtime.
    pub(super) fn put(&self, owner: Owner, instance: Instance) {
        let mut waiting = self.0.lock();
        if instance.live.left == 0 || waiting.count >= self.0.instances_max {
            return;
        }
        waiting.by_owner.entry(owner).or_default().push((Stopwatch::start(), instance));
        waiting.count += 1;
        if !std::mem::replace(&mut waiting.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.0), self.0.idle));
        }
    }

    /// Drops all instances of a version.
    pub(super) fn forget(&self, version: Digest) {
        let mut waiting = self.0.lock();
        waiting.by_owner.retain(|(_, digest), _| *digest != version);
        waiting.count = waiting.by_owner.values().map(Vec::len).sum();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The map is whole between any two statements that change it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what has waited too long. False when nothing is left.
    fn sweep(&self) -> bool {
        let mut waiting = self.lock();
        for instances in waiting.by_owner.values_mut() {
            instances.retain(|(since, _)| since.elapsed() < self.idle);
        }
        waiting.by_owner.retain(|_, instances| !instances.is_empty());
        waiting.count = waiting.by_owner.values().map(Vec::len).sum();
        waiting.swept = waiting.count > 0;
        waiting.swept
    }
}

/// Runs as long as anything waits.
async fn sweep(pool: Weak<Inner>, idle: Duration) {
    loop {
        tokio::time::sleep(idle).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}
