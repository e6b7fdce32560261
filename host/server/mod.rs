//! Listeners and connections: HTTP/1.1 and HTTP/2 in the clear, each connection within limits, and a stop that lets
//! everybody finish.
//!
//! TLS is the business of the proxy in front.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use crate::ingress::Peer;

mod patience;

/// How the server listens.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Connections at one time; more of them wait to be accepted.
    pub connections_max: usize,
    /// Threads that serve and run flows; 0 for one per core.
    pub workers: usize,
    /// Milliseconds in which the head of a request must have arrived; also how long an idle connection is kept.
    pub head_ms_max: u64,
    /// Bytes of the head of a request.
    pub head_bytes_max: usize,
    /// Requests of one HTTP/2 connection at one time.
    pub streams_max: u32,
    /// Milliseconds that a client may leave an answer unread before its connection is closed.
    pub unread_ms_max: u64,
    /// Milliseconds that a stop waits for requests and executions to end.
    pub drain_ms_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            connections_max: 10_000,
            workers: 0,
            head_ms_max: 15_000,
            head_bytes_max: 64 << 10,
            streams_max: 128,
            unread_ms_max: 30_000,
            drain_ms_max: 30_000,
        }
    }
}

/// Accepts and serves connections until `stop`, then lets those that are open finish what they have begun, at most for
/// `drain_ms_max`.
pub async fn run(listener: TcpListener, router: Router, options: Options, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(options.connections_max));
    let graceful = GracefulShutdown::new();
    let builder = builder(&options);
    while let Some(place) = stop.run_until_cancelled(places.clone().acquire_owned()).await {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others have to close first.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small and written at once; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let patient = patience::Patient::new(stream, Duration::from_millis(options.unread_ms_max));
        let (router, from) = (router.clone(), Peer(peer.ip().to_canonical()));
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(from);
            router.clone().call(request)
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(patient), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, error = &*error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    let patience = Duration::from_millis(options.drain_ms_max);
    if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections were still open at the end of the drain");
    }
}

fn builder(options: &Options) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(options.head_ms_max))
        .max_buf_size(options.head_bytes_max.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams_max)
        .max_header_list_size(u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_millis(options.head_ms_max))
        .keep_alive_timeout(Duration::from_millis(options.head_ms_max));
    builder
}
