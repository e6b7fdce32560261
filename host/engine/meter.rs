//! How long a guest really ran: the time inside each poll of its future, host calls included, and no time in between.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::capability::flows::Budget;
use crate::clock::Stopwatch;
use crate::id::FlowId;
use crate::share::Share;

/// One of the few places of guests that run longer than a tick, held from one tick to the next.
pub(super) type Turn = Share<Option<FlowId>>;

/// Measures one execution. Written, but for what it calls, by the thread that polls it. Those that it calls read it meanwhile,
/// and may see it a turn late.
#[derive(Debug)]
pub(super) struct Meter {
    watch: Stopwatch,
    budget: Duration,
    /// That of its caller, from which is taken what this one runs.
    caller: Option<Arc<dyn Budget>>,
    used_ns: AtomicU64,
    entered_ns: AtomicU64,
    turn: Mutex<Option<Turn>>,
    /// What the executions that this one called have run.
    called_ns: AtomicU64,
}

/// The trap of a guest that ran longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest ran longer than {} ms", .budget.as_millis())]
pub(super) struct OutOfTime {
    budget: Duration,
}

const OUTSIDE: u64 = u64::MAX;

impl Meter {
    pub(super) fn new(budget: Duration, caller: Option<Arc<dyn Budget>>) -> Self {
        let (used_ns, entered_ns) = (AtomicU64::new(0), AtomicU64::new(OUTSIDE));
        Self {
            watch: Stopwatch::start(),
            budget,
            caller,
            used_ns,
            entered_ns,
            called_ns: AtomicU64::new(0),
            turn: Mutex::default(),
        }
    }

    /// The time since the meter was made.
    pub(super) fn wall(&self) -> Duration {
        self.watch.elapsed()
    }

    /// The time inside polls so far, that of the running one included.
    pub(super) fn used(&self) -> Duration {
        let running = match self.entered_ns.load(Relaxed) {
            OUTSIDE => 0,
            entered => self.now_ns().saturating_sub(entered),
        };
        Duration::from_nanos(self.used_ns.load(Relaxed) + running)
    }

    /// [`Meter::used`], with that of the executions that this one called.
    fn spent(&self) -> Duration {
        self.used() + Duration::from_nanos(self.called_ns.load(Relaxed))
    }

    /// Fails when the budget is spent, or the caller's.
    pub(super) fn check(&self) -> Result<(), OutOfTime> {
        let callers = self.caller.as_ref().is_some_and(|caller| caller.left().is_zero());
        if callers || self.spent() > self.budget { Err(OutOfTime { budget: self.budget }) } else { Ok(()) }
    }

    /// Runs `future` and counts the time that it runs. Cancel safe if `future` is.
    pub(super) async fn measure<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _inside = self.enter();
            future.as_mut().poll(context)
        })
        .await
    }

    /// Keeps the guest's turn until it next waits for anything, if only for its next turn.
    pub(super) fn hold(&self, turn: Turn) {
        *self.turn() = Some(turn);
    }

    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Inside<'_> {
        self.entered_ns.store(self.now_ns(), Relaxed);
        Inside(self)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.watch.elapsed().as_nanos()).unwrap_or(OUTSIDE - 1)
    }
}

impl Budget for Meter {
    fn left(&self) -> Duration {
        let own = self.budget.saturating_sub(self.spent());
        self.caller.as_ref().map_or(own, |caller| own.min(caller.left()))
    }

    fn charge(&self, used: Duration) {
        self.called_ns.fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        if let Some(caller) = &self.caller {
            caller.charge(used);
        }
    }
}

struct Inside<'a>(&'a Meter);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let (before, used) = (self.0.used_ns.load(Relaxed), self.0.used());
        self.0.entered_ns.store(OUTSIDE, Relaxed);
        self.0.used_ns.store(u64::try_from(used.as_nanos()).unwrap_or(OUTSIDE), Relaxed);
        if let Some(caller) = &self.0.caller {
            // At once, so that several that are called at one time have the caller's budget together, and not each.
            caller.charge(used.saturating_sub(Duration::from_nanos(before)));
        }
        let turn = self.0.turn().take();
        drop(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_costs_nothing_and_running_does() {
        let meter = Meter::new(Duration::from_millis(5), None);
        meter.measure(tokio::time::sleep(Duration::from_millis(30))).await;
        assert_eq!(meter.check(), Ok(()));
        assert!(meter.wall() >= Duration::from_millis(30));
        let spin = async {
            let watch = Stopwatch::start();
            while watch.elapsed() < Duration::from_millis(6) {}
            meter.check()
        };
        assert_eq!(meter.measure(spin).await, Err(OutOfTime { budget: Duration::from_millis(5) }));
    }

    #[test]
    fn what_it_calls_counts_too() {
        let meter = Meter::new(Duration::from_secs(5), None);
        meter.charge(Duration::from_secs(3));
        assert_eq!((meter.left(), meter.check()), (Duration::from_secs(2), Ok(())));
        meter.charge(Duration::from_secs(3));
        assert_eq!((meter.left(), meter.used()), (Duration::ZERO, Duration::ZERO));
        assert!(meter.check().is_err());
    }

    #[test]
    fn those_that_are_called_at_one_time_share_what_is_left() {
        let budget = Duration::from_secs(5);
        let caller = Arc::new(Meter::new(budget, None));
        let [one, other] = [(); 2].map(|()| Arc::new(Meter::new(budget, Some(caller.clone()))));
        let below = Meter::new(budget, Some(other.clone()));
        below.charge(Duration::from_secs(4));
        assert_eq!([&caller, &one, &other].map(|meter| meter.left()), [Duration::from_secs(1); 3]);
        one.charge(Duration::from_secs(1));
        assert!([&caller, &one, &other].iter().all(|meter| meter.left().is_zero()));
        assert!(below.check().is_err() && other.check().is_err() && caller.check().is_ok());
    }
}
