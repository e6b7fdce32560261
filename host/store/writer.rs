//! The one thread that writes.
//!
//! A commit costs one fsync, some milliseconds on a real disk; a row costs microseconds. So verbs are gathered: while
//! one commit is on its way to the disk the next verbs queue up, and they become the next commit. There is no timer:
//! an idle store commits a lone verb at once, and a busy one makes its batches by being busy.
//!
//! Each verb runs in a savepoint. One that fails takes nothing of the others with it, and its caller learns of it after
//! the commit, like everybody else.

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{Error, Options, Result};

/// A verb on its way: runs inside the transaction, or learns why there is none, and returns what tells the caller how
/// it ended.
type Verb = Box<dyn FnOnce(Result<&Connection>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(&Result<()>) + Send>;

pub(super) struct Writer {
    verbs: mpsc::Sender<Verb>,
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
        let per_commit = options.writes_per_commit_max;
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&connection, queue, per_commit))
            .map_err(|e| Error::io("start the writer of", std::path::Path::new("the store"), e))?;
        Ok(Self { verbs })
    }

    /// Runs `verb` in one of the next commits and returns after it. Waits for a place in the queue.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (verb, answered) = answering(verb);
        self.verbs.send(verb).await.map_err(|_| Error::Closed)?;
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
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Hands `verb` over for one of the next commits without waiting for it; waits only while the queue is full. An
    /// error of the verb goes to the log.
    pub(super) async fn write_behind(
        &self,
        what: &'static str,
        verb: impl FnOnce(&Connection) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let verb: Verb = Box::new(move |connection| {
            let result = connection.and_then(|connection| in_savepoint(connection, verb));
            Box::new(move |commit| {
                if let Err(error) = commit.clone().and(result) {
                    tracing::error!(what, error = &error as &dyn std::error::Error, "a record was not written");
                }
            })
        });
        self.verbs.send(verb).await.map_err(|_| Error::Closed)
    }
}

fn answering<T: Send + 'static>(
    verb: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> (Verb, oneshot::Receiver<Result<T>>) {
    let (answer, answered) = oneshot::channel();
    let verb: Verb = Box::new(move |connection| {
        let result = connection.and_then(|connection| in_savepoint(connection, verb));
        Box::new(move |commit| {
            // A caller that went away needs no answer.
            let _ = answer.send(commit.clone().and(result));
        })
    });
    (verb, answered)
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

fn run(connection: &Connection, mut queue: mpsc::Receiver<Verb>, per_commit: usize) {
    let mut answers = Vec::with_capacity(per_commit);
    while let Some(first) = queue.blocking_recv() {
        let commit = commit(connection, first, &mut queue, &mut answers, per_commit);
        for answer in answers.drain(..) {
            answer(&commit);
        }
    }
    // The last handle is gone: fold the log into the database, so that the next start finds one file.
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
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
    answers.push(first(begun.clone()));
    while answers.len() < per_commit {
        let Ok(verb) = queue.try_recv() else { break };
        answers.push(verb(begun.clone()));
    }
    begun?;
    let committed = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    if committed.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    committed.map(drop).map_err(Error::from)
}
