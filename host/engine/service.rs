//! Components that serve `wasi:http/handler@0.3`: the trigger's request goes in, the response comes out.

use wasmtime::AsContextMut as _;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::capability::Ctx;
use crate::trigger::Trigger;

use super::Stop;
use super::http::{ended, gather, request};
use super::run::End;

/// Runs the guest within the event loop of its store, and collects its response there.
pub(super) async fn call(
    store: &mut wasmtime::Store<Ctx>,
    service: &ServicePre<Ctx>,
    trigger: &Trigger,
    reply_bytes_max: usize,
) -> Result<End, Stop> {
    let request = request(&trigger.request).map_err(Stop::Host)?;
    let service = service.instantiate_async(&mut *store).await?;
    // How the guest got on with the request's body is its own affair.
    let (request, _processed) = Request::from_http(store.data_mut().http().hooks, request);
    let run = store.run_concurrent(async |store| {
        let Ok(response) = service.handle(store, request).await? else { return ended(None, reply_bytes_max) };
        let response = store.with(|mut store| response.into_http(store.as_context_mut(), async { Ok(()) }))?;
        ended(Some(gather(response, reply_bytes_max).await?), reply_bytes_max)
    });
    run.await?
}
