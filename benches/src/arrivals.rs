//! Receivers of deliveries: one that notes when what came, one that tells those who wait, and one that fails.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// Arrivals that may wait to be looked at.
const WAITING_MAX: usize = 1 << 16;

/// A healthy receiver.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    arrivals: mpsc::Receiver<(String, Instant)>,
    first: HashMap<String, Instant>,
    count: usize,
}

impl Receiver {
    /// Starts it.
    pub async fn start() -> io::Result<Self> {
        let (arrived, arrivals) = mpsc::channel(WAITING_MAX);
        let receive = move |Json(body): Json<Value>| async move {
            let at = Instant::now();
            let Some(id) = body["data"]["execution_id"].as_str() else { return StatusCode::BAD_REQUEST };
            match arrived.try_send((id.to_owned(), at)) {
                Ok(()) => StatusCode::NO_CONTENT,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            }
        };
        let address = serve(Router::new().fallback(receive)).await?;
        Ok(Self { address, arrivals, first: HashMap::new(), count: 0 })
    }

    /// How many deliveries came.
    pub fn count(&mut self) -> usize {
        while let Ok((id, at)) = self.arrivals.try_recv() {
            self.first.entry(id).or_insert(at);
            self.count += 1;
        }
        self.count
    }

    /// When an execution's event came first; none when it has not come yet.
    pub fn came(&mut self, execution: &str) -> Option<Instant> {
        self.count();
        self.first.get(execution).copied()
    }
}

/// How long somebody waits for a callback.
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver of callbacks. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Callbacks {
    /// Where it listens.
    pub address: SocketAddr,
    calls: Arc<Mutex<HashMap<String, Call>>>,
}

/// The callback of an execution. It may come before it is known that there will be one.
#[derive(Debug)]
enum Call {
    Came(Instant),
    Awaited(oneshot::Sender<Instant>),
}

impl Callbacks {
    /// Starts it.
    pub async fn start() -> io::Result<Self> {
        let calls = Arc::<Mutex<HashMap<String, Call>>>::default();
        let come = calls.clone();
        let receive = move |Json(body): Json<Value>| async move {
            let at = Instant::now();
            let Some(id) = body["data"]["execution_id"].as_str() else { return StatusCode::BAD_REQUEST };
            let mut calls = come.lock().unwrap_or_else(PoisonError::into_inner);
            match calls.remove(id) {
                Some(Call::Awaited(waiting)) => drop(waiting.send(at)),
                Some(Call::Came(_)) | None => drop(calls.insert(id.to_owned(), Call::Came(at))),
            }
            StatusCode::NO_CONTENT
        };
        let address = serve(Router::new().fallback(receive)).await?;
        Ok(Self { address, calls })
    }

    /// When the callback of an execution came; waits for it. An error when none comes.
    pub async fn came(&self, execution: &str) -> io::Result<Instant> {
        let awaited = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Call::Came(at)) = calls.remove(execution) {
                return Ok(at);
            }
            let (waiting, awaited) = oneshot::channel();
            calls.insert(execution.to_owned(), Call::Awaited(waiting));
            awaited
        };
        let missing = || io::Error::new(io::ErrorKind::TimedOut, format!("no callback comes for {execution}"));
        timeout(PATIENCE, awaited).await.ok().and_then(Result::ok).ok_or_else(missing)
    }
}

/// Starts a receiver that answers everything by 500, and returns where it listens.
pub async fn failing() -> io::Result<SocketAddr> {
    serve(Router::new().fallback(async || StatusCode::INTERNAL_SERVER_ERROR)).await
}

async fn serve(router: Router) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}
