//! The standards that a guest's language brings in by itself: clocks, random numbers, stdio, and the rest of WASI 0.2 as an
//! empty world. There are no files, no sockets, no names to resolve, no environment and no arguments.

use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::outgoing::Outgoing;
use super::wasi_http::Hooks;
use super::{Ctx, Logs, Options};

pub(super) struct Wasi {
    /// Made when the guest first asks for it: its random numbers cost a system call, and many guests import the standards
    /// without calling them.
    ctx: Option<Box<WasiCtx>>,
    logs: Logs,
    random_bytes_max: u64,
    http: WasiHttpCtx,
    hooks: Hooks,
}

impl Wasi {
    pub(super) fn new(options: &Options, logs: &Logs, outgoing: Outgoing) -> Self {
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(options.header_bytes_max);
        let (logs, random_bytes_max) = (logs.clone(), options.random_bytes_max);
        Self { ctx: None, logs, random_bytes_max, http, hooks: Hooks::new(outgoing) }
    }

    /// Goes on with the streams that a guest already has.
    pub(super) fn inherit(&mut self, old: Self) {
        self.ctx = old.ctx;
    }
}

fn fresh(logs: &Logs, random_bytes_max: u64) -> Box<WasiCtx> {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(logs.stdout())
        .stderr(logs.stderr())
        .max_random_size(random_bytes_max)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    Box::new(wasi.build())
}

pub(super) fn add_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

/// WASI 0.3 beside it: clocks, random numbers, stdio and `wasi:http`, and the rest as empty as in 0.2.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Wasi { ctx, logs, random_bytes_max, .. } = &mut self.wasi;
        let ctx = ctx.get_or_insert_with(|| fresh(logs, *random_bytes_max));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for Ctx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.wasi.hooks, table: &mut self.table, ctx: &mut self.wasi.http }
    }
}
