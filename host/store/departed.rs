//! What events need to know of flows and hooks, which may be gone when somebody is told of them at last.

use rusqlite::{Connection, OptionalExtension as _, params, types::ToSql};

use super::retention::{ROWS_PER_STEP, TOLD};
use super::{Result, Store, stored};
use crate::clock::Timestamp;
use crate::id::{FlowId, HookId, WorkspaceId};

/// How a flow is known to those who are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The flow's name.
    pub flow: String,
    /// The hook's path id, where it has one.
    pub path_id: Option<String>,
}

impl Store {
    /// How a flow and a hook of it are known, also when they are gone. None when no event can tell of the flow any more.
    pub async fn flow_names(&self, flow: FlowId, hook: Option<HookId>) -> Result<Option<Names>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT coalesce((SELECT name FROM flows WHERE id = ?1), (SELECT name FROM departed WHERE id = ?1)),
                   coalesce((SELECT path_id FROM hooks WHERE id = ?2), (SELECT name FROM departed WHERE id = ?2))",
            )?;
            let (flow, path_id): (Option<_>, _) =
                select.query_row(params![flow, hook], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(flow.map(|flow| Names { flow, path_id }))
        })
        .await
    }
}

/// Keeps what one that goes was known by, if anybody may be told of it. Whether it does.
pub(super) fn keep(c: &Connection, workspace: WorkspaceId, id: impl ToSql, name: &str, at: Timestamp) -> Result<bool> {
    if !super::event::listens(c, workspace)? {
        return Ok(false);
    }
    c.prepare_cached("INSERT OR REPLACE INTO departed (id, name, seq, at) VALUES (?, ?, ?, ?)")?.execute(params![
        id,
        name,
        stored(super::event::last(c)?),
        at
    ])?;
    Ok(true)
}

/// Removes some of what was kept of those whose events are told and who went before `before`. Returns how many rows.
pub(super) fn sweep(c: &Connection, before: Timestamp) -> Result<usize> {
    let sql = format!("SELECT id FROM departed WHERE at < ? AND seq <= {TOLD} LIMIT 1");
    let (mut next, mut rows) = (c.prepare_cached(&sql)?, 0);
    while rows < ROWS_PER_STEP as usize {
        let Some(id) = next.query_row([before], |row| row.get(0)).optional()? else { break };
        rows += 1 + forget(c, id, ROWS_PER_STEP)?;
    }
    Ok(rows)
}

/// Removes what was said in a flow's conversations, at most `limit` messages; with the last of them goes the rest. Returns
/// how many messages.
pub(super) fn forget(c: &Connection, id: FlowId, limit: u32) -> Result<usize> {
    let messages = c
        .prepare_cached(
            "DELETE FROM messages WHERE flow = ?1 AND (session, seq) IN
               (SELECT session, seq FROM messages WHERE flow = ?1 LIMIT ?2)",
        )?
        .execute(params![id, limit])?;
    if messages < limit as usize {
        c.prepare_cached("DELETE FROM sessions WHERE flow = ?")?.execute([id])?;
        c.prepare_cached("DELETE FROM departed WHERE id = ?")?.execute([id])?;
    }
    Ok(messages)
}
