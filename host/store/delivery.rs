//! Deliveries: made, sent step by step, found.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params, params_from_iter};

use super::{Attempt, Lease, OutputRow, Page, Result, Store, Target, text_enum};
use crate::clock::Timestamp;
use crate::id::{self, DeliveryId, ExecutionId, WorkspaceId};

text_enum! {
    /// Where a delivery stands.
    DeliveryStatus {
        /// An attempt is to come or under way.
        Pending = "pending",
        /// The receiver has it.
        Succeeded = "succeeded",
        /// Every attempt failed.
        Exhausted = "exhausted",
        /// The receiver wants no more, or the target is gone.
        Abandoned = "abandoned",
        /// It had failed, and an operator wants no more of it.
        Discarded = "discarded",
        /// The subscription's transform wants it not sent.
        Filtered = "filtered",
    }
}

impl DeliveryStatus {
    /// Whether it has ended without reaching the receiver, and could be sent again: a dead letter.
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Exhausted | Self::Abandoned)
    }
}

/// A message for a receiver, on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id, which the receiver sees in every attempt.
    pub id: DeliveryId,
    /// Who it is for.
    pub target: Target,
    /// Deliveries of a target in the same lane are sent one after the other, in the order in which they were made.
    pub lane: Option<String>,
    /// Now.
    pub created_at: Timestamp,
    /// The receiver, as it is now.
    pub url: String,
    /// What it tells, for example `execution.succeeded`.
    pub event: String,
    /// The bytes to send, the same in every attempt.
    pub body: Bytes,
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
    /// Who it is for.
    pub target: Target,
    /// What it waits in line with.
    pub lane: Option<String>,
    /// What it tells of, where that is an execution.
    pub execution: Option<ExecutionId>,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts made.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its schedule began.
    pub began_at: Timestamp,
    /// How many of the attempts do not belong to its schedule.
    pub began_after: u32,
    /// When the next attempt is due. A pending one without waits for its turn in the lane.
    pub next_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The receiver, as it was at the last attempt.
    pub url: String,
    /// What it tells.
    pub event: String,
    /// Why it is not there yet: the error of the last attempt.
    pub error: Option<String>,
    /// The bytes to send.
    pub body: Bytes,
    /// What a transform made of it, as JSON; none where none has run.
    pub transform: Option<String>,
}

/// What an attempt leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The end.
    End(DeliveryStatus),
    /// Another attempt, at the next place of the schedule.
    Again(Timestamp),
    /// Another attempt, at the same place of the schedule: the receiver had no part in the failure.
    AgainUncounted(Timestamp),
}

/// Which deliveries a list has.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only of this execution.
    pub execution: Option<ExecutionId>,
    /// Only for this target.
    pub target: Option<Target>,
    /// Only of this event.
    pub event: Option<String>,
    /// Only with one of these statuses; all when empty.
    pub statuses: Vec<DeliveryStatus>,
    /// Only those made then or later.
    pub since: Option<Timestamp>,
    /// Only those made before.
    pub until: Option<Timestamp>,
}

pub(super) const DELIVERY: &str = "id, workspace, target, lane, execution, status, attempts, created_at, began_at, began_after, next_at, \
     finished_at, url, event, error, body, sealed, transform";

impl Store {
    /// Makes a delivery that tells of no execution.
    pub async fn delivery_create(&self, workspace: WorkspaceId, mut new: NewDelivery) -> Result<()> {
        self.seal_bodies(std::slice::from_mut(&mut new));
        self.write(move |c| insert(c, workspace, None, &new)).await
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
                deliveries.iter().try_for_each(|one| insert(c, workspace, Some(execution), one))?;
            }
            Ok(runs)
        })
        .await
    }

    /// Records an attempt and what it leads to. `forget`: at the end the body goes. [`super::Error::LeaseLost`] when
    /// another worker has taken over: then nothing is written.
    pub async fn delivery_step(
        &self,
        lease: Lease,
        delivery: &Delivery,
        attempt: Attempt,
        step: Step,
        forget: bool,
    ) -> Result<()> {
        let (workspace, id, target) = (delivery.workspace, delivery.id, delivery.target);
        self.write(move |c| {
            super::job::check(c, &lease)?;
            let (status, next_at) = match step {
                Step::End(status) => (status, None),
                Step::Again(at) | Step::AgainUncounted(at) => (DeliveryStatus::Pending, Some(at)),
            };
            let ended = next_at.is_none();
            let uncounted = u32::from(matches!(step, Step::AgainUncounted(_)));
            let mut update = c.prepare_cached(
                "UPDATE deliveries SET status = ?, attempts = ?, began_after = began_after + ?, next_at = ?,
                   finished_at = ?, url = ?, error = ?, body = CASE WHEN ? THEN x'' ELSE body END
                 WHERE workspace = ? AND id = ? AND status = 'pending' RETURNING lane",
            )?;
            let values = params![
                status,
                attempt.n,
                uncounted,
                next_at,
                ended.then_some(attempt.at),
                attempt.url,
                attempt.error,
                forget && ended,
                workspace,
                id
            ];
            let lane: Option<Option<String>> = update.query_row(values, |row| row.get(0)).optional()?;
            super::attempt::record(c, id, target, &attempt)?;
            if lane.is_some() && status == DeliveryStatus::Exhausted {
                super::trouble::exhausted(c, workspace, target, id, attempt.at)?;
            }
            // One that was given up meanwhile stays so, and others have its turn.
            match lane {
                Some(lane) if ended => super::lane::advance(c, target, lane, attempt.at),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Keeps what a transform made of a pending delivery, before anything is sent: `transform` tells of it, and `body`, if
    /// there is one, takes the place of the body. [`super::Error::LeaseLost`] when another worker has taken over: then nothing is written.
    pub async fn delivery_reshape(
        &self,
        lease: Lease,
        delivery: &Delivery,
        body: Option<Bytes>,
        transform: Option<String>,
    ) -> Result<()> {
        let (workspace, id) = (delivery.workspace, delivery.id);
        self.write(move |c| {
            super::job::check(c, &lease)?;
            c.prepare_cached(
                "UPDATE deliveries SET transform = ?, body = coalesce(?, body)
                 WHERE workspace = ? AND id = ? AND status = 'pending'",
            )?
            .execute(params![transform, body.as_deref(), workspace, id])?;
            Ok(())
        })
        .await
    }

    /// Ends a pending delivery that its subscription's transform wants not sent. [`super::Error::LeaseLost`] when another
    /// worker has taken over: then nothing is written.
    pub async fn delivery_filter(
        &self,
        lease: Lease,
        delivery: &Delivery,
        transform: String,
        at: Timestamp,
    ) -> Result<()> {
        let (workspace, id, target) = (delivery.workspace, delivery.id, delivery.target);
        self.write(move |c| {
            super::job::check(c, &lease)?;
            let mut update = c.prepare_cached(
                "UPDATE deliveries SET status = 'filtered', next_at = NULL, finished_at = ?, error = NULL, transform = ?
                 WHERE workspace = ? AND id = ? AND status = 'pending' RETURNING lane",
            )?;
            let lane: Option<Option<String>> =
                update.query_row(params![at, transform, workspace, id], |row| row.get(0)).optional()?;
            lane.map_or(Ok(()), |lane| super::lane::advance(c, target, lane, at))
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

    /// A part of a workspace's deliveries.
    pub async fn deliveries(
        &self,
        workspace: WorkspaceId,
        filter: DeliveryFilter,
        page: Page<id::Delivery>,
    ) -> Result<Vec<Delivery>> {
        self.read(move |c| {
            let bound = page.bound();
            let mut rules = String::new();
            let mut values: Vec<&dyn ToSql> = vec![&workspace, &bound];
            let mut only = |rule: &str, value| {
                rules += rule;
                values.push(value);
            };
            filter.execution.iter().for_each(|one| only(" AND execution = ?", one));
            filter.target.iter().for_each(|one| only(" AND target = ?", one));
            filter.event.iter().for_each(|one| only(" AND event = ?", one));
            filter.since.iter().for_each(|one| only(" AND created_at >= ?", one));
            filter.until.iter().for_each(|one| only(" AND created_at < ?", one));
            filter.statuses.iter().for_each(|one| only("", one));
            if !filter.statuses.is_empty() {
                rules += &format!(" AND status IN ({})", vec!["?"; filter.statuses.len()].join(", "));
            }
            values.push(&page.limit);
            let sql = format!(
                "SELECT {DELIVERY} FROM deliveries {} WHERE workspace = ? AND id < ? {rules} ORDER BY id DESC LIMIT ?",
                filter.index()
            );
            let mut select = c.prepare_cached(&sql)?;
            Ok(select.query_map(params_from_iter(values), delivery)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

impl DeliveryFilter {
    /// Which index leads to what is looked for. Left to itself, SQLite walks the whole workspace, newest first.
    fn index(&self) -> &'static str {
        if self.execution.is_some() {
            "INDEXED BY deliveries_by_execution"
        } else if self.target.is_some() {
            "INDEXED BY deliveries_by_target"
        } else {
            ""
        }
    }
}

/// Adds a delivery, unless it is there, and sees to the job of its target.
pub(super) fn insert(
    c: &Connection,
    workspace: WorkspaceId,
    execution: Option<ExecutionId>,
    new: &NewDelivery,
) -> Result<()> {
    let waits = super::lane::is_busy(c, new.target, new.lane.as_deref())?;
    let mut add = c.prepare_cached(
        "INSERT INTO deliveries (id, workspace, target, lane, execution, status, attempts, created_at, began_at, began_after,
           next_at, url, event, body, said, sealed)
         VALUES (?, ?, ?, ?, ?, 'pending', 0, ?, ?, 0, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    let added = add.execute(params![
        new.id,
        workspace,
        new.target,
        new.lane,
        execution,
        new.created_at,
        new.created_at,
        (!waits).then_some(new.created_at),
        new.url,
        new.event,
        &new.body[..],
        new.said,
        new.confidential
    ])?;
    if added == 0 || waits {
        return Ok(());
    }
    super::target::ensure_job(c, workspace, new.target, new.created_at)
}

/// Forgets the digests of what an execution said, which would tell somebody who guesses right that he did.
pub(super) fn forget_said(c: &Connection, execution: ExecutionId) -> Result<()> {
    c.prepare_cached("UPDATE deliveries SET said = NULL WHERE execution = ?")?.execute([execution])?;
    Ok(())
}

/// A delivery; its body is empty where it is sealed.
pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let body = if row.get(16)? { Vec::new() } else { row.get(15)? };
    with_body(row, body)
}

/// A delivery with its body as it is in the row, and whether that is sealed.
pub(super) fn whole(row: &Row<'_>) -> rusqlite::Result<(Delivery, bool)> {
    Ok((with_body(row, row.get(15)?)?, row.get(16)?))
}

fn with_body(row: &Row<'_>, body: Vec<u8>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: row.get(0)?,
        workspace: row.get(1)?,
        target: row.get(2)?,
        lane: row.get(3)?,
        execution: row.get(4)?,
        status: row.get(5)?,
        attempts: row.get(6)?,
        created_at: row.get(7)?,
        began_at: row.get(8)?,
        began_after: row.get(9)?,
        next_at: row.get(10)?,
        finished_at: row.get(11)?,
        url: row.get(12)?,
        event: row.get(13)?,
        error: row.get(14)?,
        body: body.into(),
        transform: row.get(17)?,
    })
}
