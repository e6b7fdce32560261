//! Deliveries and their attempts.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Lease, OutputRow, Page, Result, Store, stored, text_enum};
use crate::clock::Timestamp;
use crate::id::{self, AttemptId, DeliveryId, ExecutionId, HookId, WorkspaceId};

text_enum! {
    /// Where a delivery stands.
    DeliveryStatus {
        /// An attempt is to come or under way.
        Pending = "pending",
        /// The receiver has it.
        Succeeded = "succeeded",
        /// Every attempt failed.
        Exhausted = "exhausted",
        /// The receiver wants no more, or the hook is gone.
        Abandoned = "abandoned",
    }
}

/// A message for a receiver, on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id, which the receiver sees in every attempt.
    pub id: DeliveryId,
    /// Whose secrets sign it.
    pub hook: HookId,
    /// Now.
    pub created_at: Timestamp,
    /// The receiver.
    pub url: String,
    /// What it tells, for example `execution.succeeded`.
    pub event: String,
    /// The bytes to send, the same in every attempt.
    pub body: Bytes,
    /// The kind of the job that sends it.
    pub job: &'static str,
    /// Of what an execution says: the same when another attempt says the same in the same place, which is not sent again.
    pub said: Option<[u8; 32]>,
    /// Whether its body is sealed as long as it is there.
    pub confidential: bool,
}

/// A message for a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, which the receiver sees in every attempt.
    pub id: DeliveryId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Whose secrets sign it.
    pub hook: HookId,
    /// What it tells of.
    pub execution: ExecutionId,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts made.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the next attempt is due.
    pub next_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The receiver.
    pub url: String,
    /// What it tells.
    pub event: String,
    /// The bytes to send.
    pub body: Bytes,
}

/// One HTTP request of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Counts from 1.
    pub n: u32,
    /// When it began.
    pub at: Timestamp,
    /// The status that the receiver answered with.
    pub status: Option<u16>,
    /// Why there was no answer, or why the answer is a failure.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// The beginning of the receiver's answer.
    pub answer: Bytes,
}

/// What an attempt leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The end.
    End(DeliveryStatus),
    /// Another attempt.
    Again(Timestamp),
}

/// How long a delivery waits before it looks whether its turn has come, should nothing tell it.
const TURN_WAIT: Duration = Duration::from_secs(1);

const DELIVERY: &str =
    "id, workspace, hook, execution, status, attempts, created_at, next_at, finished_at, url, event, body, sealed";

impl Store {
    /// The delivery of a claimed job. None when it is gone or has ended; the job is then done too. None as well when an
    /// earlier delivery of the same execution is pending; the job is then ready a while after that one's next attempt, or
    /// as soon as that one ends.
    pub async fn delivery_begin(&self, lease: Lease, id: DeliveryId, at: Timestamp) -> Result<Option<Delivery>> {
        let begun = self.write(move |c| {
            let sql = format!(
                "SELECT {DELIVERY} FROM deliveries WHERE workspace = (SELECT workspace FROM jobs WHERE seq = ?)
                 AND id = ? AND status = 'pending'"
            );
            let whole = |row: &Row<'_>| {
                let sealed = row.get::<_, bool>(12)?.then(|| row.get::<_, Vec<u8>>(11)).transpose()?;
                Ok((delivery(row)?, sealed))
            };
            let found = c.prepare_cached(&sql)?.query_row(params![lease.seq(), id], whole).optional()?;
            let Some((found, sealed)) = found else {
                super::job::done(c, &lease)?;
                return Ok(None);
            };
            let before = pending_before(c, &found)?;
            if let Some(next_at) = before {
                super::job::again(c, &lease, next_at.max(at).after(TURN_WAIT))?;
            }
            Ok(before.is_none().then_some((found, sealed)))
        });
        let Some((mut found, sealed)) = begun.await? else { return Ok(None) };
        if let Some(sealed) = sealed {
            found.body = self.open_body(id, &sealed)?;
        }
        Ok(Some(found))
    }

    /// Writes what a running execution says, and those who are told of it at once. False when `attempt` is not the one that
    /// runs: then nothing is written.
    pub async fn output_deliver(
        &self,
        workspace: WorkspaceId,
        execution: ExecutionId,
        attempt: u32,
        outputs: Vec<OutputRow>,
        mut deliveries: Vec<NewDelivery>,
    ) -> Result<bool> {
        self.seal_bodies(&mut deliveries);
        self.write(move |c| {
            let runs = c
                .prepare_cached(
                    "SELECT 1 FROM executions WHERE workspace = ? AND id = ? AND attempt = ? AND finished_at IS NULL",
                )?
                .exists(params![workspace, execution, attempt])?;
            if runs {
                super::life::add_outputs(c, workspace, execution, &outputs)?;
                deliveries.iter().try_for_each(|one| insert(c, workspace, execution, one))?;
            }
            Ok(runs)
        })
        .await
    }

    /// Records an attempt and what it leads to, in one transaction with the job. True when another delivery of the same
    /// execution has waited for that, and is ready now. `forget`: at the end the body goes.
    pub async fn delivery_step(
        &self,
        lease: Lease,
        workspace: WorkspaceId,
        id: DeliveryId,
        attempt: Attempt,
        step: Step,
        forget: bool,
    ) -> Result<bool> {
        self.write(move |c| {
            let (status, next_at, finished_at) = match step {
                Step::End(status) => {
                    super::job::done(c, &lease)?;
                    (status, None, Some(attempt.at))
                }
                Step::Again(at) => {
                    super::job::again(c, &lease, at)?;
                    (DeliveryStatus::Pending, Some(at), None)
                }
            };
            c.prepare_cached(
                "UPDATE deliveries SET status = ?, attempts = ?, next_at = ?, finished_at = ?
                 WHERE workspace = ? AND id = ? AND status = 'pending'",
            )?
            .execute(params![status, attempt.n, next_at, finished_at, workspace, id])?;
            if forget && finished_at.is_some() {
                let mut update = c.prepare_cached("UPDATE deliveries SET body = x'' WHERE workspace = ? AND id = ?")?;
                update.execute(params![workspace, id])?;
            }
            c.prepare_cached(
                "INSERT OR REPLACE INTO attempts (delivery, n, id, at, status, error, duration_ms, answer)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                id,
                attempt.n,
                attempt.id,
                attempt.at,
                attempt.status,
                attempt.error,
                stored(attempt.duration_ms),
                &attempt.answer[..]
            ])?;
            if finished_at.is_none() {
                return Ok(false);
            }
            let mut update = c.prepare_cached(
                "UPDATE jobs SET ready_at = ?1 WHERE owner IS NULL AND subject =
                   (SELECT id FROM deliveries WHERE status = 'pending' AND execution =
                      (SELECT execution FROM deliveries WHERE workspace = ?2 AND id = ?3) ORDER BY id LIMIT 1)",
            )?;
            Ok(update.execute(params![attempt.at, workspace, id])? > 0)
        })
        .await
    }

    /// One delivery.
    pub async fn delivery_find(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<Option<Delivery>> {
        self.read(move |c| {
            let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE workspace = ? AND id = ?");
            Ok(c.prepare_cached(&sql)?.query_row(params![workspace, id], delivery).optional()?)
        })
        .await
    }

    /// A part of a workspace's deliveries, of one execution or of all.
    pub async fn deliveries(
        &self,
        workspace: WorkspaceId,
        execution: Option<ExecutionId>,
        page: Page<id::Delivery>,
    ) -> Result<Vec<Delivery>> {
        self.read(move |c| {
            // SQLite would rather walk the workspace than the short list of one execution, so the two are two queries.
            let rule = if execution.is_some() { "execution = ?3" } else { "?3 IS NULL" };
            let sql = format!(
                "SELECT {DELIVERY} FROM deliveries WHERE workspace = ?1 AND id < ?2 AND {rule} ORDER BY id DESC LIMIT ?4"
            );
            let mut select = c.prepare_cached(&sql)?;
            let rows = select.query_map(params![workspace, page.bound(), execution, page.limit], delivery)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The attempts of a delivery, first to last.
    pub async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT id, n, at, status, error, duration_ms, answer FROM attempts WHERE delivery = ? ORDER BY n",
            )?;
            Ok(select.query_map([id], attempt)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Makes a delivery due now, whether it has ended or waits. False when there is none, or its body was forgotten.
    pub async fn delivery_again(
        &self,
        workspace: WorkspaceId,
        id: DeliveryId,
        at: Timestamp,
        job: &'static str,
    ) -> Result<bool> {
        self.write(move |c| {
            let mut update = c.prepare_cached(
                "UPDATE deliveries SET status = 'pending', next_at = ?, finished_at = NULL
                 WHERE workspace = ? AND id = ? AND length(body) > 0",
            )?;
            let found = update.execute(params![at, workspace, id])? == 1;
            if found {
                super::job::put(c, job, workspace, id.as_bytes(), at)?;
            }
            Ok(found)
        })
        .await
    }
}

/// When the next attempt of the deliveries before this one is due, if there are any of the same execution to come.
fn pending_before(c: &Connection, one: &Delivery) -> Result<Option<Timestamp>> {
    let mut select = c.prepare_cached(
        "SELECT max(next_at) FROM deliveries WHERE execution = ? AND workspace = ? AND id < ? AND status = 'pending'",
    )?;
    Ok(select.query_row(params![one.execution, one.workspace, one.id], |row| row.get(0))?)
}

/// Adds a delivery and the job that sends it, unless it is there.
pub(super) fn insert(c: &Connection, workspace: WorkspaceId, execution: ExecutionId, new: &NewDelivery) -> Result<()> {
    let mut add = c.prepare_cached(
        "INSERT INTO deliveries
           (id, workspace, hook, execution, status, attempts, created_at, next_at, url, event, body, said, sealed)
         VALUES (?, ?, ?, ?, 'pending', 0, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    let added = add.execute(params![
        new.id,
        workspace,
        new.hook,
        execution,
        new.created_at,
        new.created_at,
        new.url,
        new.event,
        &new.body[..],
        new.said,
        new.confidential
    ])?;
    if added == 0 {
        return Ok(());
    }
    super::job::put(c, new.job, workspace, new.id.as_bytes(), new.created_at)
}

/// Forgets the digests of what an execution said, which would tell somebody who guesses right that he did.
pub(super) fn forget_said(c: &Connection, execution: ExecutionId) -> Result<()> {
    c.prepare_cached("UPDATE deliveries SET said = NULL WHERE execution = ?")?.execute([execution])?;
    Ok(())
}

/// Ends every pending delivery of a hook, which nothing can sign any more. Their jobs end when they are next claimed.
pub(super) fn give_up(c: &Connection, hook: HookId, at: Timestamp) -> Result<()> {
    let mut update = c.prepare_cached(
        "UPDATE deliveries SET status = 'abandoned', next_at = NULL, finished_at = ?, body = x''
         WHERE hook = ? AND status = 'pending'",
    )?;
    update.execute(params![at, hook])?;
    Ok(())
}

/// A delivery; its body is empty where it is sealed.
fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let body: Vec<u8> = if row.get(12)? { Vec::new() } else { row.get(11)? };
    Ok(Delivery {
        id: row.get(0)?,
        workspace: row.get(1)?,
        hook: row.get(2)?,
        execution: row.get(3)?,
        status: row.get(4)?,
        attempts: row.get(5)?,
        created_at: row.get(6)?,
        next_at: row.get(7)?,
        finished_at: row.get(8)?,
        url: row.get(9)?,
        event: row.get(10)?,
        body: body.into(),
    })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let answer: Vec<u8> = row.get(6)?;
    Ok(Attempt {
        id: row.get(0)?,
        n: row.get(1)?,
        at: row.get(2)?,
        status: row.get(3)?,
        error: row.get(4)?,
        duration_ms: super::count(row.get(5)?),
        answer: answer.into(),
    })
}
