//! Components that serve `wasi:http/incoming-handler@0.2`: the trigger's request goes in, the response comes out.

use bytes::{Bytes, BytesMut};
use http::uri::Authority;
use http_body_util::{BodyExt as _, Full};
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::capability::Ctx;
use crate::trigger::{Failure, Header, HttpReply, Reply, Request, Trigger};

use super::run::End;
use super::{Stop, reply};

/// The authority of a request that came without a usable `Host` header.
const AUTHORITY: &str = "flow.invalid";

type Response = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// Runs the guest and collects its response meanwhile, since the guest waits while nobody takes the body.
pub(super) async fn call(
    store: &mut wasmtime::Store<Ctx>,
    proxy: &ProxyPre<Ctx>,
    trigger: &Trigger,
    reply_bytes_max: usize,
) -> Result<End, Stop> {
    let request = request(&trigger.request).map_err(Stop::Host)?;
    let (sender, receiver) = oneshot::channel();
    let guest = async {
        let proxy = proxy.instantiate_async(&mut *store).await?;
        let request = store.data_mut().http().new_incoming_request(Scheme::Https, request)?;
        let outparam = store.data_mut().http().new_response_outparam(sender)?;
        proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, outparam).await?;
        // A body that the guest did not finish ends here, and not at the deadline.
        store.data_mut().release();
        Ok(())
    };
    let ((), raw) = tokio::try_join!(guest, collect(receiver, reply_bytes_max))?;
    ended(raw, reply_bytes_max)
}

/// The end of an execution with a response; none when the guest gave an error code.
pub(super) fn ended(raw: Option<HttpReply>, reply_bytes_max: usize) -> Result<End, Stop> {
    let Some(raw) = raw else {
        let message = "the guest answered with an error instead of a response".to_owned();
        return Ok(End::Failure(Failure::Failed { message }));
    };
    let reply = Reply { raw: Some(raw), ..Reply::default() };
    reply::check(&reply, reply_bytes_max).map(|()| End::Reply(reply))
}

pub(super) fn request(request: &Request) -> Result<http::Request<Full<Bytes>>, String> {
    let path = if request.path.is_empty() { "/" } else { &request.path };
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let host = request.header("host").filter(|host| host.parse::<Authority>().is_ok());
    let authority = host.unwrap_or(AUTHORITY);
    let mut builder =
        http::Request::builder().method(request.method.as_str()).uri(format!("https://{authority}{path}{query}"));
    for field in &request.headers {
        builder = builder.header(&field.name, field.value.as_ref());
    }
    builder.body(Full::new(request.body.clone())).map_err(|error| format!("the request cannot be rebuilt: {error}"))
}

/// The whole response; none when the guest gave an error code.
async fn collect(receiver: oneshot::Receiver<Response>, bytes_max: usize) -> Result<Option<HttpReply>, Stop> {
    let Ok(response) = receiver.await else {
        return Err(Stop::Trap("the guest returned without a response".to_owned()));
    };
    let Ok(response) = response else { return Ok(None) };
    gather(response, bytes_max).await.map(Some)
}

/// The response with its whole body.
pub(super) async fn gather<B>(response: http::Response<B>, bytes_max: usize) -> Result<HttpReply, Stop>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let (parts, mut body) = response.into_parts();
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Stop::Trap("the guest did not finish its response".to_owned()))?;
        // Trailers have no place in a reply.
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() + data.len() > bytes_max {
            return Err(Stop::OverLimit(format!("the response's body may have {bytes_max} bytes")));
        }
        collected.extend_from_slice(&data);
    }
    let headers = parts.headers.iter().map(header).collect();
    Ok(HttpReply { status: parts.status.as_u16(), headers, body: collected.freeze() })
}

fn header((name, value): (&http::HeaderName, &http::HeaderValue)) -> Header {
    Header { name: name.as_str().to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) }
}
