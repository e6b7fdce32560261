//! What flows may spend: reserved before a call, settled after it.
//!
//! A call is let through only when what it may cost at most fits into every budget, beside what other calls that are under
//! way may cost. So no number of executions at one time can spend more than one after the other could. What was spent in a
//! day is in the store, and what is reserved is in memory: a restart ends the calls too.
//!
//! What an execution spends counts as well for those that called it and wait, however many levels above it they stand, and so
//! must fit into what is left to each of them.

use std::collections::{HashMap, HashSet};
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use super::chat::Usage;
use crate::clock::{Clock, Timestamp};
use crate::id::FlowId;
use crate::store::{self, LlmSpent, LlmUsage, Store};

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

/// Who pays for the calls of one execution: the execution itself, and those that called it and wait. Clones share it.
#[derive(Debug, Clone)]
pub struct Account(Arc<Payer>);

#[derive(Debug)]
struct Payer {
    flow: FlowId,
    limits: Limits,
    caller: Option<Account>,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    /// Tokens of its attempts before, and of what it called.
    besides: u64,
    /// Tokens that calls under way may take, those of what it called included.
    reserved: u64,
    /// Its own calls that have ended.
    usage: LlmUsage,
    /// What its own calls under way have taken so far.
    so_far: HashMap<u64, LlmUsage>,
    /// Tells these apart.
    calls: u64,
}

impl Account {
    /// That of an execution of `flow`, after tokens that were spent for it before; `caller` is that of the one that waits for it.
    pub fn new(flow: FlowId, limits: Limits, before: u64, caller: Option<Self>) -> Self {
        let spent = Mutex::new(Spent { besides: before, ..Spent::default() });
        Self(Arc::new(Payer { flow, limits, caller, spent }))
    }

    /// What the execution's own calls took, those under way included, without what was before.
    pub fn usage(&self) -> LlmUsage {
        let spent = lock(&self.0.spent);
        let mut usage = spent.usage;
        spent.so_far.values().for_each(|call| usage.add(*call));
        usage
    }

    /// Whether somebody who pays has a budget in money.
    pub fn counts_money(&self) -> bool {
        self.payers().any(|payer| payer.limits.micro_usd_per_day.is_some())
    }

    /// The execution, its caller, the caller's caller and so on.
    fn payers(&self) -> impl Iterator<Item = &Payer> {
        iter::successors(Some(self), |account| account.0.caller.as_ref()).map(|account| &*account.0)
    }

    /// Their flows, each once: a flow that calls itself pays once.
    fn flows(&self) -> HashSet<FlowId> {
        self.payers().map(|payer| payer.flow).collect()
    }
}

impl Spent {
    /// A number for a call.
    fn enter(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }
}

impl Payer {
    /// Whether a call fits into what is left, beside what is on the page of the flow.
    fn fits(&self, today: &Today, bound: Bound, names: [&'static str; 3]) -> Result<(), Exceeded> {
        let spent = lock(&self.spent);
        let execution = spent.besides + spent.usage.tokens() + spent.reserved;
        let tokens = today.spent.tokens + today.reserved.tokens;
        let micro_usd = today.spent.micro_usd + today.reserved.micro_usd;
        let Limits { tokens_per_execution, tokens_per_day, micro_usd_per_day } = self.limits;
        for (name, limit, used, wanted) in [
            (names[0], tokens_per_execution, execution, bound.tokens),
            (names[1], tokens_per_day, tokens, bound.tokens),
            (names[2], micro_usd_per_day, micro_usd, bound.micro_usd),
        ] {
            if let Some(limit) = limit.filter(|limit| used.saturating_add(wanted) > *limit) {
                return Err(Exceeded { name, limit, used, wanted });
            }
        }
        Ok(())
    }
}

/// The budgets of the execution that makes a call.
const OWN: [&str; 3] = ["tokens per execution", "tokens per day", "micro_usd per day"];

/// Those of the executions that it runs for.
const CALLERS: [&str; 3] =
    ["tokens per execution of a caller", "tokens per day of a caller", "micro_usd per day of a caller"];

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

    /// Sets aside what a call may cost. `least` is what it takes when nobody says otherwise.
    pub async fn reserve(
        &self,
        account: &Account,
        bound: Bound,
        model: &str,
        least: Usage,
    ) -> Result<Reservation, Refused> {
        let (day, flows) = (day(self.0.clock.now()), account.flows());
        for flow in &flows {
            self.open(*flow, day).await?;
        }
        // Held for all of it, so that whoever reserves or settles meanwhile is seen as a whole or not at all.
        let mut pages = lock(&self.0.flows);
        for (payer, names) in account.payers().zip(iter::once(OWN).chain(iter::repeat(CALLERS))) {
            let today = pages.entry(payer.flow).or_default();
            payer.fits(today, bound, names).map_err(Refused::Exceeded)?;
        }
        for flow in flows {
            let today = pages.entry(flow).or_default();
            today.reserved.tokens += bound.tokens;
            today.reserved.micro_usd += bound.micro_usd;
        }
        for payer in account.payers() {
            lock(&payer.spent).reserved += bound.tokens;
        }
        drop(pages);
        let call = lock(&account.0.spent).enter();
        let (ledger, account, model) = (self.clone(), account.clone(), model.to_owned());
        let mut reservation = Reservation { ledger, account, day, model, bound, call };
        reservation.note(least, 0);
        Ok(reservation)
    }

    /// Makes sure that the page of the day is open.
    async fn open(&self, flow: FlowId, day: i64) -> Result<(), store::Error> {
        if lock(&self.0.flows).get(&flow).is_some_and(|today| today.day == day) {
            return Ok(());
        }
        let LlmSpent { tokens, micro_usd } = self.0.store.llm_spent(flow, day).await?;
        let mut flows = lock(&self.0.flows);
        flows.retain(|_, page| page.day == day || page.reserved != Bound::default());
        // Another call may have opened it in the meantime, and written on it.
        if flows.get(&flow).is_none_or(|page| page.day != day) {
            let spent = Bound { tokens, micro_usd };
            flows.insert(flow, Today { day, spent, reserved: Bound::default() });
        }
        Ok(())
    }
}

/// What was set aside for a call. One that is dropped is settled by what is known to have come.
pub struct Reservation {
    ledger: Ledger,
    account: Account,
    day: i64,
    model: String,
    bound: Bound,
    /// Its number among the account's calls, where it stands until it is settled.
    call: u64,
}

impl Reservation {
    /// Notes what the call has taken so far, should it end here.
    pub fn note(&mut self, usage: Usage, micro_usd: u64) {
        let so_far = LlmUsage {
            calls: 1,
            input_tokens: usage.input_tokens.into(),
            output_tokens: usage.output_tokens.into(),
            cached_tokens: usage.cached_tokens.into(),
            micro_usd,
        };
        lock(&self.account.0.spent).so_far.insert(self.call, so_far);
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
    pub fn release(self) {
        self.book(|_| LlmUsage::default());
    }

    /// Puts what was taken in the place of what was set aside, for all who pay. None when that was done before.
    fn book(&self, taken: impl FnOnce(LlmUsage) -> LlmUsage) -> Option<LlmUsage> {
        let mut pages = lock(&self.ledger.0.flows);
        let taken = taken(lock(&self.account.0.spent).so_far.remove(&self.call)?);
        for flow in self.account.flows() {
            if let Some(today) = pages.get_mut(&flow).filter(|today| today.day == self.day) {
                today.reserved.tokens -= self.bound.tokens;
                today.reserved.micro_usd -= self.bound.micro_usd;
                today.spent.tokens += taken.tokens();
                today.spent.micro_usd += taken.micro_usd;
            }
        }
        for payer in self.account.payers() {
            lock(&payer.spent).reserved -= self.bound.tokens;
        }
        for caller in self.account.payers().skip(1) {
            lock(&caller.spent).besides += taken.tokens();
        }
        lock(&self.account.0.spent).usage.add(taken);
        Some(taken)
    }

    /// Settles in memory, and says how to settle on the disk.
    fn close(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let taken = self.book(|so_far| so_far)?;
        let (flow, day, model) = (self.account.0.flow, self.day, std::mem::take(&mut self.model));
        let callers = self.account.flows().into_iter().filter(|payer| *payer != flow).collect();
        let store = self.ledger.0.store.clone();
        Some(async move {
            if let Err(error) = store.llm_spend(flow, callers, day, model, taken).await {
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
