//! Claims, runs, retries and schedules jobs. What a job does is none of its business.
//!
//! A job is a row with a kind and a subject; the rooms above write it in the transaction that makes it necessary. A
//! worker claims ready jobs under a lease, and whoever does the work finishes the job in the transaction that records
//! its outcome. So a job is lost never, and done twice only when a crash comes between the work and its record.
//!
//! Workers wake by signal ([`Queue::wake`]) and by period: the signal makes it fast, the period makes it certain. A lease
//! is prolonged while its process lives and falls to others when it does not; leases are an optimisation, at least once
//! is the promise.
//!
//! The machine's clock may be set. Forward, jobs come early, and none that runs here is taken on a second time. Back, what
//! was due later would wait for the clock to be there again; so it is brought forward by as much.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Timestamp};
use crate::store::{Claim, Error, Job, Lease, Store};

#[cfg(test)]
mod tests;

/// Jobs that one claim takes on at most.
const CLAIM_MAX: usize = 64;

/// By how much the clock may go back without being said to be set: less is what time servers correct.
const CORRECTION: Duration = Duration::from_secs(1);

/// How the queue behaves.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Milliseconds that a claim holds without being prolonged.
    pub lease_ms: u64,
    /// Milliseconds after which a worker looks for ready jobs even when nobody has woken it.
    pub period_ms: u64,
    /// Milliseconds until a job whose work failed unexpectedly is tried again.
    pub setback_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { lease_ms: 30_000, period_ms: 1_000, setback_ms: 5_000 }
    }
}

/// A handle to the queue. Clones share it.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    options: Options,
    owner: i64,
    /// The latest moment that the clock has shown since it was last set back.
    latest: AtomicI64,
    signals: Mutex<HashMap<&'static str, Arc<Notify>>>,
}

impl Queue {
    /// A queue over `store`.
    pub fn new(store: Store, clock: Clock, options: Options) -> Self {
        let latest = AtomicI64::new(clock.now().unix_ms());
        Self(Arc::new(Inner { store, clock, options, owner: rand::random(), latest, signals: Mutex::default() }))
    }

    /// The number by which the store knows this process's claims.
    pub fn owner(&self) -> i64 {
        self.0.owner
    }

    /// Until when a claim made now holds.
    pub fn lease_until(&self) -> Timestamp {
        self.0.clock.now().after(Duration::from_millis(self.0.options.lease_ms))
    }

    /// Tells the worker of a kind that there may be a ready job.
    pub fn wake(&self, kind: &'static str) {
        self.signal(kind).notify_one();
    }

    /// Gives back what a process that died had claimed. To be called once, before the first worker.
    pub async fn recover(&self) -> Result<usize, Error> {
        self.0.store.jobs_recover(self.0.clock.now()).await
    }

    /// Gives a claimed job back, to be done again a little later. The lease would be prolonged with all others of this
    /// process for as long as it lives, so this goes on until the store has taken the job back.
    pub async fn give_back(&self, lease: Lease) {
        let setback = Duration::from_millis(self.0.options.setback_ms);
        while let Err(error) = self.0.store.job_again(lease, self.0.clock.now().after(setback)).await {
            if matches!(error, Error::LeaseLost | Error::Closed) {
                return;
            }
            tracing::error!(error = &error as &dyn std::error::Error, "a job was not given back");
            self.sleep(setback).await;
        }
    }

    /// Prolongs the claims of this process until `stop`.
    pub async fn keep_leases(&self, stop: CancellationToken) {
        let third = Duration::from_millis(self.0.options.lease_ms / 3);
        while stop.run_until_cancelled(self.sleep(third)).await.is_some() {
            if let Err(error) = self.0.store.jobs_extend(self.0.owner, self.lease_until()).await {
                tracing::error!(error = &error as &dyn std::error::Error, "leases were not prolonged");
            }
        }
    }

    /// Claims and works on jobs of one kind, `at_once` at a time, until `stop`; returns when the last of them is done.
    ///
    /// `work` finishes or gives back the job in a transaction of its own. When it returns an error or panics, the job is
    /// given back to be tried again a little later.
    pub async fn run<W, F>(&self, kind: &'static str, at_once: usize, stop: CancellationToken, work: W)
    where
        W: Fn(Job) -> F,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let signal = self.signal(kind);
        let permits = Arc::new(Semaphore::new(at_once));
        while let Some(permit) = stop.run_until_cancelled(permits.clone().acquire_owned()).await {
            let permit = permit.expect("the semaphore is never closed");
            let free = 1 + permits.available_permits().min(CLAIM_MAX - 1);
            let jobs = self.claim(kind, free).await;
            if jobs.is_empty() {
                drop(permit);
                stop.run_until_cancelled(self.until_ready(kind, &signal)).await;
                continue;
            }
            let mut permit = Some(permit);
            for job in jobs {
                // Others only give permits back while this loop runs, so the second and further ones are there.
                let permit = permit.take().or_else(|| permits.clone().try_acquire_owned().ok());
                let (this, lease, task) = (self.clone(), job.lease, tokio::spawn(work(job)));
                tokio::spawn(async move {
                    this.settle(kind, lease, task.await).await;
                    drop(permit);
                });
            }
        }
        let all = u32::try_from(at_once).expect("a worker has fewer than four billion places");
        let _ = permits.acquire_many(all).await;
    }

    async fn claim(&self, kind: &'static str, limit: usize) -> Vec<Job> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let (now, until) = (self.0.clock.now(), self.lease_until());
        self.follow(now).await;
        let claim = Claim { kind, owner: self.0.owner, now, until, limit };
        self.0.store.jobs_claim(claim).await.unwrap_or_else(|error| {
            tracing::error!(kind, error = &error as &dyn std::error::Error, "jobs were not claimed");
            Vec::new()
        })
    }

    /// Notices a clock that was set back, and brings forward what waits.
    async fn follow(&self, now: Timestamp) {
        let latest = Timestamp::from_unix_ms(self.0.latest.fetch_max(now.unix_ms(), Relaxed));
        let back = latest.since(now);
        // Of all the kinds that claim, the first one does it.
        let set = |from: Timestamp, to: Timestamp| {
            self.0.latest.compare_exchange(from.unix_ms(), to.unix_ms(), Relaxed, Relaxed).is_ok()
        };
        if back <= CORRECTION || !set(latest, now) {
            return;
        }
        tracing::warn!(back_ms = back.as_millis(), "the clock was set back; what is due later is brought forward");
        if let Err(error) = self.0.store.schedule_bring_forward(now, back).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the schedule does not follow the clock yet");
            set(now, latest);
        }
    }

    /// Waits for a signal, for the time at which the next job becomes ready, or for the period to end.
    async fn until_ready(&self, kind: &'static str, signal: &Notify) {
        let period = self.0.clock.now().after(Duration::from_millis(self.0.options.period_ms));
        let next = self.0.store.job_next(kind).await.ok().flatten();
        let until = next.map_or(period, |next| next.min(period));
        tokio::select! {
            () = signal.notified() => {}
            () = self.0.clock.sleep_until(until) => {}
        }
    }

    async fn settle(&self, kind: &str, lease: Lease, ended: Result<Result<(), Error>, tokio::task::JoinError>) {
        match ended {
            Ok(Ok(())) => return,
            // The job is somebody else's now, who does the work again.
            Ok(Err(Error::LeaseLost)) => {
                tracing::warn!(kind, "a lease was lost during the work");
                return;
            }
            Ok(Err(error)) => tracing::error!(kind, error = &error as &dyn std::error::Error, "a job failed"),
            Err(panic) => tracing::error!(kind, error = &panic as &dyn std::error::Error, "a job panicked"),
        }
        self.give_back(lease).await;
    }

    fn signal(&self, kind: &'static str) -> Arc<Notify> {
        self.0.signals.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default().clone()
    }

    async fn sleep(&self, time: Duration) {
        self.0.clock.sleep_until(self.0.clock.now().after(time)).await;
    }
}
