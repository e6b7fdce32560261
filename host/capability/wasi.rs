//! The standards that a guest's language brings in by itself: clocks, random numbers, stdio, and the rest of WASI 0.2 as an
//! empty world. There are no files, no sockets, no names to resolve, no environment and no arguments.

use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, Result, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::{Ctx, Logs, Options};

pub(super) struct Wasi {
    ctx: WasiCtx,
    http: WasiHttpCtx,
    hooks: Denied,
}

impl Wasi {
    pub(super) fn new(options: &Options, logs: &Logs) -> Self {
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(options.header_bytes_max);
        let mut wasi = WasiCtx::builder();
        wasi.stdout(logs.stdout())
            .stderr(logs.stderr())
            .max_random_size(options.random_bytes_max)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        Self { ctx: wasi.build(), http, hooks: Denied }
    }
}

impl Wasi {
    /// Goes on with the streams that a guest already has.
    pub(super) fn inherit(&mut self, old: Self) {
        self.ctx = old.ctx;
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.ctx, table: &mut self.table }
    }
}

impl WasiHttpView for Ctx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.wasi.hooks, table: &mut self.table, ctx: &mut self.wasi.http }
    }
}

/// The `wasi:http` client of a flow that was not granted any: each request is answered with `HTTP-request-denied`.
struct Denied;

type Exchange = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<()>> + Send>)>;

impl WasiHttpHooks for Denied {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Box<dyn Future<Output = Exchange> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}
