//! `flowgate deploy`: from a file to a flow that answers.

mod changes;
mod smoke;

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
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::build::{At, told};
use super::oci::{self, RegistryArgs};
use super::out::Out;
use super::remote::Remote;
use crate::capability::Grants;
use crate::egress::Body;
use crate::id::Digest;

/// How long the server is asked to wait at one time.
const WAIT: Duration = Duration::from_secs(60);

/// Bytes of the file that are read at one time.
const PIECE_BYTES: usize = 64 << 10;

#[derive(Debug, clap::Args)]
pub(super) struct Deploy {
    /// The flow, which is made when it is not there; that of the project at hand unless it is given.
    #[arg(requires = "file")]
    pub(super) flow: Option<String>,
    /// A WebAssembly component, or `oci://REFERENCE` of one in a registry; without it the project is built.
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) at: At,
    /// Do not build the project before.
    #[arg(long, conflicts_with = "file")]
    pub(super) no_build: bool,
    /// Upload and compile only; `flowgate flow promote` makes the version live later.
    #[arg(long)]
    pub(super) no_promote: bool,
    /// Upload only, and do not wait until it is compiled.
    #[arg(long, conflicts_with_all = ["alias", "canary", "smoke"])]
    pub(super) no_wait: bool,
    /// The alias to set.
    #[arg(long, default_value = "live", conflicts_with = "no_promote")]
    pub(super) alias: String,
    /// Give it to so many of a hundred sessions only; the others stay with what the alias stands for. `flowgate flow promote`
    /// gives it to all, `flowgate flow rollback` to none.
    #[arg(long, value_name = "N", value_parser = percent, conflicts_with = "no_promote")]
    pub(super) canary: Option<u8>,
    /// A case that the version has to pass on the server, unseen by its users, before the alias is set. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(super) smoke: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

/// Reads `10` or `10%`.
pub(super) fn percent(text: &str) -> Result<u8, &'static str> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent| (1..=99).contains(percent)).ok_or("allowed: 1 to 99, of a hundred")
}

/// What is to be deployed: bytes, under a name, and what they ask for.
struct Wanted {
    flow: String,
    file: PathBuf,
    grants: Option<Grants>,
    /// Removes what was pulled from a registry.
    _pulled: Option<TempPath>,
}

impl Deploy {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let cases = self.smoke.iter().map(|path| smoke::read(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let wanted = self.wanted(out).await?;
        let flow = ["v1", "flows", &wanted.flow];
        let created = remote.find(&flow).await?.is_none();
        if created {
            remote.send(Method::POST, &["v1", "flows"], &json!({ "name": wanted.flow })).await?;
        }
        let uploaded = upload(&wanted.file, &wanted.flow, remote).await;
        if created && uploaded.is_err() {
            // A flow without any version is of no use; if it stays, the next try finds it there.
            let _ = remote.act(Method::DELETE, &flow).await;
        }
        let version = uploaded?;
        if created {
            out.done(format_args!("flow {} created", wanted.flow))?;
        }
        if self.no_wait {
            let report = json!({ "flow": wanted.flow, "created": created, "version": version });
            let told = |_: &Value| format!("version {} is {}\n", text(&version["digest"]), text(&version["state"]));
            return Ok(out.answer(&report, told)?);
        }
        let version = compiled(version, &wanted.flow, remote).await?;
        let digest = version["digest"].as_str().context("the server's answer has no digest")?;
        let size = HumanBytes(version["size_bytes"].as_u64().unwrap_or_default());
        out.done(format_args!("version {digest} is ready ({size})"))?;
        let changes = changes::of(&version, &wanted.flow, &self.alias, wanted.grants.as_ref(), remote).await?;
        out.done(changes.told().trim_end())?;
        let mut report = json!({ "flow": wanted.flow, "created": created, "version": version, "changes": changes });
        if !cases.is_empty() {
            smoke::test(&cases, &wanted.flow, digest, remote, out).await.with_context(|| {
                let stays = if created { "the flow has no live version" } else { "nothing was changed" };
                format!("{digest} is not deployed, and {stays}: {} stays as it was", self.alias)
            })?;
        }
        if !self.no_promote {
            let at = ["v1", "flows", &wanted.flow, "aliases", &self.alias];
            let mut body = json!({ "version": digest });
            if let Some(percent) = self.canary {
                body["percent"] = json!(percent);
            }
            report["alias"] = remote.send(Method::PUT, &at, &body).await?;
            match self.canary {
                Some(percent) => {
                    out.done(format_args!("{percent} % of the sessions of {} get this version", self.alias))?;
                }
                None => out.done(format_args!("{} is now this version", self.alias))?,
            }
        }
        if out.is_json() {
            out.data(&report)?;
        } else if self.canary.is_some() {
            let flow = &wanted.flow;
            out.hint(format_args!("next: flowgate flow promote {flow} {digest}, or flowgate flow rollback {flow}"))?;
        } else if created && !self.no_promote {
            let is_transform = version["inspection"]["kind"] == "transform01";
            let next = if is_transform {
                "subscription create URL --transform"
            } else {
                "hook create NAME --auth SCHEME --flow"
            };
            out.hint(format_args!("next: flowgate {next} {}", wanted.flow))?;
        }
        Ok(())
    }

    async fn wanted(&self, out: Out) -> anyhow::Result<Wanted> {
        if let (Some(flow), Some(file)) = (&self.flow, &self.file) {
            let (flow, grants) = (flow.clone(), None);
            return match file.to_str().and_then(|text| text.strip_prefix(oci::PREFIX)) {
                Some(reference) => {
                    let pulled = self.registry.pull(reference, out).await?;
                    Ok(Wanted { flow, file: pulled.to_path_buf(), grants, _pulled: Some(pulled) })
                }
                None => Ok(Wanted { flow, file: file.clone(), grants, _pulled: None }),
            };
        }
        let project = self.at.project()?;
        if !self.no_build {
            out.hint(told(&project.build().await?))?;
        }
        let (file, manifest) = (project.component(), project.manifest);
        Ok(Wanted { flow: manifest.name, file, grants: Some(manifest.grants), _pulled: None })
    }
}

/// Uploads a component and waits until it can run.
pub(super) async fn ready(path: &Path, flow: &str, remote: &Remote) -> anyhow::Result<Value> {
    compiled(upload(path, flow, remote).await?, flow, remote).await
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
