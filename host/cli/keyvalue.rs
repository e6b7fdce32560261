//! `flowgate flow keyvalue`.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::Paging;
use super::out::{Columns, Out};
use super::remote::Remote;

#[derive(Debug, Subcommand)]
pub(super) enum KeyValue {
    /// List the keys of a bucket, or without one the buckets.
    List {
        /// The bucket.
        bucket: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Print a value.
    Get {
        #[command(flatten)]
        at: At,
    },
    /// Put a value under a key.
    Set {
        #[command(flatten)]
        at: At,
        /// The value, as text. Without it and without `--file` it is read from stdin.
        value: Option<String>,
        /// A file that holds the value.
        #[arg(long, conflicts_with = "value")]
        file: Option<PathBuf>,
    },
    /// Remove a key.
    Delete {
        #[command(flatten)]
        at: At,
    },
}

/// Where a value is.
#[derive(Debug, clap::Args)]
pub(super) struct At {
    /// The key.
    #[arg(value_name = "KEY")]
    name: String,
    /// The bucket.
    #[arg(long, default_value = "default")]
    bucket: String,
}

const BUCKETS: Columns<'_> = &[("BUCKET", "/name"), ("KEYS", "/keys")];
const KEYS: Columns<'_> = &[("KEY", "/key"), ("BYTES", "/bytes"), ("UPDATED", "/updated_at")];

impl KeyValue {
    pub(super) async fn run(self, flow: &str, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let path = ["v1", "flows", flow, "keyvalue"];
        match self {
            Self::List { bucket: None, paging } => out.list(&remote.get(&path, &paging.query()).await?, BUCKETS)?,
            Self::List { bucket: Some(bucket), paging } => {
                out.list(&remote.get(&[&path[..], &[&bucket]].concat(), &paging.query()).await?, KEYS)?;
            }
            Self::Get { at: At { name, bucket } } => {
                let value = remote.bytes(&[&path[..], &[&bucket, &name]].concat()).await?;
                match std::str::from_utf8(&value) {
                    Ok(text) if out.is_json() => out.data(&json!(text))?,
                    Err(_) if out.is_json() => out.data(&json!(&value[..]))?,
                    _ => out.bytes(&value)?,
                }
            }
            Self::Set { at: At { name, bucket }, value, file } => {
                let value = given(value, file)?;
                remote.put(&[&path[..], &[&bucket, &name]].concat(), value).await?;
                out.done(format_args!("`{name}` is set"))?;
            }
            Self::Delete { at: At { name, bucket } } => {
                remote.act(Method::DELETE, &[&path[..], &[&bucket, &name]].concat()).await?;
                out.done(format_args!("`{name}` removed"))?;
            }
        }
        Ok(())
    }
}

fn given(value: Option<String>, file: Option<PathBuf>) -> anyhow::Result<Vec<u8>> {
    match (value, file) {
        (Some(value), _) => Ok(value.into_bytes()),
        (None, Some(file)) => std::fs::read(&file).with_context(|| format!("cannot read {}", file.display())),
        (None, None) => {
            let mut value = Vec::new();
            std::io::stdin().lock().read_to_end(&mut value).context("cannot read stdin")?;
            Ok(value)
        }
    }
}
