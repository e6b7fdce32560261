//! The bare server with a sandbox: it verifies the proof, gives the body to a fresh instance of a flow out of a pool, and
//! answers what the flow replies. No store, no records, no limits.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{Router, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use clap::Parser;
use flowgate::bindings::About;
use flowgate::bindings::v0_1::{self, FlowPre};
use flowgate::trigger::{Reply, Trigger};
use flowgate_benches::sample::{SIGNATURE, is_genuine};
use tokio::net::TcpListener;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Bytes of each memory and table that stay with the process between two executions, as Flowgate has it.
const KEEP_RESIDENT: usize = 1 << 20;

/// A bare HTTP server that gives signed JSON to a flow.
#[derive(Parser)]
struct Arguments {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The key of the proof.
    #[arg(long)]
    key: String,
    /// The flow.
    #[arg(long)]
    component: PathBuf,
}

struct Bare {
    key: Vec<u8>,
    engine: Engine,
    flow: FlowPre<Guest>,
}

struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments { listen, key, component } = Arguments::parse();
    let bare = Bare::new(key, &component).map_err(|error| anyhow!("{}: {error:#}", component.display()))?;
    let listener = TcpListener::bind(&listen).await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    let router = Router::new().route("/", post(answer)).with_state(Arc::new(bare));
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn answer(
    State(bare): State<Arc<Bare>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<([(header::HeaderName, &'static str); 1], String), (StatusCode, String)> {
    let given = headers.get(SIGNATURE).map_or(&b""[..], |value| value.as_bytes());
    if !is_genuine(&bare.key, &body, given) {
        return Err((StatusCode::UNAUTHORIZED, "the proof is not genuine".to_owned()));
    }
    let reply = bare.reply(body).await.map_err(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")))?;
    let data = reply.data.as_ref().map_or("null", |data| data.as_str());
    let text = format!(r#"{{"status":"succeeded","reply":{{"data":{data}}}}}"#);
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}

impl Bare {
    fn new(key: String, component: &Path) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        let mut pool = PoolingAllocationConfig::new();
        pool.linear_memory_keep_resident(KEEP_RESIDENT).table_keep_resident(KEEP_RESIDENT).pagemap_scan(Enabled::Auto);
        config.concurrency_support(false).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        linker.define_unknown_imports_as_traps(&component)?;
        let flow = FlowPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { key: key.into_bytes(), engine, flow })
    }

    async fn reply(&self, body: Bytes) -> wasmtime::Result<Reply> {
        let guest = Guest { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, guest);
        let flow = self.flow.instantiate_async(&mut store).await?;
        let mut trigger = Trigger::default();
        trigger.request.body = body;
        let about = About { execution: "", flow: "mirror", version: "", attempt: 1, deadline_ms: 0 };
        let reply = v0_1::handle(&flow, &mut store, &trigger, about).await??;
        reply.map_err(|failure| wasmtime::Error::msg(format!("{failure:?}")))
    }
}
