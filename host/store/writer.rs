//! The one thread that writes.
//!
//! A commit costs one fsync, some milliseconds on a real disk; a row costs microseconds. So verbs are gathered: while
//! one commit is on its way to the disk the next verbs queue up, and they become the next commit. A verb that somebody
//! waits for is never held back: an idle store commits it at once, and a busy one makes its batches by being busy. Records
//! that nobody waits for linger a little, so that a stream of them does not cost a commit each.
//!
//! A verb that somebody waits for runs in a savepoint: one that fails takes nothing of the others with it, and its caller
//! learns of it after the commit, like everybody else. A record has none, since copying the pages that it might have to
//! restore costs more than the record; it only fails when the database does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Error, Options, Result};
use crate::clock::Stopwatch;

/// How long records wait for more of them.
const LINGER: Duration = Duration::from_millis(20);

/// A verb on its way.
struct Verb {
    run: Run,
    awaited: bool,
}

/// Runs inside the transaction, or learns why there is none, and returns what tells the caller how it ended.
type Run = Box<dyn FnOnce(Result<&Connection>) -> Answer + Send>;

type Answer = Box<dyn FnOnce(&Result<()>) + Send>;

pub(super) struct Writer {
    verbs: mpsc::Sender<Verb>,
    thread: Thread,
    /// Set with every verb that somebody waits for.
    awaited: Arc<AtomicBool>,
    /// The place of the last event that is on the disk.
    events: watch::Receiver<u64>,
}

impl Writer {
    pub(super) fn start(connection: Connection, options: &Options) -> Result<Self> {
        connection.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -{}; \
             PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;",
            options.cache_kib,
        ))?;
        connection.set_prepared_statement_cache_capacity(128);
        let (verbs, queue) = mpsc::channel(options.writes_waiting_max);
        let (awaited, per_commit) = (Arc::new(AtomicBool::new(false)), options.writes_per_commit_max);
        let (told, events) = watch::channel(super::event::last(&connection)?);
        let started = thread::Builder::new().name("store-writer".to_owned()).spawn({
            let awaited = awaited.clone();
            move || run(&connection, queue, &awaited, per_commit, &told)
        });
        let started = started.map_err(|e| Error::io("start the writer of", std::path::Path::new("the store"), e))?;
        Ok(Self { verbs, thread: started.thread().clone(), awaited, events })
    }

    /// Changes with every commit that brought events.
    pub(super) fn events(&self) -> watch::Receiver<u64> {
        self.events.clone()
    }

    /// Runs `verb` in one of the next commits and returns after it. Waits for a place in the queue.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (verb, answered) = answering(verb);
        self.verbs.send(verb).await.map_err(|_| Error::Closed)?;
        self.hurry();
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// [`Writer::write`], but with [`Error::Busy`] at once when the queue is full: for work that can still be refused.
    pub(super) async fn write_or_busy<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (verb, answered) = answering(verb);
        self.verbs.try_send(verb).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        self.hurry();
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Hands a record over for one of the next commits without waiting for it; waits only while the queue is full. An
    /// error goes to the log.
    pub(super) async fn write_behind(
        &self,
        what: &'static str,
        record: impl FnOnce(&Connection) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let run = Box::new(move |connection: Result<&Connection>| {
            let result = connection.and_then(record);
            let answer: Answer = Box::new(move |commit| {
                if let Err(error) = commit.clone().and(result) {
                    tracing::error!(what, error = &error as &dyn std::error::Error, "a record was not written");
                }
            });
            answer
        });
        self.verbs.send(Verb { run, awaited: false }).await.map_err(|_| Error::Closed)
    }

    /// Ends the lingering of records. The verb is in the queue already, so it is in the commit that follows.
    fn hurry(&self) {
        self.awaited.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn answering<T: Send + 'static>(
    verb: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> (Verb, oneshot::Receiver<Result<T>>) {
    let (answer, answered) = oneshot::channel();
    let run = Box::new(move |connection: Result<&Connection>| {
        let result = connection.and_then(|connection| in_savepoint(connection, verb));
        let answer: Answer = Box::new(move |commit| {
            // A caller that went away needs no answer.
            let _ = answer.send(commit.clone().and(result));
        });
        answer
    });
    (Verb { run, awaited: true }, answered)
}

fn in_savepoint<T>(connection: &Connection, verb: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    connection.prepare_cached("SAVEPOINT verb")?.execute([])?;
    let result = verb(connection);
    if result.is_err() {
        connection.prepare_cached("ROLLBACK TO verb")?.execute([])?;
    }
    connection.prepare_cached("RELEASE verb")?.execute([])?;
    result
}

fn run(
    connection: &Connection,
    mut queue: mpsc::Receiver<Verb>,
    awaited: &AtomicBool,
    per_commit: usize,
    events: &watch::Sender<u64>,
) {
    let mut answers = Vec::with_capacity(per_commit);
    while let Some(first) = queue.blocking_recv() {
        if !first.awaited {
            linger(awaited);
        }
        let commit = commit(connection, first, &mut queue, &mut answers, per_commit);
        for answer in answers.drain(..) {
            answer(&commit);
        }
        if let Ok(last) = super::event::last(connection) {
            events.send_if_modified(|seen| std::mem::replace(seen, last) != last);
        }
    }
    // The last handle is gone: fold the log into the database, so that the next start finds one file.
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// Waits for more records, until somebody waits for a verb.
fn linger(awaited: &AtomicBool) {
    let watch = Stopwatch::start();
    while !awaited.swap(false, Ordering::Acquire) {
        let Some(left) = LINGER.checked_sub(watch.elapsed()).filter(|left| !left.is_zero()) else { return };
        thread::park_timeout(left);
    }
}

fn commit(
    connection: &Connection,
    first: Verb,
    queue: &mut mpsc::Receiver<Verb>,
    answers: &mut Vec<Answer>,
    per_commit: usize,
) -> Result<()> {
    let begun = connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
    let begun = begun.map(|_| connection).map_err(Error::from);
    answers.push((first.run)(begun.clone()));
    while answers.len() < per_commit {
        let Ok(verb) = queue.try_recv() else { break };
        answers.push((verb.run)(still_open(begun.clone())));
    }
    still_open(begun)?;
    let committed = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    if committed.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    committed.map(drop).map_err(Error::from)
}

/// SQLite gives up a whole transaction by itself on some errors, such as a full disk. What ran after that would be
/// committed on its own, while its caller is told that it was not.
fn still_open(begun: Result<&Connection>) -> Result<&Connection> {
    let connection = begun?;
    if connection.is_autocommit() { Err(Error::RolledBack) } else { Ok(connection) }
}
