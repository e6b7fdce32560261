//! The whole API in one process: real store, real engine, a clock that stands still.

use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_service::Service as _;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use super::*;
use crate::clock::Timestamp;
use crate::engine::{self, Compiler, Engine};
use crate::execution::Order;
use crate::id::{ExecutionId, KeyId, WorkspaceId};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::registry::LIVE;
use crate::store::{Key, Workspace};
use crate::subscription::Subscriptions;
use crate::transform::Transforms;
use crate::trigger::{self, Trigger};
use crate::{capability, delivery, dispatch, egress, execution, queue, store};

mod access;
mod document;
mod executions;
mod grants;
mod hooks;
mod pulling;
mod reading;
mod subscriptions;
mod versions;

struct House {
    api: Api,
    router: Router,
    admin: String,
    reader: String,
    /// The admin of another workspace.
    stranger: String,
    workspace: WorkspaceId,
    folder: tempfile::TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        self.api.stopping.cancel();
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} is not JSON: {:?}", self.status, self.text))
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks that it is a problem of this kind, and returns the name of the first wrong field, if one is named.
    #[track_caller]
    fn refused(&self, status: u16, code: &str) -> String {
        let body = self.expect(status);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(body["code"], code, "{body}");
        body["errors"][0]["field"].as_str().unwrap_or_default().to_owned()
    }
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &store::Options::default()).unwrap();
        let clock = Clock::manual(Timestamp::from_unix_ms(1_763_654_400_000));
        let queue = Queue::new(store.clone(), clock.clone(), queue::Options::default());
        let engine = Engine::new(engine::Setup {
            options: engine::Options { instances_max: 2, ..engine::Options::default() },
            capability: Default::default(),
            services: capability::Services::of(store.clone()),
            cache_dir: folder.path().join("cache"),
            cache_key: [1; 32],
            compiler: Compiler::InProcess,
        })
        .unwrap();
        let registry = Registry::new(store.clone(), engine.clone(), queue.clone(), clock.clone());
        let hooks = Hooks::new(store.clone(), clock.clone());
        let subscriptions = Subscriptions::new(store.clone(), clock.clone());
        let client = egress::Client::new(&egress::Options::default());
        let metrics = Metrics::default();
        let sending = delivery::Parts {
            store: store.clone(),
            clock: clock.clone(),
            queue: queue.clone(),
            hooks: hooks.clone(),
            subscriptions: subscriptions.clone(),
            transforms: Transforms::new(registry.clone(), engine.clone(), clock.clone(), Default::default()),
            client,
            metrics: metrics.clone(),
        };
        let deliveries = Deliveries::new(sending, delivery::Options::default());
        let (stopping, compiling) = (CancellationToken::new(), registry.clone());
        tokio::spawn({
            let stop = stopping.clone();
            async move { compiling.run(stop).await }
        });
        let parts = execution::Parts {
            store: store.clone(),
            clock: clock.clone(),
            engine,
            registry: registry.clone(),
            hooks: hooks.clone(),
            queue: queue.clone(),
            deliveries: deliveries.clone(),
            metrics: metrics.clone(),
        };
        let executions = Executions::new(parts, execution::Options::default());
        let telling = dispatch::Parts {
            store: store.clone(),
            clock: clock.clone(),
            queue,
            subscriptions: subscriptions.clone(),
            deliveries: deliveries.clone(),
        };
        let dispatch = Dispatch::new(telling, dispatch::Options::default());
        let quota = capability::Options::default().keyvalue_quota();
        let api = Api {
            store,
            clock,
            registry,
            hooks,
            subscriptions,
            dispatch,
            executions,
            deliveries,
            quota,
            metrics,
            stopping,
        };
        let (workspace, other) = (WorkspaceId::at(1), WorkspaceId::at(2));
        for (id, name) in [(workspace, "main"), (other, "other")] {
            let created_at = api.clock.now();
            api.store.workspace_create(Workspace { id, name: name.to_owned(), created_at }).await.unwrap();
        }
        Self {
            admin: key(&api, workspace, Role::Admin, 1).await,
            reader: key(&api, workspace, Role::Reader, 2).await,
            stranger: key(&api, other, Role::Admin, 3).await,
            router: router(api.clone(), Router::new()),
            workspace,
            api,
            folder,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().call(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// Sends `body` as JSON; null for no body.
    async fn call_as(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        let bytes = if body.is_null() { String::new() } else { body.to_string() };
        self.send(request.header("content-type", "application/json").body(bytes.into()).unwrap()).await
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call_as(&self.admin, method, path, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }

    async fn upload(&self, path: &str, bytes: impl Into<Bytes>) -> Answer {
        let request =
            Request::builder().method("POST").uri(path).header("authorization", format!("Bearer {}", self.admin));
        self.send(request.body(bytes.into().into()).unwrap()).await
    }

    /// Makes a flow with a live version, which traps when it is called.
    async fn flow(&self, name: &str) -> Value {
        let flow = self.call("POST", "/v1/flows", json!({ "name": name })).await.expect(201);
        let version = self.upload(&format!("/v1/flows/{name}/versions?wait=60"), component("")).await.expect(201);
        let live = format!("/v1/flows/{name}/aliases/{LIVE}");
        self.call("PUT", &live, json!({ "version": version["digest"] })).await.expect(200);
        flow
    }

    /// Makes a hook that lets everybody in.
    async fn hook(&self, name: &str, flow: &str) -> Value {
        let body = json!({ "name": name, "flow": flow, "auth": [{ "scheme": "none" }] });
        self.call("POST", "/v1/hooks", body).await.expect(201)
    }

    /// Accepts an execution of a flow, by a hook if there is one. It stays in the queue until somebody runs the queue.
    async fn accept(&self, flow: &str, hook: Option<&Value>) -> ExecutionId {
        let flow = self.api.registry.flow(self.workspace, flow).await.unwrap();
        let hook = match hook {
            Some(hook) => self.api.hooks.find(hook["id"].as_str().unwrap().parse().unwrap()).await.unwrap(),
            None => None,
        };
        let request = trigger::Request { method: "POST".to_owned(), body: "hello".into(), ..Default::default() };
        let order = Order {
            target: self.api.registry.resolve(flow.id, &Arc::from(LIVE), None).await.unwrap(),
            hook,
            trigger: Trigger { message: Some("hi".to_owned()), request, ..Trigger::default() },
            claims: Vec::new(),
            replay_of: None,
            parent: None,
        };
        self.api.executions.accept(order).await.unwrap().id()
    }

    /// Runs what waits in the queue from now on.
    fn work(&self) {
        let (executions, stop) = (self.api.executions.clone(), self.api.stopping.clone());
        tokio::spawn(async move { executions.run(stop).await });
    }
}

async fn key(api: &Api, workspace: WorkspaceId, role: Role, n: u8) -> String {
    let (text, hash) = mint(&[n; 32]);
    let (name, role, created_at) = (format!("key {n}"), role.as_str().to_owned(), api.clock.now());
    let row = Key { id: KeyId::at(n.into()), workspace, name, role, created_at, expires_at: None, revoked_at: None };
    api.store.key_create(row, hash).await.unwrap();
    text.expose().to_owned()
}

/// A flow whose functions trap. `more` is added to its world and makes it another version.
fn component(more: &str) -> Vec<u8> {
    let mut resolve = Resolve::new();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    for package in ["io", "clocks", "random", "filesystem", "sockets", "cli", "http"] {
        resolve.push_dir(wit.join(format!("deps/wasi-{package}-0.2.12"))).unwrap();
    }
    for package in ["deps/wasi-logging-0.1.0-draft", "deps/wasi-config-0.2.0-rc.1", "flow-0.1.0"] {
        resolve.push_dir(wit.join(package)).unwrap();
    }
    let world = format!("package a:b; world w {{ include flowgate:flow/flow@0.1.0; {more} }}");
    let package = resolve.push_str("test.wit", &world).unwrap();
    let world = resolve.packages[package].worlds["w"];
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}
