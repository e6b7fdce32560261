//! Runs the components that reshape deliveries, each time within limits of their own.
//!
//! Whose delivery it is decides who pays: a transform runs in the turn of its target, so a slow one holds up nobody else. Its
//! fault ends the delivery; what is no fault of its own says so, and it runs again later.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::clock::{Clock, Timestamp};
use crate::engine::{self, Engine, Loaded, Stop, TransformEvent, TransformGiven};
use crate::id::{Digest, WorkspaceId};
use crate::registry::{self, Registry};
use crate::subscription::{Reshaped, Subscription, Transform};
use crate::trigger::LogLine;

/// Characters of a transform's own words that are kept.
const WORDS_MAX: usize = 1_000;

/// Limits of one run. The engine's hold as well.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Milliseconds that it may really run.
    pub cpu_ms_max: u64,
    /// Milliseconds from its start to its end.
    pub wall_ms_max: u64,
    /// Bytes of all memories and tables together.
    pub memory_bytes_max: usize,
    /// Bytes of what it makes, headers included.
    pub message_bytes_max: usize,
    /// Log lines that are kept of it.
    pub log_lines_max: usize,
    /// Runs at one time.
    pub at_once: usize,
}

impl Default for Options {
    /// A fifth of a second, a second in all, 64 MiB, 4 MiB of message, 100 lines, 64 at one time.
    fn default() -> Self {
        Self {
            cpu_ms_max: 200,
            wall_ms_max: 1_000,
            memory_bytes_max: 64 << 20,
            message_bytes_max: 4 << 20,
            log_lines_max: 100,
            at_once: 64,
        }
    }
}

/// What is about to be delivered.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The delivery's id.
    pub id: &'a str,
    /// What it tells, for example `execution.succeeded`.
    pub kind: &'a str,
    /// When the delivery was made.
    pub at: Timestamp,
    /// The body as it would be sent.
    pub payload: &'a [u8],
}

/// What is kept of a run, with the delivery. JSON: a member for each field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The transform's flow and alias.
    #[serde(flatten)]
    pub transform: Transform,
    /// The version that ran; none where there was none to run.
    pub version: Option<Digest>,
    /// When it began.
    pub at: Timestamp,
    /// Microseconds that it really ran.
    pub cpu_us: u64,
    /// What is said of the body that it made; none where it made none.
    pub message: Option<Reshaped>,
    /// Why it failed.
    pub error: Option<String>,
    /// What it logged.
    pub logs: Vec<LogLine>,
    /// Lines that it logged and that were not kept.
    pub logs_dropped: u64,
}

impl Record {
    /// What [`Record::to_json`] wrote.
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// As it is kept.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record has a JSON form")
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// This body is sent, as the record's `message` says.
    Body(Bytes),
    /// Nothing is sent.
    Nothing,
    /// Nothing can be sent until somebody mends the transform.
    Failed(String),
    /// Nobody is to blame but this host, and it may go well later.
    NotNow(String),
}

/// A handle to what runs transforms. Clones share it.
#[derive(Clone)]
pub struct Transforms(Arc<Inner>);

struct Inner {
    registry: Registry,
    engine: Engine,
    clock: Clock,
    options: Options,
    places: Semaphore,
}

impl Transforms {
    /// Runs the flows of `registry` on `engine`.
    pub fn new(registry: Registry, engine: Engine, clock: Clock, options: Options) -> Self {
        let places = Semaphore::new(options.at_once.max(1));
        Self(Arc::new(Inner { registry, engine, clock, options, places }))
    }

    /// Has an event of a subscription reshaped by its transform. Waits for a place. Cancel safe.
    pub async fn run(&self, subscription: &Subscription, transform: &Transform, event: Event<'_>) -> (Made, Record) {
        let inner = &*self.0;
        let _place = inner.places.acquire().await.expect("the semaphore is never closed");
        let at = inner.clock.now();
        let mut record = Record {
            transform: transform.clone(),
            version: None,
            at,
            cpu_us: 0,
            message: None,
            error: None,
            logs: Vec::new(),
            logs_dropped: 0,
        };
        let made = self.make(subscription, event, &mut record).await;
        if let Made::Failed(words) | Made::NotNow(words) = &made {
            record.error = Some(words.clone());
        }
        (made, record)
    }

    async fn make(&self, subscription: &Subscription, event: Event<'_>, record: &mut Record) -> Made {
        let Inner { clock, options, engine, .. } = &*self.0;
        let name = record.transform.to_string();
        let failed = |words: String| Made::Failed(format!("the transform `{name}` {words}"));
        let (target, loaded) = match self.find(subscription.workspace, &record.transform).await {
            Ok(found) => found,
            Err(error @ (registry::Error::Store(_) | registry::Error::Engine(engine::Error::Files { .. }))) => {
                return Made::NotNow(format!("the transform `{name}` cannot be loaded: {error}"));
            }
            Err(error) => return failed(format!("cannot run: {error}")),
        };
        record.version = Some(loaded.digest());
        let Ok(payload) = std::str::from_utf8(event.payload) else {
            return failed("takes JSON, and the payload is none".to_owned());
        };
        let id = subscription.id.to_string();
        let given = TransformGiven {
            event: TransformEvent {
                id: event.id,
                kind: event.kind,
                at_ms: event.at.unix_ms_unsigned(),
                subscription: &id,
                payload,
            },
            config: target.config.clone(),
            clock: clock.clone(),
            deadline: record.at.after(Duration::from_millis(options.wall_ms_max)),
            cpu_ms_max: options.cpu_ms_max,
            memory_bytes_max: options.memory_bytes_max,
            message_bytes_max: options.message_bytes_max,
        };
        let run = engine.transform(&loaded, given).await;
        record.cpu_us = run.usage.cpu_us;
        record.logs = run.logs;
        record.logs_dropped = run.logs_dropped + record.logs.len().saturating_sub(options.log_lines_max) as u64;
        record.logs.truncate(options.log_lines_max);
        let message = match run.end {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return Made::Nothing,
            Ok(Err(words)) => return failed(format!("failed: {}", words.chars().take(WORDS_MAX).collect::<String>())),
            Err(stop @ (Stop::Busy | Stop::OutOfStock | Stop::Host(_))) => {
                return Made::NotNow(format!("the transform `{name}` did not run: {stop}"));
            }
            Err(stop) => return failed(format!("was stopped: {stop}")),
        };
        match subscription.reshaped(message.content_type, message.headers) {
            Ok(reshaped) => {
                record.message = Some(reshaped);
                Made::Body(message.body)
            }
            Err(why) => failed(format!("gave a message that cannot be sent: {why}")),
        }
    }

    async fn find(
        &self,
        workspace: WorkspaceId,
        transform: &Transform,
    ) -> Result<(Arc<registry::Target>, Arc<Loaded>), registry::Error> {
        let registry = &self.0.registry;
        let flow = registry.flow(workspace, &transform.flow).await?;
        let target = registry.resolve(flow.id, &Arc::from(transform.alias.as_str()), None).await?;
        let loaded = registry.load(target.version).await?;
        Ok((target, loaded))
    }
}
