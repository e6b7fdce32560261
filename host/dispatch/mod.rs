//! From events to deliveries: reads the log of what happened, in order, and tells each subscription what it wants to know.
//!
//! There is one reader. What it makes of some events and the place that it has come to are one transaction, so a crash
//! makes it read them again and nothing is told of twice, nor passed over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::delivery::Deliveries;
use crate::event::{Event, Facts, Format};
use crate::hook::Hooks;
use crate::id::{DeliveryId, SubscriptionId};
use crate::queue::Queue;
use crate::store::{self, BATCH, Batch, Job, NewDelivery, Store, Target, Told};
use crate::subscription::{self, Subscription, Subscriptions};

mod facts;

/// The reader's name.
const READER: &str = "dispatch";

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
    /// Knows by which ids their callers know flows.
    pub hooks: Hooks,
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
}

impl Dispatch {
    /// A reader of the events in `parts`.
    pub fn new(parts: Parts, options: Options) -> Self {
        Self(Arc::new(Inner { parts, options }))
    }

    /// Tells of what happens, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let this = self.clone();
        let work = move |job: Job| {
            let this = this.clone();
            async move { this.send_batch(job).await }
        };
        let batches = self.0.parts.queue.run(BATCH, 4, stop.clone(), work);
        tokio::join!(stop.run_until_cancelled(self.read()), batches);
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

    /// Tells of the next events. False when there are none.
    async fn step(&self) -> Result<bool, store::Error> {
        let parts = &self.0.parts;
        let rows = parts.store.events_after(parts.store.cursor(READER).await?, self.0.options.events_at_once).await?;
        let Some(last) = rows.last().map(|row| row.seq) else { return Ok(false) };
        let (mut known, mut all) = (HashMap::new(), Vec::new());
        for row in rows {
            let subscriptions = self.subscriptions(row.workspace).await?;
            if subscriptions.is_empty() {
                continue;
            }
            let (workspace, execution) = (row.workspace, row.execution);
            let Some(event) = self.event(row, &mut known).await? else { continue };
            let told = subscriptions.iter().filter_map(|subscription| self.told(subscription, &event));
            all.extend(told.map(|(delivery, batch)| Told { workspace, execution, delivery, batch }));
        }
        let targets = all.iter().map(|told| told.delivery.target).collect::<Vec<_>>();
        parts.store.dispatch(READER, last, all).await?;
        parts.queue.wake(BATCH);
        parts.deliveries.wake(targets);
        Ok(true)
    }

    async fn subscriptions(&self, workspace: crate::id::WorkspaceId) -> Result<Arc<[Arc<Subscription>]>, store::Error> {
        self.0.parts.subscriptions.of(workspace).await.map_err(|error| match error {
            subscription::Error::Store(error) => error,
            _ => store::Error::Corrupt("subscription"),
        })
    }

    /// What a subscription is told of an event, if anything.
    fn told(&self, subscription: &Subscription, event: &Event) -> Option<(NewDelivery, Option<Batch>)> {
        if concerns(event) == Some(subscription.id) {
            // Whoever cannot be reached is not told of that by the same way, which would only make it worse.
            return None;
        }
        let message = subscription.message(event).ok()?;
        let now = self.0.parts.clock.now();
        let delivery = NewDelivery {
            id: DeliveryId::at(now.unix_ms_unsigned()),
            target: Target::Subscription(subscription.id),
            lane: message.lane,
            created_at: now,
            url: subscription.spec.url.to_string(),
            event: message.name,
            body: message.body,
            said: None,
            // What is kept out of records is kept out of events as well.
            confidential: false,
        };
        Some((delivery, batch(subscription, &now.to_string())))
    }

    async fn send_batch(&self, job: Job) -> Result<(), store::Error> {
        let parts = &self.0.parts;
        let target = store::batch_target(&job.subject).ok_or(store::Error::Corrupt("job"))?;
        let found = match target {
            Target::Subscription(id) => parts.subscriptions.find(id).await.ok().flatten(),
            Target::Hook(_) => None,
        };
        let now = parts.clock.now();
        let Some(subscription) = found else { return parts.store.batch_drop(job.lease, target).await };
        // It may have been told since to send each event alone: what has waited goes out as it is.
        let batch = batch(&subscription, &now.to_string()).unwrap_or_else(|| around(&subscription, &now.to_string()));
        let url = subscription.spec.url.to_string();
        parts.store.batch_close(job.lease, job.workspace, target, url, batch, now).await?;
        parts.deliveries.wake([target]);
        Ok(())
    }
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
