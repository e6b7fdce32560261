//! One connection: what it is to, and a request on it.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use url::{Host, Url};

use super::connect::Stream;
use super::tls::Fault;
use super::{Body, Cause, HEAD_BYTES_MAX, Identity};
use crate::clock::Stopwatch;

/// Bytes of an answer that one HTTP/2 request may have on its way unread, and all of a connection together.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// How often an HTTP/2 connection with requests under way is asked whether it lives, and how long it may be silent then.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_WAIT: Duration = Duration::from_secs(10);

/// What a connection is to: requests for the same target may share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) https: bool,
    pub(super) host: Host<String>,
    pub(super) port: u16,
    pub(super) identity: Option<Identity>,
}

impl Target {
    /// The target of a URL that the policy has passed.
    pub(super) fn of(url: &Url, identity: Option<Identity>) -> Result<Self, Cause> {
        let missing = || Cause::Request("the URL has no host".to_owned());
        let host = url.host().ok_or_else(missing)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(missing)?;
        Ok(Self { https: url.scheme() == "https", host, port, identity })
    }

    /// `host:port`.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// A request in the form that either version takes.
pub(super) struct Outgoing {
    pub(super) request: http::Request<Body>,
    scheme: Scheme,
    authority: Authority,
    path: PathAndQuery,
    host: HeaderValue,
}

impl Outgoing {
    pub(super) fn new(request: http::Request<Body>, uri: Uri) -> Result<Self, Cause> {
        let incomplete = || Cause::Request("the URL is not complete".to_owned());
        let parts = uri.into_parts();
        let authority = parts.authority.ok_or_else(incomplete)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| Cause::Request(error.to_string()))?;
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { request, scheme: parts.scheme.ok_or_else(incomplete)?, authority, path, host })
    }

    /// HTTP/1.1 has the path in the first line and the host in a header.
    fn for_http1(&mut self) {
        *self.request.uri_mut() = Uri::from(self.path.clone());
        self.request.headers_mut().insert(HOST, self.host.clone());
    }

    /// HTTP/2 has all of it in pseudo-headers.
    fn for_http2(&mut self) -> Result<(), Cause> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        let uri = uri.path_and_query(self.path.clone()).build();
        *self.request.uri_mut() = uri.map_err(|error| Cause::Request(error.to_string()))?;
        self.request.headers_mut().remove(HOST);
        Ok(())
    }
}

/// An open connection. In HTTP/1.1 one request has it at a time; in HTTP/2 clones of it share it.
pub(super) struct Connection {
    pub(super) target: Target,
    pub(super) remote: Option<SocketAddr>,
    /// Since when it is open.
    pub(super) opened: Stopwatch,
    sender: Sender,
    fault: Fault,
}

enum Sender {
    One(http1::SendRequest<Body>),
    Shared(http2::SendRequest<Body>),
}

/// A request that got no answer.
pub(super) struct Unanswered {
    pub(super) cause: Cause,
    /// The request, if it is certain that nothing of it was sent.
    pub(super) unsent: Option<Box<Outgoing>>,
}

impl Connection {
    /// Begins to speak HTTP/1.1.
    pub(super) async fn http1(
        target: &Target,
        stream: impl Stream + 'static,
        fault: Fault,
        remote: Option<SocketAddr>,
    ) -> Result<Self, Cause> {
        let opened = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| told(&error, &fault))?;
        // Its error is told to the request on it too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self::new(target, Sender::One(sender), fault, remote))
    }

    /// Begins to speak HTTP/2.
    pub(super) async fn http2(
        target: &Target,
        stream: impl Stream + 'static,
        fault: Fault,
        remote: Option<SocketAddr>,
    ) -> Result<Self, Cause> {
        let opened = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WAIT)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, connection) = opened.map_err(|error| told(&error, &fault))?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self::new(target, Sender::Shared(sender), fault, remote))
    }

    fn new(target: &Target, sender: Sender, fault: Fault, remote: Option<SocketAddr>) -> Self {
        Self { target: target.clone(), remote, opened: Stopwatch::start(), sender, fault }
    }

    /// Another handle to it, if requests can share it.
    pub(super) fn share(&self) -> Option<Self> {
        let Sender::Shared(sender) = &self.sender else { return None };
        let sender = Sender::Shared(sender.clone());
        let (target, fault) = (self.target.clone(), self.fault.clone());
        Some(Self { target, remote: self.remote, opened: self.opened, sender, fault })
    }

    /// Whether it can take a request now, as far as this side knows.
    pub(super) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.is_ready(),
            Sender::Shared(sender) => sender.is_ready(),
        }
    }

    /// Waits until it can take a request; whether it ever can.
    pub(super) async fn ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::One(sender) => sender.ready().await.is_ok(),
            Sender::Shared(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request and waits for the head of its answer. Dropping the future closes the connection, or in HTTP/2 the
    /// stream.
    pub(super) async fn send(&mut self, mut outgoing: Outgoing) -> Result<Response<Incoming>, Unanswered> {
        let Outgoing { scheme, authority, path, host, .. } = &outgoing;
        let (scheme, authority, path, host) = (scheme.clone(), authority.clone(), path.clone(), host.clone());
        let answered = match &mut self.sender {
            Sender::One(sender) => {
                outgoing.for_http1();
                sender.try_send_request(outgoing.request).await
            }
            Sender::Shared(sender) => {
                outgoing.for_http2().map_err(|cause| Unanswered { cause, unsent: None })?;
                sender.try_send_request(outgoing.request).await
            }
        };
        answered.map_err(|mut error: TrySendError<http::Request<Body>>| {
            let again = |request| Box::new(Outgoing { request, scheme, authority, path, host });
            let unsent = error.take_message().map(again);
            Unanswered { cause: self.told(error.error()), unsent }
        })
    }

    /// What an error of a request on this connection means.
    pub(super) fn told(&self, error: &hyper::Error) -> Cause {
        told(error, &self.fault)
    }
}

/// TLS knows better than HTTP why a connection broke.
fn told(error: &hyper::Error, fault: &Fault) -> Cause {
    match (Cause::of_hyper(error), fault.get()) {
        (Cause::Closed(_) | Cause::Protocol(_), Some(fault)) => Cause::Tls(fault.clone()),
        (cause, _) => cause,
    }
}
