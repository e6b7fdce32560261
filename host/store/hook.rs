//! Hooks.

use rusqlite::{OptionalExtension as _, Row, params};
use zeroize::Zeroizing;

use super::{Page, Result, Store, Target, taken};
use crate::clock::Timestamp;
use crate::id::{self, FlowId, HookId, WorkspaceId};

/// An inbound webhook URL.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its id, which is part of its URL.
    pub id: HookId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// What it triggers.
    pub flow: FlowId,
    /// Unique in the workspace.
    pub name: String,
    /// The dialect whose paths lead to it.
    pub path_dialect: String,
    /// Its name in these paths beside its id, unique among the hooks of that dialect, of whatever workspace.
    pub path_id: Option<String>,
    /// False: every request is refused.
    pub enabled: bool,
    /// Dialect, authentication, mode, limits, callback, as JSON.
    pub spec: String,
    /// The secrets that the spec names, as JSON; sealed on the disk.
    pub secrets: Zeroizing<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const HOOK: &str = "id, workspace, flow, name, path_dialect, path_id, enabled, spec, secrets, created_at, updated_at";

impl Store {
    /// Adds a hook. [`super::Error::Taken`] when the name or the path id is.
    pub async fn hook_create(&self, hook: Hook) -> Result<()> {
        let sealed = self.0.ring.seal(hook.id.as_bytes(), &hook.secrets);
        self.write(move |c| {
            let sql = format!("INSERT INTO hooks ({HOOK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
            c.prepare_cached(&sql)?
                .execute(params![
                    hook.id,
                    hook.workspace,
                    hook.flow,
                    hook.name,
                    hook.path_dialect,
                    hook.path_id,
                    hook.enabled,
                    hook.spec,
                    sealed,
                    hook.created_at,
                    hook.updated_at
                ])
                .map_err(taken)?;
            Ok(())
        })
        .await
    }

    /// Replaces a hook's name, path id, flow, spec, secrets and whether it is enabled, if it has not been changed since
    /// `unchanged_since`. False when it has, or is gone.
    pub async fn hook_update(&self, hook: Hook, unchanged_since: Timestamp) -> Result<bool> {
        let sealed = self.0.ring.seal(hook.id.as_bytes(), &hook.secrets);
        self.write(move |c| {
            let mut update = c.prepare_cached(
                "UPDATE hooks SET flow = ?, name = ?, path_dialect = ?, path_id = ?, enabled = ?, spec = ?, secrets = ?,
                   updated_at = ? WHERE workspace = ? AND id = ? AND updated_at = ?",
            )?;
            let changed = update
                .execute(params![
                    hook.flow,
                    hook.name,
                    hook.path_dialect,
                    hook.path_id,
                    hook.enabled,
                    hook.spec,
                    sealed,
                    hook.updated_at,
                    hook.workspace,
                    hook.id,
                    unchanged_since
                ])
                .map_err(taken)?;
            Ok(changed == 1)
        })
        .await
    }

    /// The hook with this id, of whatever workspace: its URL is all that a caller has.
    pub async fn hook_find(&self, id: HookId) -> Result<Option<Hook>> {
        let this = self.clone();
        self.read(move |c| {
            let mut select = c.prepare_cached(&format!("SELECT {HOOK} FROM hooks WHERE id = ?"))?;
            select.query_row([id], hook).optional()?.map(|hook| this.unseal(hook)).transpose()
        })
        .await
    }

    /// The id of the hook that is known by this path id in the paths of a dialect, of whatever workspace.
    pub async fn hook_by_path(&self, dialect: String, path_id: String) -> Result<Option<HookId>> {
        self.read(move |c| {
            let mut select = c.prepare_cached("SELECT id FROM hooks WHERE path_dialect = ? AND path_id = ?")?;
            Ok(select.query_row([dialect, path_id], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// The hook with this name.
    pub async fn hook_by_name(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Hook>> {
        let (this, name) = (self.clone(), name.to_owned());
        self.read(move |c| {
            let mut select = c.prepare_cached(&format!("SELECT {HOOK} FROM hooks WHERE workspace = ? AND name = ?"))?;
            select.query_row(params![workspace, name], hook).optional()?.map(|hook| this.unseal(hook)).transpose()
        })
        .await
    }

    /// A part of a workspace's hooks.
    pub async fn hooks(&self, workspace: WorkspaceId, page: Page<id::Hook>) -> Result<Vec<Hook>> {
        let this = self.clone();
        self.read(move |c| {
            let sql = format!("SELECT {HOOK} FROM hooks WHERE workspace = ? AND id < ? ORDER BY id DESC LIMIT ?");
            let mut select = c.prepare_cached(&sql)?;
            let rows = select.query_map(params![workspace, page.bound(), page.limit], hook)?;
            rows.map(|row| this.unseal(row?)).collect()
        })
        .await
    }

    /// Removes a hook and what waits for its callback; of very much, the rest follows. False when there is none.
    pub async fn hook_delete(&self, workspace: WorkspaceId, id: HookId, at: Timestamp) -> Result<bool> {
        self.write(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM hooks WHERE workspace = ? AND id = ? RETURNING path_id")?;
            let gone = delete.query_row(params![workspace, id], |row| row.get::<_, Option<String>>(0)).optional()?;
            if let Some(path_id) = &gone {
                if let Some(path_id) = path_id {
                    super::departed::keep(c, workspace, id, path_id, at)?;
                }
                super::target::remove(c, workspace, Target::Hook(id), at)?;
                c.prepare_cached("DELETE FROM requests WHERE hook = ?")?.execute([id])?;
            }
            Ok(gone.is_some())
        })
        .await
    }

    fn unseal(&self, mut hook: Hook) -> Result<Hook> {
        hook.secrets = self.0.ring.open(hook.id.as_bytes(), &hook.secrets)?;
        Ok(hook)
    }
}

fn hook(row: &Row<'_>) -> rusqlite::Result<Hook> {
    Ok(Hook {
        id: row.get(0)?,
        workspace: row.get(1)?,
        flow: row.get(2)?,
        name: row.get(3)?,
        path_dialect: row.get(4)?,
        path_id: row.get(5)?,
        enabled: row.get(6)?,
        spec: row.get(7)?,
        secrets: Zeroizing::new(row.get(8)?),
        created_at: row.get(9)?,
        updated_at: row.get(10)?,
    })
}
