//! The queue on a temporary store and a manual clock.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::*;
use crate::id::{FlowId, WorkspaceId};
use crate::store::NewVersion;

const KIND: &str = "compile";
const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);

struct House {
    queue: Queue,
    store: Store,
    clock: Clock,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &crate::store::Options::default()).unwrap();
    let clock = Clock::manual(NOW);
    let queue = Queue::new(store.clone(), clock.clone(), Options::default());
    House { queue, store, clock, _folder: folder }
}

impl House {
    /// A version is the simplest row that brings a job with it.
    async fn put(&self, n: u8) {
        let new = NewVersion {
            flow: FlowId::from_bytes([n; 16]),
            workspace: WorkspaceId::from_bytes([1; 16]),
            detail: "{}".into(),
            created_at: self.clock.now(),
            job: KIND,
        };
        let mut upload = self.store.upload().unwrap();
        upload.push(&[n]).unwrap();
        self.store.version_create(upload, new).await.unwrap();
    }
}

#[tokio::test]
async fn every_job_is_worked_on_and_the_worker_leaves_when_told() {
    let house = house();
    for n in 0..100 {
        house.put(n).await;
    }
    let (done, mut seen) = mpsc::channel(100);
    let (stop, store, queue) = (CancellationToken::new(), house.store.clone(), house.queue.clone());
    let worker = tokio::spawn({
        let stop = stop.clone();
        async move {
            let work = move |job: Job| {
                let (store, done) = (store.clone(), done.clone());
                async move {
                    store.job_done(job.lease).await?;
                    done.send(job.subject).await.map_err(|_| Error::Closed)
                }
            };
            queue.run(KIND, 8, stop, work).await;
        }
    });
    let mut subjects = Vec::new();
    for _ in 0..100 {
        subjects.push(seen.recv().await.unwrap());
    }
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 100);
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(house.store.job_next(KIND).await.unwrap(), None);
}

#[tokio::test]
async fn work_that_fails_or_panics_is_done_again_later() {
    let house = house();
    house.put(1).await;
    let (tried, mut tries) = mpsc::channel(10);
    let count = Arc::new(AtomicUsize::new(0));
    let (stop, store, queue) = (CancellationToken::new(), house.store.clone(), house.queue.clone());
    let worker = tokio::spawn({
        let stop = stop.clone();
        async move {
            let work = move |job: Job| {
                let (store, tried, n) = (store.clone(), tried.clone(), count.fetch_add(1, Ordering::SeqCst));
                async move {
                    tried.send(n).await.map_err(|_| Error::Closed)?;
                    match n {
                        0 => Err(Error::Corrupt("row")),
                        1 => panic!("as this test wants it"),
                        _ => store.job_done(job.lease).await,
                    }
                }
            };
            queue.run(KIND, 1, stop, work).await;
        }
    });
    for n in 0..3 {
        let next = loop {
            // The setback lies on the manual clock; each step of it lets the worker look again.
            tokio::select! {
                next = tries.recv() => break next,
                () = tokio::task::yield_now() => house.clock.advance(Duration::from_millis(100)),
            }
        };
        assert_eq!(next, Some(n));
    }
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn leases_are_prolonged_until_told_otherwise() {
    let house = house();
    house.put(1).await;
    let claim = Claim { kind: KIND, owner: house.queue.owner(), now: NOW, until: house.queue.lease_until(), limit: 1 };
    assert_eq!(house.store.jobs_claim(claim).await.unwrap().len(), 1);
    let stop = CancellationToken::new();
    let keeper = tokio::spawn({
        let (queue, stop) = (house.queue.clone(), stop.clone());
        async move { queue.keep_leases(stop).await }
    });
    let end = NOW.after(Duration::from_secs(120));
    while house.store.job_next(KIND).await.unwrap().unwrap() < end {
        house.clock.advance(Duration::from_secs(1));
    }
    stop.cancel();
    keeper.await.unwrap();
}

/// A claim by the queue's worker, of all that is ready.
async fn claimed(house: &House) -> usize {
    house.queue.claim(KIND, 10).await.len()
}

#[tokio::test]
async fn a_clock_that_is_set_forward_gives_no_running_job_a_second_worker() {
    let house = house();
    house.put(1).await;
    assert_eq!(claimed(&house).await, 1);
    house.clock.set(NOW.after(Duration::from_secs(86_400)));
    assert_eq!(claimed(&house).await, 0, "it runs here");
    // Another process, in case this one had died.
    let (now, until) = (house.clock.now(), house.queue.lease_until());
    let other = Claim { kind: KIND, owner: house.queue.owner() ^ 1, now, until, limit: 10 };
    assert_eq!(house.store.jobs_claim(other).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nothing_waiting_longer() {
    let house = house();
    house.put(1).await;
    let hour_before = NOW.before(Duration::from_secs(3_600));
    house.clock.set(hour_before);
    let first = house.queue.claim(KIND, 10).await;
    assert_eq!(first.len(), 1, "what was ready still is");
    let lease = first[0].lease;
    assert_eq!(house.store.job_next(KIND).await.unwrap(), Some(house.queue.lease_until()));

    // Another try in five minutes by the old clock is one in five minutes by the new one.
    house.clock.set(NOW);
    assert_eq!(claimed(&house).await, 0);
    house.store.job_again(lease, NOW.after(Duration::from_secs(300))).await.unwrap();
    house.clock.set(hour_before);
    assert_eq!(claimed(&house).await, 0);
    assert_eq!(house.store.job_next(KIND).await.unwrap(), Some(hour_before.after(Duration::from_secs(300))));
    house.clock.advance(Duration::from_secs(300));
    assert_eq!(claimed(&house).await, 1);
}

#[tokio::test]
async fn a_small_correction_of_the_clock_moves_nothing() {
    let house = house();
    house.put(1).await;
    let lease = house.queue.claim(KIND, 10).await[0].lease;
    let due = NOW.after(Duration::from_secs(300));
    house.store.job_again(lease, due).await.unwrap();
    house.clock.set(NOW.before(Duration::from_millis(500)));
    assert_eq!(claimed(&house).await, 0);
    assert_eq!(house.store.job_next(KIND).await.unwrap(), Some(due));
}
