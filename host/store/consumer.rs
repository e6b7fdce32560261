//! Consumers: who pulls the events of a subscription, and how far each has come.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Result, Store, count, stored};
use crate::clock::Timestamp;
use crate::id::{SubscriptionId, WorkspaceId};

/// Who pulls the events of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name, one of its subscription's.
    pub name: String,
    /// The last event that it has done with.
    pub seq: u64,
    /// When it came first.
    pub created_at: Timestamp,
    /// When it was done with something last.
    pub committed_at: Option<Timestamp>,
}

/// The last event of a workspace that is not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Its place.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
}

const CONSUMER: &str = "name, seq, created_at, committed_at";

impl Store {
    /// One consumer.
    pub async fn consumer_find(&self, subscription: SubscriptionId, name: &str) -> Result<Option<Consumer>> {
        let name = name.to_owned();
        self.read(move |c| find(c, subscription, &name)).await
    }

    /// Adds a consumer, unless it is there. Which it is; none when the subscription has `most` others.
    pub async fn consumer_create(
        &self,
        subscription: SubscriptionId,
        new: Consumer,
        most: u32,
    ) -> Result<Option<Consumer>> {
        self.write(move |c| {
            if let Some(found) = find(c, subscription, &new.name)? {
                return Ok(Some(found));
            }
            let mut select = c.prepare_cached("SELECT count(*) FROM consumers WHERE subscription = ?")?;
            if select.query_row([subscription], |row| row.get::<_, u32>(0))? >= most {
                return Ok(None);
            }
            let sql = format!("INSERT INTO consumers (subscription, {CONSUMER}) VALUES (?, ?, ?, ?, NULL)");
            c.prepare_cached(&sql)?.execute(params![subscription, new.name, stored(new.seq), new.created_at])?;
            Ok(Some(new))
        })
        .await
    }

    /// A consumer has done with the events up to `seq`; it never goes back. How far it is; none when there is none.
    pub async fn consumer_commit(
        &self,
        subscription: SubscriptionId,
        name: &str,
        seq: u64,
        at: Timestamp,
    ) -> Result<Option<Consumer>> {
        let name = name.to_owned();
        self.write(move |c| {
            let sql = format!(
                "UPDATE consumers SET seq = max(seq, ?), committed_at = ? WHERE subscription = ? AND name = ?
                 RETURNING {CONSUMER}"
            );
            let values = params![stored(seq), at, subscription, name];
            Ok(c.prepare_cached(&sql)?.query_row(values, consumer).optional()?)
        })
        .await
    }

    /// A subscription's consumers, by name.
    pub async fn consumers(&self, subscription: SubscriptionId) -> Result<Vec<Consumer>> {
        self.read(move |c| {
            let sql = format!("SELECT {CONSUMER} FROM consumers WHERE subscription = ? ORDER BY name");
            let mut select = c.prepare_cached(&sql)?;
            Ok(select.query_map([subscription], consumer)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Removes a consumer. False when there is none.
    pub async fn consumer_delete(&self, subscription: SubscriptionId, name: &str) -> Result<bool> {
        let name = name.to_owned();
        self.write(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM consumers WHERE subscription = ? AND name = ?")?;
            Ok(delete.execute(params![subscription, name])? == 1)
        })
        .await
    }

    /// The last event of a workspace that is not kept any more; the default when that is none.
    pub async fn forgotten(&self, workspace: WorkspaceId) -> Result<Forgotten> {
        self.read(move |c| {
            let mut select = c.prepare_cached("SELECT seq, at FROM forgotten WHERE workspace = ?")?;
            let row = |row: &Row<'_>| Ok(Forgotten { seq: count(row.get(0)?), at: row.get(1)? });
            Ok(select.query_row([workspace], row).optional()?.unwrap_or_default())
        })
        .await
    }

    /// The last event that happened in a workspace before a moment; 0 when none is kept.
    pub async fn event_before(&self, workspace: WorkspaceId, at: Timestamp) -> Result<u64> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT seq FROM events INDEXED BY events_by_workspace
                 WHERE workspace = ? AND at < ? ORDER BY seq DESC LIMIT 1",
            )?;
            Ok(select.query_row(params![workspace, at], |row| row.get(0)).optional()?.map_or(0, count))
        })
        .await
    }
}

/// Forgets the consumers of a subscription that is gone.
pub(super) fn forget(c: &Connection, subscription: SubscriptionId) -> Result<()> {
    c.prepare_cached("DELETE FROM consumers WHERE subscription = ?")?.execute([subscription])?;
    Ok(())
}

fn find(c: &Connection, subscription: SubscriptionId, name: &str) -> Result<Option<Consumer>> {
    let sql = format!("SELECT {CONSUMER} FROM consumers WHERE subscription = ? AND name = ?");
    Ok(c.prepare_cached(&sql)?.query_row(params![subscription, name], consumer).optional()?)
}

fn consumer(row: &Row<'_>) -> rusqlite::Result<Consumer> {
    Ok(Consumer { name: row.get(0)?, seq: count(row.get(1)?), created_at: row.get(2)?, committed_at: row.get(3)? })
}
