//! What is measured: a server, what is sent to it, and how.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;

use crate::arrivals::Callbacks;
use crate::errand::Errand;
use crate::house::{Api, Furniture, House};
use crate::process::Server;
use crate::{many, sample, wire};

/// The secret of all proofs.
pub const SECRET: &str = "a secret for measurements, 32 bytes and more";

const KEY: &[u8] = SECRET.as_bytes();

/// Lets a server call back to this machine.
const CALLABLE: (&str, &str) = ("FLOWGATE_EGRESS_ALLOW", "127.0.0.0/8");

/// The programs and components that are measured.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The release build of Flowgate.
    pub flowgate: PathBuf,
    /// The bare server and the one with a sandbox lie here.
    pub beside: PathBuf,
    /// `wasmtime` of the release that Flowgate has in it.
    pub wasmtime: PathBuf,
    /// The folder of the built guests.
    pub guests: PathBuf,
    /// Where the servers' data goes.
    pub data: PathBuf,
}

/// One line of the report.
#[derive(Debug, Clone)]
pub struct Case {
    /// As in the JSON.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// The table that it stands in.
    pub topic: Topic,
    /// Connections that send.
    pub connections: u32,
    /// What they send to.
    pub subject: Subject,
}

/// A table of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// What there is to compare with.
    Ceilings,
    /// Proofs and dialects.
    Dialects,
    /// Guests in other languages than Rust.
    Languages,
    /// What goes on after an answer.
    Durable,
    /// Many flows.
    Flows,
}

/// A server.
#[derive(Debug, Clone)]
pub enum Subject {
    /// axum and an HMAC.
    Bare,
    /// The same, and a fresh instance.
    BareWasm,
    /// `wasmtime serve` with these arguments.
    WasmtimeServe(&'static [&'static str]),
    /// Flowgate.
    Flowgate(Flow),
}

/// Flows of one kind, their hooks and the requests to them.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The component, in the folder of the guests or from the repository's top.
    pub component: &'static str,
    /// Executions that an instance may run.
    pub reuse_max: u32,
    /// Whether the request carries a proof.
    pub proof: bool,
    /// Of the hook.
    pub dialect: &'static str,
    /// Of the request, as the dialect has it.
    pub body: fn() -> Vec<u8>,
    /// Beside what the proof needs.
    pub headers: &'static [(&'static str, &'static str)],
    /// What is waited for.
    pub until: Until,
    /// Flows that there are, each with a hook.
    pub registered: usize,
}

/// What ends an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The answer.
    Answer,
    /// The first of a stream.
    First,
    /// The callback.
    Callback,
}

impl Default for Flow {
    /// A fresh instance that answers what it got, by the native dialect, with a proof.
    fn default() -> Self {
        Self {
            component: "mirror.wasm",
            reuse_max: 1,
            proof: true,
            dialect: "native",
            body: sample::body,
            headers: &[],
            until: Until::Answer,
            registered: 1,
        }
    }
}

/// A case over its repeats. A server of Flowgate begins each of them over the same data.
#[derive(Debug)]
pub struct Stage {
    /// What is measured.
    pub case: Case,
    furnished: Option<Furnished>,
}

/// Data with flows in it.
#[derive(Debug)]
struct Furnished {
    data: TempDir,
    key: String,
    hooks: Vec<String>,
    callbacks: Option<Callbacks>,
}

/// A case that runs.
#[derive(Debug)]
pub struct Running {
    /// The program.
    pub server: Server,
    /// What to send.
    pub errand: Errand,
    /// The management API, where there is one.
    pub api: Option<Api>,
}

impl Stage {
    /// A case that has not run yet.
    pub fn of(case: Case) -> Self {
        Self { case, furnished: None }
    }

    /// Starts the server on a core.
    pub async fn start(&mut self, programs: &Programs, core: Option<usize>) -> Result<Running> {
        let alone = |server| Running { server, errand: Errand::Request(sample::request("/", KEY, &[])), api: None };
        match &self.case.subject {
            Subject::Bare => Server::start(&programs.beside.join("bare"), &["--key", SECRET], core).await.map(alone),
            Subject::BareWasm => {
                let component = programs.guests.join("mirror.wasm");
                let arguments = ["--key", SECRET, "--component", path(&component)?];
                Server::start(&programs.beside.join("bare_wasm"), &arguments, core).await.map(alone)
            }
            Subject::WasmtimeServe(more) => {
                let address = free_address()?;
                let (listen, component) = (address.to_string(), programs.guests.join("http_echo.wasm"));
                let mut arguments = vec!["serve", "--addr", &listen, "-S", "cli"];
                arguments.extend_from_slice(more);
                arguments.push(path(&component)?);
                Server::start_at(&programs.wasmtime, &arguments, core, address).await.map(alone)
            }
            Subject::Flowgate(flow) => {
                let furnished = match &mut self.furnished {
                    Some(furnished) => furnished,
                    none => none.insert(flow.furnish(programs).await?),
                };
                flow.start(programs, core, furnished).await
            }
        }
    }
}

impl Flow {
    /// Makes the flows, on all cores: this is not measured.
    async fn furnish(&self, programs: &Programs) -> Result<Furnished> {
        let data = tempfile::tempdir_in(&programs.data)?;
        let house = House::start_with(&programs.flowgate, data.path(), None, None, &[CALLABLE]).await?;
        let callbacks = match self.until {
            Until::Callback => Some(Callbacks::start().await?),
            Until::Answer | Until::First => None,
        };
        let furniture = Furniture {
            component: self.component(programs),
            reuse_max: self.reuse_max,
            dialect: self.dialect,
            auth: if self.proof { sample::auth() } else { json!([{ "scheme": "none" }]) },
            secret: self.proof.then_some(SECRET),
            callback: callbacks.as_ref().map(|callbacks| callbacks.address),
        };
        let hooks = many::register(&house.api, &furniture, self.registered).await?;
        let key = house.server.key.clone().context("the server said no key")?;
        house.server.stop().await?;
        Ok(Furnished { data, key, hooks, callbacks })
    }

    async fn start(&self, programs: &Programs, core: Option<usize>, over: &Furnished) -> Result<Running> {
        let (folder, key) = (over.data.path(), Some(over.key.as_str()));
        let House { server, api } = House::start_with(&programs.flowgate, folder, core, key, &[CALLABLE]).await?;
        let requests: Vec<Bytes> = over.hooks.iter().map(|hook| self.request(hook)).collect();
        let errand = match (&requests[..], &over.callbacks) {
            ([request], Some(callbacks)) => Errand::Callback(request.clone(), callbacks.clone()),
            ([request], None) if self.until == Until::First => Errand::Stream(request.clone()),
            ([request], None) => Errand::Request(request.clone()),
            _ => Errand::Mix(requests.into(), many::zipf(over.hooks.len()).into()),
        };
        Ok(Running { server, errand, api: Some(api) })
    }

    fn request(&self, hook: &str) -> Bytes {
        let body = (self.body)();
        if self.proof {
            return sample::signed(hook, KEY, self.headers, &body);
        }
        let mut headers = vec![("content-type", "application/json")];
        headers.extend_from_slice(self.headers);
        wire::request("POST", hook, &headers, &body)
    }

    fn component(&self, programs: &Programs) -> PathBuf {
        match self.component.contains('/') {
            true => PathBuf::from(self.component),
            false => programs.guests.join(self.component),
        }
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

/// An address that nobody listens at now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
