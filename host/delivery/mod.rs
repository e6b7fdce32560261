//! Outgoing webhooks: sign, send, retry, give up.
//!
//! A delivery is written by the transaction that makes it true, and sent by a job. Its bytes are fixed once; every
//! attempt sends the same body under the same `webhook-id`, signed anew by Standard Webhooks v1 with all live secrets of
//! the hook. A receiver sees each message at least once; after a crash between its answer and our record, twice.
//!
//! Several deliveries of one execution, as a chatty dialect has them, are sent one after the other: each waits until the
//! ones before it have ended.
//!
//! What the answer means: 2xx is success; 410 ends the delivery; anything else, redirects included, is a failure that is
//! tried again by schedule.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use url::Url;
use zeroize::Zeroizing;

use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::egress::{self, Client};
use crate::hook::{Hook, Hooks, Use};
use crate::id::{self, AttemptId, DeliveryId, ExecutionId, WorkspaceId};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::signature::standard;
use crate::store::{self, Attempt, Delivery, DeliveryStatus, Job, Page, Step, Store};

mod schedule;

/// The kind of the job that sends a delivery.
pub const SEND: &str = "send";

/// How deliveries are sent.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Attempts under way at one time.
    pub at_once: usize,
    /// Milliseconds that an attempt may take, the receiver's answer included.
    pub attempt_ms_max: u64,
    /// Seconds to wait before the second, third, … attempt; after the last of them the delivery has failed.
    pub schedule_s: Vec<u64>,
    /// Seconds that a receiver may ask to wait at most, by `Retry-After`.
    pub retry_after_s_max: u64,
    /// Bytes of a receiver's answer that are kept.
    pub answer_bytes_max: usize,
}

impl Default for Options {
    /// Standard Webhooks' advice: at once, then over about a day and a half.
    fn default() -> Self {
        Self {
            at_once: 128,
            attempt_ms_max: 15_000,
            schedule_s: vec![5, 300, 1_800, 7_200, 18_000, 36_000, 36_000],
            retry_after_s_max: 24 * 3_600,
            answer_bytes_max: 16 << 10,
        }
    }
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such delivery.
    #[error("there is no delivery {0}")]
    Unknown(DeliveryId),
    /// The store fails.
    #[error("the store fails")]
    Store(#[from] store::Error),
}

/// A handle to the deliveries. Clones share it.
#[derive(Clone)]
pub struct Deliveries(Arc<Inner>);

/// What the deliveries are made of.
#[derive(Clone)]
pub struct Parts {
    /// Where they are recorded.
    pub store: Store,
    /// Tells the time.
    pub clock: Clock,
    /// Holds those that wait.
    pub queue: Queue,
    /// Knows the secrets that sign them.
    pub hooks: Hooks,
    /// Sends them.
    pub client: Client,
    /// Counts how they end.
    pub metrics: Metrics,
}

struct Inner {
    parts: Parts,
    options: Options,
}

impl Deliveries {
    /// The deliveries in `parts`.
    pub fn new(parts: Parts, options: Options) -> Self {
        Self(Arc::new(Inner { parts, options }))
    }

    /// Sends what is due, until `stop`; returns when the last attempt has ended.
    pub async fn run(&self, stop: CancellationToken) {
        let this = self.clone();
        let work = move |job: Job| {
            let this = this.clone();
            async move { this.work(job).await }
        };
        self.0.parts.queue.run(SEND, self.0.options.at_once, stop, work).await;
    }

    /// Says why a receiver could never be reached, as far as that can be told without trying.
    pub fn check(&self, receiver: &Url) -> Result<(), egress::Refusal> {
        self.0.parts.client.policy().check_url(receiver)
    }

    /// One delivery with its attempts, first to last.
    pub async fn find(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<(Delivery, Vec<Attempt>), Error> {
        let delivery = self.0.parts.store.delivery_find(workspace, id).await?.ok_or(Error::Unknown(id))?;
        Ok((delivery, self.0.parts.store.attempts(id).await?))
    }

    /// A part of a workspace's deliveries, newest first; of one execution or of all.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        execution: Option<ExecutionId>,
        page: Page<id::Delivery>,
    ) -> Result<Vec<Delivery>, Error> {
        Ok(self.0.parts.store.deliveries(workspace, execution, page).await?)
    }

    /// Sends a delivery again now, whether it waits, has succeeded or has failed.
    pub async fn redeliver(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<(), Error> {
        let now = self.0.parts.clock.now();
        if !self.0.parts.store.delivery_again(workspace, id, now, SEND).await? {
            return Err(Error::Unknown(id));
        }
        self.0.parts.queue.wake(SEND);
        Ok(())
    }

    async fn work(&self, job: Job) -> Result<(), store::Error> {
        let id = <[u8; 16]>::try_from(&job.subject[..]).map_err(|_| store::Error::Corrupt("job"))?;
        let id = DeliveryId::from_bytes(id);
        let Some(delivery) = self.0.parts.store.delivery_begin(job.lease, id, self.0.parts.clock.now()).await? else {
            return Ok(());
        };
        let hook = match self.0.parts.hooks.find(delivery.hook).await {
            Ok(hook) => hook,
            Err(crate::hook::Error::Store(error)) => return Err(error),
            Err(_) => None,
        };
        let (attempt, step) = match &hook {
            Some(hook) => self.attempt(&delivery, hook).await,
            None => {
                let gone = Failed { status: None, error: "the hook is gone".to_owned(), retry_after: None };
                (self.record(&delivery, self.0.parts.clock.now(), 0, Err(gone)), Step::End(DeliveryStatus::Abandoned))
            }
        };
        let led_to = match step {
            Step::End(status) => status.as_str(),
            Step::Again(_) => DeliveryStatus::Pending.as_str(),
        };
        self.0.parts.metrics.delivery(led_to);
        let forget = hook.is_none_or(|hook| hook.spec.disable_sensitive_logging);
        if self.0.parts.store.delivery_step(job.lease, job.workspace, id, attempt, step, forget).await? {
            self.0.parts.queue.wake(SEND);
        }
        Ok(())
    }

    async fn attempt(&self, delivery: &Delivery, hook: &Hook) -> (Attempt, Step) {
        let (at, watch) = (self.0.parts.clock.now(), Stopwatch::start());
        let sent = self.send(delivery, hook, at).await;
        let duration_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let step = self.step(delivery, hook, &sent);
        let mut record = self.record(delivery, at, duration_ms, sent);
        if hook.spec.disable_sensitive_logging {
            // A receiver may answer with what it got.
            record.answer = Bytes::new();
            let refused = record.status.filter(|_| record.error.is_some());
            record.error = refused.map(|status| format!("the receiver answered {status}")).or(record.error);
        }
        (record, step)
    }

    async fn send(&self, delivery: &Delivery, hook: &Hook, at: Timestamp) -> Result<egress::Answer, Failed> {
        let url = Url::parse(&delivery.url).map_err(|error| Failed::before(error.to_string()))?;
        let secrets = hook.secrets.live(Use::Callback, at);
        let signed = standard::sign(&delivery.id.to_string(), at.unix_seconds(), &delivery.body, &secrets);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("flowgate/", env!("CARGO_PKG_VERSION"))));
        headers.extend(signed.map_err(|error| Failed::before(error.to_string()))?);
        headers.extend(basic(hook, at).map(|value| (AUTHORIZATION, value)));
        let request = egress::Request {
            method: Method::POST,
            url,
            headers,
            body: delivery.body.clone().into(),
            deadline: Duration::from_millis(self.0.options.attempt_ms_max),
            identity: None,
        };
        let answer = self.0.parts.client.send(request).await.map_err(|error| Failed::before(told(&error)))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let retry_after = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| schedule::retry_after(text, at));
        let error = format!("the receiver answered {}: {}", answer.status, excerpt(&answer.body));
        Err(Failed { status: Some(answer.status), error, retry_after })
    }

    fn step(&self, delivery: &Delivery, hook: &Hook, sent: &Result<egress::Answer, Failed>) -> Step {
        let failed = match sent {
            Ok(_) => return Step::End(DeliveryStatus::Succeeded),
            Err(failed) if failed.status == Some(StatusCode::GONE) => return Step::End(DeliveryStatus::Abandoned),
            Err(failed) => failed,
        };
        let own = hook.spec.callback.as_ref().and_then(|callback| callback.schedule_s.as_deref());
        let options = &self.0.options;
        let asked = failed.retry_after.map(|asked| asked.min(Duration::from_secs(options.retry_after_s_max)));
        let wait = schedule::next(own.unwrap_or(&options.schedule_s), delivery.attempts + 1, asked, rand::random());
        wait.map_or(Step::End(DeliveryStatus::Exhausted), |wait| Step::Again(self.0.parts.clock.now().after(wait)))
    }

    fn record(
        &self,
        delivery: &Delivery,
        at: Timestamp,
        duration_ms: u64,
        sent: Result<egress::Answer, Failed>,
    ) -> Attempt {
        let id = AttemptId::at(at.unix_ms_unsigned());
        let n = delivery.attempts + 1;
        match sent {
            Ok(answer) => {
                let kept = answer.body.len().min(self.0.options.answer_bytes_max);
                let answered = Some(answer.status.as_u16());
                Attempt { id, n, at, status: answered, error: None, duration_ms, answer: answer.body.slice(..kept) }
            }
            Err(failed) => {
                let status = failed.status.map(|status| status.as_u16());
                Attempt { id, n, at, status, error: Some(failed.error), duration_ms, answer: Default::default() }
            }
        }
    }
}

/// The credentials of a callback that asks for them, with the newest password.
fn basic(hook: &Hook, at: Timestamp) -> Option<HeaderValue> {
    let basic = hook.spec.callback.as_ref()?.basic.as_ref()?;
    let passwords = hook.secrets.live(Use::CallbackPassword, at);
    let pair = Zeroizing::new(format!("{}:{}", basic.user, passwords.first()?.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(&*pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Why an attempt failed.
struct Failed {
    status: Option<StatusCode>,
    error: String,
    retry_after: Option<Duration>,
}

impl Failed {
    fn before(error: String) -> Self {
        Self { status: None, error, retry_after: None }
    }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// The beginning of an answer, for a person.
fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned()
}
