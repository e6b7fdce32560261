//! The executions that run in this process, and what they have said so far.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::Done;
use crate::id::ExecutionId;
use crate::store::OutputRow;

/// Outputs that a flow may be ahead of whoever has read most of its stream.
const AHEAD_MAX: usize = 32;

/// All of them, by id.
#[derive(Debug, Default)]
pub(super) struct Running {
    map: Mutex<HashMap<ExecutionId, Arc<Live>>>,
    /// Signalled when one of them leaves.
    left: Notify,
}

impl Running {
    /// The entry of an execution, made if need be.
    pub(super) fn enter(&self, id: ExecutionId) -> Arc<Live> {
        self.map().entry(id).or_default().clone()
    }

    pub(super) fn find(&self, id: ExecutionId) -> Option<Arc<Live>> {
        self.map().get(&id).cloned()
    }

    /// Tells those who wait that the execution has ended, and forgets it.
    pub(super) fn end(&self, id: ExecutionId, done: Arc<Done>) {
        let live = self.map().remove(&id);
        self.left.notify_waiters();
        if let Some(live) = live {
            live.state.send_modify(|state| state.done = Some(done));
            live.read.notify_one();
        }
    }

    /// Forgets an execution that does not run now, unless somebody waits for it.
    pub(super) fn leave(&self, id: ExecutionId, live: Arc<Live>) {
        drop(live);
        let mut map = self.map();
        if map.get(&id).is_some_and(|live| Arc::strong_count(live) == 1) {
            map.remove(&id);
            self.left.notify_waiters();
        }
    }

    /// Waits until there is none. Cancel safe.
    pub(super) async fn idle(&self) {
        loop {
            // Registered before the look, so that one who leaves in between is not missed.
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            if self.map().is_empty() {
                return;
            }
            left.await;
        }
    }

    /// Stops an execution for a reason; the first one counts.
    pub(super) fn cancel_for(&self, id: ExecutionId, reason: &'static str) {
        if let Some(live) = self.find(id) {
            let _ = live.reason.set(reason);
            live.stop.cancel();
        }
    }

    pub(super) fn stop_all(&self) {
        self.map().values().for_each(|live| live.stop.cancel());
    }

    pub(super) fn len(&self) -> usize {
        self.map().len()
    }

    fn map(&self) -> MutexGuard<'_, HashMap<ExecutionId, Arc<Live>>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One execution, as long as it runs or is waited for.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) stop: CancellationToken,
    /// Why it was stopped, where somebody said.
    pub(super) reason: OnceLock<&'static str>,
    pub(super) state: watch::Sender<State>,
    outputs: Mutex<Vec<OutputRow>>,
    /// Readers whose pace the flow keeps, and how far the first of them has come.
    readers: AtomicUsize,
    taken: AtomicUsize,
    read: Notify,
}

/// What changes about an execution while it runs.
#[derive(Debug, Default, Clone)]
pub(super) struct State {
    pub(super) said: usize,
    pub(super) done: Option<Arc<Done>>,
}

impl Live {
    /// Adds what the flow says.
    pub(super) fn push(&self, row: OutputRow) {
        let said = {
            let mut outputs = self.outputs();
            outputs.push(row);
            outputs.len()
        };
        self.state.send_modify(|state| state.said = said);
    }

    /// Waits while every reader of the stream is too far behind. Cancel safe.
    pub(super) async fn keep_pace(&self) {
        let said = self.outputs().len();
        while self.readers.load(Ordering::Acquire) > 0 && self.taken.load(Ordering::Acquire) + AHEAD_MAX < said {
            self.read.notified().await;
        }
    }

    /// What was said since the `from`th output.
    pub(super) fn since(&self, from: usize) -> Vec<OutputRow> {
        self.outputs().get(from..).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// All that was said, for the record. What was said stays here, for those who still read.
    pub(super) fn said(&self) -> Vec<OutputRow> {
        self.outputs().clone()
    }

    /// Waits for the end. Cancel safe.
    pub(super) async fn done(&self) -> Arc<Done> {
        let mut state = self.state.subscribe();
        let done = state.wait_for(|state| state.done.is_some()).await.ok().and_then(|state| state.done.clone());
        done.expect("the sender lives in `self`, and the state was just there")
    }

    pub(super) fn reader_comes(&self) {
        self.readers.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn reader_took(&self, up_to: usize) {
        self.taken.fetch_max(up_to, Ordering::AcqRel);
        self.read.notify_one();
    }

    pub(super) fn reader_goes(&self) {
        self.readers.fetch_sub(1, Ordering::AcqRel);
        self.read.notify_one();
    }

    fn outputs(&self) -> MutexGuard<'_, Vec<OutputRow>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
