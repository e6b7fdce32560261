//! Outgoing webhooks: sign, send, retry, give up.
//!
//! A delivery is written by the transaction that makes it true. Its bytes are fixed once; every attempt sends the same body
//! under the same id, signed anew with all live secrets of the receiver. A receiver sees each message at least once; after
//! a crash between its answer and our record, twice.
//!
//! Deliveries have a **target**, and each target with something to send has one job in the queue, which gives its claimer
//! the **turn** to send to it. So no target is in another's way: a dead one with a million deliveries has one job like any
//! other. Targets that are proven, new and suspect are served by workers of their own, so that those who do not answer
//! can only keep those waiting who have not answered either; and the `breaker` leaves them alone for longer and longer.
//!
//! Deliveries of a target in one **lane** are sent in order: each waits until the one before it has ended. The callbacks
//! of one execution have a lane.
//!
//! What the answer means: 2xx is success; 410 ends whatever waits for the target; anything else, redirects included, is a
//! failure that is tried again by schedule. What never gets there becomes a dead letter, which can be sent again.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::{Clock, Timestamp};
use crate::egress::{self, Client, Tokens};
use crate::hook::Hooks;
use crate::id::{self, DeliveryId, WorkspaceId};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::store::{
    self, Attempt, Delivery, DeliveryFilter, DeliveryStatus, Health, Job, Page, Standing, Store, Target,
};
use crate::subscription::{Subscription, Subscriptions};
use crate::transform::Transforms;

mod answer;
mod breaker;
#[cfg(test)]
mod fuzz;
mod receivers;
mod recovery;
mod reshape;
mod schedule;
mod send;
mod stats;
#[cfg(test)]
mod tests;
mod turn;
mod turns;

pub use send::Preview;
pub use stats::{Numbers, Stats};

/// Who has workers of their own, as they are declared.
const STANDINGS: [Standing; 3] = [Standing::New, Standing::Proven, Standing::Suspect];

/// Proven targets that have their turn at one time. Each is a task that mostly waits.
const TURNS_MAX: usize = 10_000;

/// For each place of targets that are not proven, so many may have their turn: all but one of them wait for an answer that
/// takes long.
const HANGING_MAX: usize = 8;

/// Recoveries at one time.
const RECOVERIES_MAX: usize = 2;

/// How deliveries are sent.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Attempts under way at one time: half of them for targets that answer, a quarter each for new ones and for those
    /// that do not answer. One that takes long at such a target does not count any more; eight for each place hang at
    /// most.
    pub at_once: usize,
    /// Attempts under way at one time to one target that answers; to another there is one.
    pub in_flight_max: u32,
    /// Milliseconds that an attempt may take, the receiver's answer included.
    pub attempt_ms_max: u64,
    /// Seconds to wait before the second, third, … attempt; after the last of them the delivery has failed.
    pub schedule_s: Vec<u64>,
    /// Seconds that a receiver may ask to wait at most, by `Retry-After`.
    pub retry_after_s_max: u64,
    /// Failures in a row after which a target is left alone for a while.
    pub failures_max: u32,
    /// Seconds that it is left alone at first; twice as long each time.
    pub open_s: u64,
    /// Seconds that it is left alone at most.
    pub open_s_max: u64,
    /// Bytes of a receiver's answer that are kept.
    pub answer_bytes_max: usize,
}

impl Default for Options {
    /// Standard Webhooks' advice: at once, then over about a day and a half.
    fn default() -> Self {
        Self {
            at_once: 512,
            in_flight_max: 8,
            attempt_ms_max: 15_000,
            schedule_s: vec![5, 300, 1_800, 7_200, 18_000, 36_000, 36_000],
            retry_after_s_max: 24 * 3_600,
            failures_max: 5,
            open_s: 10,
            open_s_max: 300,
            answer_bytes_max: 16 << 10,
        }
    }
}

impl Options {
    /// Attempts under way at one time to targets that stand so.
    fn places(&self, standing: Standing) -> usize {
        let quarter = (self.at_once / 4).max(1);
        match standing {
            Standing::New | Standing::Suspect => quarter,
            Standing::Proven => self.at_once.saturating_sub(2 * quarter).max(1),
        }
    }

    fn breaker(&self) -> breaker::Rule {
        breaker::Rule {
            failures_max: self.failures_max,
            open: Duration::from_secs(self.open_s),
            open_max: Duration::from_secs(self.open_s_max),
        }
    }
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such delivery.
    #[error("there is no delivery {0}")]
    Unknown(DeliveryId),
    /// There is no such target.
    #[error("there is nothing that is delivered to under {0}")]
    UnknownTarget(Target),
    /// The delivery has ended in a way that leaves nothing to do.
    #[error("the delivery {id} is {}", .status.as_str())]
    Ended {
        /// Which one.
        id: DeliveryId,
        /// How it has ended.
        status: DeliveryStatus,
    },
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
    /// Knows where callbacks go, and the secrets that sign them.
    pub hooks: Hooks,
    /// Knows where events go, and what proves them.
    pub subscriptions: Subscriptions,
    /// Reshapes them.
    pub transforms: Transforms,
    /// Sends them.
    pub client: Client,
    /// Counts how they end.
    pub metrics: Metrics,
}

struct Inner {
    parts: Parts,
    options: Options,
    receivers: receivers::Receivers,
    tokens: Tokens,
    turns: turns::Turns,
    /// Places for attempts, in the order of [`STANDINGS`].
    places: [Arc<Semaphore>; 3],
}

impl Deliveries {
    /// The deliveries in `parts`.
    pub fn new(parts: Parts, options: Options) -> Self {
        let (hooks, subscriptions) = (parts.hooks.clone(), parts.subscriptions.clone());
        let receivers = receivers::Receivers { hooks, subscriptions };
        let tokens = Tokens::new(parts.client.clone(), parts.clock.clone());
        let places = STANDINGS.map(|standing| Arc::new(Semaphore::new(options.places(standing))));
        Self(Arc::new(Inner { parts, options, receivers, tokens, turns: Default::default(), places }))
    }

    /// Sends what is due, until `stop`; returns when the last attempt has ended.
    pub async fn run(&self, stop: CancellationToken) {
        let [new, proven, suspect] = STANDINGS;
        let recoveries = {
            let this = self.clone();
            let work = move |job: Job| {
                let this = this.clone();
                async move { this.work_on_recovery(job).await }
            };
            self.0.parts.queue.run(recovery::RECOVER, RECOVERIES_MAX, stop.clone(), work)
        };
        tokio::join!(
            self.serve(new, stop.clone()),
            self.serve(proven, stop.clone()),
            self.serve(suspect, stop.clone()),
            recoveries,
        );
    }

    /// Gives the targets that stand so their turns.
    async fn serve(&self, standing: Standing, stop: CancellationToken) {
        let at_once =
            if standing == Standing::Proven { TURNS_MAX } else { self.0.options.places(standing) * HANGING_MAX };
        let (this, stopping) = (self.clone(), stop.clone());
        let work = move |job: Job| {
            let (this, stop) = (this.clone(), stopping.clone());
            async move { turn::Turn::new(this, job, stop).await?.run().await }
        };
        self.0.parts.queue.run(standing.job(), at_once, stop, work).await;
    }

    /// Tells whoever sends that something was added for these targets. To be called after the transaction that adds it;
    /// without it the deliveries are on their way a little later.
    pub fn wake(&self, targets: impl IntoIterator<Item = Target>) {
        let without_turn = targets.into_iter().filter(|target| !self.0.turns.tell(*target)).count();
        if without_turn > 0 {
            STANDINGS.iter().for_each(|standing| self.0.parts.queue.wake(standing.job()));
        }
    }

    /// What happened before is given up by a subscription that stands so, since it has failed for too long; none while nothing
    /// is.
    pub fn given_up_before(&self, subscription: &Subscription, health: &Health) -> Option<Timestamp> {
        let schedule_s = subscription.spec.schedule.waits_s().unwrap_or(&self.0.options.schedule_s);
        schedule::given_up_before(schedule_s, health, self.now())
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

    /// A part of a workspace's deliveries, newest first.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        filter: DeliveryFilter,
        page: Page<id::Delivery>,
    ) -> Result<Vec<Delivery>, Error> {
        Ok(self.0.parts.store.deliveries(workspace, filter, page).await?)
    }

    /// Errs when a target is not the workspace's.
    async fn check_owner(&self, workspace: WorkspaceId, target: Target) -> Result<(), Error> {
        let owner = self.0.receivers.owner(target).await?;
        if owner == Some(workspace) { Ok(()) } else { Err(Error::UnknownTarget(target)) }
    }

    fn places(&self, standing: Standing) -> Arc<Semaphore> {
        self.0.places[standing as usize].clone()
    }

    fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }
}
