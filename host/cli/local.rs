//! A server in this process, for the project at hand. It ends with the process, however that ends.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::deploy;
use super::remote::Remote;
use crate::app::Server;
use crate::project::Manifest;
use crate::signature::Secret;

/// How long the key to it lives; nobody develops longer without a pause.
const KEY: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A running server.
pub(super) struct Local {
    pub(super) url: Url,
    pub(super) key: Secret,
    pub(super) remote: Remote,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Local {
    /// Runs a server that is open.
    pub(super) async fn run(server: Server) -> anyhow::Result<Self> {
        let url = Url::parse(&format!("http://{}", server.address()))?;
        let key = server.key("local", KEY).await?;
        let remote = Remote::new(url.clone(), Some(key.expose()))?;
        let stop = CancellationToken::new();
        let running = tokio::spawn(server.run(stop.clone()));
        Ok(Self { url, key, remote, stop, running })
    }

    /// Makes the flow, if need be, and gives it the configuration and the grants that the project wants.
    pub(super) async fn flow(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let flow = ["v1", "flows", &manifest.name];
        if self.remote.find(&flow).await?.is_none() {
            self.remote.send(Method::POST, &flow[..2], &json!({ "name": manifest.name })).await?;
        }
        let under = |part| ["v1", "flows", &manifest.name, part];
        self.remote.send(Method::PUT, &under("config"), &json!(manifest.config)).await?;
        self.remote.send(Method::PUT, &under("grants"), &json!(manifest.grants)).await?;
        Ok(())
    }

    /// Uploads a component, waits until it can run, and lets the alias `live` stand for it. Executions under way end with
    /// the version that they began with.
    pub(super) async fn live(&self, flow: &str, component: &Path) -> anyhow::Result<Value> {
        let version = deploy::ready(component, flow, &self.remote).await?;
        let digest = version["digest"].as_str().context("the server's answer has no digest")?;
        let at = ["v1", "flows", flow, "aliases", "live"];
        self.remote.send(Method::PUT, &at, &json!({ "version": digest })).await?;
        Ok(version)
    }

    /// Lets what runs come to its end, and ends.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = self.running.await;
    }
}
