//! What flows may spend: reserved before a call, settled after it.
//!
//! A call is let through only when what it may cost at most fits into every budget, beside what other calls that are under
//! way may cost. So no number of executions at one time can spend more than one after the other could. What was spent in a
//! day is in the store, and what is reserved is in memory: a restart ends the calls too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::chat::Usage;
use crate::clock::{Clock, Timestamp};
use crate::id::FlowId;
use crate::store::{self, LlmUsage, Store};

const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// What a flow may spend. What is absent has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Tokens in and out of one execution.
    pub tokens_per_execution: Option<u64>,
    /// Tokens in and out of one UTC day.
    pub tokens_per_day: Option<u64>,
    /// Millionths of a US dollar of one UTC day.
    pub micro_usd_per_day: Option<u64>,
}

/// What a call may cost at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bound {
    /// In and out.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub micro_usd: u64,
}

/// The budget that a call does not fit into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Its name.
    pub name: &'static str,
    /// All of it.
    pub limit: u64,
    /// What is spent, or reserved by others.
    pub used: u64,
    /// What the call may cost.
    pub wanted: u64,
}

/// Why nothing was reserved.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It does not fit.
    #[error("over the budget `{}`", .0.name)]
    Exceeded(Exceeded),
    /// It is not known what was spent.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What one execution has spent, in all its attempts and in what it lets others do. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Spent(Arc<Mutex<Execution>>);

#[derive(Debug, Default)]
struct Execution {
    before: u64,
    reserved: u64,
    usage: LlmUsage,
}

impl Spent {
    /// One that begins with tokens that were spent before.
    pub fn after(tokens: u64) -> Self {
        Self(Arc::new(Mutex::new(Execution { before: tokens, ..Execution::default() })))
    }

    /// What was spent so far, without what was before.
    pub fn usage(&self) -> LlmUsage {
        lock(&self.0).usage
    }
}

/// What one flow spends today.
#[derive(Debug, Default)]
struct Today {
    day: i64,
    spent: Bound,
    reserved: Bound,
}

/// The books of all flows. Clones share them.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    flows: Mutex<HashMap<FlowId, Today>>,
}

impl Ledger {
    /// The books in a store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self(Arc::new(Inner { store, clock, flows: Mutex::default() }))
    }

    /// Sets aside what a call may cost. `usage` is what it takes when nobody says otherwise.
    pub async fn reserve(
        &self,
        flow: FlowId,
        spent: &Spent,
        limits: Limits,
        bound: Bound,
        model: &str,
        usage: Usage,
    ) -> Result<Reservation, Refused> {
        let day = day(self.0.clock.now());
        self.open(flow, day).await?;
        let mut flows = lock(&self.0.flows);
        let today = flows.entry(flow).or_default();
        let mut execution = lock(&spent.0);
        let own = execution.before + execution.usage.tokens() + execution.reserved;
        let tokens = today.spent.tokens + today.reserved.tokens;
        let micro_usd = today.spent.micro_usd + today.reserved.micro_usd;
        for (name, limit, used, wanted) in [
            ("tokens per execution", limits.tokens_per_execution, own, bound.tokens),
            ("tokens per day", limits.tokens_per_day, tokens, bound.tokens),
            ("micro_usd per day", limits.micro_usd_per_day, micro_usd, bound.micro_usd),
        ] {
            if let Some(limit) = limit.filter(|limit| used.saturating_add(wanted) > *limit) {
                return Err(Refused::Exceeded(Exceeded { name, limit, used, wanted }));
            }
        }
        execution.reserved += bound.tokens;
        today.reserved.tokens += bound.tokens;
        today.reserved.micro_usd += bound.micro_usd;
        drop(execution);
        drop(flows);
        Ok(Reservation {
            ledger: self.clone(),
            spent: spent.clone(),
            flow,
            day,
            model: model.to_owned(),
            bound,
            so_far: Some((usage, 0)),
        })
    }

    /// Makes sure that the page of the day is open.
    async fn open(&self, flow: FlowId, day: i64) -> Result<(), store::Error> {
        if lock(&self.0.flows).get(&flow).is_some_and(|today| today.day == day) {
            return Ok(());
        }
        let spent = self.0.store.llm_spent(flow, day).await?;
        let mut flows = lock(&self.0.flows);
        flows.retain(|_, page| page.day == day || page.reserved != Bound::default());
        // Another call may have opened it in the meantime, and written on it.
        if flows.get(&flow).is_none_or(|page| page.day != day) {
            let spent = Bound { tokens: spent.tokens(), micro_usd: spent.micro_usd };
            flows.insert(flow, Today { day, spent, reserved: Bound::default() });
        }
        Ok(())
    }
}

/// What was set aside for a call. One that is dropped is settled by what is known to have come.
pub struct Reservation {
    ledger: Ledger,
    spent: Spent,
    flow: FlowId,
    day: i64,
    model: String,
    bound: Bound,
    /// What the call has taken and cost as far as is known; none when it is settled.
    so_far: Option<(Usage, u64)>,
}

impl Reservation {
    /// Notes what the call has taken so far, should it end here.
    pub fn note(&mut self, usage: Usage, micro_usd: u64) {
        self.so_far = Some((usage, micro_usd));
    }

    /// Settles what was taken, which is durable when this returns; of a store that fails there is a line in the log. Cancel
    /// safe: it is written all the same.
    pub async fn settle(mut self, usage: Usage, micro_usd: u64) {
        self.note(usage, micro_usd);
        if let Some(writing) = self.close() {
            let _ = tokio::spawn(writing).await;
        }
    }

    /// Gives back what was set aside for a call that took nothing.
    pub fn release(mut self) {
        self.so_far = None;
        self.free();
    }

    fn free(&self) {
        let mut flows = lock(&self.ledger.0.flows);
        if let Some(today) = flows.get_mut(&self.flow).filter(|today| today.day == self.day) {
            today.reserved.tokens -= self.bound.tokens;
            today.reserved.micro_usd -= self.bound.micro_usd;
        }
        lock(&self.spent.0).reserved -= self.bound.tokens;
    }

    /// Settles in memory, and says how to settle on the disk.
    fn close(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let (usage, micro_usd) = self.so_far.take()?;
        self.free();
        let usage = LlmUsage {
            calls: 1,
            input_tokens: usage.input_tokens.into(),
            output_tokens: usage.output_tokens.into(),
            cached_tokens: usage.cached_tokens.into(),
            micro_usd,
        };
        lock(&self.spent.0).usage.add(usage);
        let inner = self.ledger.0.clone();
        if let Some(today) = lock(&inner.flows).get_mut(&self.flow).filter(|today| today.day == self.day) {
            today.spent.tokens += usage.tokens();
            today.spent.micro_usd += micro_usd;
        }
        let (flow, day, model) = (self.flow, self.day, std::mem::take(&mut self.model));
        Some(async move {
            if let Err(error) = inner.store.llm_spend(flow, day, model, usage).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%flow, error, "what a flow spent on a model was not recorded");
            }
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let (Some(writing), Ok(runtime)) = (self.close(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(writing);
        }
    }
}

/// The UTC day, counted from 1970.
pub fn day(at: Timestamp) -> i64 {
    at.unix_ms().div_euclid(DAY_MS)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // No page is ever left half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
