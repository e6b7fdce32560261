//! Events of receivers in trouble. They are written for the operator, whether anybody subscribes or not.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};
use url::Url;

use super::event::{self, About};
use super::target::Health;
use super::{Result, Target};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, SubscriptionId, WorkspaceId};

/// Failures in a row from which a receiver is called failing. A single one is weather.
const FAILURES_MIN: u32 = 3;

/// Tells of a receiver that has begun to fail, or is well again.
pub(super) fn changed(
    c: &Connection,
    workspace: WorkspaceId,
    target: Target,
    before: &Health,
    after: &Health,
    at: Timestamp,
) -> Result<()> {
    let failing = |health: &Health| health.failures >= FAILURES_MIN;
    let kind = match (failing(before), failing(after)) {
        (false, true) => "delivery.failing",
        (true, _) if after.failures == 0 => "delivery.recovered",
        _ => return Ok(()),
    };
    let last = c
        .prepare_cached("SELECT delivery FROM attempts WHERE target = ? ORDER BY at DESC LIMIT 1")?
        .query_row([target], |row| row.get(0))
        .optional()?;
    // What the receiver fails with is said of the time when it failed.
    let health = if after.failures == 0 { before } else { after };
    last.map_or(Ok(()), |delivery| tell(c, workspace, kind, delivery, health, at))
}

/// Tells of a delivery that was given up.
pub(super) fn exhausted(
    c: &Connection,
    workspace: WorkspaceId,
    target: Target,
    id: DeliveryId,
    at: Timestamp,
) -> Result<()> {
    let health = super::target::health(c, target)?;
    tell(c, workspace, "delivery.exhausted", id, &health, at)
}

/// Tells of a subscription that was disabled by the host.
pub(super) fn disabled(c: &Connection, id: SubscriptionId, reason: &str, at: Timestamp) -> Result<()> {
    let (workspace, name, url): (WorkspaceId, String, String) = c
        .prepare_cached("SELECT workspace, name, coalesce(spec ->> 'url', '') FROM subscriptions WHERE id = ?")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let facts = json!({"subscription_id": id, "name": name, "url": plain(&url), "reason": reason});
    event::put(c, workspace, at, "subscription.disabled", About::default(), &facts)
}

fn tell(
    c: &Connection,
    workspace: WorkspaceId,
    kind: &str,
    id: DeliveryId,
    health: &Health,
    at: Timestamp,
) -> Result<()> {
    let row = c
        .prepare_cached(
            "SELECT d.target, d.url, d.event, d.attempts, d.error,
               (SELECT status FROM attempts WHERE delivery = d.id ORDER BY n DESC LIMIT 1)
             FROM deliveries AS d WHERE d.workspace = ? AND d.id = ?",
        )?
        .query_row(params![workspace, id], |row| {
            let url: String = row.get(1)?;
            let facts = json!({
                "delivery_id": id,
                "url": plain(&url),
                "event": row.get::<_, String>(2)?,
                "attempts": row.get::<_, u32>(3)?,
                "failures": health.failures,
                "failing_since": health.failing_since,
                "status": row.get::<_, Option<u16>>(5)?,
                "error": row.get::<_, Option<String>>(4)?,
            });
            Ok((row.get::<_, Target>(0)?, facts))
        })
        .optional()?;
    let Some((target, mut facts)) = row else { return Ok(()) };
    match target {
        Target::Hook(hook) => facts["hook_id"] = json!(hook),
        Target::Subscription(subscription) => facts["subscription_id"] = json!(subscription),
    }
    if let Value::Object(facts) = &mut facts {
        facts.retain(|_, value| !value.is_null());
    }
    event::put(c, workspace, at, kind, About::default(), &facts)
}

/// A URL without what may be secret in it.
fn plain(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return String::new() };
    url.set_query(None);
    let _ = (url.set_username(""), url.set_password(None));
    url.to_string()
}
