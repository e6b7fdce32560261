//! The one outgoing HTTP client.
//!
//! It goes only where its [`Policy`] allows, judged at the address that is really dialled. It follows no redirect,
//! decompresses nothing, reads a bounded part of the answer, and is done by a deadline that includes the answer's body.
//! HTTP/1.1 and HTTP/2, by what the other side offers in TLS.

mod address;
mod body;
mod connect;
mod error;
mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

pub use body::{Body, Pieces};
use connect::{Connector, Resolve};
pub use error::{Error, Phase};
pub use policy::{Policy, Refusal};

use crate::clock::Stopwatch;

/// How requests go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Address ranges that may be called although they are not public, such as `10.0.0.0/8`. None unless given.
    pub allow: Vec<IpNet>,
    /// Names that may be called whatever their addresses: `receiver.internal`, or `*.internal` for all below. None unless
    /// given.
    pub allow_hosts: Vec<String>,
    /// The only ports that may be called; empty for any.
    pub ports: Vec<u16>,
    /// Milliseconds to resolve a name and connect.
    pub connect_ms_max: u64,
    /// Milliseconds for a whole request with its answer, whatever the caller asks for.
    pub total_ms_max: u64,
    /// Bytes of an answer's body that are read and kept.
    pub answer_bytes_max: usize,
    /// Idle connections kept for each host.
    pub idle_connections_max: usize,
    /// Milliseconds that an idle connection is kept.
    pub idle_ms_max: u64,
}

impl Default for Options {
    /// Public addresses only; 5 s to connect, 30 s in all, 64 KiB, 8 connections for 30 s.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_hosts: Vec::new(),
            ports: Vec::new(),
            connect_ms_max: 5_000,
            total_ms_max: 30_000,
            answer_bytes_max: 64 * 1024,
            idle_connections_max: 8,
            idle_ms_max: 30_000,
        }
    }
}

/// A request to send.
pub struct Request {
    /// `POST`, …
    pub method: Method,
    /// Where to; must pass [`Policy::check_url`].
    pub url: Url,
    /// `host`, `content-length` and the headers of the connection are ignored: the client sets them.
    pub headers: HeaderMap,
    /// What to send.
    pub body: Body,
    /// The time for everything, the answer's body included.
    pub deadline: Duration,
}

/// An answer, as far as it was read.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Any at all; a redirect is an answer like another.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// At most `answer_bytes_max` bytes, as received: not decompressed.
    pub body: Bytes,
    /// Whether the body was longer.
    pub truncated: bool,
    /// How long it took.
    pub timings: Timings,
}

/// How long a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Milliseconds until the status and the headers were there.
    pub first_byte_ms: u64,
    /// Milliseconds until the end.
    pub total_ms: u64,
}

/// An answer whose body is still coming.
pub struct Streaming {
    /// Any at all.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// Unbounded but for the deadline.
    pub body: Pieces,
}

/// The client. Clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<Connector>, Body>,
    policy: Arc<Policy>,
    total_max: Duration,
    answer_bytes_max: usize,
}

impl Client {
    /// A client under the policy that the options describe.
    pub fn new(options: &Options) -> Self {
        Self::under(Policy::new(options), options)
    }

    /// A client under another policy than the options describe.
    pub fn under(policy: Policy, options: &Options) -> Self {
        Self::resolving(policy, options, connect::system())
    }

    /// The policy, for checking a URL before it is saved.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sends a request and reads the answer.
    ///
    /// The deadline is cut to `total_ms_max`. What exceeds `answer_bytes_max` is not read and its connection is closed.
    /// Cancel safe in that nothing leaks: dropping the future closes the connection, but the request may have been seen.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let watch = Stopwatch::start();
        let deadline = request.deadline.min(self.total_max);
        let Streaming { status, headers, body } = self.send_streaming(Request { deadline, ..request }).await?;
        let first_byte_ms = ms(watch.elapsed());
        let (body, truncated) = read(body, self.answer_bytes_max).await?;
        Ok(Answer {
            status,
            headers,
            body,
            truncated,
            timings: Timings { first_byte_ms, total_ms: ms(watch.elapsed()) },
        })
    }

    /// Sends a request and gives the answer's body as it comes. Neither `total_ms_max` nor `answer_bytes_max` applies.
    pub async fn send_streaming(&self, request: Request) -> Result<Streaming, Error> {
        self.policy.check_url(&request.url)?;
        let after = request.deadline;
        let mut deadline = Box::pin(tokio::time::sleep(after));
        let answer = self.inner.request(prepare(request)?);
        let answer = tokio::select! {
            answer = answer => answer.map_err(|error| Error::of_client(&error))?,
            () = &mut deadline => return Err(Error::Timeout { phase: Phase::Answer, after }),
        };
        let (head, body) = answer.into_parts();
        Ok(Streaming { status: head.status, headers: head.headers, body: Pieces::new(body, deadline, after) })
    }

    fn resolving(policy: Policy, options: &Options, resolve: Resolve) -> Self {
        let policy = Arc::new(policy);
        let dial = Connector::new(policy.clone(), resolve, Duration::from_millis(options.connect_ms_max));
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_all_versions();
        let inner = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(options.idle_ms_max))
            .pool_max_idle_per_host(options.idle_connections_max)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(https.wrap_connector(dial));
        let total_max = Duration::from_millis(options.total_ms_max);
        Self { inner, policy, total_max, answer_bytes_max: options.answer_bytes_max }
    }
}

/// An answer whose status line and headers are longer is refused.
const HEAD_BYTES_MAX: usize = 64 * 1024;

fn prepare(request: Request) -> Result<http::Request<Body>, Error> {
    let uri = request.url.as_str().parse::<Uri>().map_err(|error| Error::Request(error.to_string()))?;
    let mut prepared = http::Request::new(request.body);
    *prepared.method_mut() = request.method;
    *prepared.uri_mut() = uri;
    *prepared.headers_mut() = request.headers;
    for name in [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING, TE, TRAILER, UPGRADE] {
        prepared.headers_mut().remove(name);
    }
    Ok(prepared)
}

/// Reads up to `max` bytes, and whether there was more. Returning drops what is left, and its connection with it.
async fn read(mut body: Pieces, max: usize) -> Result<(Bytes, bool), Error> {
    let mut kept = BytesMut::new();
    while let Some(piece) = body.next().await.transpose()? {
        let room = max - kept.len();
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((kept.freeze(), true));
        }
    }
    Ok((kept.freeze(), false))
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
