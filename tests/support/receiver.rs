//! A receiver of callbacks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::PATIENCE;

/// Keeps what it gets, and answers what it is told to.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    got: Mutex<Vec<Got>>,
    answers: Mutex<VecDeque<Planned>>,
    usual: Option<Planned>,
    came: Notify,
}

/// One delivery attempt.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A planned answer; 204 when there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) status: u16,
    pub(crate) header: Option<(&'static str, &'static str)>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::with(Inner::default()).await
    }

    /// One that gives this answer whenever nothing else is planned.
    pub(crate) async fn answering(usual: Planned) -> Self {
        Self::with(Inner { usual: Some(usual), ..Inner::default() }).await
    }

    async fn with(inner: Inner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/callback", listener.local_addr().unwrap());
        let state = Arc::new(inner);
        let router = Router::new().fallback(receive).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// The next requests get these answers, in order.
    pub(crate) fn plan(&self, answers: impl IntoIterator<Item = Planned>) {
        self.state.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.state.got.lock().unwrap().clone()
    }

    /// Waits until there were `n` requests, and returns all.
    pub(crate) async fn wait_for(&self, n: usize) -> Vec<Got> {
        let enough = async {
            loop {
                let mut came = std::pin::pin!(self.state.came.notified());
                came.as_mut().enable();
                if self.state.got.lock().unwrap().len() >= n {
                    return;
                }
                came.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, enough).await;
        assert!(waited.is_ok(), "{} of {n} callbacks came", self.got().len());
        self.got()
    }
}

async fn receive(State(state): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    state.got.lock().unwrap().push(Got { headers, body });
    state.came.notify_waiters();
    let planned = state.answers.lock().unwrap().pop_front().or(state.usual);
    let Some(planned) = planned else { return StatusCode::NO_CONTENT.into_response() };
    let mut response = StatusCode::from_u16(planned.status).unwrap().into_response();
    if let Some((name, value)) = planned.header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
