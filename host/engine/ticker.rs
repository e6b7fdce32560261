//! The epoch: one thread that ticks for every execution, and sleeps while there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

/// Ticks without an execution after which the thread goes to sleep. Waking it costs a system call, so a host that is only
/// between two executions keeps ticking.
const IDLE_TICKS: u32 = 50;

/// A handle of the ticking thread, which ends when the handle is dropped.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

/// Keeps the epoch moving until it is dropped.
pub(super) struct Ticking<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread. It ticks every `period` for each of `engines` that is still alive.
    pub(super) fn start(engines: Vec<EngineWeak>, period: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let thread = thread::Builder::new().name("epoch".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.tick(&engines, period)
        })?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Makes sure that the epoch moves while the returned value lives.
    pub(super) fn running(&self) -> Ticking<'_> {
        self.shared.running.fetch_add(1, SeqCst);
        // The thread says that it is asleep before it looks at `running`, so one of the two sees the other.
        if self.shared.asleep.swap(false, SeqCst) {
            self.thread.unpark();
        }
        Ticking(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Shared {
    fn tick(&self, engines: &[EngineWeak], period: Duration) {
        let mut idle = 0;
        while !self.stopped.load(SeqCst) {
            thread::park_timeout(period);
            engines.iter().filter_map(EngineWeak::upgrade).for_each(|engine| engine.increment_epoch());
            idle = if self.running.load(SeqCst) == 0 { idle + 1 } else { 0 };
            if idle >= IDLE_TICKS {
                self.sleep();
                idle = 0;
            }
        }
    }

    fn sleep(&self) {
        self.asleep.store(true, SeqCst);
        while self.asleep.load(SeqCst) && self.running.load(SeqCst) == 0 && !self.stopped.load(SeqCst) {
            thread::park();
        }
        self.asleep.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_sleeps_when_idle_and_wakes_for_an_execution() {
        let ticker = Ticker::start(Vec::new(), Duration::from_millis(1)).unwrap();
        let wait_until_asleep = || {
            while !ticker.shared.asleep.load(SeqCst) {
                thread::yield_now();
            }
        };
        wait_until_asleep();
        let ticking = ticker.running();
        assert!(!ticker.shared.asleep.load(SeqCst));
        drop(ticking);
        wait_until_asleep();
    }
}
