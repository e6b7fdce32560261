//! A Flowgate server with one flow and one hook, made over its management API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::Server;
use crate::sample;
use crate::wire::{self, Connection};

/// How long a queue may take to run empty.
const PATIENCE: Duration = Duration::from_secs(600);

/// Flowgate, as it runs.
#[derive(Debug)]
pub struct House {
    /// The program.
    pub server: Server,
    /// Its management API.
    pub api: Api,
}

/// A management API.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    authorization: String,
}

/// A flow and its hook.
#[derive(Debug, Clone)]
pub struct Furniture {
    /// The flow's component.
    pub component: PathBuf,
    /// Executions that an instance may run.
    pub reuse_max: u32,
    /// Of the hook.
    pub dialect: &'static str,
    /// The hook's schemes.
    pub auth: Value,
    /// The hook's secret, where its schemes want one.
    pub secret: Option<&'static str>,
    /// Who is told how executions end.
    pub callback: Option<SocketAddr>,
}

impl Furniture {
    /// A flow of fresh instances behind the proof of [`sample`].
    pub fn plain(component: &Path, secret: &'static str) -> Self {
        let (component, auth) = (component.to_owned(), sample::auth());
        Self { component, reuse_max: 1, dialect: "native", auth, secret: Some(secret), callback: None }
    }
}

impl House {
    /// Starts `flowgate` over the data in `folder`. `key` is what the first start said; none for the first start.
    pub async fn start(flowgate: &Path, folder: &Path, core: Option<usize>, key: Option<&str>) -> Result<Self> {
        Self::start_with(flowgate, folder, core, key, &[]).await
    }

    /// The same with `FLOWGATE_…` variables.
    pub async fn start_with(
        flowgate: &Path,
        folder: &Path,
        core: Option<usize>,
        key: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = folder.to_str().context("the data folder's name is not UTF-8")?;
        let arguments = ["serve", "--data", folder, "--listen", "127.0.0.1:0"];
        let server = Server::start_with(flowgate, &arguments, core, environment).await?;
        let key = server.key.as_deref().or(key).context("the server said no key")?;
        let api = Api { address: server.address, authorization: format!("Bearer {key}") };
        Ok(Self { server, api })
    }

    /// Makes a flow, live, and a hook to it. Returns the hook's path.
    pub async fn furnish(&self, furniture: &Furniture) -> Result<String> {
        self.api.flow("bench", furniture).await?;
        self.api.hook("bench", furniture).await
    }
}

impl Api {
    /// Makes a flow, live.
    pub async fn flow(&self, name: &str, furniture: &Furniture) -> Result<()> {
        let file = &furniture.component;
        let component = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        self.flow_of(name, &component, furniture.reuse_max).await
    }

    /// Makes a flow of these bytes, live. An instance of it may run `reuse_max` executions.
    pub async fn flow_of(&self, name: &str, component: &[u8], reuse_max: u32) -> Result<()> {
        self.send("POST", "/v1/flows", &json!({ "name": name })).await?;
        let versions = format!("/v1/flows/{name}/versions?wait=300");
        let version = self.call("POST", &versions, "application/wasm", component).await?;
        let promotion = json!({ "version": version["digest"] });
        self.send("PUT", &format!("/v1/flows/{name}/aliases/live"), &promotion).await?;
        if reuse_max > 1 {
            let change = json!({ "reuse_max": reuse_max });
            self.send("PATCH", &format!("/v1/flows/{name}"), &change).await?;
        }
        Ok(())
    }

    /// Makes a hook to a flow of the same name, and returns its path.
    pub async fn hook(&self, flow: &str, furniture: &Furniture) -> Result<String> {
        let Furniture { dialect, auth, secret, callback, .. } = furniture;
        let mut hook = json!({ "name": flow, "flow": flow, "dialect": dialect, "auth": auth });
        if *dialect == "almyty" {
            // The product's own limits are for people, and a load would only see them.
            hook["limits"] = json!({ "requests_per_minute": u32::MAX, "concurrent": u32::MAX });
        }
        if let Some(secret) = secret {
            hook["secret"] = json!(secret);
        }
        if let Some(callback) = callback {
            hook["callback"] = json!({ "url": format!("http://{callback}/") });
        }
        let hook = self.send("POST", "/v1/hooks", &hook).await?;
        hook["url_path"].as_str().map(str::to_owned).context("the hook has no path")
    }

    /// Lets a hook, by its path, take bodies of this encoding.
    pub async fn decode(&self, hook: &str, encoding: &str) -> Result<()> {
        let id = hook.rsplit('/').next().unwrap_or(hook);
        let change = json!({ "content_encodings": [encoding] });
        self.send("PATCH", &format!("/v1/hooks/{id}"), &change).await.map(|_| ())
    }

    /// Makes a subscription to events of one name.
    pub async fn subscribe(&self, name: &str, receiver: SocketAddr, event: &str) -> Result<()> {
        let wish = json!({ "name": name, "url": format!("http://{receiver}/{name}"), "events": [event] });
        self.send("POST", "/v1/subscriptions", &wish).await.map(|_| ())
    }

    /// Waits until nothing is queued or runs.
    pub async fn idle(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let list = self.call("GET", "/v1/executions?status=queued,running&limit=1", "text/plain", b"").await?;
            if list["data"].as_array().is_some_and(Vec::is_empty) {
                return Ok(());
            }
            ensure!(begin.elapsed() < PATIENCE, "the queue does not run empty");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Grants a flow what it may call.
    pub async fn grant(&self, flow: &str, grants: &Value) -> Result<()> {
        self.send("PUT", &format!("/v1/flows/{flow}/grants"), grants).await.map(|_| ())
    }

    /// Whether the server answers.
    pub async fn answers(&self) -> Result<()> {
        self.call("GET", "/v1/flows?limit=1", "text/plain", b"").await.map(|_| ())
    }

    /// The bytes of an authorized `GET`.
    pub fn get(&self, path: &str) -> Bytes {
        wire::request("GET", path, &[("authorization", self.authorization.as_str())], b"")
    }

    /// The bytes of an authorized request, after which the connection is closed.
    pub fn request(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Bytes {
        let authorization = ("authorization", self.authorization.as_str());
        let headers = [authorization, ("content-type", content_type), ("connection", "close")];
        wire::request(method, path, &headers, body)
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.call(method, path, "application/json", &serde_json::to_vec(body)?).await
    }

    async fn call(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<Value> {
        let headers = [("authorization", self.authorization.as_str()), ("content-type", content_type)];
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.call(&wire::request(method, path, &headers, body)).await?;
        let text = connection.body(&answer);
        let refused = || format!("{method} {path}: {} {}", answer.status, String::from_utf8_lossy(text));
        ensure!((200..300).contains(&answer.status), "{}", refused());
        serde_json::from_slice(text).with_context(refused)
    }
}
