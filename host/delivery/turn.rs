//! A target's turn: what is due to it is sent, until nothing is due or the target is in trouble.
//!
//! Whoever holds the target's job has the turn, and nobody else sends to it. So order, pace and the number of attempts
//! under way are matters of this one task, and no target waits for another but for a place among the attempts of its
//! standing. A target that is not proven gets one attempt a turn.

use std::collections::{HashSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_util::sync::{CancellationToken, PollSemaphore};

use super::answer::{Verdict, Wish};
use super::receivers::Receiver;
use super::send::Sent;
use super::{Deliveries, breaker, schedule};
use crate::clock::{Clock, Timestamp};
use crate::store::{CATCH_UP, Delivery, DeliveryStatus, Error, GiveUp, Health, Job, Standing, Step, Target};

/// Attempts in one turn. Then a target that always has something due lets others have theirs.
const ATTEMPTS_MAX: u32 = 1_000;

/// How long a turn goes on while nothing is due, since what comes in that time costs neither a claim nor a new job.
const LINGER: Duration = Duration::from_secs(1);

/// How long an attempt has its place that goes to a target that is not proven. If it takes longer, it goes on without:
/// others get their first attempt however many do not answer.
const PLACE_HELD: Duration = Duration::from_millis(250);

/// How long a target that has become well is spared the full number of attempts at one time.
const SLOW_START: Duration = Duration::from_secs(60);

pub(super) struct Turn {
    deliveries: Deliveries,
    job: Job,
    target: Target,
    standing: Standing,
    health: Health,
    /// As the store has it.
    stored: Health,
    receiver: Option<Arc<Receiver>>,
    places: PollSemaphore,
    stop: CancellationToken,
    /// Attempts that may still begin.
    left: u32,
    /// Attempts that may be under way; grows with every success up to `window_max`, which is what the receiver takes.
    window: usize,
    window_max: usize,
    sending: usize,
    /// Read from the store, not begun.
    ready: VecDeque<Delivery>,
    /// Begun, not on record.
    in_flight: HashSet<crate::id::DeliveryId>,
    running: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Whether the store may have something that is due and not here.
    look: bool,
    /// When something becomes due that is not due yet.
    next_at: Option<Timestamp>,
    /// Since when nothing is due.
    idle_since: Option<Timestamp>,
    /// The pace allows nothing before.
    paced_until: Timestamp,
    /// Why what waits is to be given up.
    unwanted: Option<(&'static str, bool)>,
    failed: Option<Error>,
}

/// What happens in a turn.
enum Event {
    Sent(Box<(Delivery, Sent)>),
    /// It has ended without an attempt, or was not begun.
    Unsent(crate::id::DeliveryId, Result<(), Error>),
    Recorded(crate::id::DeliveryId, Result<(), Error>),
}

impl Turn {
    /// The turn that a claimed job gives.
    pub(super) async fn new(deliveries: Deliveries, job: Job, stop: CancellationToken) -> Result<Self, Error> {
        let target = Target::from_bytes(&job.subject).ok_or(Error::Corrupt("job"))?;
        let health = deliveries.0.parts.store.target_health(target).await?;
        let standing = health.standing();
        let now = deliveries.0.parts.clock.now();
        let steady = health.proven_since.is_some_and(|since| now.since(since) > SLOW_START);
        Ok(Self {
            places: PollSemaphore::new(deliveries.places(standing)),
            left: if standing == Standing::Proven { ATTEMPTS_MAX } else { 1 },
            window: if steady { usize::MAX } else { 1 },
            window_max: 1,
            deliveries,
            job,
            target,
            standing,
            health,
            stored: health,
            receiver: None,
            stop,
            sending: 0,
            ready: VecDeque::new(),
            in_flight: HashSet::new(),
            running: FuturesUnordered::new(),
            look: true,
            next_at: None,
            idle_since: None,
            paced_until: now,
            unwanted: None,
            failed: None,
        })
    }

    /// Sends until the turn is over, and gives the job back.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        self.give_up_stale().await?;
        let entered = self.deliveries.0.turns.enter(self.target);
        let signal = entered.signal();
        while !self.is_over() {
            if self.look && self.ready.is_empty() && self.is_open() {
                self.take().await?;
                continue;
            }
            self.next_event(&signal).await;
        }
        // Whoever adds something from now on wakes the workers; and what was added until now, the release sees.
        drop(entered);
        self.release().await
    }

    /// Waits for whatever comes first.
    async fn next_event(&mut self, signal: &Notify) {
        let (may_start, until) = (self.may_start(), self.wake_at());
        let clock = self.deliveries.0.parts.clock.clone();
        tokio::select! {
            biased;
            Some(event) = self.running.next() => self.on(event),
            place = place(&mut self.places), if may_start => self.start(place),
            () = signal.notified() => self.look = true,
            () = clock.sleep_until(until) => (self.look, self.next_at) = (true, None),
            () = self.stop.cancelled(), if self.left > 0 => self.left = 0,
        }
    }

    fn now(&self) -> Timestamp {
        self.deliveries.0.parts.clock.now()
    }

    /// Whether further attempts may begin at all.
    fn is_open(&self) -> bool {
        let well = self.standing != Standing::Proven || self.health.failures == 0;
        self.left > 0 && well && self.health.held_until.is_none_or(|until| until <= self.now())
    }

    fn is_over(&self) -> bool {
        let lingers =
            self.idle_since.is_none_or(|since| self.standing == Standing::Proven && self.now() < since.after(LINGER));
        self.running.is_empty() && (!self.is_open() || (self.ready.is_empty() && !self.look && !lingers))
    }

    fn may_start(&self) -> bool {
        self.is_open()
            && !self.ready.is_empty()
            && self.sending < self.window
            // Attempts end faster than they are recorded only while the store is behind.
            && self.in_flight.len() < self.window.saturating_mul(4)
            && self.paced_until <= self.now()
    }

    /// When to look again, should nothing happen.
    fn wake_at(&self) -> Timestamp {
        let linger = self.idle_since.unwrap_or_else(|| self.now()).after(LINGER);
        let paced = Some(self.paced_until).filter(|until| !self.ready.is_empty() && *until > self.now());
        paced.into_iter().chain(self.next_at).fold(linger, Timestamp::min)
    }

    /// Reads what is due.
    async fn take(&mut self) -> Result<(), Error> {
        let (store, now) = (&self.deliveries.0.parts.store, self.now());
        let Some(receiver) = self.deliveries.0.receivers.find(self.target, now).await? else {
            self.left = 0;
            self.unwanted = Some(("the target is gone", true));
            return Ok(());
        };
        let in_flight_max = receiver.in_flight_max.unwrap_or(self.deliveries.0.options.in_flight_max).max(1);
        self.window_max = in_flight_max as usize;
        self.window = self.window.min(self.window_max);
        let limit = self.in_flight.len() + self.window_max.min(self.left as usize);
        let due = store.target_due(self.target, now, u32::try_from(limit).unwrap_or(u32::MAX)).await?;
        self.receiver = Some(Arc::new(receiver));
        self.next_at = due.next_at;
        self.ready.extend(due.deliveries.into_iter().filter(|delivery| !self.in_flight.contains(&delivery.id)));
        self.look = false;
        let idle = self.ready.is_empty() && self.running.is_empty();
        self.idle_since = idle.then(|| self.idle_since.unwrap_or(now));
        Ok(())
    }

    fn start(&mut self, place: OwnedSemaphorePermit) {
        let (Some(mut delivery), Some(receiver)) = (self.ready.pop_front(), self.receiver.clone()) else { return };
        self.look |= self.ready.is_empty();
        self.left -= 1;
        self.sending += 1;
        self.in_flight.insert(delivery.id);
        let pace = receiver.rate_per_s.map(|rate| Duration::from_secs(1) / rate.max(1));
        self.paced_until = self.now().after(pace.unwrap_or_default());
        let (deliveries, lease) = (self.deliveries.clone(), self.job.lease);
        let clock = self.deliveries.0.parts.clock.clone();
        let held_until = (self.standing != Standing::Proven).then(|| self.now().after(PLACE_HELD));
        self.running.push(Box::pin(async move {
            let attempt = deliveries.attempt(lease, &mut delivery, &receiver);
            match holding(place, &clock, held_until, attempt).await {
                Ok(Some(sent)) => Event::Sent(Box::new((delivery, sent))),
                unsent => Event::Unsent(delivery.id, unsent.map(drop)),
            }
        }));
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Sent(sent) => self.sent(sent.0, sent.1),
            Event::Unsent(id, ended) => {
                self.sending -= 1;
                self.recorded(id, ended);
            }
            Event::Recorded(id, recorded) => self.recorded(id, recorded),
        }
    }

    fn recorded(&mut self, id: crate::id::DeliveryId, recorded: Result<(), Error>) {
        self.in_flight.remove(&id);
        // The next one in its lane may be due now.
        self.look = true;
        if let Err(error) = recorded {
            self.left = 0;
            self.failed = Some(error);
        }
    }

    /// Learns from an attempt, and has it recorded.
    fn sent(&mut self, delivery: Delivery, Sent { attempt, verdict }: Sent) {
        self.sending -= 1;
        let (now, rule) = (self.now(), self.deliveries.0.options.breaker());
        let before = self.health;
        self.health = breaker::after(before, attempt.at, verdict.seen, verdict.hold, now, rule, rand::random());
        tell_change(self.target, &before, &self.health);
        if verdict.failure.is_none() {
            self.window = (self.window + 1).min(self.window_max);
        }
        if verdict.wish == Wish::Disable {
            self.left = 0;
            self.unwanted = Some(("the receiver wants no more", false));
        }
        let step = self.step(&delivery, &verdict, now);
        self.deliveries.0.parts.metrics.delivery(match step {
            Step::End(status) => status.as_str(),
            Step::Again(_) | Step::AgainUncounted(_) => DeliveryStatus::Pending.as_str(),
        });
        let forget = self.receiver.as_ref().is_none_or(|receiver| receiver.confidential);
        let (store, lease) = (self.deliveries.0.parts.store.clone(), self.job.lease);
        self.running.push(Box::pin(async move {
            let recorded = store.delivery_step(lease, &delivery, attempt, step, forget).await;
            Event::Recorded(delivery.id, recorded)
        }));
    }

    fn step(&self, delivery: &Delivery, verdict: &Verdict, now: Timestamp) -> Step {
        if verdict.failure.is_none() {
            return Step::End(DeliveryStatus::Succeeded);
        }
        match verdict.wish {
            Wish::Nothing => {}
            Wish::GiveUp => return Step::End(DeliveryStatus::Exhausted),
            Wish::Abort | Wish::Disable => return Step::End(DeliveryStatus::Abandoned),
        }
        if !verdict.counts {
            return Step::AgainUncounted(self.health.held_until.unwrap_or(now));
        }
        let counted = delivery.attempts.saturating_sub(delivery.began_after) + 1;
        let wait = schedule::next(self.schedule(), counted, verdict.asked, rand::random());
        wait.map_or(Step::End(DeliveryStatus::Exhausted), |wait| Step::Again(now.after(wait)))
    }

    fn schedule(&self) -> &[u64] {
        let own = self.receiver.as_ref().and_then(|receiver| receiver.schedule_s.as_deref());
        own.unwrap_or(&self.deliveries.0.options.schedule_s)
    }

    /// Ends what has waited for longer than it may, at a target that has failed for as long.
    async fn give_up_stale(&mut self) -> Result<(), Error> {
        let now = self.now();
        let Some(since) = self.health.failing_since else { return Ok(()) };
        let receiver = self.deliveries.0.receivers.find(self.target, now).await?;
        self.receiver = receiver.map(Arc::new);
        let began_before = schedule::given_up_before(self.schedule(), &self.health, now);
        if began_before.is_none() {
            return Ok(());
        }
        let error = format!("given up unsent: the receiver has failed since {since}");
        let forget = self.receiver.as_ref().is_none_or(|receiver| receiver.confidential);
        self.give_up(GiveUp { status: DeliveryStatus::Exhausted, error, at: now, began_before, forget }).await
    }

    async fn give_up(&mut self, give_up: GiveUp) -> Result<(), Error> {
        let store = &self.deliveries.0.parts.store;
        while store.target_give_up(self.job.lease, self.target, give_up.clone()).await? > 0 {}
        Ok(())
    }

    async fn release(mut self) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let Some((why, forget)) = self.unwanted.take() {
            let (status, at) = (DeliveryStatus::Abandoned, self.now());
            let forget = forget || self.receiver.as_ref().is_some_and(|receiver| receiver.confidential);
            self.give_up(GiveUp { status, error: why.to_owned(), at, began_before: None, forget }).await?;
            self.deliveries.0.receivers.disable(self.target, why).await?;
        }
        let health = Some(self.health).filter(|health| *health != self.stored);
        let store = &self.deliveries.0.parts.store;
        let released = store.target_release(self.job.lease, self.target, health, self.paced_until).await?;
        if released.ready_at.is_some() {
            self.deliveries.0.parts.queue.wake(self.health.standing().job());
        }
        if released.is_behind {
            self.deliveries.0.parts.queue.wake(CATCH_UP);
        }
        Ok(())
    }
}

/// A place among the attempts under way. A place in the line for it is kept from one call to the next.
async fn place(places: &mut PollSemaphore) -> OwnedSemaphorePermit {
    std::future::poll_fn(|cx| match places.poll_acquire(cx) {
        Poll::Ready(place) => Poll::Ready(place.expect("the semaphore is never closed")),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// An attempt that has a place, for as long as it may.
async fn holding<T>(
    place: OwnedSemaphorePermit,
    clock: &Clock,
    until: Option<Timestamp>,
    attempt: impl Future<Output = T>,
) -> T {
    let Some(until) = until else {
        let _place = place;
        return attempt.await;
    };
    let mut attempt = pin!(attempt);
    tokio::select! {
        biased;
        ended = &mut attempt => return ended,
        () = clock.sleep_until(until) => drop(place),
    }
    attempt.await
}

/// A target that begins or ceases to fail is worth a line in the log.
fn tell_change(target: Target, before: &Health, after: &Health) {
    match (before.failures, after.failures) {
        (0, 1..) => tracing::info!(%target, "a receiver fails"),
        (1.., 0) => tracing::info!(%target, "a receiver is well again"),
        _ => {}
    }
}
