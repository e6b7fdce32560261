//! Connections that wait for another request.
//!
//! A connection is used again only for the same target, client certificate included, under the one policy that its address
//! was judged by. It is given up when it has been idle for long, and when it is old, so that a receiver that moves is
//! followed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Options;
use super::connection::{Connection, Target};
use crate::clock::Stopwatch;

/// The connections of a client. Clones share them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    limits: Limits,
    idle: Mutex<Idle>,
}

struct Limits {
    for_target: usize,
    in_all: usize,
    idle: Duration,
    age: Duration,
}

/// The connections, the one that has waited longest first.
struct Idle {
    waiting: VecDeque<Waiting>,
    /// Whether there is a task that looks for what is over.
    watched: bool,
}

struct Waiting {
    connection: Connection,
    since: Stopwatch,
}

impl Pool {
    pub(super) fn new(options: &Options) -> Self {
        let limits = Limits {
            for_target: options.idle_connections_max,
            in_all: options.idle_total_max,
            idle: Duration::from_millis(options.idle_ms_max),
            age: Duration::from_millis(options.connection_ms_max),
        };
        Self(Arc::new(Shared { limits, idle: Mutex::new(Idle { waiting: VecDeque::new(), watched: false }) }))
    }

    /// A connection to the target, the freshest that waits. A shared one stays for others too.
    pub(super) fn take(&self, target: &Target) -> Option<Connection> {
        let mut idle = self.0.swept();
        let at = idle.waiting.iter().rposition(|waiting| waiting.connection.target == *target)?;
        let taken = idle.waiting.remove(at)?;
        if let Some(shared) = taken.connection.share() {
            idle.waiting.push_back(Waiting { connection: shared, since: Stopwatch::start() });
        }
        Some(taken.connection)
    }

    /// Keeps a connection for the next request. Where there are too many, the one that has waited longest goes.
    pub(super) fn put(&self, connection: Connection) {
        let limits = &self.0.limits;
        if limits.for_target == 0 || limits.in_all == 0 {
            return;
        }
        let mut idle = self.0.swept();
        let of_target = |waiting: &Waiting| waiting.connection.target == connection.target;
        if connection.share().is_some() && idle.waiting.iter().any(of_target) {
            // Requests that set out at the same time have dialled more than are needed. This one ends with its request.
            return;
        }
        if idle.waiting.iter().filter(|waiting| of_target(waiting)).count() >= limits.for_target {
            let oldest = idle.waiting.iter().position(of_target);
            oldest.and_then(|oldest| idle.waiting.remove(oldest));
        } else if idle.waiting.len() >= limits.in_all {
            idle.waiting.pop_front();
        }
        idle.waiting.push_back(Waiting { connection, since: Stopwatch::start() });
        if !std::mem::replace(&mut idle.watched, true) {
            tokio::spawn(watch(Arc::downgrade(&self.0), limits.idle));
        }
    }

    /// Keeps a connection as soon as its request is over on this side too.
    pub(super) fn put_when_ready(&self, mut connection: Connection) {
        if connection.is_ready() {
            return self.put(connection);
        }
        let pool = self.clone();
        tokio::spawn(async move {
            if let Ok(true) = tokio::time::timeout(pool.0.limits.idle, connection.ready()).await {
                pool.put(connection);
            }
        });
    }
}

impl Shared {
    /// The connections without those that are over.
    fn swept(&self) -> MutexGuard<'_, Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let Limits { idle: idle_max, age, .. } = self.limits;
        idle.waiting.retain(|Waiting { connection, since }| {
            connection.is_ready() && since.elapsed() < idle_max && connection.opened.elapsed() < age
        });
        idle
    }
}

/// Closes what has been idle for too long, until nothing is left.
async fn watch(pool: Weak<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every.max(Duration::from_millis(10))).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.swept();
        if idle.waiting.is_empty() {
            idle.watched = false;
            return;
        }
    }
}
