//! How far a request has come, and how long each step took.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Phase;
use crate::clock::Stopwatch;

/// How long a request took, step by step. A step that was not needed took 0 ms: a connection that was there already has
/// no first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Milliseconds to resolve the name.
    pub dns_ms: u64,
    /// Milliseconds to connect, by way of the proxy if there is one.
    pub connect_ms: u64,
    /// Milliseconds for TLS.
    pub tls_ms: u64,
    /// Milliseconds from the start until the status and the headers were there; 0 if they never were.
    pub first_byte_ms: u64,
    /// Milliseconds from the start to the end.
    pub total_ms: u64,
    /// Whether the request went out on a connection of an earlier one.
    pub reused: bool,
}

/// The course of one request. It outlives the futures that write it, so that what a deadline cuts off is known too.
pub(super) struct Trace(Mutex<State>);

struct State {
    started: Stopwatch,
    entered: Stopwatch,
    phase: Phase,
    timings: Timings,
    remote: Option<SocketAddr>,
}

impl Trace {
    pub(super) fn start() -> Self {
        let now = Stopwatch::start();
        let timings = Timings::default();
        Self(Mutex::new(State { started: now, entered: now, phase: Phase::Resolve, timings, remote: None }))
    }

    /// Ends the phase so far and begins another.
    pub(super) fn enter(&self, phase: Phase) {
        let mut state = self.lock();
        state.leave();
        state.phase = phase;
    }

    /// Begins again from the first phase: a connection of the pool turned out to be dead.
    pub(super) fn begin_again(&self) {
        self.enter(Phase::Resolve);
        self.lock().timings.reused = false;
    }

    /// Goes on with a connection that was there.
    pub(super) fn reuse(&self, remote: Option<SocketAddr>) {
        self.enter(Phase::Answer);
        let mut state = self.lock();
        state.remote = remote;
        state.timings.reused = true;
    }

    /// Goes on with the body: the status and the headers are there.
    pub(super) fn answered(&self) {
        self.enter(Phase::Body);
        let mut state = self.lock();
        state.timings.first_byte_ms = ms(state.started.elapsed());
    }

    pub(super) fn set_remote(&self, remote: Option<SocketAddr>) {
        self.lock().remote = remote;
    }

    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.lock().remote
    }

    pub(super) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// The timings as if the request ended now.
    pub(super) fn timings(&self) -> Timings {
        let mut state = self.lock();
        state.leave();
        Timings { total_ms: ms(state.started.elapsed()), ..state.timings }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds the time since the last entry to the phase that it belongs to.
    fn leave(&mut self) {
        let spent = ms(self.entered.elapsed());
        match self.phase {
            Phase::Resolve => self.timings.dns_ms += spent,
            Phase::Proxy | Phase::Connect => self.timings.connect_ms += spent,
            Phase::Tls => self.timings.tls_ms += spent,
            Phase::Answer | Phase::Body => {}
        }
        self.entered = Stopwatch::start();
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
