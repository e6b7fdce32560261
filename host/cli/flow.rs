//! `flowgate flow`.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::Paging;
use super::deploy::percent;
use super::flow_secret::Secret;
use super::grant::{Grant, Revoke};
use super::keyvalue::KeyValue;
use super::out::{Columns, Out, fields, line, table};
use super::remote::Remote;

#[derive(Debug, Subcommand)]
pub(super) enum Flow {
    /// List the flows.
    List(Paging),
    /// Show a flow with its aliases.
    Show {
        /// The flow.
        flow: String,
    },
    /// List a flow's versions.
    Versions {
        /// The flow.
        flow: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Let an alias name a version: hooks of the alias `live` use it from the next trigger on.
    Promote {
        /// The flow.
        flow: String,
        /// The version, `sha256:…`.
        digest: String,
        /// The alias.
        #[arg(long, default_value = "live")]
        alias: String,
        /// Give it to so many of a hundred sessions only; the others stay with what the alias names.
        #[arg(long, value_name = "N", value_parser = percent)]
        weight: Option<u8>,
    },
    /// End what is tried with a part of the sessions, or else let an alias name the version before.
    Rollback {
        /// The flow.
        flow: String,
        /// The alias.
        #[arg(long, default_value = "live")]
        alias: String,
    },
    /// Read or change what the flow gets by `wasi:config`.
    Config {
        /// The flow.
        flow: String,
        #[command(subcommand)]
        change: Option<Change>,
    },
    /// Show what a flow spent on language models, by day and model.
    Usage {
        /// The flow.
        flow: String,
        /// How many UTC days back, today included.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
    /// Look at what the flow keeps by `wasi:keyvalue`, and mend it.
    #[command(name = "keyvalue")]
    KeyValue {
        /// The flow.
        flow: String,
        #[command(subcommand)]
        act: KeyValue,
    },
    /// Let an instance run several executions, one after the other, instead of one.
    ///
    /// That is faster, and what the guest leaves in its memory its next execution finds.
    Reuse {
        /// The flow.
        flow: String,
        /// Executions of one instance; 1 gives each a fresh one.
        executions: u32,
    },
    /// Read or add to what the flow is permitted: requests, secrets in clear, models, calls of other flows.
    Grant {
        /// The flow.
        flow: String,
        #[command(subcommand)]
        grant: Option<Grant>,
    },
    /// Take back what the flow is permitted.
    Revoke {
        /// The flow.
        flow: String,
        #[command(subcommand)]
        revoke: Revoke,
    },
    /// The secrets that the flow can use and does not see.
    Secret {
        /// The flow.
        flow: String,
        #[command(subcommand)]
        secret: Secret,
    },
    /// Delete a flow with all its versions; refused while a hook uses it.
    Delete {
        /// The flow.
        flow: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Change {
    /// Print the keys; the default.
    Get,
    /// Set keys and keep the others.
    Set {
        /// A key and its value.
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = pair)]
        pairs: Vec<(String, String)>,
    },
    /// Remove keys.
    Unset {
        /// A key.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("allowed: KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

const LIST: Columns<'_> = &[("NAME", "/name"), ("ID", "/id"), ("CREATED", "/created_at"), ("UPDATED", "/updated_at")];
const ONE: Columns<'_> = &[
    ("name", "/name"),
    ("id", "/id"),
    ("reuse", "/reuse_max"),
    ("created", "/created_at"),
    ("updated", "/updated_at"),
];
const VERSIONS: Columns<'_> = &[
    ("DIGEST", "/digest"),
    ("STATE", "/state"),
    ("BYTES", "/size_bytes"),
    ("CREATED", "/created_at"),
    ("FAILURE", "/failure"),
];
const ALIASES: Columns<'_> = &[
    ("ALIAS", "/name"),
    ("VERSION", "/version"),
    ("CANARY", "/canary/version"),
    ("%", "/canary/percent"),
    ("UPDATED", "/updated_at"),
];
const USAGE: Columns<'_> = &[
    ("DAY", "/day"),
    ("MODEL", "/model"),
    ("CALLS", "/calls"),
    ("TOKENS_IN", "/input_tokens"),
    ("TOKENS_OUT", "/output_tokens"),
    ("MICRO_USD", "/micro_usd"),
];

impl Flow {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        match self {
            Self::List(paging) => out.list(&remote.get(&["v1", "flows"], &paging.query()).await?, LIST)?,
            Self::Show { flow } => show(&flow, remote, out).await?,
            Self::Versions { flow, paging } => {
                out.list(&remote.get(&["v1", "flows", &flow, "versions"], &paging.query()).await?, VERSIONS)?;
            }
            Self::Promote { flow, digest, alias, weight } => {
                let mut body = json!({ "version": digest });
                if let Some(percent) = weight {
                    body["percent"] = json!(percent);
                }
                let alias = remote.send(Method::PUT, &["v1", "flows", &flow, "aliases", &alias], &body).await?;
                out.answer(&alias, now)?;
            }
            Self::Rollback { flow, alias } => {
                let path = ["v1", "flows", &flow, "aliases", &alias, "rollback"];
                out.answer(&remote.act(Method::POST, &path).await?, now)?;
            }
            Self::Config { flow, change } => config(&flow, change.unwrap_or(Change::Get), remote, out).await?,
            Self::Usage { flow, days } => {
                let query = [("days", days.to_string())];
                out.list(&remote.get(&["v1", "flows", &flow, "usage"], &query).await?, USAGE)?;
            }
            Self::KeyValue { flow, act } => act.run(&flow, remote, out).await?,
            Self::Reuse { flow, executions } => {
                let body = json!({ "reuse_max": executions });
                let changed = remote.send(Method::PATCH, &["v1", "flows", &flow], &body).await?;
                out.answer(&changed, |flow| fields(ONE, flow))?;
            }
            Self::Grant { flow, grant } => grant.unwrap_or(Grant::Show).run(&flow, remote, out).await?,
            Self::Revoke { flow, revoke } => revoke.run(&flow, remote, out).await?,
            Self::Secret { flow, secret } => secret.run(&flow, remote, out).await?,
            Self::Delete { flow } => {
                remote.act(Method::DELETE, &["v1", "flows", &flow]).await?;
                out.done(format_args!("flow {flow} deleted"))?;
            }
        }
        Ok(())
    }
}

async fn show(flow: &str, remote: &Remote, out: Out) -> anyhow::Result<()> {
    let mut shown = remote.get(&["v1", "flows", flow], &[]).await?;
    let mut aliases = remote.get(&["v1", "flows", flow, "aliases"], &[]).await?;
    shown["aliases"] = aliases["data"].take();
    let told = |flow: &Value| {
        let aliases = flow["aliases"].as_array().map_or(&[][..], Vec::as_slice);
        format!("{}\n{}", fields(ONE, flow), table(ALIASES, aliases))
    };
    Ok(out.answer(&shown, told)?)
}

async fn config(flow: &str, change: Change, remote: &Remote, out: Out) -> anyhow::Result<()> {
    let path = ["v1", "flows", flow, "config"];
    let mut config: BTreeMap<String, String> = serde_json::from_value(remote.get(&path, &[]).await?)?;
    match change {
        Change::Get => return Ok(out.answer(&json!(config), pairs)?),
        Change::Set { pairs } => config.extend(pairs),
        Change::Unset { keys } => {
            for key in keys {
                if config.remove(&key).is_none() {
                    bail!("the flow has no key `{key}`");
                }
            }
        }
    }
    remote.send(Method::PUT, &path, &json!(config)).await?;
    Ok(out.answer(&json!(config), pairs)?)
}

fn pairs(config: &Value) -> String {
    let text =
        |(key, value): (&String, &Value)| format!("{}={}\n", line(key), line(value.as_str().unwrap_or_default()));
    config.as_object().into_iter().flatten().map(text).collect()
}

fn now(alias: &Value) -> String {
    let text = |at: &str| alias.pointer(at).and_then(Value::as_str).map(line).unwrap_or_default();
    let tried = match alias["canary"]["percent"].as_u64() {
        Some(percent) => format!(", and {} for {percent} % of the sessions", text("/canary/version")),
        None => String::new(),
    };
    format!("{} is now {}{tried}\n", text("/name"), text("/version"))
}
