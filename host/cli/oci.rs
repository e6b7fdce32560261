//! `flowgate push` and `flowgate pull`: components in OCI registries, as artifacts in the layout of the CNCF's "Wasm OCI
//! Artifact layout" (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>, read 2026-11): a config of the
//! type `application/vnd.wasm.config.v0+json`, and one layer of the type `application/wasm` that is the component.

mod credentials;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use indicatif::HumanBytes;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::{Client, Reference};
use serde_json::json;
use tempfile::TempPath;

use super::build::{At, told};
use super::out::Out;
use crate::clock::Clock;
use crate::egress;
use crate::engine::inspect;

/// What a reference begins with where a file could stand too.
pub(super) const PREFIX: &str = "oci://";

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

/// Bytes of a component; a server may allow less.
const COMPONENT_BYTES_MAX: usize = 256 << 20;

/// How long a registry may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// How to speak to a registry.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registry")]
pub(super) struct RegistryArgs {
    #[command(flatten)]
    credentials: credentials::Credentials,
    /// Speak HTTP without TLS to the registry. One on this machine is always spoken to so.
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Push {
    /// Where to, for example `ghcr.io/acme/support_bot:1.2.0`.
    reference: String,
    /// A WebAssembly component; the project's unless it is given.
    file: Option<PathBuf>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct Pull {
    /// Where from, for example `ghcr.io/acme/support_bot:1.2.0`, or with `@sha256:…` exactly that.
    reference: String,
    /// The file to write, which must not be there.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Push {
    pub(super) async fn run(self, out: Out) -> anyhow::Result<()> {
        let file = match self.file {
            Some(file) => file,
            None => {
                let built = self.at.project()?.build().await?;
                out.hint(told(&built))?;
                built.component
            }
        };
        let component = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let inspection = inspect(&component, COMPONENT_BYTES_MAX).with_context(|| file.display().to_string())?;
        let reference = parse(&self.reference)?;
        let layer = ImageLayer::new(Bytes::from(component), LAYER.to_owned(), None);
        let digest = layer.sha256_digest();
        let config = json!({
            "created": Clock::system().now(), "architecture": "wasm", "os": "wasip2", "layerDigests": [digest],
            "component": { "exports": inspection.exports, "imports": inspection.imports },
        });
        let config = Config::new(config.to_string(), CONFIG.to_owned(), None);
        let layers = [layer];
        let manifest = OciImageManifest::build(&layers, &config, None);
        let auth = self.registry.credentials.of(reference.resolve_registry())?;
        let client = self.registry.client(&reference);
        let pushed = client.push(&reference, &layers, config, &auth, Some(manifest)).await;
        let pushed = pushed.with_context(|| format!("{reference} cannot be pushed"))?;
        if out.is_json() {
            return Ok(out.data(
                &json!({ "reference": reference.whole(), "component": digest, "manifest": pushed.manifest_url }),
            )?);
        }
        out.done(format_args!("{reference} is {digest}"))?;
        Ok(out.hint(format_args!("next: flowgate deploy FLOW {PREFIX}{reference}"))?)
    }
}

impl Pull {
    pub(super) async fn run(self, out: Out) -> anyhow::Result<()> {
        let pulled = self.registry.pull(&self.reference, out).await?;
        pulled
            .persist_noclobber(&self.output)
            .map_err(|error| error.error)
            .with_context(|| format!("cannot write {}", self.output.display()))?;
        if out.is_json() {
            return Ok(out.data(&json!({ "file": self.output }))?);
        }
        Ok(out.done(format_args!("{} written", self.output.display()))?)
    }
}

impl RegistryArgs {
    /// Gets a component into a file that goes away with what is returned. Its digest is what the manifest says, and the
    /// manifest's what the reference says, if it says one.
    pub(super) async fn pull(&self, reference: &str, out: Out) -> anyhow::Result<TempPath> {
        let reference = parse(reference.strip_prefix(PREFIX).unwrap_or(reference))?;
        let unpulled = || format!("{reference} cannot be pulled");
        let auth = self.credentials.of(reference.resolve_registry())?;
        let client = self.client(&reference);
        let (manifest, _) = client.pull_image_manifest(&reference, &auth).await.with_context(unpulled)?;
        let layer = component(&manifest).with_context(unpulled)?;
        let size = usize::try_from(layer.size).unwrap_or(usize::MAX);
        if size > COMPONENT_BYTES_MAX {
            bail!("the component at {reference} has {size} bytes, more than {COMPONENT_BYTES_MAX}");
        }
        let file = tempfile::NamedTempFile::new()?;
        let target = Bounded { file: tokio::fs::File::from_std(file.reopen()?), left: size };
        client.pull_blob(&reference, layer, target).await.with_context(unpulled)?;
        let size = HumanBytes(u64::try_from(size)?);
        out.hint(format_args!("pulled {reference}: {} ({size})", layer.digest))?;
        Ok(file.into_temp_path())
    }

    fn client(&self, reference: &Reference) -> Client {
        egress::share_tls();
        let plain = self.insecure || is_here(reference.resolve_registry());
        Client::new(ClientConfig {
            protocol: if plain { ClientProtocol::Http } else { ClientProtocol::Https },
            connect_timeout: Some(SILENCE),
            read_timeout: Some(SILENCE),
            user_agent: concat!("flowgate/", env!("CARGO_PKG_VERSION")),
            platform_resolver: None,
            ..ClientConfig::default()
        })
    }
}

fn parse(text: &str) -> anyhow::Result<Reference> {
    text.parse().with_context(|| format!("`{text}` is no reference, such as ghcr.io/acme/support_bot:1.2.0"))
}

/// Whether a registry is on this machine.
fn is_here(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The one layer that is a component.
fn component(manifest: &OciImageManifest) -> anyhow::Result<&OciDescriptor> {
    let fits = |layer: &&OciDescriptor| layer.media_type == LAYER;
    let mut layers = manifest.layers.iter().filter(fits);
    match (layers.next(), layers.next()) {
        (Some(layer), None) => Ok(layer),
        (Some(_), Some(_)) => bail!("it has several layers of the type {LAYER}, and a component is one"),
        (None, _) => {
            let types = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect::<Vec<_>>();
            bail!("it has no layer of the type {LAYER}; it has {}", types.join(", "))
        }
    }
}

/// A file that takes so many bytes and no more, whatever a registry sends.
struct Bounded {
    file: tokio::fs::File,
    left: usize,
}

impl tokio::io::AsyncWrite for Bounded {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        if bytes.len() > self.left {
            let longer = std::io::Error::other("the component is longer than its manifest says");
            return std::task::Poll::Ready(Err(longer));
        }
        let written = std::task::ready!(std::pin::Pin::new(&mut self.file).poll_write(cx, bytes))?;
        self.left -= written;
        std::task::Poll::Ready(Ok(written))
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.file).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_on_this_machine_is_spoken_to_in_clear() {
        for here in ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["ghcr.io", "localhost.example:5000", "10.0.0.1:5000"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn what_is_no_reference_says_what_one_is() {
        assert!(parse("Not A Ref").unwrap_err().to_string().contains("ghcr.io/acme"));
        let reference = parse("127.0.0.1:5000/acme/bot:1").unwrap();
        assert_eq!((reference.resolve_registry(), reference.repository()), ("127.0.0.1:5000", "acme/bot"));
    }
}
