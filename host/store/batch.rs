//! From events to deliveries: what is told at once, and what waits for company.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, params};

use super::{Lease, NewDelivery, Place, Result, Store, Target, count};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, ExecutionId, WorkspaceId};

/// What somebody is told of an event.
#[derive(Debug, Clone)]
pub struct Told {
    /// The place of the event.
    pub seq: u64,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// What it tells of, where that is an execution.
    pub execution: Option<ExecutionId>,
    /// The delivery, or what one will be made of.
    pub delivery: NewDelivery,
    /// Set for a target that gets several at a time.
    pub batch: Option<Batch>,
}

/// When a batch goes out, and what is around its messages.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Messages.
    pub events_max: u32,
    /// Bytes of the messages together.
    pub bytes_max: u64,
    /// How long the first message of a batch waits.
    pub wait: Duration,
    /// What stands before the messages, which commas part.
    pub before: Bytes,
    /// What stands after them.
    pub after: Bytes,
}

/// The kind of the job that sends a batch when its time has come.
pub const BATCH: &str = "batch";

/// The type of an event that is a batch.
const EVENT: &str = "batch";

impl Store {
    /// Makes the deliveries that a reader of the events found to be due, and moves it to `place`, in one transaction. Those
    /// targets come back that were told of nothing, or not of all: they are behind now.
    pub async fn dispatch(&self, reader: &'static str, place: Place, all: Vec<Told>) -> Result<Vec<Target>> {
        self.write(move |c| {
            let mut behind = Vec::new();
            for told in &all {
                let target = told.delivery.target;
                if behind.contains(&target) {
                    continue;
                }
                if super::behind::is_due(c, target)? {
                    super::behind::begin(c, told)?;
                    behind.push(target);
                } else {
                    tell(c, told)?;
                }
            }
            super::event::move_to(c, reader, place)?;
            Ok(behind)
        })
        .await
    }

    /// Sends what waits for company of a target whose time has come, and ends the job.
    pub async fn batch_close(
        &self,
        lease: Lease,
        workspace: WorkspaceId,
        target: Target,
        url: String,
        batch: Batch,
        at: Timestamp,
    ) -> Result<()> {
        self.write(move |c| {
            super::job::done(c, &lease)?;
            while close(c, workspace, target, &url, &batch, at)? {}
            Ok(())
        })
        .await
    }

    /// Forgets what waits for company of a target that is gone, and ends the job.
    pub async fn batch_drop(&self, lease: Lease, target: Target) -> Result<()> {
        self.write(move |c| {
            super::job::done(c, &lease)?;
            c.prepare_cached("DELETE FROM batched WHERE target = ?")?.execute([target])?;
            Ok(())
        })
        .await
    }
}

/// The target, behind a letter: a job whose subject is the target itself is the one that sends to it.
fn subject(target: Target) -> Vec<u8> {
    [b"b", &target.to_bytes()[..]].concat()
}

/// Whose batch a claimed job of the kind [`BATCH`] is about.
pub fn batch_target(subject: &[u8]) -> Option<Target> {
    subject.strip_prefix(b"b").and_then(Target::from_bytes)
}

/// Makes the delivery, or lets the message wait for company.
pub(super) fn tell(c: &Connection, told: &Told) -> Result<()> {
    match &told.batch {
        Some(batch) => gather(c, told, batch),
        None => super::delivery::insert(c, told.workspace, told.execution, &told.delivery),
    }
}

/// Lets a message wait for company, and sends those that are enough.
fn gather(c: &Connection, told: &Told, batch: &Batch) -> Result<()> {
    let new = &told.delivery;
    c.prepare_cached("INSERT INTO batched (target, at, event, body) VALUES (?, ?, ?, ?)")?.execute(params![
        new.target,
        new.created_at,
        new.event,
        &new.body[..]
    ])?;
    let (messages, bytes, first): (i64, i64, Timestamp) = c
        .prepare_cached("SELECT count(*), sum(length(body)), min(at) FROM batched WHERE target = ?")?
        .query_row([new.target], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if count(messages) >= u64::from(batch.events_max) || count(bytes) >= batch.bytes_max {
        close(c, told.workspace, new.target, &new.url, batch, new.created_at)?;
    } else if messages == 1 {
        super::job::put(c, BATCH, told.workspace, &subject(new.target), first.after(batch.wait))?;
    }
    Ok(())
}

/// Makes one delivery of the oldest messages. False when there are none.
fn close(
    c: &Connection,
    workspace: WorkspaceId,
    target: Target,
    url: &str,
    batch: &Batch,
    at: Timestamp,
) -> Result<bool> {
    let mut body = batch.before.to_vec();
    let (mut last, mut messages) = (0, 0);
    {
        let mut select = c.prepare_cached("SELECT seq, body FROM batched WHERE target = ? ORDER BY seq LIMIT ?")?;
        let mut rows = select.query(params![target, batch.events_max])?;
        while let Some(row) = rows.next()? {
            let message = row.get_ref(1)?.as_blob().map_err(|_| super::Error::Corrupt("batch"))?;
            // One that is too large alone goes alone.
            if messages > 0 && (body.len() + message.len()) as u64 > batch.bytes_max {
                break;
            }
            if messages > 0 {
                body.push(b',');
            }
            body.extend_from_slice(message);
            (last, messages) = (row.get(0)?, messages + 1);
        }
    }
    if messages == 0 {
        return Ok(false);
    }
    body.extend_from_slice(&batch.after);
    c.prepare_cached("DELETE FROM batched WHERE target = ? AND seq <= ?")?.execute(params![target, last as i64])?;
    let new = NewDelivery {
        id: DeliveryId::at(at.unix_ms_unsigned()),
        target,
        // Batches keep the order of the events in them only one after the other.
        lane: Some(EVENT.to_owned()),
        created_at: at,
        url: url.to_owned(),
        event: EVENT.to_owned(),
        body: body.into(),
        said: None,
        confidential: false,
    };
    super::delivery::insert(c, workspace, None, &new)?;
    Ok(true)
}
