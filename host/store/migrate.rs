//! Brings a database to the newest schema, one numbered file at a time, each in a transaction of its own.

use rusqlite::{Connection, TransactionBehavior};

use super::{Error, Result};

/// In order; the schema's number is the position, counted from 1. A released file never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_house.sql"),
    include_str!("migrations/0003_path_ids.sql"),
    include_str!("migrations/0004_subscriptions.sql"),
    include_str!("migrations/0006_events.sql"),
    include_str!("migrations/0007_batches.sql"),
];

/// Runs the migrations that the database has not seen. `PRAGMA user_version` counts them.
pub(super) fn to_newest(connection: &mut Connection) -> Result<()> {
    // Before the first table: incremental vacuum lets the sweeper give pages back without rewriting the file.
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")?;
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(MIGRATIONS.len()).expect("few migrations");
    if found > known {
        return Err(Error::TooNew { found, known });
    }
    for (number, sql) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
