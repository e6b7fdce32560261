//! What flows may spend.

use serde_json::json;

use super::*;
use crate::clock::Timestamp;
use crate::id::FlowId;
use crate::store::{self, LlmSpent, LlmUsage, Store};

struct Books {
    _folder: tempfile::TempDir,
    clock: Clock,
    store: Store,
    ledger: Ledger,
}

const FLOW: FlowId = FlowId::from_bytes([1; 16]);

fn books() -> Books {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_unix_ms(20_000 * 24 * 3_600 * 1_000 + 1));
    let store = Store::open(folder.path(), &store::Options::default()).unwrap();
    Books { _folder: folder, clock: clock.clone(), store: store.clone(), ledger: Ledger::new(store, clock) }
}

impl Books {
    async fn reserve(&self, account: &Account, tokens: u64) -> Result<Reservation, Exceeded> {
        let bound = Bound { tokens, micro_usd: tokens * 10 };
        match self.ledger.reserve(account, bound, "fast", used(1, 0)).await {
            Ok(reservation) => Ok(reservation),
            Err(Refused::Exceeded(exceeded)) => Err(exceeded),
            Err(Refused::Store(error)) => panic!("{error}"),
        }
    }

    /// Takes `tokens` by a call, all of them in.
    async fn spend(&self, account: &Account, tokens: u32) -> Result<(), Exceeded> {
        self.reserve(account, tokens.into()).await?.settle(used(tokens, 0), u64::from(tokens) * 10).await;
        Ok(())
    }

    async fn spent(&self) -> LlmSpent {
        self.store.llm_spent(FLOW, day(self.clock.now())).await.unwrap()
    }
}

/// Who pays for an execution that a trigger made.
fn account(limits: Limits) -> Account {
    Account::new(FLOW, limits, 0, None)
}

/// Who pays for one of another flow that it calls.
fn called(flow: u8, limits: Limits, caller: &Account) -> Account {
    Account::new(FlowId::from_bytes([flow; 16]), limits, 0, Some(caller.clone()))
}

fn used(input_tokens: u32, output_tokens: u32) -> Usage {
    Usage { input_tokens, output_tokens, cached_tokens: 0 }
}

fn daily(tokens: u64) -> Limits {
    Limits { tokens_per_day: Some(tokens), ..Limits::default() }
}

#[tokio::test]
async fn a_call_fits_into_every_budget_or_is_refused() {
    let books = books();
    let limits = Limits { tokens_per_execution: Some(100), tokens_per_day: Some(150), micro_usd_per_day: Some(1_400) };
    let first = account(limits);
    books.reserve(&first, 60).await.unwrap().settle(used(30, 20), 500).await;
    let over = books.reserve(&first, 51).await.err().unwrap();
    assert_eq!(over, Exceeded { name: "tokens per execution", limit: 100, used: 50, wanted: 51 });
    let second = account(limits);
    let over = books.reserve(&second, 95).await.err().unwrap();
    assert_eq!((over.name, over.used, over.wanted), ("micro_usd per day", 500, 950));
    books.reserve(&second, 90).await.unwrap().settle(used(90, 0), 0).await;
    let over = books.reserve(&account(limits), 11).await.err().unwrap();
    assert_eq!((over.name, over.used), ("tokens per day", 140));
    assert_eq!(first.usage().tokens(), 50);
    let again = Account::new(FLOW, limits, 95, None);
    assert!(books.reserve(&again, 6).await.is_err(), "what attempts before it spent counts");
}

#[tokio::test]
async fn calls_at_one_time_cannot_spend_more_together() {
    let books = books();
    let reserved = futures_util::future::join_all((0..20).map(|_| {
        let books = &books;
        async move { books.reserve(&account(daily(1_000)), 150).await }
    }));
    let through: Vec<_> = reserved.await.into_iter().flatten().collect();
    assert_eq!(through.len(), 6, "of 1,000 tokens, 150 each");
    for one in through {
        one.settle(used(100, 0), 0).await;
    }
    assert_eq!(books.spent().await.tokens, 600);
    assert!(books.reserve(&account(daily(1_000)), 400).await.is_ok());
}

#[tokio::test]
async fn what_is_given_back_or_cut_off_is_settled() {
    let books = books();
    let account = account(daily(100));
    books.reserve(&account, 100).await.unwrap().release();
    assert_eq!((books.spent().await, account.usage()), (LlmSpent::default(), LlmUsage::default()));
    let mut cut = books.reserve(&account, 100).await.unwrap();
    cut.note(used(30, 5), 7);
    assert_eq!((account.usage().calls, account.usage().tokens()), (1, 35), "while it is under way, too");
    drop(cut);
    assert_eq!((account.usage().calls, account.usage().tokens()), (1, 35));
    let over = books.reserve(&account, 66).await.err().unwrap();
    assert_eq!(over.used, 35, "in memory at once");
    // The write is on its way by itself: the one after it ends after it.
    tokio::task::yield_now().await;
    books.store.flush().await.unwrap();
    assert_eq!(books.spent().await, LlmSpent { tokens: 35, micro_usd: 7 });
}

#[tokio::test]
async fn a_restart_and_a_new_day_know_what_was_spent() {
    let books = books();
    let begun = books.reserve(&account(daily(100)), 80).await.unwrap();
    books.clock.advance(std::time::Duration::from_secs(24 * 3_600));
    let today = books.reserve(&account(daily(100)), 80).await.unwrap();
    begun.settle(used(80, 0), 0).await;
    assert_eq!(books.spent().await.tokens, 0, "a call counts for the day on which it began");
    today.settle(used(60, 10), 0).await;
    let again = Ledger::new(books.store.clone(), books.clock.clone());
    let books = Books { ledger: again, ..books };
    let over = books.reserve(&account(daily(100)), 31).await.err().unwrap();
    assert_eq!(over.used, 70);
    let days = books.store.llm_days(FLOW, 0, 10).await.unwrap();
    assert_eq!(days.iter().map(|one| (one.day, one.usage.calls)).collect::<Vec<_>>(), [(20_001, 1), (20_000, 1)]);
}

fn within(tokens: u64) -> Limits {
    Limits { tokens_per_execution: Some(tokens), ..Limits::default() }
}

#[tokio::test]
async fn what_is_called_spends_what_is_left_to_its_callers() {
    let books = books();
    let top = account(within(100));
    let middle = called(2, Limits::default(), &top);
    let (one, other) = (called(3, within(60), &middle), called(4, within(90), &middle));
    books.spend(&top, 20).await.unwrap();
    books.spend(&one, 50).await.unwrap();
    let over = books.reserve(&one, 11).await.err().unwrap();
    assert_eq!((over.name, over.limit, over.used), ("tokens per execution", 60, 50), "its own are the first");
    // What is under way below one of them is not there for the others.
    let under_way = books.reserve(&other, 20).await.unwrap();
    let over = books.reserve(&middle, 11).await.err().unwrap();
    let exceeded = Exceeded { name: "tokens per execution of a caller", limit: 100, used: 90, wanted: 11 };
    assert_eq!(over, exceeded);
    assert_eq!(books.reserve(&top, 11).await.err().unwrap(), Exceeded { name: "tokens per execution", ..exceeded });
    under_way.release();
    books.spend(&middle, 30).await.unwrap();
    assert_eq!(books.reserve(&top, 1).await.err().unwrap().used, 100);
    let own = [&top, &middle, &one, &other].map(|account| account.usage().tokens());
    assert_eq!(own, [20, 30, 50, 0], "each tells what is its own");
}

#[tokio::test]
async fn a_day_of_a_caller_counts_what_it_lets_others_spend() {
    let books = books();
    let limits = Limits { tokens_per_day: Some(100), micro_usd_per_day: Some(800), ..Limits::default() };
    let top = account(limits);
    let below = called(2, Limits::default(), &called(3, Limits::default(), &top));
    assert!(below.counts_money() && !called(2, daily(1), &account(daily(1))).counts_money());
    books.spend(&below, 50).await.unwrap();
    // A flow that is called by itself pays once.
    books.spend(&Account::new(FLOW, limits, 0, Some(below.clone())), 20).await.unwrap();
    let over = books.reserve(&below, 11).await.err().unwrap();
    assert_eq!((over.name, over.used, over.wanted), ("micro_usd per day of a caller", 700, 110));
    assert_eq!(books.spent().await, LlmSpent { tokens: 70, micro_usd: 700 });
    let own = books.store.llm_days(FLOW, 0, 10).await.unwrap();
    assert_eq!(own.iter().map(|one| one.usage.tokens()).sum::<u64>(), 20);

    let again = Ledger::new(books.store.clone(), books.clock.clone());
    let books = Books { ledger: again, ..books };
    let over = books.reserve(&account(limits), 31).await.err().unwrap();
    assert_eq!((over.name, over.used), ("tokens per day", 70), "a restart knows it");
}

#[test]
fn a_bound_is_the_dearest_that_may_answer() {
    let models = models(json!({
        "fast": {"provider": "openai", "model": "x", "max_tokens": 100, "fallback": ["dear"],
                 "input_micro_usd_per_mtok": 1_000_000, "output_micro_usd_per_mtok": 2_000_000,
                 "cached_micro_usd_per_mtok": 0},
        "dear": {"provider": "openai", "model": "y", "max_tokens": 200, "output_micro_usd_per_mtok": 30_000_000,
                 "input_micro_usd_per_mtok": 0},
        "unknown": {"provider": "anthropic", "model": "z", "input_micro_usd_per_mtok": 1},
    }));
    let fast = models.find("fast").unwrap();
    // A frame of 8 tokens and 3 bytes.
    let bound = models.bound(fast, &asking("abc"));
    assert_eq!(bound, Bound { tokens: 209, micro_usd: 6_000 });
    assert_eq!(models.bound(fast, &Request { max_tokens: Some(1), ..asking("abc") }).tokens, 10);
    let cost = |usage| fast.cost(usage).unwrap();
    assert_eq!(cost(used(10, 10)), 30);
    assert_eq!(cost(Usage { input_tokens: 10, output_tokens: 0, cached_tokens: 9 }), 1);
    assert_eq!(models.without_price(fast), None);
    assert_eq!(models.without_price(models.find("unknown").unwrap()), Some("unknown"));
}
