//! What is measured: a server, what is sent to it, and how.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;

use crate::house::{Furniture, House};
use crate::process::Server;
use crate::{sample, wire};

/// The secret of all proofs.
pub const SECRET: &str = "a secret for measurements, 32 bytes and more";

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
    /// Connections that send.
    pub connections: u32,
    /// What they send to.
    pub subject: Subject,
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

/// A flow, its hook and the request to it.
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
        }
    }
}

/// A case that runs.
pub struct Running {
    /// The program.
    pub server: Server,
    /// What to send.
    pub request: Bytes,
    /// The management API, where there is one.
    pub house: Option<HouseOf>,
}

/// Flowgate and its data.
pub struct HouseOf {
    /// By which its queue can be asked.
    pub api: crate::house::Api,
    _data: TempDir,
}

impl Case {
    /// Starts the server on a core.
    pub async fn start(&self, programs: &Programs, core: Option<usize>) -> Result<Running> {
        match &self.subject {
            Subject::Bare => {
                let server = Server::start(&programs.beside.join("bare"), &["--key", SECRET], core).await?;
                Ok(Running { server, request: sample::request("/", SECRET.as_bytes(), &[]), house: None })
            }
            Subject::BareWasm => {
                let component = path(&programs.guests.join("mirror.wasm"))?.to_owned();
                let arguments = ["--key", SECRET, "--component", &component];
                let server = Server::start(&programs.beside.join("bare_wasm"), &arguments, core).await?;
                Ok(Running { server, request: sample::request("/", SECRET.as_bytes(), &[]), house: None })
            }
            Subject::WasmtimeServe(more) => {
                let address = free_address()?;
                let (listen, component) = (address.to_string(), programs.guests.join("http_echo.wasm"));
                let mut arguments = vec!["serve", "--addr", &listen, "-S", "cli"];
                arguments.extend_from_slice(more);
                arguments.push(path(&component)?);
                let server = Server::start_at(&programs.wasmtime, &arguments, core, address).await?;
                Ok(Running { server, request: sample::request("/", SECRET.as_bytes(), &[]), house: None })
            }
            Subject::Flowgate(flow) => flow.start(programs, core).await,
        }
    }
}

impl Flow {
    async fn start(&self, programs: &Programs, core: Option<usize>) -> Result<Running> {
        let data = tempfile::tempdir_in(&programs.data)?;
        let house = House::start(&programs.flowgate, data.path(), core, None).await?;
        let furniture = Furniture {
            component: self.component(programs),
            reuse_max: self.reuse_max,
            dialect: self.dialect,
            auth: if self.proof { sample::auth() } else { json!([{ "scheme": "none" }]) },
            secret: self.proof.then_some(SECRET),
        };
        let hook = house.furnish(&furniture).await?;
        let body = (self.body)();
        let request = match self.proof {
            true => sample::signed(&hook, SECRET.as_bytes(), self.headers, &body),
            false => {
                let mut headers = vec![("content-type", "application/json")];
                headers.extend_from_slice(self.headers);
                wire::request("POST", &hook, &headers, &body)
            }
        };
        let House { server, api } = house;
        Ok(Running { server, request, house: Some(HouseOf { api, _data: data }) })
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
