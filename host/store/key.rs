//! Workspaces and API keys.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Result, Store, taken};
use crate::clock::Timestamp;
use crate::id::{KeyId, WorkspaceId};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Unique on this server.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An API key. The key itself is not kept, only its sha-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, which is public.
    pub id: KeyId,
    /// The tenant whose rows it may touch.
    pub workspace: WorkspaceId,
    /// For a person.
    pub name: String,
    /// What it may do; the API knows the words.
    pub role: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Since when it is refused.
    pub revoked_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, workspace, name, role, created_at, expires_at, revoked_at";

impl Store {
    /// Adds a workspace. [`super::Error::Taken`] when the name is.
    pub async fn workspace_create(&self, workspace: Workspace) -> Result<()> {
        self.write(move |c| {
            let mut insert = c.prepare_cached("INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?)")?;
            insert.execute(params![workspace.id, workspace.name, workspace.created_at]).map_err(taken)?;
            Ok(())
        })
        .await
    }

    /// All workspaces, oldest first.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>> {
        self.read(|c| {
            let mut select = c.prepare_cached("SELECT id, name, created_at FROM workspaces ORDER BY id")?;
            let rows = select
                .query_map([], |row| Ok(Workspace { id: row.get(0)?, name: row.get(1)?, created_at: row.get(2)? }))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Adds a key, known by the hash of its text.
    pub async fn key_create(&self, key: Key, hash: [u8; 32]) -> Result<()> {
        self.write(move |c| {
            c.prepare_cached(
                "INSERT INTO keys (id, workspace, name, role, hash, created_at, expires_at, revoked_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                key.id,
                key.workspace,
                key.name,
                key.role,
                hash,
                key.created_at,
                key.expires_at,
                key.revoked_at
            ])
            .map_err(taken)?;
            Ok(())
        })
        .await
    }

    /// The key with this hash, also when it has expired or was revoked.
    pub async fn key_find(&self, hash: [u8; 32]) -> Result<Option<Key>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(&format!("SELECT {COLUMNS} FROM keys WHERE hash = ?"))?;
            Ok(select.query_row([hash], key).optional()?)
        })
        .await
    }

    /// The keys of a workspace, newest first.
    pub async fn keys(&self, workspace: WorkspaceId) -> Result<Vec<Key>> {
        self.read(move |c| {
            let sql = format!("SELECT {COLUMNS} FROM keys WHERE workspace = ? ORDER BY id DESC");
            let mut select = c.prepare_cached(&sql)?;
            Ok(select.query_map([workspace], key)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Refuses a key from now on. False when there is none; revoking again changes nothing.
    pub async fn key_revoke(&self, workspace: WorkspaceId, id: KeyId, at: Timestamp) -> Result<bool> {
        self.write(move |c| {
            let mut update = c.prepare_cached(
                "UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE workspace = ? AND id = ?",
            )?;
            Ok(update.execute(params![at, workspace, id])? == 1)
        })
        .await
    }
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        id: row.get(0)?,
        workspace: row.get(1)?,
        name: row.get(2)?,
        role: row.get(3)?,
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
        revoked_at: row.get(6)?,
    })
}
