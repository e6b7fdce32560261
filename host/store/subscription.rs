//! Subscriptions.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use zeroize::Zeroizing;

use super::{Page, Result, Store, Target};
use crate::clock::Timestamp;
use crate::id::{self, SubscriptionId, WorkspaceId};

/// An outgoing webhook.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// For people; need not be unique.
    pub name: String,
    /// False: it is told of nothing.
    pub enabled: bool,
    /// Why it is not enabled, where the host has decided that.
    pub disabled_reason: Option<String>,
    /// Receiver, events, filter, signature and so on, as JSON.
    pub spec: String,
    /// The secrets that the spec names, as JSON; sealed on the disk.
    pub secrets: Zeroizing<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SUBSCRIPTION: &str = "id, workspace, name, enabled, disabled_reason, spec, secrets, created_at, updated_at";

impl Store {
    /// Adds a subscription, unless the workspace has `most` already; then false.
    pub async fn subscription_create(&self, new: Subscription, most: u32) -> Result<bool> {
        let sealed = self.0.ring.seal(new.id.as_bytes(), &new.secrets);
        self.write(move |c| {
            let mut select = c.prepare_cached("SELECT count(*) FROM subscriptions WHERE workspace = ?")?;
            if select.query_row([new.workspace], |row| row.get::<_, u32>(0))? >= most {
                return Ok(false);
            }
            let sql = format!("INSERT INTO subscriptions ({SUBSCRIPTION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
            c.prepare_cached(&sql)?.execute(params![
                new.id,
                new.workspace,
                new.name,
                new.enabled,
                new.disabled_reason,
                new.spec,
                sealed,
                new.created_at,
                new.updated_at
            ])?;
            Ok(true)
        })
        .await
    }

    /// Replaces all of a subscription but its id, workspace and time of birth, if it has not been changed since
    /// `unchanged_since`. False when it has, or is gone.
    pub async fn subscription_update(&self, new: Subscription, unchanged_since: Timestamp) -> Result<bool> {
        let sealed = self.0.ring.seal(new.id.as_bytes(), &new.secrets);
        self.write(move |c| {
            let mut update = c.prepare_cached(
                "UPDATE subscriptions SET name = ?, enabled = ?, disabled_reason = ?, spec = ?, secrets = ?, updated_at = ?
                 WHERE workspace = ? AND id = ? AND updated_at = ?",
            )?;
            let changed = update.execute(params![
                new.name,
                new.enabled,
                new.disabled_reason,
                new.spec,
                sealed,
                new.updated_at,
                new.workspace,
                new.id,
                unchanged_since
            ])?;
            Ok(changed == 1)
        })
        .await
    }

    /// Disables a subscription, of whatever workspace. False when it is not enabled, or gone.
    pub async fn subscription_disable(&self, id: SubscriptionId, reason: String, at: Timestamp) -> Result<bool> {
        self.write(move |c| disable(c, id, &reason, at)).await
    }

    /// The subscription with this id, of whatever workspace.
    pub async fn subscription_find(&self, id: SubscriptionId) -> Result<Option<Subscription>> {
        let this = self.clone();
        self.read(move |c| {
            let mut select = c.prepare_cached(&format!("SELECT {SUBSCRIPTION} FROM subscriptions WHERE id = ?"))?;
            select.query_row([id], subscription).optional()?.map(|row| this.unsealed(row)).transpose()
        })
        .await
    }

    /// The subscriptions with this name, two at most: enough to tell whether it names one.
    pub async fn subscriptions_by_name(&self, workspace: WorkspaceId, name: &str) -> Result<Vec<Subscription>> {
        let (this, name) = (self.clone(), name.to_owned());
        self.read(move |c| {
            let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions WHERE workspace = ? AND name = ? LIMIT 2");
            let mut select = c.prepare_cached(&sql)?;
            let rows = select.query_map(params![workspace, name], subscription)?;
            rows.map(|row| this.unsealed(row?)).collect()
        })
        .await
    }

    /// A part of a workspace's subscriptions.
    pub async fn subscriptions(
        &self,
        workspace: WorkspaceId,
        page: Page<id::Subscription>,
    ) -> Result<Vec<Subscription>> {
        let this = self.clone();
        self.read(move |c| {
            let sql = format!(
                "SELECT {SUBSCRIPTION} FROM subscriptions WHERE workspace = ? AND id < ? ORDER BY id DESC LIMIT ?"
            );
            let mut select = c.prepare_cached(&sql)?;
            let rows = select.query_map(params![workspace, page.bound(), page.limit], subscription)?;
            rows.map(|row| this.unsealed(row?)).collect()
        })
        .await
    }

    /// All enabled subscriptions of a workspace, the oldest first.
    pub async fn subscriptions_enabled(&self, workspace: WorkspaceId) -> Result<Vec<Subscription>> {
        let this = self.clone();
        self.read(move |c| {
            let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions WHERE workspace = ? AND enabled ORDER BY id");
            let mut select = c.prepare_cached(&sql)?;
            let rows = select.query_map([workspace], subscription)?;
            rows.map(|row| this.unsealed(row?)).collect()
        })
        .await
    }

    /// Removes a subscription. False when there is none.
    pub async fn subscription_delete(&self, workspace: WorkspaceId, id: SubscriptionId) -> Result<bool> {
        self.write(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM subscriptions WHERE workspace = ? AND id = ?")?;
            let found = delete.execute(params![workspace, id])? == 1;
            if found {
                super::behind::forget(c, Target::Subscription(id))?;
                super::consumer::forget(c, id)?;
            }
            Ok(found)
        })
        .await
    }

    fn unsealed(&self, mut row: Subscription) -> Result<Subscription> {
        row.secrets = self.0.ring.open(row.id.as_bytes(), &row.secrets)?;
        Ok(row)
    }
}

/// Disables a subscription as a part of what made that necessary. False when it is not enabled, or gone.
pub(super) fn disable(c: &Connection, id: SubscriptionId, reason: &str, at: Timestamp) -> Result<bool> {
    let mut update = c.prepare_cached(
        "UPDATE subscriptions SET enabled = 0, disabled_reason = ?, updated_at = max(?, updated_at + 1)
         WHERE id = ? AND enabled",
    )?;
    let disabled = update.execute(params![reason, at, id])? == 1;
    if disabled {
        super::trouble::disabled(c, id, reason, at)?;
    }
    Ok(disabled)
}

fn subscription(row: &Row<'_>) -> rusqlite::Result<Subscription> {
    Ok(Subscription {
        id: row.get(0)?,
        workspace: row.get(1)?,
        name: row.get(2)?,
        enabled: row.get(3)?,
        disabled_reason: row.get(4)?,
        spec: row.get(5)?,
        secrets: Zeroizing::new(row.get(6)?),
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}
