//! Jobs and leases.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Error, Result, Store};
use crate::clock::Timestamp;
use crate::id::WorkspaceId;

/// Which jobs a worker takes on.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The kind of job.
    pub kind: &'static str,
    /// The worker process, a random number of its own.
    pub owner: i64,
    /// Jobs that are ready by now.
    pub now: Timestamp,
    /// How long they are the worker's.
    pub until: Timestamp,
    /// At most this many.
    pub limit: u32,
}

/// A worker's time-limited claim on a job. The token is random and new with every claim: SQLite may give the number of
/// a finished job to a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    seq: i64,
    token: i64,
}

impl Lease {
    /// The number of the job's row.
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The claim.
    pub lease: Lease,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// What it is about; the kind decides how to read it.
    pub subject: Vec<u8>,
}

impl Store {
    /// Takes on ready jobs, the longest ready first. What the owner has already stays as it is, however long ago its lease has
    /// ended: the owner lives.
    pub async fn jobs_claim(&self, claim: Claim) -> Result<Vec<Job>> {
        self.write(move |c| {
            let mut update = c.prepare_cached(
                "UPDATE jobs SET ready_at = ?4, owner = ?2, token = random() WHERE seq IN
                   (SELECT seq FROM jobs WHERE kind = ?1 AND ready_at <= ?3 AND owner IS NOT ?2
                    ORDER BY ready_at LIMIT ?5)
                 RETURNING seq, token, workspace, subject",
            )?;
            let rows =
                update.query_map(params![claim.kind, claim.owner, claim.now, claim.until, claim.limit], |row| {
                    let lease = Lease { seq: row.get(0)?, token: row.get(1)? };
                    Ok(Job { lease, workspace: row.get(2)?, subject: row.get(3)? })
                })?;
            let mut jobs = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            jobs.sort_by_key(|job| job.lease.seq);
            Ok(jobs)
        })
        .await
    }

    /// Brings forward by `by` all that lies after `now`, jobs and deliveries: the clock was set back by so much.
    pub async fn schedule_bring_forward(&self, now: Timestamp, by: Duration) -> Result<()> {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.write(move |c| {
            for later in [
                "UPDATE jobs SET ready_at = max(?1, ready_at - ?2) WHERE ready_at > ?1",
                "UPDATE deliveries SET next_at = max(?1, next_at - ?2) WHERE status = 'pending' AND next_at > ?1",
                "UPDATE targets SET held_until = max(?1, held_until - ?2) WHERE held_until > ?1",
            ] {
                c.execute(later, params![now, by])?;
            }
            Ok(())
        })
        .await
    }

    /// When the next job of a kind becomes ready, leased ones included.
    pub async fn job_next(&self, kind: &'static str) -> Result<Option<Timestamp>> {
        self.read(move |c| {
            let mut select = c.prepare_cached("SELECT ready_at FROM jobs WHERE kind = ? ORDER BY ready_at LIMIT 1")?;
            Ok(select.query_row([kind], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Prolongs every lease of a worker process.
    pub async fn jobs_extend(&self, owner: i64, until: Timestamp) -> Result<()> {
        self.write(move |c| {
            c.prepare_cached("UPDATE jobs SET ready_at = ? WHERE owner = ?")?.execute(params![until, owner])?;
            Ok(())
        })
        .await
    }

    /// Gives back what other processes had leased. Right only when none of them lives, which the lock on the data
    /// folder makes sure of. Returns how many jobs there were.
    pub async fn jobs_recover(&self, now: Timestamp) -> Result<usize> {
        self.write(move |c| {
            let mut update = c.prepare_cached("UPDATE jobs SET ready_at = ?, owner = NULL WHERE owner IS NOT NULL")?;
            Ok(update.execute([now])?)
        })
        .await
    }

    /// Finishes a job that changes nothing else.
    pub async fn job_done(&self, lease: Lease) -> Result<()> {
        self.write(move |c| done(c, &lease)).await
    }

    /// Makes a job ready at `at` that nobody has and that would be ready only later. One that is not there is no harm.
    pub async fn job_hasten(&self, kind: &'static str, subject: &[u8], at: Timestamp) -> Result<()> {
        let subject = subject.to_owned();
        self.write(move |c| {
            let mut update = c.prepare_cached(
                "UPDATE jobs SET ready_at = ?1 WHERE subject = ?2 AND kind = ?3 AND owner IS NULL AND ready_at > ?1",
            )?;
            update.execute(params![at, subject, kind])?;
            Ok(())
        })
        .await
    }

    /// Gives a job back, to be ready at `at`.
    pub async fn job_again(&self, lease: Lease, at: Timestamp) -> Result<()> {
        self.write(move |c| again(c, &lease, at)).await
    }
}

/// Adds a job; one that is there already becomes ready at `ready_at`, unless it is leased.
pub(super) fn put(
    c: &Connection,
    kind: &str,
    workspace: WorkspaceId,
    subject: &[u8],
    ready_at: Timestamp,
) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO jobs (kind, workspace, subject, ready_at, token) VALUES (?, ?, ?, ?, 0)
         ON CONFLICT (subject, kind) DO UPDATE SET ready_at = excluded.ready_at WHERE owner IS NULL",
    )?
    .execute(params![kind, workspace, subject, ready_at])?;
    Ok(())
}

/// Makes sure that there is a job about `subject` and that it is ready at `ready_at` or before, whatever its kind. A new
/// one is of this kind; a leased one is left alone.
pub(super) fn ensure(
    c: &Connection,
    kind: &str,
    workspace: WorkspaceId,
    subject: &[u8],
    ready_at: Timestamp,
) -> Result<()> {
    let mut select = c.prepare_cached("SELECT seq, owner IS NULL AND ready_at > ? FROM jobs WHERE subject = ?")?;
    let found = select.query_row(params![ready_at, subject], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        None => put(c, kind, workspace, subject, ready_at),
        Some((_, false)) => Ok(()),
        Some((seq, true)) => {
            let seq: i64 = seq;
            c.prepare_cached("UPDATE jobs SET ready_at = ? WHERE seq = ?")?.execute(params![ready_at, seq])?;
            Ok(())
        }
    }
}

/// Whether there is a job about `subject`, whatever its kind.
pub(super) fn is_there(c: &Connection, subject: &[u8]) -> Result<bool> {
    Ok(c.prepare_cached("SELECT 1 FROM jobs WHERE subject = ?")?.exists([subject])?)
}

/// Adds a job that `owner` holds from the start.
pub(super) fn put_leased(
    c: &Connection,
    kind: &str,
    workspace: WorkspaceId,
    subject: &[u8],
    owner: i64,
    until: Timestamp,
) -> Result<Lease> {
    let token = rand::random();
    c.prepare_cached("INSERT INTO jobs (kind, workspace, subject, ready_at, token, owner) VALUES (?, ?, ?, ?, ?, ?)")?
        .execute(params![kind, workspace, subject, until, token, owner])?;
    Ok(Lease { seq: c.last_insert_rowid(), token })
}

/// Removes a finished job, if the lease still holds.
pub(super) fn done(c: &Connection, lease: &Lease) -> Result<()> {
    let mut delete = c.prepare_cached("DELETE FROM jobs WHERE seq = ? AND token = ?")?;
    held(delete.execute(params![lease.seq, lease.token])?)
}

/// Gives a job back, if the lease still holds.
pub(super) fn again(c: &Connection, lease: &Lease, at: Timestamp) -> Result<()> {
    let mut update = c.prepare_cached("UPDATE jobs SET ready_at = ?, owner = NULL WHERE seq = ? AND token = ?")?;
    held(update.execute(params![at, lease.seq, lease.token])?)
}

/// [`again`], as a job of another kind.
pub(super) fn again_as(c: &Connection, lease: &Lease, kind: &str, at: Timestamp) -> Result<()> {
    let mut update =
        c.prepare_cached("UPDATE jobs SET kind = ?, ready_at = ?, owner = NULL WHERE seq = ? AND token = ?")?;
    held(update.execute(params![kind, at, lease.seq, lease.token])?)
}

/// Whose a claimed job is. Errs when the lease does not hold any more.
pub(super) fn check(c: &Connection, lease: &Lease) -> Result<WorkspaceId> {
    let mut select = c.prepare_cached("SELECT workspace FROM jobs WHERE seq = ? AND token = ?")?;
    select.query_row(params![lease.seq, lease.token], |row| row.get(0)).optional()?.ok_or(Error::LeaseLost)
}

fn held(rows: usize) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::LeaseLost) }
}
