//! Forgets what is too old, a little at a time, so that a sweep never holds up the writer.

use rusqlite::{Connection, params, types::Value};

use super::{Result, Store};
use crate::clock::Timestamp;

/// Rows looked at in one step. History is in order of age, so the oldest rows are the first ones.
const ROWS_PER_STEP: u32 = 500;

/// When a key was claimed that has no end of its own.
const KEY_AGE: &str = "iif(expires_at IS NULL, created_at, NULL)";

/// When an event happened that has been told. The last one stays: the next one's place must be a greater one.
const EVENT_AGE: &str = "iif(seq < (SELECT max(seq) FROM events)
    AND seq <= (SELECT coalesce(max(seq), 0) FROM cursors WHERE name = 'dispatch'), at, NULL)";

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
}

impl Swept {
    /// True when there may be more to remove.
    pub fn is_full(&self) -> bool {
        [self.executions, self.deliveries, self.keys, self.requests, self.events]
            .iter()
            .any(|n| *n >= ROWS_PER_STEP as usize / 2)
    }
}

impl Store {
    /// One step of a sweep.
    pub async fn sweep(&self, retention: Retention) -> Result<Swept> {
        self.write(move |c| {
            let executions = oldest(c, "executions", "id", "finished_at", retention.executions_before)?;
            for id in &executions {
                c.prepare_cached("DELETE FROM outputs WHERE execution = ?")?.execute([id])?;
                c.prepare_cached("DELETE FROM logs WHERE execution = ?")?.execute([id])?;
                c.prepare_cached("DELETE FROM spans WHERE execution = ?")?.execute([id])?;
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
            let events = oldest(c, "events", "seq", EVENT_AGE, retention.events_before)?.len();
            c.prepare_cached("PRAGMA incremental_vacuum(64)")?.query_map([], |_| Ok(()))?.for_each(drop);
            Ok(Swept {
                executions: executions.len(),
                deliveries: deliveries.len(),
                keys,
                requests: requests.len(),
                events,
            })
        })
        .await
    }
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
