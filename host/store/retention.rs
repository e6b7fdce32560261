//! Forgets what is too old, a little at a time, so that a sweep never holds up the writer.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params, types::Value};

use super::{Result, Store};
use crate::clock::Timestamp;

/// Rows looked at in one step. History is in order of age, so the oldest rows are the first ones.
pub(super) const ROWS_PER_STEP: u32 = 500;

/// When a key was claimed that has no end of its own.
const KEY_AGE: &str = "iif(expires_at IS NULL, created_at, NULL)";

/// The last event that has been told to everybody, by the reader and to those that are behind.
pub(super) const TOLD: &str = "(SELECT min(coalesce(max(seq - (subscription IS NOT NULL)), 0),
    coalesce((SELECT min(seq) FROM behind), 0x7fffffffffffffff)) FROM cursors WHERE name = 'dispatch')";

/// What is told reads what it tells of, which may have happened somewhat before.
const MARGIN: Duration = Duration::from_secs(60);

/// What is too old.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Executions that ended before, with all that belongs to them, and deliveries likewise.
    pub executions_before: Timestamp,
    /// Idempotency keys that were claimed before, unless they have an end of their own.
    pub keys_before: Timestamp,
    /// Requests without an execution that came before.
    pub requests_before: Timestamp,
    /// Events that happened before, if they have been told.
    pub events_before: Timestamp,
    /// The present, for what has an end of its own.
    pub now: Timestamp,
}

/// What one step removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Executions.
    pub executions: usize,
    /// Deliveries.
    pub deliveries: usize,
    /// Idempotency keys.
    pub keys: usize,
    /// Requests without an execution.
    pub requests: usize,
    /// Events.
    pub events: usize,
    /// Flows and hooks that are gone, and what was said in conversations of such flows.
    pub departed: usize,
}

impl Swept {
    /// True when there may be more to remove.
    pub fn is_full(&self) -> bool {
        [self.executions, self.deliveries, self.keys, self.requests, self.events, self.departed]
            .iter()
            .any(|n| *n >= ROWS_PER_STEP as usize / 2)
    }
}

impl Store {
    /// One step of a sweep.
    pub async fn sweep(&self, retention: Retention) -> Result<Swept> {
        self.write(move |c| {
            let executions = oldest(c, "executions", "id", "finished_at", executions_before(c, &retention)?)?;
            for id in &executions {
                c.prepare_cached("DELETE FROM outputs WHERE execution = ?")?.execute([id])?;
                c.prepare_cached("DELETE FROM logs WHERE execution = ?")?.execute([id])?;
                c.prepare_cached("DELETE FROM spans WHERE execution = ?")?.execute([id])?;
                c.prepare_cached("DELETE FROM calls WHERE execution = ?")?.execute([id])?;
            }
            let deliveries = oldest(c, "deliveries", "id", "finished_at", retention.executions_before)?;
            for id in &deliveries {
                c.prepare_cached("DELETE FROM attempts WHERE delivery = ?")?.execute([id])?;
            }
            // A key that ends by itself compares as null, and stays.
            let mut keys = oldest(c, "idempotency", "seq", KEY_AGE, retention.keys_before)?.len();
            keys += c
                .prepare_cached(
                    "DELETE FROM idempotency WHERE seq IN
                       (SELECT seq FROM idempotency INDEXED BY idempotency_by_end WHERE expires_at < ? LIMIT ?)",
                )?
                .execute(params![retention.now, ROWS_PER_STEP])?;
            let requests = oldest(c, "requests", "seq", "at", retention.requests_before)?;
            let events = oldest_events(c, retention.events_before)?;
            let departed = super::departed::sweep(c, retention.events_before)?;
            c.prepare_cached("PRAGMA incremental_vacuum(64)")?.query_map([], |_| Ok(()))?.for_each(drop);
            Ok(Swept {
                executions: executions.len(),
                deliveries: deliveries.len(),
                keys,
                requests: requests.len(),
                events,
                departed,
            })
        })
        .await
    }
}

/// Removes those of the oldest events that have been told and happened before `before`, and notes how far that was, for
/// those who come and ask. The last one stays: the next one's place must be a greater one. Returns how many there were.
fn oldest_events(c: &Connection, before: Timestamp) -> Result<usize> {
    let which = format!(
        "at < ?1 AND seq < (SELECT max(seq) FROM events) AND seq <= {TOLD}
         AND seq IN (SELECT seq FROM events ORDER BY seq LIMIT ?2)"
    );
    let note = format!(
        "INSERT INTO forgotten (workspace, seq, at) SELECT workspace, max(seq), max(at) FROM events WHERE {which} GROUP BY workspace
         ON CONFLICT DO UPDATE SET seq = excluded.seq, at = max(at, excluded.at)"
    );
    c.prepare_cached(&note)?.execute(params![before, ROWS_PER_STEP])?;
    Ok(c.prepare_cached(&format!("DELETE FROM events WHERE {which}"))?.execute(params![before, ROWS_PER_STEP])?)
}

/// Executions stay for as long as somebody is to be told of them.
fn executions_before(c: &Connection, retention: &Retention) -> Result<Timestamp> {
    let sql = format!("SELECT at FROM events WHERE seq > {TOLD} AND execution IS NOT NULL ORDER BY seq LIMIT 1");
    let untold = c.prepare_cached(&sql)?.query_row([], |row| row.get::<_, Timestamp>(0)).optional()?;
    Ok(untold.map_or(retention.executions_before, |at| at.before(MARGIN).min(retention.executions_before)))
}

/// Removes those of the oldest rows of a table whose `age` lies before `before`, and returns their `key`s.
fn oldest(c: &Connection, table: &str, key: &str, age: &str, before: Timestamp) -> Result<Vec<Value>> {
    let sql = format!(
        "DELETE FROM {table} WHERE {age} < ? AND seq IN (SELECT seq FROM {table} ORDER BY seq LIMIT ?) RETURNING {key}"
    );
    let mut delete = c.prepare_cached(&sql)?;
    let rows = delete.query_map(params![before, ROWS_PER_STEP], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
