//! The one outgoing HTTP client.
//!
//! It goes only where its [`Policy`] allows, judged at the address that is really dialled. It follows no redirect,
//! decompresses nothing, reads a bounded part of the answer, and is done by a deadline that includes the answer's body.
//! HTTP/1.1 and HTTP/2, by what the other side offers in TLS. What goes wrong is told with the step at which it did, how
//! long each step took, and whether the receiver, the proxy or this host is to blame.
//!
//! `oauth` gets access tokens by the same client.

mod address;
mod body;
mod connect;
mod connection;
mod dial;
mod error;
mod identity;
mod oauth;
mod options;
mod policy;
mod pool;
mod proxy;
mod resolve;
mod retry_after;
#[cfg(test)]
mod tests;
mod tls;
mod trace;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use hyper::body::Incoming;
use url::Url;

pub use body::{Body, Pieces};
use connect::Connector;
use connection::{Connection, Outgoing, Target, Unanswered};
pub use error::{Cause, Error, Kind, Phase};
pub use identity::{BadIdentity, CaFile, Identity};
pub use oauth::{ClientAuth, Credentials, Tokens};
pub use options::Options;
pub use policy::{Policy, Refusal};
use pool::Pool;
pub use proxy::{ProxyFault, ProxyUrl};
use resolve::Resolve;
pub use retry_after::retry_after;
pub use trace::Timings;
use trace::Trace;

/// A request to send.
pub struct Request {
    /// `POST`, …
    pub method: Method,
    /// Where to; must pass [`Policy::check_url`].
    pub url: Url,
    /// `host`, `content-length`, `expect` and the headers of the connection are ignored: the client sets what is needed.
    pub headers: HeaderMap,
    /// What to send.
    pub body: Body,
    /// The time for everything, the answer's body included.
    pub deadline: Duration,
    /// The client certificate for a receiver that asks for one (mTLS).
    pub identity: Option<Identity>,
}

/// Lets crates that bring an HTTP client of their own use the same cryptography. For commands; a server sends by [`Client`].
pub fn share_tls() {
    // Whoever was first, it is the same.
    let _ = tokio_rustls::rustls::crypto::CryptoProvider::install_default(tls::provider().as_ref().clone());
}

/// An answer, as far as it was read.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Any at all; a redirect is an answer like another.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// HTTP/1.1 or HTTP/2, by what the other side offers in TLS; HTTP/1.0 if it answers so.
    pub version: Version,
    /// The address that was dialled, behind a proxy the one that it was asked for; none if the proxy resolved the name.
    pub remote: Option<SocketAddr>,
    /// At most `answer_bytes_max` bytes, as received: not decompressed.
    pub body: Bytes,
    /// Whether the body was longer.
    pub truncated: bool,
    /// How long it took.
    pub timings: Timings,
}

/// An answer whose body is still coming.
pub struct Streaming {
    /// Any at all.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// As in [`Answer`].
    pub version: Version,
    /// As in [`Answer`].
    pub remote: Option<SocketAddr>,
    /// Unbounded but for the deadline.
    pub body: Pieces,
}

/// The client. Clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    connector: Connector,
    pool: Pool,
    policy: Arc<Policy>,
    connect_max: Duration,
    total_max: Duration,
    answer_bytes_max: usize,
    instead: Option<Instead>,
}

impl Client {
    /// A client under the policy that the options describe.
    pub fn new(options: &Options) -> Self {
        Self::under(Policy::new(options), options)
    }

    /// A client under another policy than the options describe.
    pub fn under(policy: Policy, options: &Options) -> Self {
        Self::resolving(policy, options, resolve::system())
    }

    /// A client that sends every request to one address, in clear and whatever its URL says, so that something there can
    /// stand in for everybody else. The URL goes along as [`Client::ASKED`].
    pub fn instead(address: SocketAddr, options: &Options) -> Self {
        let inner = Inner::new(Policy::anywhere(), options, resolve::system());
        Self(Arc::new(Inner { instead: Some(Instead(address)), ..inner }))
    }

    /// The header with the URL that was asked for.
    pub const ASKED: HeaderName = HeaderName::from_static("flowgate-asked-url");

    /// The policy, for checking a URL before it is saved.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Sends a request and reads the answer.
    ///
    /// The deadline is cut to `total_ms_max`. What exceeds `answer_bytes_max` is not read and its connection is closed.
    /// Cancel safe in that nothing leaks: dropping the future closes the connection, but the request may have been seen.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let deadline = request.deadline.min(self.0.total_max);
        let mut answer = self.send_streaming(Request { deadline, ..request }).await?;
        let (body, truncated) = read(&mut answer.body, self.0.answer_bytes_max).await?;
        let timings = answer.body.timings();
        let Streaming { status, headers, version, remote, .. } = answer;
        Ok(Answer { status, headers, version, remote, body, truncated, timings })
    }

    /// Sends a request and gives the answer's body as it comes. Neither `total_ms_max` nor `answer_bytes_max` applies.
    pub async fn send_streaming(&self, request: Request) -> Result<Streaming, Error> {
        let (trace, after) = (Trace::start(), request.deadline);
        let mut deadline = Box::pin(tokio::time::sleep(after));
        let answered = tokio::select! {
            answered = self.exchange(request, &trace) => answered,
            () = &mut deadline => Err(self.0.connector.late(trace.phase(), after)),
        };
        let (answer, connection) = answered.map_err(|cause| Error::new(cause, &trace))?;
        trace.answered();
        let remote = trace.remote();
        let (head, body) = answer.into_parts();
        let body = Pieces::new(body, (deadline, after), connection, self.0.pool.clone(), trace);
        Ok(Streaming { status: head.status, headers: head.headers, version: head.version, remote, body })
    }

    /// Sends a request on a connection that waits, or on a new one. A waiting one may turn out to be dead; then nothing was
    /// sent, and a new one gets the request.
    async fn exchange(
        &self,
        mut request: Request,
        trace: &Trace,
    ) -> Result<(http::Response<Incoming>, Connection), Cause> {
        self.0.policy.check_url(&request.url)?;
        if let Some(instead) = &self.0.instead {
            request = instead.of(request)?;
        }
        let target = Target::of(&request.url, request.identity.clone())?;
        let mut outgoing = prepare(request)?;
        if let Some(mut connection) = self.waiting(&target).await {
            trace.reuse(connection.remote);
            match connection.send(outgoing).await {
                Ok(answer) => return Ok((answer, connection)),
                Err(Unanswered { unsent: Some(unsent), .. }) => outgoing = *unsent,
                Err(Unanswered { cause, .. }) => return Err(cause),
            }
            trace.begin_again();
        }
        let mut connection = self.connect(&target, trace).await?;
        trace.enter(Phase::Answer);
        let answer = connection.send(outgoing).await.map_err(|unanswered| unanswered.cause)?;
        Ok((answer, connection))
    }

    /// A connection of the pool that lives. What has come in the meantime, such as its end, is looked at first: a request
    /// that meets it on its way is lost without anybody knowing whether it was seen.
    async fn waiting(&self, target: &Target) -> Option<Connection> {
        while let Some(connection) = self.0.pool.take(target) {
            tokio::task::yield_now().await;
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(&self, target: &Target, trace: &Trace) -> Result<Connection, Cause> {
        let after = self.0.connect_max;
        let connecting = tokio::time::timeout(after, self.0.connector.connect(target, trace));
        let connection = connecting.await.map_err(|_| self.0.connector.late(trace.phase(), after))??;
        if let Some(shared) = connection.share() {
            self.0.pool.put(shared);
        }
        Ok(connection)
    }

    fn resolving(policy: Policy, options: &Options, resolve: Resolve) -> Self {
        Self(Arc::new(Inner::new(policy, options, resolve)))
    }
}

impl Inner {
    fn new(policy: Policy, options: &Options, resolve: Resolve) -> Self {
        let policy = Arc::new(policy);
        Self {
            connector: Connector::new(policy.clone(), options, resolve),
            pool: Pool::new(options),
            policy,
            connect_max: Duration::from_millis(options.connect_ms_max),
            total_max: Duration::from_millis(options.total_ms_max),
            answer_bytes_max: options.answer_bytes_max,
            instead: None,
        }
    }
}

/// Where all requests go instead of where they want to.
struct Instead(SocketAddr);

impl Instead {
    fn of(&self, mut request: Request) -> Result<Request, Cause> {
        let wrong = |error: &dyn std::fmt::Display| Cause::Request(error.to_string());
        let asked = HeaderValue::from_str(request.url.as_str()).map_err(|error| wrong(&error))?;
        request.headers.insert(Client::ASKED, asked);
        request.url = Url::parse(&format!("http://{}/", self.0)).map_err(|error| wrong(&error))?;
        request.identity = None;
        Ok(request)
    }
}

/// An answer whose status line and headers are longer is refused.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What the client itself says, or what is about one connection and not about the request.
const OWN_HEADERS: [HeaderName; 9] =
    [HOST, CONTENT_LENGTH, CONNECTION, EXPECT, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

fn prepare(request: Request) -> Result<Outgoing, Cause> {
    let uri = request.url.as_str().parse::<Uri>().map_err(|error| Cause::Request(error.to_string()))?;
    let mut prepared = http::Request::new(request.body);
    *prepared.method_mut() = request.method;
    *prepared.headers_mut() = request.headers;
    for name in OWN_HEADERS {
        prepared.headers_mut().remove(name);
    }
    Outgoing::new(prepared, uri)
}

/// Reads up to `max` bytes, and whether there was more. Returning drops what is left, and its connection with it.
async fn read(body: &mut Pieces, max: usize) -> Result<(Bytes, bool), Error> {
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
