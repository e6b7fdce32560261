//! The client of `wasi:http`, 0.2 and 0.3, whose hooks are the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::CONTENT_LENGTH;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};
use url::Url;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use super::outgoing::{Answer, Outgoing, Patience, Refused, Wanted};
use crate::egress::{Body, Kind};

pub(super) struct Hooks {
    outgoing: Outgoing,
}

type Exchange = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<()>> + Send>)>;

impl Hooks {
    pub(super) fn new(outgoing: Outgoing) -> Self {
        Self { outgoing }
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Box<dyn Future<Output = Exchange> + Send> {
        let outgoing = self.outgoing.clone();
        Box::new(async move {
            let answer = send(&outgoing, request, options.unwrap_or_default()).await?;
            Ok((answer, Box::new(std::future::ready(Ok(()))) as Box<_>))
        })
    }
}

async fn send(
    outgoing: &Outgoing,
    request: http::Request<WasiBody>,
    options: RequestOptions,
) -> Result<http::Response<WasiBody>> {
    let (head, body) = request.into_parts();
    let url = Url::parse(&head.uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = length.or(body.size_hint().exact());
    let bytes_max = outgoing.request_bytes_max() as u64;
    if length.is_some_and(|length| length > bytes_max) {
        return Err(Error::HttpRequestBodySize(Some(bytes_max)));
    }
    let too_long = Arc::new(AtomicBool::new(false));
    let body = bounded(body, length, bytes_max, too_long.clone());
    // The two times of the guest's follow each other, and what begins the answer is its head.
    let answer = options.first_byte_timeout.map(|first| first + options.connect_timeout.unwrap_or_default());
    let patience = Patience { total: None, answer, piece: options.between_bytes_timeout };
    let wanted = Wanted { method: head.method, url, headers: head.headers, body, patience };
    let sent = outgoing.send(wanted).await;
    if too_long.load(Ordering::Relaxed) {
        return Err(Error::HttpRequestBodySize(Some(bytes_max)));
    }
    let Answer { status, headers, body } = sent.map_err(Error::from)?;
    let frames = body.map(|piece| piece.map(Frame::data).map_err(Error::from));
    let mut response = http::Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// A request's body, which breaks off when it gets too long. Trailers are not sent.
fn bounded(body: WasiBody, length: Option<u64>, bytes_max: u64, too_long: Arc<AtomicBool>) -> Body {
    if length == Some(0) {
        return Body::from(Bytes::new());
    }
    let mut bytes = 0;
    let pieces = body.into_data_stream().map(move |piece| {
        let piece = piece.map_err(std::io::Error::other)?;
        bytes += piece.len() as u64;
        if bytes > bytes_max {
            too_long.store(true, Ordering::Relaxed);
            return Err(std::io::Error::other(format!("it may have {bytes_max} bytes")));
        }
        Ok(piece)
    });
    Body::stream(pieces, length)
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotGranted(_) => Self::HttpRequestDenied,
            Refused::Invalid(told) => Self::InternalError(Some(told)),
            Refused::Timeout => Self::ConnectionTimeout,
            Refused::OverLimit(told) => Self::InternalError(Some(told)),
            Refused::Failed(kind, told) => match kind {
                Kind::Refused => Self::DestinationIpProhibited,
                Kind::Dns => Self::DestinationNotFound,
                Kind::Connect => Self::ConnectionRefused,
                Kind::Tls => Self::TlsProtocolError,
                Kind::Closed | Kind::Body => Self::ConnectionTerminated,
                Kind::Protocol => Self::HttpProtocolError,
                Kind::Timeout => Self::ConnectionTimeout,
                Kind::Proxy | Kind::Token | Kind::Request | Kind::Local => Self::InternalError(Some(told)),
            },
        }
    }
}
