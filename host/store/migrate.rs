//! Brings a database to the newest schema, one numbered file at a time, each in a transaction of its own.

use rusqlite::{Connection, TransactionBehavior};

use super::{Error, Result};

/// In order; the schema's number is the position, counted from 1. A released file never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_house.sql"),
    include_str!("migrations/0002_requests.sql"),
    include_str!("migrations/0003_path_ids.sql"),
    include_str!("migrations/0004_subscriptions.sql"),
    include_str!("migrations/0005_lanes.sql"),
    include_str!("migrations/0006_events.sql"),
    include_str!("migrations/0007_batches.sql"),
    include_str!("migrations/0008_discarded.sql"),
    include_str!("migrations/0009_authors.sql"),
    include_str!("migrations/0010_transforms.sql"),
    include_str!("migrations/0011_behind.sql"),
    include_str!("migrations/0012_consumers.sql"),
    include_str!("migrations/0013_departed.sql"),
    include_str!("migrations/0014_lists.sql"),
    include_str!("migrations/0015_called.sql"),
    include_str!("migrations/0016_calls.sql"),
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

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;

    /// A database as it is before the migration that has this text in it.
    fn before(text: &str) -> Connection {
        let place = MIGRATIONS.iter().position(|sql| sql.contains(text)).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        for sql in &MIGRATIONS[..place] {
            connection.execute_batch(sql).unwrap();
        }
        connection.pragma_update(None, "user_version", u32::try_from(place).unwrap()).unwrap();
        connection
    }

    #[test]
    fn deliveries_of_a_house_without_lanes_find_theirs() {
        let mut connection = before("CREATE TABLE targets");
        let (workspace, hook, execution) = ([1u8; 16], [0u8; 16], [0xabu8; 16]);
        for (id, status, next_at) in [(1u8, "succeeded", None), (2, "pending", Some(20)), (3, "pending", Some(10))] {
            let id = [id; 16];
            let sql =
                "INSERT INTO deliveries (id, workspace, hook, execution, status, attempts, created_at, next_at, url,
                         event, body) VALUES (?, ?, ?, ?, ?, 1, 5, ?, 'https://example.com/', 'e', x'00')";
            connection.execute(sql, params![id, workspace, hook, execution, status, next_at]).unwrap();
            connection.execute("INSERT INTO attempts VALUES (?1, 1, ?1, 5, 200, NULL, 3, x'')", [id]).unwrap();
            let sql = "INSERT INTO jobs (kind, workspace, subject, ready_at, token) VALUES ('send', ?, ?, 1, 0)";
            connection.execute(sql, params![workspace, id]).unwrap();
        }
        to_newest(&mut connection).unwrap();

        let target = [&b"h"[..], &hook].concat();
        let lane = format!("exe_{}", hex::encode(execution));
        let mut select =
            connection.prepare("SELECT target, lane, began_at, next_at FROM deliveries ORDER BY seq").unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let rows = select.query_map([], row).unwrap().collect::<rusqlite::Result<Vec<_>>>().unwrap();
        let wanted = [None, Some(20), None].map(|next_at| (target.clone(), lane.clone(), 5, next_at));
        assert_eq!(rows, wanted, "the later one of the lane waits for the earlier one");

        let job = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let job = connection.query_row("SELECT kind, subject, ready_at FROM jobs", [], job).unwrap();
        assert_eq!(job, ("deliver_new".to_owned(), target.clone(), 20), "one job for the target");
        let of_target = "SELECT count(*) FROM attempts WHERE target = ?";
        assert_eq!(connection.query_row(of_target, [target], |row| row.get(0)), Ok(3));
    }
}
