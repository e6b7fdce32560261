//! Durable rows, blobs and sealed secrets.
//!
//! One [`Store`] per data folder. The verbs are methods of [`Store`], grouped by what they are about: `key`, `flow`,
//! `flow_secret`, `hook`, `request`, `execution`, `job`, `delivery`, `target`, `session`, `keyvalue`, `subscription`,
//! `retention`. The rules:
//!
//! - A lookup returns an `Option`; only a broken store is an error.
//! - Time is an argument. The store asks no clock.
//! - A verb is one transaction. What must be true together is one verb with a wide value.
//! - Payloads (triggers, outcomes, hook specs) are opaque JSON; the rooms above know what is in them.
//! - Every verb that takes an id of a tenant's row takes the workspace too.
//!
//! Writes go through one thread that commits many verbs at once (see `writer`); a verb returns after its commit has
//! reached the disk. Reads run beside it on connections of their own and see every write that has returned.
//!
//! Cancel safety: a write whose future is dropped may or may not happen, as if the answer had been lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{Digest, Id, Kind};

mod attempt;
mod batch;
mod behind;
mod blob;
mod confidential;
mod consumer;
mod dead;
mod delivery;
mod departed;
mod event;
mod execution;
mod flow;
mod flow_secret;
mod hook;
mod job;
mod key;
mod keyvalue;
mod lane;
mod life;
mod llm;
mod migrate;
mod reader;
mod request;
mod retention;
mod seal;
mod session;
mod subscription;
mod tally;
mod target;
#[cfg(test)]
mod tests;
mod trouble;
mod writer;

pub use attempt::{Attempt, Blame, Sample};
pub use batch::{BATCH, Batch, Told, batch_target};
pub use behind::{Behind, CATCH_UP, CatchUp, catch_up_target};
pub use blob::Upload;
pub use consumer::{Consumer, Forgotten};
pub use dead::{Recovery, Wished};
pub use delivery::{Delivery, DeliveryFilter, DeliveryStatus, NewDelivery, Step};
pub use departed::Names;
pub use event::{Event, Place, SessionEnd};
pub use execution::{Calls, Execution, ExecutionFilter, Logs, Origin, OutputRow, Spans, Status};
pub use flow::{Alias, Canary, Flow, NewVersion, Version, VersionState};
pub use flow_secret::FlowSecret;
pub use hook::Hook;
pub use job::{Claim, Job, Lease};
pub use key::{Key, Workspace};
pub use keyvalue::{After, Bucket, Listed, Mark, Quota, Refusal, Value};
pub use life::{Accepted, Finish, Idempotency, NewEvent, NewExecution, Outcome, Parent, Start};
pub use llm::{LlmDay, LlmSpent, LlmUsage};
pub use request::{BODY_KEPT_BYTES_MAX, Recorded, Verdict};
pub use retention::{Retention, Swept};
pub use seal::KeyRing;
pub use session::{Entry, Message, NewMessage, Set, Speaker};
pub use subscription::Subscription;
pub use tally::{Tally, Tried};
pub use target::{Due, GiveUp, Health, Released, Standing, Target};

/// How the store behaves.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Writes that may wait for the writer. Then new triggers are refused with [`Error::Busy`]; all else waits.
    pub writes_waiting_max: usize,
    /// Writes in one commit at most.
    pub writes_per_commit_max: usize,
    /// Connections that read beside the writer.
    pub readers: usize,
    /// The page cache of the writer's connection, in KiB.
    pub cache_kib: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { writes_waiting_max: 8_192, writes_per_commit_max: 1_024, readers: 4, cache_kib: 16_384 }
    }
}

/// What can go wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Too many writes wait; nothing was written. Worth another try in a moment.
    #[error("the store has too much to write")]
    Busy,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A row with this name is already there.
    #[error("the name is taken")]
    Taken,
    /// The row is needed by another one; the text says which.
    #[error("{0}")]
    InUse(String),
    /// The job was claimed by another worker; the work must not be recorded.
    #[error("the lease was lost")]
    LeaseLost,
    /// A row or secret cannot be read back.
    #[error("corrupt {0}")]
    Corrupt(&'static str),
    /// The data folder belongs to a running server.
    #[error("the data folder {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The database gave the transaction up, most likely for want of space; nothing of it was written.
    #[error("the database gave the transaction up")]
    RolledBack,
    /// The database was written by a newer release.
    #[error("the database has schema {found}, this release knows up to {known}")]
    TooNew {
        /// The schema of the database.
        found: u32,
        /// The newest schema that this release knows.
        known: u32,
    },
    /// The disk or the folder refuses.
    #[error("cannot {action} {}{}", path.display(), remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// SQLite refuses.
    #[error("the database refuses")]
    Database(#[source] Arc<rusqlite::Error>),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl Error {
    fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }
}

/// What whoever runs the server can do about it.
fn remedy(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::PermissionDenied => " (the user that runs the server must own the data folder and all that is in it)",
        K::ReadOnlyFilesystem => " (the data folder must be on a disk that is not mounted read-only)",
        K::StorageFull | K::QuotaExceeded => " (the disk of the data folder is full; make room on it)",
        _ => "",
    }
}

type Result<T> = std::result::Result<T, Error>;

/// A handle to the store of one data folder. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    writer: writer::Writer,
    readers: reader::Readers,
    ring: KeyRing,
    folder: PathBuf,
    /// Held while a component's file and the rows that need it change together.
    components: tokio::sync::Mutex<()>,
    /// Keeps other processes out for as long as the store is open.
    _lock: std::fs::File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.folder).finish()
    }
}

impl Store {
    /// Opens the store in `folder`, which is made if need be, and brings its schema up to date. Blocks.
    ///
    /// The folder gets `flowgate.db` (SQLite, WAL), `components/` (uploaded bytes by digest), `uploads/` (temporary) and
    /// `master.key` (seals secrets, mode 0600) unless the key ring comes from elsewhere.
    pub fn open(folder: &Path, options: &Options) -> Result<Self> {
        for part in [folder.to_owned(), folder.join("components"), folder.join("uploads")] {
            std::fs::create_dir_all(&part).map_err(|e| Error::io("create", &part, e))?;
        }
        let lock = lock(folder)?;
        blob::discard_unfinished(folder)?;
        let ring = KeyRing::in_folder(folder)?;
        let database = folder.join("flowgate.db");
        let mut connection = rusqlite::Connection::open(&database)?;
        migrate::to_newest(&mut connection)?;
        let writer = writer::Writer::start(connection, options)?;
        let readers = reader::Readers::open(&database, options.readers)?;
        Ok(Self(Arc::new(Inner {
            writer,
            readers,
            ring,
            folder: folder.to_owned(),
            components: Default::default(),
            _lock: lock,
        })))
    }

    /// Waits until everything that was handed to the writer is on the disk.
    pub async fn flush(&self) -> Result<()> {
        self.write(|_| Ok(())).await
    }

    /// The key that seals secrets, for rooms that keep files which only this host may write.
    pub fn ring(&self) -> &KeyRing {
        &self.0.ring
    }

    async fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&rusqlite::Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.writer.write(verb).await
    }

    async fn read<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&rusqlite::Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        let joined = tokio::task::spawn_blocking(move || this.0.readers.with(verb)).await;
        joined.unwrap_or(Err(Error::Closed))
    }
}

fn lock(folder: &Path) -> Result<std::fs::File> {
    let path = folder.join("lock");
    let file = std::fs::File::create(&path).map_err(|e| Error::io("create", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked(folder.to_owned())),
        Err(std::fs::TryLockError::Error(e)) => Err(Error::io("lock", &path, e)),
    }
}

/// A part of a list: the newest rows first, at most `limit`, only those with ids below `before`.
#[derive(Debug, Clone, Copy)]
pub struct Page<K: Kind> {
    /// At most this many rows.
    pub limit: u32,
    /// The last id of the part before.
    pub before: Option<Id<K>>,
}

impl<K: Kind> Page<K> {
    /// The bound as bytes: every id sorts below 16 bytes of 0xff.
    fn bound(&self) -> [u8; 16] {
        self.before.map_or([0xff; 16], |id| *id.as_bytes())
    }
}

impl<K: Kind> ToSql for Id<K> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

impl<K: Kind> FromSql for Id<K> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(Self::from_bytes)
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(Self::from_bytes)
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.unix_ms()))
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self::from_unix_ms)
    }
}

/// Gives an enum without payload its text in the database and in JSON.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// The word used in the API and in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }

        impl rusqlite::types::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                let text = value.as_str()?;
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(rusqlite::types::FromSqlError::InvalidType)
            }
        }
    };
}
use text_enum;

/// Turns a broken uniqueness rule into [`Error::Taken`].
fn taken(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => Error::Taken,
        _ => error.into(),
    }
}

/// A count from the database.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A count for the database.
fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
