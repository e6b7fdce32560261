//! `flowgate deploy`: from a file to a flow that answers.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::out::Out;
use super::remote::Remote;
use crate::egress::Body;
use crate::id::Digest;

/// How long the server is asked to wait at one time.
const WAIT: Duration = Duration::from_secs(60);

/// Bytes of the file that are read at one time.
const PIECE_BYTES: usize = 64 << 10;

#[derive(Debug, clap::Args)]
pub(super) struct Deploy {
    /// The flow. It is made when it is not there.
    pub(super) flow: String,
    /// A WebAssembly component.
    pub(super) file: PathBuf,
    /// Upload and compile only; `flowgate flow promote` makes the version live later.
    #[arg(long)]
    pub(super) no_promote: bool,
    /// Upload only, and do not wait until it is compiled.
    #[arg(long, conflicts_with = "alias")]
    pub(super) no_wait: bool,
    /// The alias to set.
    #[arg(long, default_value = "live", conflicts_with = "no_promote")]
    pub(super) alias: String,
}

impl Deploy {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let flow = ["v1", "flows", &self.flow];
        let created = remote.find(&flow).await?.is_none();
        if created {
            remote.send(Method::POST, &["v1", "flows"], &json!({ "name": self.flow })).await?;
        }
        let uploaded = upload(&self.file, &self.flow, remote).await;
        if created && uploaded.is_err() {
            // A flow without any version is of no use; if it stays, the next try finds it there.
            let _ = remote.act(Method::DELETE, &flow).await;
        }
        let version = uploaded?;
        if created {
            out.done(format_args!("flow {} created", self.flow))?;
        }
        if self.no_wait {
            let report = json!({ "flow": self.flow, "created": created, "version": version });
            let told = |_: &Value| format!("version {} is {}\n", text(&version["digest"]), text(&version["state"]));
            return Ok(out.answer(&report, told)?);
        }
        let version = compiled(version, &self.flow, remote).await?;
        let digest = version["digest"].as_str().context("the server's answer has no digest")?;
        let size = HumanBytes(version["size_bytes"].as_u64().unwrap_or_default());
        out.done(format_args!("version {digest} is ready ({size})"))?;
        let mut report = json!({ "flow": self.flow, "created": created, "version": version });
        if !self.no_promote {
            let at = ["v1", "flows", &self.flow, "aliases", &self.alias];
            report["alias"] = remote.send(Method::PUT, &at, &json!({ "version": digest })).await?;
            out.done(format_args!("{} is now this version", self.alias))?;
        }
        if out.is_json() {
            out.data(&report)?;
        } else if created && !self.no_promote {
            let is_transform = version["inspection"]["kind"] == "transform01";
            let next = if is_transform {
                "subscription create URL --transform"
            } else {
                "hook create NAME --auth SCHEME --flow"
            };
            out.hint(format_args!("next: flowgate {next} {}", self.flow))?;
        }
        Ok(())
    }
}

/// Sends the file piece by piece; its size in memory does not matter. The digest goes ahead, so that the server notices
/// what changes on the way.
async fn upload(path: &Path, flow: &str, remote: &Remote) -> anyhow::Result<Value> {
    let unreadable = || format!("cannot read {}", path.display());
    let file = File::open(path).await.with_context(unreadable)?;
    let metadata = file.metadata().await.with_context(unreadable)?;
    if !metadata.is_file() {
        bail!("{} is not a file", path.display());
    }
    let digest = digest(path).await.with_context(unreadable)?;
    let bar = ProgressBar::new(metadata.len()).with_message("uploading");
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}")?);
    let body = Body::stream(pieces(file, bar.clone()), Some(metadata.len()));
    let uploaded = remote.upload(&["v1", "flows", flow, "versions"], &[("digest", digest.to_string())], body).await;
    bar.finish_and_clear();
    uploaded
}

async fn digest(path: &Path) -> io::Result<Digest> {
    let path = path.to_owned();
    let hashed = tokio::task::spawn_blocking(move || {
        let (mut hash, mut file) = (Sha256::new(), std::fs::File::open(path)?);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                read => hash.update(&piece[..read]),
            }
        }
        Ok(Digest::from_bytes(hash.finalize().into()))
    });
    hashed.await.map_err(io::Error::other)?
}

fn pieces(file: File, bar: ProgressBar) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((file, bar), |(mut file, bar)| async move {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece).await?;
        bar.inc(read as u64);
        Ok((read > 0).then(|| (Bytes::from(piece), (file, bar))))
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

/// Waits until the version can run.
async fn compiled(mut version: Value, flow: &str, remote: &Remote) -> anyhow::Result<Value> {
    let spinner = ProgressBar::new_spinner().with_message("compiling");
    spinner.enable_steady_tick(Duration::from_millis(100));
    while version["state"] == "compiling" {
        let digest = version["digest"].as_str().context("the server's answer has no digest")?.to_owned();
        let wait = [("wait", WAIT.as_secs().to_string())];
        version = remote.get_within(&["v1", "flows", flow, "versions", &digest], &wait, WAIT).await?;
    }
    spinner.finish_and_clear();
    if version["state"] != "ready" {
        bail!("the component cannot run: {}", version["failure"].as_str().unwrap_or("the server does not say why"));
    }
    Ok(version)
}
