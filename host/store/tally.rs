//! Deliveries counted, by indexes alone.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Result, Store, Target, count};
use crate::clock::Timestamp;
use crate::id::DeliveryId;

/// The deliveries for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All that are kept.
    pub total: u64,
    /// Of these, the receiver has so many.
    pub succeeded: u64,
    /// It will not get these.
    pub failed: u64,
    /// An attempt is to come or under way.
    pub pending: u64,
    /// When the last attempt began.
    pub last_at: Option<Timestamp>,
}

/// How an attempt went, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// When it began.
    pub at: Timestamp,
    /// The status that the receiver answered with.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
}

impl Store {
    /// The deliveries for each target, in the same order.
    pub async fn tallies(&self, targets: Vec<Target>) -> Result<Vec<Tally>> {
        self.read(move |c| targets.iter().map(|target| tally(c, *target)).collect()).await
    }

    /// The last attempt of each delivery, in the same order; none where there was none.
    pub async fn attempts_last(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<Option<Tried>>> {
        self.read(move |c| deliveries.iter().map(|delivery| last(c, *delivery)).collect()).await
    }
}

fn tally(c: &Connection, target: Target) -> Result<Tally> {
    let number =
        |sql: &str| -> Result<u64> { Ok(count(c.prepare_cached(sql)?.query_row([target], |row| row.get(0))?)) };
    let total = number("SELECT count(*) FROM deliveries INDEXED BY deliveries_by_target WHERE target = ?")?;
    let pending =
        number("SELECT count(*) FROM deliveries INDEXED BY deliveries_due WHERE target = ? AND status = 'pending'")?;
    let dead = number(
        "SELECT count(*) FROM deliveries INDEXED BY deliveries_dead WHERE target = ? AND status IN ('exhausted', 'abandoned')",
    )?;
    let discarded = number(
        "SELECT count(*) FROM deliveries INDEXED BY deliveries_discarded WHERE target = ? AND status = 'discarded'",
    )?;
    let filtered = number(
        "SELECT count(*) FROM deliveries INDEXED BY deliveries_filtered WHERE target = ? AND status = 'filtered'",
    )?;
    let sql = "SELECT max(at) FROM attempts INDEXED BY attempts_by_target WHERE target = ?";
    let last_at = c.prepare_cached(sql)?.query_row([target], |row| row.get(0))?;
    let failed = dead + discarded;
    Ok(Tally { total, succeeded: total.saturating_sub(failed + pending + filtered), failed, pending, last_at })
}

fn last(c: &Connection, delivery: DeliveryId) -> Result<Option<Tried>> {
    let sql = "SELECT at, status, duration_ms FROM attempts WHERE delivery = ? ORDER BY n DESC LIMIT 1";
    let tried =
        |row: &rusqlite::Row<'_>| Ok(Tried { at: row.get(0)?, status: row.get(1)?, duration_ms: count(row.get(2)?) });
    Ok(c.prepare_cached(sql)?.query_row(params![delivery], tried).optional()?)
}
