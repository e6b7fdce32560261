//! Hooks in.
//!
//! A request passes in this order, and each step is cheaper than what it protects: the limit on failures of its address;
//! the hook and its list of addresses; the body, up to the hook's cap; proof over the raw bytes; whether the hook is enabled;
//! the answer to a handshake; whether the hook only looks; the hook's pace; the body's type and encoding; the dialect; the
//! hook's filter; the flow; the execution, unless the request came before. Whatever makes no execution is recorded with the
//! exact reason, while its sender learns only what it may: an unknown hook and a bad credential get the same answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::dialect::DIALECTS;
use crate::execution::Executions;
use crate::hook::{Hooks, Range};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::store::Store;

mod body;
mod capture;
mod claims;
mod decode;
#[cfg(test)]
mod fuzz;
mod pace;
mod peer;
mod prefer;
mod prove;
mod receive;
mod record;
mod refuse;
mod respond;
mod sift;

pub use peer::ForwardedBy;

/// How requests are taken in.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Milliseconds in which a body must have arrived.
    pub body_ms_max: u64,
    /// Requests of one address that may fail to prove themselves, per second; then its requests are turned away unread.
    pub failures_per_s_max: u32,
    /// Requests with the same verdict that are recorded for one hook, per second; more are only answered, and while a hook
    /// captures, refused.
    pub recorded_per_s_max: u32,
    /// The addresses of proxies that are believed when they say whom they speak for. None unless given.
    pub trusted_proxies: Vec<Range>,
    /// How they say it.
    pub forwarded_by: ForwardedBy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body_ms_max: 30_000,
            failures_per_s_max: 200,
            recorded_per_s_max: 20,
            trusted_proxies: Vec::new(),
            forwarded_by: ForwardedBy::default(),
        }
    }
}

/// The address of whoever holds the other end of the connection. The server adds it to every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// What the door is made of.
#[derive(Clone)]
pub struct Parts {
    /// Takes the records of requests that make no execution.
    pub store: Store,
    /// Tells the time.
    pub clock: Clock,
    /// Knows the hooks.
    pub hooks: Hooks,
    /// Resolves their flows.
    pub registry: Registry,
    /// Runs them.
    pub executions: Executions,
    /// Counts what came of their requests.
    pub metrics: Metrics,
}

/// A handle to the door. Clones share it.
#[derive(Clone)]
pub struct Ingress(Arc<Inner>);

struct Inner {
    parts: Parts,
    options: Options,
    failures: record::PerSecond<IpAddr>,
    recorded: record::PerSecond<record::Whose>,
    paces: pace::Paces,
}

impl Ingress {
    /// A door to the hooks in `parts`.
    pub fn new(parts: Parts, options: Options) -> Self {
        let (failures, recorded) = (per_second(), per_second());
        Self(Arc::new(Inner { parts, options, failures, recorded, paces: pace::Paces::new() }))
    }

    /// The paths of hooks: `POST /hooks/{hook}`, and `GET`, `HEAD` and `OPTIONS` of it for hooks whose senders ask so whether
    /// they may send; and those of the products.
    pub fn router(&self) -> Router {
        let hooks = post(receive::receive).get(receive::receive).options(receive::receive);
        let products = DIALECTS.iter().flat_map(|(_, dialect)| dialect.paths());
        let router = Router::new().route("/hooks/{hook}", hooks);
        let router = products.fold(router, |router, path| router.route(path, post(receive::receive)));
        router.with_state(self.clone())
    }
}

/// Counts events of the running second, for as many keys as an attacker could have and no more.
fn per_second<K: std::hash::Hash + Eq + Send + Sync + 'static>() -> record::PerSecond<K> {
    Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(1)).build()
}
