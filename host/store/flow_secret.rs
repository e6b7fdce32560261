//! Secrets that flows use. Each is sealed for its flow and its name.

use rusqlite::{Connection, params};
use zeroize::Zeroizing;

use super::{Error, Result, Store};
use crate::clock::Timestamp;
use crate::id::FlowId;

/// A secret of a flow, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowSecret {
    /// Unique in the flow.
    pub name: String,
    /// When its value was last set.
    pub updated_at: Timestamp,
}

impl Store {
    /// A flow's secrets, by name.
    pub async fn flow_secrets(&self, flow: FlowId) -> Result<Vec<FlowSecret>> {
        self.read(move |c| {
            let sql = "SELECT name, updated_at FROM flow_secrets WHERE flow = ? ORDER BY name";
            let mut select = c.prepare_cached(sql)?;
            let rows = select.query_map([flow], |row| Ok(FlowSecret { name: row.get(0)?, updated_at: row.get(1)? }))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// A flow's secrets with their values.
    pub async fn flow_secrets_open(&self, flow: FlowId) -> Result<Vec<(String, Zeroizing<Vec<u8>>)>> {
        let this = self.clone();
        self.read(move |c| {
            let mut select = c.prepare_cached("SELECT name, sealed FROM flow_secrets WHERE flow = ?")?;
            let rows = select.query_map([flow], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
            rows.map(|row| {
                let (name, sealed) = row?;
                let value = this.0.ring.open(&place(flow, &name), &sealed)?;
                Ok((name, value))
            })
            .collect()
        })
        .await
    }

    /// Sets the value of a secret. [`Error::InUse`] when it would be one more than `secrets_max`. False when there is no
    /// such flow.
    pub async fn flow_secret_set(
        &self,
        flow: FlowId,
        secret: FlowSecret,
        value: Zeroizing<Vec<u8>>,
        secrets_max: usize,
    ) -> Result<bool> {
        let sealed = self.0.ring.seal(&place(flow, &secret.name), &value);
        self.write(move |c| {
            if others(c, flow, &secret.name)? >= secrets_max {
                return Err(Error::InUse(format!("the flow has {secrets_max} secrets already; remove one first")));
            }
            let sql = "INSERT OR REPLACE INTO flow_secrets (flow, name, sealed, updated_at)
                       SELECT id, ?, ?, ? FROM flows WHERE id = ?";
            let rows = c.prepare_cached(sql)?.execute(params![secret.name, sealed, secret.updated_at, flow])?;
            Ok(rows == 1)
        })
        .await
    }

    /// Removes a secret. False when there is none.
    pub async fn flow_secret_remove(&self, flow: FlowId, name: &str) -> Result<bool> {
        let name = name.to_owned();
        self.write(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM flow_secrets WHERE flow = ? AND name = ?")?;
            Ok(delete.execute(params![flow, name])? == 1)
        })
        .await
    }
}

fn others(c: &Connection, flow: FlowId, name: &str) -> Result<usize> {
    let sql = "SELECT count(*) FROM flow_secrets WHERE flow = ? AND name <> ?";
    let count = c.prepare_cached(sql)?.query_row(params![flow, name], |row| row.get::<_, u32>(0))?;
    Ok(count as usize)
}

/// What a secret is sealed for. An id has a fixed length, so no two places are alike.
fn place(flow: FlowId, name: &str) -> Vec<u8> {
    [&flow.as_bytes()[..], name.as_bytes()].concat()
}
