//! Flows, versions, aliases.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::json;

use super::{Error, Page, Result, Store, count, departed, stored, taken, text_enum};
use crate::clock::Timestamp;
use crate::id::{self, Digest, FlowId, WorkspaceId};

/// The columns of an alias, as `alias` reads them.
const ALIAS: &str = "name, digest, history, updated_at, canary, canary_percent";

/// Digests that an alias remembers for rollback.
const ALIAS_HISTORY_MAX: usize = 20;

/// A name that owns versions, aliases and config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Its id.
    pub id: FlowId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Unique in the workspace.
    pub name: String,
    /// What `wasi:config` gives to the guest: a JSON object of strings.
    pub config: String,
    /// What the operator permits it: a JSON object.
    pub grants: String,
    /// Executions that one instance may run, one after the other.
    pub reuse_max: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its config was last changed.
    pub updated_at: Timestamp,
}

text_enum! {
    /// How far a version is.
    VersionState {
        /// Waits for or is in the compiler.
        Compiling = "compiling",
        /// Can run.
        Ready = "ready",
        /// Cannot run; the detail says why.
        Failed = "failed",
    }
}

/// One uploaded component of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Whose it is.
    pub flow: FlowId,
    /// The sha-256 of its bytes.
    pub digest: Digest,
    /// How far it is.
    pub state: VersionState,
    /// Of the component.
    pub size_bytes: u64,
    /// What was found out about it, as JSON.
    pub detail: String,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// A version on its way in.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// Whose it is.
    pub flow: FlowId,
    /// For the compile job.
    pub workspace: WorkspaceId,
    /// What was found out about it, as JSON.
    pub detail: String,
    /// Now.
    pub created_at: Timestamp,
    /// The kind of the job that compiles it.
    pub job: &'static str,
}

/// A movable name for a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// `live`, …
    pub name: String,
    /// What it stands for.
    pub digest: Digest,
    /// What it stood for before, oldest first.
    pub history: Vec<Digest>,
    /// What is tried beside it.
    pub canary: Option<Canary>,
    /// When it was last moved.
    pub updated_at: Timestamp,
}

/// A version that is tried with a part of an alias's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// The version.
    pub digest: Digest,
    /// How many sessions of a hundred, 1 to 99.
    pub percent: u8,
}

const FLOW: &str = "id, workspace, name, config, grants, reuse_max, created_at, updated_at";
const VERSION: &str = "flow, digest, state, size_bytes, detail, created_at";

impl Store {
    /// Adds a flow. [`Error::Taken`] when the name is.
    pub async fn flow_create(&self, flow: Flow) -> Result<()> {
        self.write(move |c| {
            let sql = format!("INSERT INTO flows ({FLOW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
            c.prepare_cached(&sql)?
                .execute(params![
                    flow.id,
                    flow.workspace,
                    flow.name,
                    flow.config,
                    flow.grants,
                    flow.reuse_max,
                    flow.created_at,
                    flow.updated_at
                ])
                .map_err(taken)?;
            Ok(())
        })
        .await
    }

    /// The flow with this name.
    pub async fn flow_find(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Flow>> {
        let name = name.to_owned();
        self.read(move |c| {
            let sql = format!("SELECT {FLOW} FROM flows WHERE workspace = ? AND name = ?");
            Ok(c.prepare_cached(&sql)?.query_row(params![workspace, name], flow).optional()?)
        })
        .await
    }

    /// The flow with this id, of whatever workspace; for rooms that got the id from a row.
    pub async fn flow_by_id(&self, id: FlowId) -> Result<Option<Flow>> {
        self.read(move |c| {
            let sql = format!("SELECT {FLOW} FROM flows WHERE id = ?");
            Ok(c.prepare_cached(&sql)?.query_row([id], flow).optional()?)
        })
        .await
    }

    /// A part of a workspace's flows.
    pub async fn flows(&self, workspace: WorkspaceId, page: Page<id::Flow>) -> Result<Vec<Flow>> {
        self.read(move |c| {
            let sql = format!("SELECT {FLOW} FROM flows WHERE workspace = ? AND id < ? ORDER BY id DESC LIMIT ?");
            let mut select = c.prepare_cached(&sql)?;
            let rows = select.query_map(params![workspace, page.bound(), page.limit], flow)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Replaces a flow's config. False when there is no such flow.
    pub async fn flow_configure(&self, id: FlowId, config: String, at: Timestamp) -> Result<bool> {
        self.write(move |c| {
            let mut update = c.prepare_cached("UPDATE flows SET config = ?, updated_at = ? WHERE id = ?")?;
            Ok(update.execute(params![config, at, id])? == 1)
        })
        .await
    }

    /// Replaces what a flow is permitted. False when there is no such flow.
    pub async fn flow_grant(&self, id: FlowId, grants: String, at: Timestamp) -> Result<bool> {
        self.write(move |c| {
            let mut update = c.prepare_cached("UPDATE flows SET grants = ?, updated_at = ? WHERE id = ?")?;
            Ok(update.execute(params![grants, at, id])? == 1)
        })
        .await
    }

    /// Says how many executions one instance of a flow may run. False when there is no such flow.
    pub async fn flow_reuse(&self, id: FlowId, reuse_max: u32, at: Timestamp) -> Result<bool> {
        self.write(move |c| {
            let mut update = c.prepare_cached("UPDATE flows SET reuse_max = ?, updated_at = ? WHERE id = ?")?;
            Ok(update.execute(params![reuse_max, at, id])? == 1)
        })
        .await
    }

    /// Removes a flow with its versions, aliases, sessions and state. [`Error::InUse`] while a hook uses it or an
    /// execution of it is not finished. Executions that are finished stay until they are too old, and so do messages while
    /// the workspace has anybody to tell of them.
    pub async fn flow_delete(&self, id: FlowId, at: Timestamp) -> Result<()> {
        let _components = self.0.components.lock().await;
        let digests = self
            .write(move |c| {
                in_use(c, "SELECT 'hook ' || name FROM hooks WHERE flow = ? LIMIT 1", id)?;
                in_use(
                    c,
                    "SELECT 'subscription ' || s.name FROM flows AS f JOIN subscriptions AS s ON s.workspace = f.workspace
                     WHERE f.id = ? AND s.spec ->> '$.transform.flow' = f.name LIMIT 1",
                    id,
                )?;
                in_use(
                    c,
                    "SELECT 'an unfinished execution' FROM executions INDEXED BY executions_unfinished
                     WHERE status IN ('queued', 'running', 'waiting') AND finished_at IS NULL AND flow = ? LIMIT 1",
                    id,
                )?;
                let digests = c
                    .prepare_cached("DELETE FROM versions WHERE flow = ? RETURNING digest")?
                    .query_map([id], |row| row.get(0))?
                    .collect::<rusqlite::Result<Vec<Digest>>>()?;
                for table in ["aliases", "state", "flow_secrets", "keyvalue", "keyvalue_kept", "llm_usage", "llm_called"] {
                    c.prepare_cached(&format!("DELETE FROM {table} WHERE flow = ?"))?.execute([id])?;
                }
                let gone = c
                    .prepare_cached("DELETE FROM flows WHERE id = ? RETURNING workspace, name")?
                    .query_row([id], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
                    .optional()?;
                let kept = gone.map_or(Ok(false), |(workspace, name)| departed::keep(c, workspace, id, &name, at))?;
                if !kept {
                    departed::forget(c, id, u32::MAX)?;
                }
                unreferenced(c, digests)
            })
            .await?;
        self.discard_all(digests).await
    }

    /// The name of a hook that triggers a flow, if there is one.
    pub async fn flow_hook(&self, id: FlowId) -> Result<Option<String>> {
        self.read(move |c| {
            let mut select = c.prepare_cached("SELECT name FROM hooks WHERE flow = ? LIMIT 1")?;
            Ok(select.query_row([id], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Keeps a component and adds the version and the job that compiles it. A version that is there is left as it is,
    /// except that one that failed is tried again. Returns the version as it now is and whether it is new.
    pub async fn version_create(&self, upload: super::Upload, new: NewVersion) -> Result<(Version, bool)> {
        let _components = self.0.components.lock().await;
        let (this, size_bytes) = (self.clone(), upload.size_bytes());
        let kept = tokio::task::spawn_blocking(move || this.keep(upload)).await;
        let digest = kept.unwrap_or(Err(Error::Closed))?;
        self.write(move |c| {
            let found = version_find(c, new.flow, digest)?;
            if let Some(version) = found.filter(|version| version.state != VersionState::Failed) {
                return Ok((version, false));
            }
            let sql = format!("INSERT OR REPLACE INTO versions ({VERSION}) VALUES (?, ?, ?, ?, ?, ?)");
            c.prepare_cached(&sql)?.execute(params![
                new.flow,
                digest,
                VersionState::Compiling,
                stored(size_bytes),
                new.detail,
                new.created_at
            ])?;
            let subject = [&new.flow.as_bytes()[..], digest.as_bytes()].concat();
            super::job::put(c, new.job, new.workspace, &subject, new.created_at)?;
            tell(
                c,
                "flow.version.created",
                new.flow,
                &json!({"version": digest, "size_bytes": size_bytes}),
                new.created_at,
            )?;
            let version = version_find(c, new.flow, digest)?;
            Ok((version.ok_or(Error::Corrupt("version"))?, true))
        })
        .await
    }

    /// One version of a flow.
    pub async fn version_find(&self, flow: FlowId, digest: Digest) -> Result<Option<Version>> {
        self.read(move |c| version_find(c, flow, digest)).await
    }

    /// All versions of a flow, newest first.
    pub async fn versions(&self, flow: FlowId) -> Result<Vec<Version>> {
        self.read(move |c| {
            let sql = format!("SELECT {VERSION} FROM versions WHERE flow = ? ORDER BY created_at DESC, digest");
            let mut select = c.prepare_cached(&sql)?;
            Ok(select.query_map([flow], version)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Says how far a version is, and finishes the job that brought it there.
    pub async fn version_settle(
        &self,
        lease: super::Lease,
        flow: FlowId,
        digest: Digest,
        state: VersionState,
        detail: String,
        at: Timestamp,
    ) -> Result<()> {
        self.write(move |c| {
            super::job::done(c, &lease)?;
            let facts = c
                .prepare_cached(
                    "UPDATE versions SET state = ?, detail = ? WHERE flow = ? AND digest = ?
                     RETURNING size_bytes, detail ->> '$.failure'",
                )?
                .query_row(params![state, detail, flow, digest], |row| {
                    let (size_bytes, failure): (i64, Option<String>) = (row.get(0)?, row.get(1)?);
                    Ok(json!({"version": digest, "size_bytes": size_bytes, "failure": failure}))
                })
                .optional()?;
            let Some(facts) = facts else { return Ok(()) };
            let kind = match state {
                VersionState::Compiling => return Ok(()),
                VersionState::Ready => "flow.version.ready",
                VersionState::Failed => "flow.version.failed",
            };
            tell(c, kind, flow, &facts, at)
        })
        .await
    }

    /// Removes a version. [`Error::InUse`] while an alias stands for it or an execution of it is not finished. False
    /// when there is none.
    pub async fn version_delete(&self, flow: FlowId, digest: Digest) -> Result<bool> {
        let _components = self.0.components.lock().await;
        let (found, digests) = self
            .write(move |c| {
                let alias = c
                    .prepare_cached("SELECT name FROM aliases WHERE flow = ?1 AND (digest = ?2 OR canary = ?2)")?
                    .query_row(params![flow, digest], |row| row.get::<_, String>(0))
                    .optional()?;
                if let Some(alias) = alias {
                    return Err(Error::InUse(format!("alias `{alias}` stands for this version")));
                }
                let running = c
                    .prepare_cached(
                        "SELECT 1 FROM executions INDEXED BY executions_unfinished
                         WHERE status IN ('queued', 'running', 'waiting') AND finished_at IS NULL
                           AND flow = ? AND version = ? LIMIT 1",
                    )?
                    .exists(params![flow, digest])?;
                if running {
                    return Err(Error::InUse("an unfinished execution runs this version".to_owned()));
                }
                let mut delete = c.prepare_cached("DELETE FROM versions WHERE flow = ? AND digest = ?")?;
                let found = delete.execute(params![flow, digest])? == 1;
                Ok((found, unreferenced(c, vec![digest])?))
            })
            .await?;
        self.discard_all(digests).await?;
        Ok(found)
    }

    /// Lets an alias stand for a version; what it stood for goes into its history. None when the version is not ready.
    pub async fn alias_promote(
        &self,
        flow: FlowId,
        name: &str,
        digest: Digest,
        at: Timestamp,
    ) -> Result<Option<Alias>> {
        let name = name.to_owned();
        self.write(move |c| {
            let ready = version_find(c, flow, digest)?.is_some_and(|version| version.state == VersionState::Ready);
            if !ready {
                return Ok(None);
            }
            let mut history = Vec::new();
            if let Some(alias) = alias_find(c, flow, &name)? {
                history = alias.history;
                if alias.digest != digest {
                    history.push(alias.digest);
                }
            }
            let surplus = history.len().saturating_sub(ALIAS_HISTORY_MAX);
            history.drain(..surplus);
            alias_put(c, flow, Alias { name, digest, history, canary: None, updated_at: at }).map(Some)
        })
        .await
    }

    /// Tries a version with a part of an alias's sessions. None when the version is not ready or there is no such alias.
    pub async fn alias_try(&self, flow: FlowId, name: &str, canary: Canary, at: Timestamp) -> Result<Option<Alias>> {
        let name = name.to_owned();
        self.write(move |c| {
            let tried = version_find(c, flow, canary.digest)?;
            let ready = tried.is_some_and(|version| version.state == VersionState::Ready);
            let Some(alias) = alias_find(c, flow, &name)?.filter(|_| ready) else { return Ok(None) };
            alias_put(c, flow, Alias { canary: Some(canary), updated_at: at, ..alias }).map(Some)
        })
        .await
    }

    /// Ends what is tried with a part of an alias's sessions, or else moves it back to what it stood for before and is still there. None when there is nothing to go back to.
    pub async fn alias_rollback(&self, flow: FlowId, name: &str, at: Timestamp) -> Result<Option<Alias>> {
        let name = name.to_owned();
        self.write(move |c| {
            let Some(mut alias) = alias_find(c, flow, &name)? else { return Ok(None) };
            if alias.canary.take().is_some() {
                return alias_put(c, flow, Alias { updated_at: at, ..alias }).map(Some);
            }
            while let Some(digest) = alias.history.pop() {
                let ready = version_find(c, flow, digest)?.is_some_and(|version| version.state == VersionState::Ready);
                if ready {
                    return alias_put(c, flow, Alias { digest, updated_at: at, ..alias }).map(Some);
                }
            }
            Ok(None)
        })
        .await
    }

    /// What an alias stands for.
    pub async fn alias_find(&self, flow: FlowId, name: &str) -> Result<Option<Alias>> {
        let name = name.to_owned();
        self.read(move |c| alias_find(c, flow, &name)).await
    }

    /// All aliases of a flow, by name.
    pub async fn aliases(&self, flow: FlowId) -> Result<Vec<Alias>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(&format!("SELECT {ALIAS} FROM aliases WHERE flow = ? ORDER BY name"))?;
            Ok(select.query_map([flow], alias)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn discard_all(&self, digests: Vec<Digest>) -> Result<()> {
        let this = self.clone();
        let joined = tokio::task::spawn_blocking(move || digests.iter().try_for_each(|digest| this.discard(digest)));
        joined.await.unwrap_or(Err(Error::Closed))
    }
}

fn in_use(c: &Connection, sql: &str, flow: FlowId) -> Result<()> {
    let user = c.prepare_cached(sql)?.query_row([flow], |row| row.get::<_, String>(0)).optional()?;
    user.map_or(Ok(()), |user| Err(Error::InUse(format!("{user} uses this flow"))))
}

/// Those of `digests` that no flow has any more.
fn unreferenced(c: &Connection, mut digests: Vec<Digest>) -> Result<Vec<Digest>> {
    let mut select = c.prepare_cached("SELECT 1 FROM versions WHERE digest = ? LIMIT 1")?;
    let mut error = None;
    digests.retain(|digest| match select.exists([digest]) {
        Ok(referenced) => !referenced,
        Err(e) => {
            error = Some(e);
            false
        }
    });
    error.map_or(Ok(digests), |e| Err(e.into()))
}

/// Writes an event of a flow.
fn tell(c: &Connection, kind: &str, flow: FlowId, facts: &serde_json::Value, at: Timestamp) -> Result<()> {
    let workspace =
        c.prepare_cached("SELECT workspace FROM flows WHERE id = ?")?.query_row([flow], |row| row.get(0)).optional()?;
    let about = super::event::About { flow: Some(flow), ..Default::default() };
    workspace.map_or(Ok(()), |workspace| super::event::put(c, workspace, at, kind, about, facts))
}

fn version_find(c: &Connection, flow: FlowId, digest: Digest) -> Result<Option<Version>> {
    let sql = format!("SELECT {VERSION} FROM versions WHERE flow = ? AND digest = ?");
    Ok(c.prepare_cached(&sql)?.query_row(params![flow, digest], version).optional()?)
}

fn alias_find(c: &Connection, flow: FlowId, name: &str) -> Result<Option<Alias>> {
    let sql = format!("SELECT {ALIAS} FROM aliases WHERE flow = ? AND name = ?");
    Ok(c.prepare_cached(&sql)?.query_row(params![flow, name], alias).optional()?)
}

fn alias_put(c: &Connection, flow: FlowId, alias: Alias) -> Result<Alias> {
    let previous = alias_find(c, flow, &alias.name)?.map(|before| before.digest);
    let facts = json!({"alias": alias.name, "version": alias.digest, "previous": previous});
    if previous != Some(alias.digest) {
        tell(c, "flow.promoted", flow, &facts, alias.updated_at)?;
    }
    let history = alias.history.iter().flat_map(|digest| *digest.as_bytes()).collect::<Vec<u8>>();
    let (canary, percent) = (alias.canary.map(|one| one.digest), alias.canary.map_or(0, |one| one.percent));
    let sql = format!("INSERT OR REPLACE INTO aliases (flow, {ALIAS}) VALUES (?, ?, ?, ?, ?, ?, ?)");
    c.prepare_cached(&sql)?.execute(params![
        flow,
        alias.name,
        alias.digest,
        history,
        alias.updated_at,
        canary,
        percent
    ])?;
    Ok(alias)
}

fn flow(row: &Row<'_>) -> rusqlite::Result<Flow> {
    Ok(Flow {
        id: row.get(0)?,
        workspace: row.get(1)?,
        name: row.get(2)?,
        config: row.get(3)?,
        grants: row.get(4)?,
        reuse_max: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}

fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        flow: row.get(0)?,
        digest: row.get(1)?,
        state: row.get(2)?,
        size_bytes: count(row.get(3)?),
        detail: row.get(4)?,
        created_at: row.get(5)?,
    })
}

fn alias(row: &Row<'_>) -> rusqlite::Result<Alias> {
    let history: Vec<u8> = row.get(2)?;
    let (digests, _) = history.as_chunks::<32>();
    Ok(Alias {
        name: row.get(0)?,
        digest: row.get(1)?,
        history: digests.iter().map(|bytes| Digest::from_bytes(*bytes)).collect(),
        canary: canary(row.get(4)?, row.get(5)?),
        updated_at: row.get(3)?,
    })
}

fn canary(digest: Option<Digest>, percent: u8) -> Option<Canary> {
    Some(Canary { digest: digest?, percent })
}
