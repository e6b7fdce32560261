//! `flowgate key`.

use clap::{Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::Paging;
use super::out::{Columns, Out, fields};
use super::remote::Remote;
use crate::clock::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key. Its text is shown only now.
    Create {
        /// What it is for, for a person.
        name: String,
        /// What it may do.
        #[arg(long, value_enum, default_value_t = Role::Admin)]
        role: Role,
        /// From when on it is refused, for example 2027-01-01T00:00:00Z. Never, unless given.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<Timestamp>,
    },
    /// List the keys, without their texts.
    List(Paging),
    /// Revoke a key: it is refused from now on.
    Revoke {
        /// `key_…`
        key_id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Everything.
    Admin,
    /// Only reading.
    Reader,
}

const LIST: Columns<'_> = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("ROLE", "/role"),
    ("CREATED", "/created_at"),
    ("EXPIRES", "/expires_at"),
    ("REVOKED", "/revoked_at"),
];
const NEW: Columns<'_> =
    &[("id", "/id"), ("name", "/name"), ("role", "/role"), ("expires", "/expires_at"), ("key", "/key")];

impl Key {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        match self {
            Self::Create { name, role, expires_at } => {
                let role = match role {
                    Role::Admin => "admin",
                    Role::Reader => "reader",
                };
                let mut body = json!({ "name": name, "role": role });
                if let Some(end) = expires_at {
                    body["expires_at"] = json!(end);
                }
                let key = remote.send(Method::POST, &["v1", "keys"], &body).await?;
                out.answer(&key, |key: &Value| fields(NEW, key))?;
                out.hint("the key is shown only now: export FLOWGATE_KEY=fgk_…")?;
            }
            Self::List(paging) => out.list(&remote.get(&["v1", "keys"], &paging.query()).await?, LIST)?,
            Self::Revoke { key_id } => {
                remote.act(Method::DELETE, &["v1", "keys", &key_id]).await?;
                out.done(format_args!("key {key_id} revoked"))?;
            }
        }
        Ok(())
    }
}
