//! Targets: who is sent to, what is known of them, and the one job that each has while something waits for it.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::delivery::{DELIVERY, whole};
use super::{Delivery, DeliveryStatus, Lease, Result, Store, text_enum};
use crate::clock::Timestamp;
use crate::id::{BadId, DeliveryId, HookId, SubscriptionId, WorkspaceId};

/// Rows that one step of a long change touches at most, so that it does not hold up the writer.
const ROWS_PER_STEP: u32 = 500;

/// Who a delivery is for. Its text is the id of the one or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The callback of a hook.
    Hook(HookId),
    /// A subscription.
    Subscription(SubscriptionId),
}

impl Target {
    /// A letter for the kind, and the id: what the rows hold, and the subject of the target's job.
    pub fn to_bytes(self) -> [u8; 17] {
        let (kind, id) = match &self {
            Self::Hook(id) => (b'h', id.as_bytes()),
            Self::Subscription(id) => (b's', id.as_bytes()),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(id);
        bytes
    }

    /// What [`Target::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, id) = bytes.split_first()?;
        let id = id.try_into().ok()?;
        match kind {
            b'h' => Some(Self::Hook(HookId::from_bytes(id))),
            b's' => Some(Self::Subscription(SubscriptionId::from_bytes(id))),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hook(id) => id.fmt(f),
            Self::Subscription(id) => id.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = BadId;

    fn from_str(text: &str) -> std::result::Result<Self, BadId> {
        text.parse().map(Self::Subscription).or_else(|_| text.parse().map(Self::Hook))
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl ToSql for Target {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_bytes().to_vec().into())
    }
}

impl FromSql for Target {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_bytes(value.as_blob()?).ok_or(FromSqlError::InvalidType)
    }
}

text_enum! {
    /// What a target has shown so far.
    Standing {
        /// Nothing yet.
        New = "new",
        /// Its last attempt was answered as by somebody who is well.
        Proven = "proven",
        /// Its last attempt was not.
        Suspect = "suspect",
    }
}

impl Standing {
    /// The kind of the job of a target that stands so. A kind has workers of its own, so none waits for another.
    pub fn job(self) -> &'static str {
        match self {
            Self::New => "deliver_new",
            Self::Proven => "deliver",
            Self::Suspect => "deliver_suspect",
        }
    }
}

/// What is remembered of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Failures since the last success; those of attempts that ran side by side count once.
    pub failures: u32,
    /// When it last became well; none when it has never been.
    pub proven_since: Option<Timestamp>,
    /// When the first of these failures was.
    pub failing_since: Option<Timestamp>,
    /// When the last of them was.
    pub failed_at: Option<Timestamp>,
    /// Nothing is sent before.
    pub held_until: Option<Timestamp>,
}

impl Health {
    /// What this amounts to.
    pub fn standing(&self) -> Standing {
        match (self.failures, self.proven_since) {
            (0, None) => Standing::New,
            (0, Some(_)) => Standing::Proven,
            _ => Standing::Suspect,
        }
    }
}

/// What is to be sent to a target.
#[derive(Debug, Clone, Default)]
pub struct Due {
    /// In the order in which it is due.
    pub deliveries: Vec<Delivery>,
    /// When the first of those becomes due that are not due yet.
    pub next_at: Option<Timestamp>,
}

impl Store {
    /// What is remembered of a target; the default when that is nothing.
    pub async fn target_health(&self, target: Target) -> Result<Health> {
        self.read(move |c| health(c, target)).await
    }

    /// What is due to a target by `now`, at most `limit` deliveries.
    pub async fn target_due(&self, target: Target, now: Timestamp, limit: u32) -> Result<Due> {
        let this = self.clone();
        self.read(move |c| {
            let sql = format!(
                "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_due
                 WHERE target = ? AND status = 'pending' AND next_at <= ? ORDER BY next_at, seq LIMIT ?"
            );
            let mut select = c.prepare_cached(&sql)?;
            let opened = select.query_map(params![target, now, limit], whole)?.map(|row| {
                let (mut delivery, sealed) = row?;
                if sealed {
                    delivery.body = this.open_body(delivery.id, &delivery.body)?;
                }
                Ok(delivery)
            });
            let deliveries = opened.collect::<Result<_>>()?;
            let mut select = c.prepare_cached(
                "SELECT min(next_at) FROM deliveries INDEXED BY deliveries_due
                 WHERE target = ? AND status = 'pending' AND next_at > ?",
            )?;
            let next_at = select.query_row(params![target, now], |row| row.get(0))?;
            Ok(Due { deliveries, next_at })
        })
        .await
    }

    /// Ends a turn: remembers `health`, if it has changed, and leaves the job for when something is due again, but not
    /// before `not_before`. Nothing that was added meanwhile is overlooked. [`super::Error::LeaseLost`] when another worker has taken over: then nothing is written.
    pub async fn target_release(
        &self,
        lease: Lease,
        target: Target,
        health: Option<Health>,
        not_before: Timestamp,
    ) -> Result<Released> {
        self.write(move |c| {
            if let Some(health) = &health {
                let workspace = super::job::check(c, &lease)?;
                let (before, now) = (self::health(c, target)?, health.failed_at.or(health.proven_since));
                super::trouble::changed(c, workspace, target, &before, health, now.unwrap_or_default())?;
                remember(c, target, health)?;
            }
            let (next_at, health) = (next_at(c, target)?, self::health(c, target)?);
            let (standing, free_at) = (health.standing(), not_before.max(health.held_until.unwrap_or_default()));
            let ready_at = next_at.map(|next| next.max(free_at));
            match ready_at {
                Some(at) => super::job::again_as(c, &lease, standing.job(), at)?,
                None => super::job::done(c, &lease)?,
            }
            let is_behind = super::behind::resume(c, target, standing, next_at, free_at)?;
            Ok(Released { ready_at, is_behind })
        })
        .await
    }

    /// Ends the oldest of what waits for a target, at most some hundred deliveries: all of them, or those that are due and
    /// whose schedule began before `began_before`. Returns how many there were; to be called until there is none.
    pub async fn target_give_up(&self, lease: Lease, target: Target, give_up: GiveUp) -> Result<usize> {
        self.write(move |c| {
            super::job::check(c, &lease)?;
            end_some(c, target, &give_up)
        })
        .await
    }
}

/// What the end of a turn leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// When the target's job is ready; none when nothing waits any more.
    pub ready_at: Option<Timestamp>,
    /// Whether the target is to be told of more events, by a job of the kind [`super::CATCH_UP`].
    pub is_behind: bool,
}

/// Which deliveries are ended unsent, and as what.
#[derive(Debug, Clone)]
pub struct GiveUp {
    /// What they become.
    pub status: DeliveryStatus,
    /// Why, in words.
    pub error: String,
    /// Now.
    pub at: Timestamp,
    /// Only those that are due, and whose schedule began before; all when absent.
    pub began_before: Option<Timestamp>,
    /// Whether their bodies go.
    pub forget: bool,
}

/// One step of ending what waits for a target; returns how many deliveries it was.
pub(super) fn end_some(c: &Connection, target: Target, give_up: &GiveUp) -> Result<usize> {
    let rows = match give_up.began_before {
        Some(before) => stale(c, target, give_up.at, before)?,
        None => waiting(c, target)?,
    };
    for seq in &rows {
        let mut update = c.prepare_cached(
            "UPDATE deliveries SET status = ?, error = ?, next_at = NULL, finished_at = ?,
               body = CASE WHEN ? THEN x'' ELSE body END WHERE seq = ? RETURNING lane, workspace, id",
        )?;
        let (status, error, at) = (give_up.status, &give_up.error, give_up.at);
        let (lane, workspace, id) = update.query_row(params![status, error, at, give_up.forget, seq], |row| {
            Ok((row.get(0)?, row.get::<_, WorkspaceId>(1)?, row.get::<_, DeliveryId>(2)?))
        })?;
        if status == DeliveryStatus::Exhausted {
            super::trouble::exhausted(c, workspace, target, id, at)?;
        }
        if give_up.began_before.is_some() {
            super::lane::advance(c, target, lane, at)?;
        }
    }
    Ok(rows.len())
}

/// Some of what waits for a target. What waits for its turn in a lane comes first, so that no step leaves a lane without
/// its beginning.
fn waiting(c: &Connection, target: Target) -> Result<Vec<i64>> {
    let mut select = c.prepare_cached(
        "SELECT seq FROM deliveries INDEXED BY deliveries_due
         WHERE target = ? AND status = 'pending' ORDER BY next_at LIMIT ?",
    )?;
    let rows = select.query_map(params![target, ROWS_PER_STEP], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Of the longest due, those whose schedule began before `before`.
fn stale(c: &Connection, target: Target, now: Timestamp, before: Timestamp) -> Result<Vec<i64>> {
    let mut select = c.prepare_cached(
        "SELECT seq FROM (SELECT seq, began_at FROM deliveries INDEXED BY deliveries_due
           WHERE target = ? AND status = 'pending' AND next_at <= ? ORDER BY next_at LIMIT ?) WHERE began_at < ?",
    )?;
    let rows = select.query_map(params![target, now, ROWS_PER_STEP, before], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn health(c: &Connection, target: Target) -> Result<Health> {
    let mut select = c.prepare_cached(
        "SELECT failures, proven_since, failing_since, failed_at, held_until FROM targets WHERE target = ?",
    )?;
    let row = |row: &Row<'_>| {
        Ok(Health {
            failures: row.get(0)?,
            proven_since: row.get(1)?,
            failing_since: row.get(2)?,
            failed_at: row.get(3)?,
            held_until: row.get(4)?,
        })
    };
    Ok(select.query_row([target], row).optional()?.unwrap_or_default())
}

fn remember(c: &Connection, target: Target, health: &Health) -> Result<()> {
    c.prepare_cached(
        "INSERT OR REPLACE INTO targets (target, failures, proven_since, failing_since, failed_at, held_until)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        target,
        health.failures,
        health.proven_since,
        health.failing_since,
        health.failed_at,
        health.held_until
    ])?;
    Ok(())
}

/// When the first of what waits for a target is due.
pub(super) fn next_at(c: &Connection, target: Target) -> Result<Option<Timestamp>> {
    let mut select = c.prepare_cached(
        "SELECT min(next_at) FROM deliveries INDEXED BY deliveries_due
         WHERE target = ? AND status = 'pending' AND next_at IS NOT NULL",
    )?;
    Ok(select.query_row([target], |row| row.get(0))?)
}

/// Makes sure that a target's job is there and ready when something is due at `due_at`. A leased job is left alone: its
/// worker looks again before it gives it back.
pub(super) fn ensure_job(c: &Connection, workspace: WorkspaceId, target: Target, due_at: Timestamp) -> Result<()> {
    let health = health(c, target)?;
    let ready_at = due_at.max(health.held_until.unwrap_or_default());
    super::job::ensure(c, health.standing().job(), workspace, &target.to_bytes(), ready_at)
}

/// Ends a hold, for an operator wants something sent now.
pub(super) fn unhold(c: &Connection, target: Target) -> Result<()> {
    c.prepare_cached("UPDATE targets SET held_until = NULL WHERE target = ? AND held_until IS NOT NULL")?
        .execute([target])?;
    Ok(())
}

/// Forgets a target that is gone, and ends what waits for it. Of very much only the beginning: the job is left for whoever
/// finds that the target is gone, and ends the rest.
pub(super) fn remove(c: &Connection, workspace: WorkspaceId, target: Target, at: Timestamp) -> Result<()> {
    c.prepare_cached("DELETE FROM targets WHERE target = ?")?.execute([target])?;
    let (status, error) = (DeliveryStatus::Abandoned, format!("{target} is gone"));
    let give_up = GiveUp { status, error, at, began_before: None, forget: true };
    if end_some(c, target, &give_up)? > 0 {
        ensure_job(c, workspace, target, at)?;
    }
    Ok(())
}
