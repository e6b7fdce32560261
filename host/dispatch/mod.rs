//! From events to deliveries: reads the log of what happened, in order, and tells each subscription what it wants to know.
//!
//! There is one reader. What it makes of some events, or of a part of one, and the place that it has come to are one
//! transaction, so a crash makes it read them again and nothing is told of twice, nor passed over. Targets that do not
//! answer are not its business: they read the log by themselves, see `late`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::delivery::Deliveries;
use crate::event::{Event, Facts, Format};
use crate::id::{DeliveryId, SubscriptionId};
use crate::queue::Queue;
use crate::store::{self, BATCH, Batch, CATCH_UP, Job, NewDelivery, Place, Store, Target, Told};
use crate::subscription::{self, Message, Subscription, Subscriptions};

mod facts;
mod late;
mod pull;

use facts::Known;
pub use pull::{Beginning, Cursor, Error, Pulled, PulledEvent, Stand};

/// The reader's name.
const READER: &str = "dispatch";

/// Deliveries that one transaction makes, and about how many bytes they have. The writer does nothing else meanwhile.
const ROWS_MAX: usize = 128;
const BYTES_MAX: usize = 4 << 20;

/// How long it waits after the store has failed.
const SETBACK: Duration = Duration::from_secs(1);

/// How events are told, and what things cost.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Events that are read at one time.
    pub events_at_once: u32,
    /// Thousandths of a credit for a second of a guest's CPU time.
    pub millicredits_per_cpu_s: u64,
    /// Thousandths of a credit for an execution.
    pub millicredits_per_execution: u64,
    /// Thousandths of a credit for a call of a language model.
    pub millicredits_per_llm_call: u64,
    /// Thousandths of a credit for a thousand tokens of one, in and out.
    pub millicredits_per_1000_tokens: u64,
}

impl Default for Options {
    /// A credit for a second, and a credit for a thousand tokens.
    fn default() -> Self {
        Self {
            events_at_once: 256,
            millicredits_per_cpu_s: 1_000,
            millicredits_per_execution: 0,
            millicredits_per_llm_call: 0,
            millicredits_per_1000_tokens: 1_000,
        }
    }
}

/// What the reader needs.
#[derive(Clone)]
pub struct Parts {
    /// Where the events are.
    pub store: Store,
    /// Tells the time.
    pub clock: Clock,
    /// Holds batches that wait.
    pub queue: Queue,
    /// Who wants to be told.
    pub subscriptions: Subscriptions,
    /// Sends what is due.
    pub deliveries: Deliveries,
}

/// The reader. Clones share it.
#[derive(Clone)]
pub struct Dispatch(Arc<Inner>);

struct Inner {
    parts: Parts,
    options: Options,
    /// Who is told later, by `late`; none before anybody has looked. Held by whoever tells, until that is on record.
    behind: Mutex<Option<HashSet<Target>>>,
}

/// What one transaction tells.
#[derive(Default)]
struct Part {
    all: Vec<Told>,
    bytes: usize,
}

impl Part {
    fn push(&mut self, told: Told) {
        self.bytes += told.delivery.body.len();
        self.all.push(told);
    }

    fn is_full(&self) -> bool {
        self.all.len() >= ROWS_MAX || self.bytes >= BYTES_MAX
    }
}

impl Dispatch {
    /// A reader of the events in `parts`.
    pub fn new(parts: Parts, options: Options) -> Self {
        Self(Arc::new(Inner { parts, options, behind: Mutex::default() }))
    }

    /// Tells of what happens, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let this = self.clone();
        let work = move |job: Job| {
            let this = this.clone();
            async move { this.send_batch(job).await }
        };
        let batches = self.0.parts.queue.run(BATCH, 4, stop.clone(), work);
        let this = self.clone();
        let work = move |job: Job| {
            let this = this.clone();
            async move { this.catch_up(job).await }
        };
        let late = self.0.parts.queue.run(CATCH_UP, late::AT_ONCE, stop.clone(), work);
        tokio::join!(stop.run_until_cancelled(self.read()), batches, late);
    }

    async fn read(&self) {
        let mut seen = self.0.parts.store.events_seen();
        loop {
            seen.mark_unchanged();
            match self.step().await {
                Ok(true) => {}
                // Without a writer there are no more events either.
                Ok(false) => {
                    if seen.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "events were not told");
                    self.0.parts.clock.sleep_until(self.0.parts.clock.now().after(SETBACK)).await;
                }
            }
        }
    }

    /// Tells of the next events, as far as a transaction is to go. False when there are none.
    async fn step(&self) -> Result<bool, store::Error> {
        let parts = &self.0.parts;
        let mut behind = self.0.behind.lock().await;
        let behind = match &mut *behind {
            Some(known) => known,
            unknown => unknown.insert(parts.store.behind_all().await?.into_iter().collect()),
        };
        let from = parts.store.place(READER).await?;
        let rows = parts.store.events_after(from.complete(), self.0.options.events_at_once).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let (mut to, mut part, mut known) = (from, Part::default(), HashMap::new());
        for row in rows {
            let told = from.subscription.filter(|_| row.seq == from.seq);
            let all = self.subscriptions(row.workspace).await?;
            let left = all.iter().filter(|one| Some(one.id) > told && !behind.contains(&Target::Subscription(one.id)));
            to = self.tell(&row, &left.collect::<Vec<_>>(), &mut known, &mut part).await?;
            if part.is_full() {
                break;
            }
        }
        let targets = part.all.iter().map(|told| told.delivery.target).collect::<Vec<_>>();
        behind.extend(parts.store.dispatch(READER, to, part.all).await?);
        parts.queue.wake(BATCH);
        parts.deliveries.wake(targets);
        Ok(true)
    }

    /// Puts what subscriptions are told of an event into `part`, until that is full. How far that is.
    async fn tell(
        &self,
        row: &store::Event,
        subscriptions: &[&Arc<Subscription>],
        known: &mut Known,
        part: &mut Part,
    ) -> Result<Place, store::Error> {
        let whole = Place { seq: row.seq, subscription: None };
        if subscriptions.is_empty() {
            return Ok(whole);
        }
        let Some(event) = self.event(row, known).await? else { return Ok(whole) };
        for (n, subscription) in subscriptions.iter().enumerate() {
            self.told(subscription, row, &event).into_iter().for_each(|told| part.push(told));
            if part.is_full() && n + 1 < subscriptions.len() {
                return Ok(Place { subscription: Some(subscription.id), ..whole });
            }
        }
        Ok(whole)
    }

    async fn subscriptions(&self, workspace: crate::id::WorkspaceId) -> Result<Arc<[Arc<Subscription>]>, store::Error> {
        self.0.parts.subscriptions.of(workspace).await.map_err(unread)
    }

    /// None when it is gone.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Arc<Subscription>>, store::Error> {
        self.0.parts.subscriptions.find(id).await.map_err(unread)
    }

    /// The delivery that tells a subscription of an event, if it is told of it.
    fn told(&self, subscription: &Subscription, row: &store::Event, event: &Event) -> Option<Told> {
        let url = subscription.spec.url.as_ref()?.to_string();
        let message = message(subscription, event)?;
        let delivery = NewDelivery {
            id: DeliveryId::at(event.at.unix_ms_unsigned()),
            target: Target::Subscription(subscription.id),
            lane: message.lane,
            created_at: event.at,
            url,
            event: message.name,
            body: message.body,
            said: None,
            // What is kept out of records is kept out of events as well.
            confidential: false,
        };
        let batch = batch(subscription, &self.0.parts.clock.now().to_string());
        Some(Told { seq: row.seq, workspace: row.workspace, execution: row.execution, delivery, batch })
    }

    async fn send_batch(&self, job: Job) -> Result<(), store::Error> {
        let parts = &self.0.parts;
        let target = store::batch_target(&job.subject).ok_or(store::Error::Corrupt("job"))?;
        let found = match target {
            Target::Subscription(id) => self.subscription(id).await?,
            Target::Hook(_) => None,
        };
        let now = parts.clock.now();
        let Some((subscription, url)) = found.and_then(|one| Some((one.clone(), one.spec.url.clone()?))) else {
            return parts.store.batch_drop(job.lease, target).await;
        };
        // It may have been told since to send each event alone: what has waited goes out as it is.
        let batch = batch(&subscription, &now.to_string()).unwrap_or_else(|| around(&subscription, &now.to_string()));
        parts.store.batch_close(job.lease, job.workspace, target, url.to_string(), batch, now).await?;
        parts.deliveries.wake([target]);
        Ok(())
    }
}

fn unread(error: subscription::Error) -> store::Error {
    match error {
        subscription::Error::Store(error) => error,
        _ => store::Error::Corrupt("subscription"),
    }
}

/// What a subscription is told of an event, if anything.
fn message(subscription: &Subscription, event: &Event) -> Option<Message> {
    // Whoever cannot be reached is not told of that by the same way, which would only make it worse.
    if concerns(event) == Some(subscription.id) { None } else { subscription.message(event).ok() }
}

/// The subscription that an event says something of.
fn concerns(event: &Event) -> Option<SubscriptionId> {
    match &event.facts {
        Facts::Delivery(facts) => facts.subscription_id,
        Facts::Subscription(facts) => Some(facts.subscription_id),
        _ => None,
    }
}

fn batch(subscription: &Subscription, now: &str) -> Option<Batch> {
    let rule = subscription.spec.batch.as_ref()?;
    Some(Batch {
        events_max: rule.events_max,
        bytes_max: u64::from(rule.bytes_max),
        wait: Duration::from_secs(u64::from(rule.wait_s)),
        ..around(subscription, now)
    })
}

/// What is around the messages of a batch: `{"type":"batch","timestamp":…,"data":{"events":[…]}}`, or the same in the
/// words of the format.
fn around(subscription: &Subscription, now: &str) -> Batch {
    let (before, after) = match subscription.spec.format {
        Format::Native => (format!(r#"{{"type":"batch","timestamp":"{now}","data":{{"events":["#), "]}}"),
        Format::AgenticFlow => {
            let id = subscription.id;
            (format!(r#"{{"event":"batch","timestamp":"{now}","webhook_id":"{id}","events":["#), "]}")
        }
    };
    let (events_max, bytes_max, wait) = (1_000, 4 << 20, Duration::ZERO);
    Batch { events_max, bytes_max, wait, before: before.into(), after: after.into() }
}
