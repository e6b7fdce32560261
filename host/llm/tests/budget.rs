//! What flows may spend.

use serde_json::json;

use super::*;
use crate::clock::Timestamp;
use crate::id::FlowId;
use crate::store::{self, LlmUsage, Store};

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
    async fn reserve(&self, spent: &Spent, limits: Limits, tokens: u64) -> Result<Reservation, Exceeded> {
        let bound = Bound { tokens, micro_usd: tokens * 10 };
        match self.ledger.reserve(FLOW, spent, limits, bound, "fast", used(1, 0)).await {
            Ok(reservation) => Ok(reservation),
            Err(Refused::Exceeded(exceeded)) => Err(exceeded),
            Err(Refused::Store(error)) => panic!("{error}"),
        }
    }

    async fn spent(&self) -> LlmUsage {
        self.store.llm_spent(FLOW, day(self.clock.now())).await.unwrap()
    }
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
    let first = Spent::default();
    books.reserve(&first, limits, 60).await.unwrap().settle(used(30, 20), 500).await;
    let over = books.reserve(&first, limits, 51).await.err().unwrap();
    assert_eq!(over, Exceeded { name: "tokens per execution", limit: 100, used: 50, wanted: 51 });
    let second = Spent::default();
    let over = books.reserve(&second, limits, 95).await.err().unwrap();
    assert_eq!((over.name, over.used, over.wanted), ("micro_usd per day", 500, 950));
    books.reserve(&second, limits, 90).await.unwrap().settle(used(90, 0), 0).await;
    let over = books.reserve(&Spent::after(0), limits, 11).await.err().unwrap();
    assert_eq!((over.name, over.used), ("tokens per day", 140));
    assert_eq!(first.usage().tokens(), 50);
    assert!(books.reserve(&Spent::after(95), limits, 6).await.is_err(), "what attempts before it spent counts");
}

#[tokio::test]
async fn calls_at_one_time_cannot_spend_more_together() {
    let books = books();
    let reserved = futures_util::future::join_all((0..20).map(|_| {
        let books = &books;
        async move { books.reserve(&Spent::default(), daily(1_000), 150).await }
    }));
    let through: Vec<_> = reserved.await.into_iter().flatten().collect();
    assert_eq!(through.len(), 6, "of 1,000 tokens, 150 each");
    for one in through {
        one.settle(used(100, 0), 0).await;
    }
    assert_eq!(books.spent().await.tokens(), 600);
    assert!(books.reserve(&Spent::default(), daily(1_000), 400).await.is_ok());
}

#[tokio::test]
async fn what_is_given_back_or_cut_off_is_settled() {
    let books = books();
    books.reserve(&Spent::default(), daily(100), 100).await.unwrap().release();
    assert_eq!(books.spent().await, LlmUsage::default());
    let (spent, mut cut) = (Spent::default(), books.reserve(&Spent::default(), daily(100), 100).await.unwrap());
    cut.note(used(30, 5), 7);
    drop(cut);
    let over = books.reserve(&spent, daily(100), 66).await.err().unwrap();
    assert_eq!(over.used, 35, "in memory at once");
    // The write is on its way by itself: the one after it ends after it.
    tokio::task::yield_now().await;
    books.store.flush().await.unwrap();
    assert_eq!((books.spent().await.tokens(), books.spent().await.micro_usd), (35, 7));
}

#[tokio::test]
async fn a_restart_and_a_new_day_know_what_was_spent() {
    let books = books();
    let begun = books.reserve(&Spent::default(), daily(100), 80).await.unwrap();
    books.clock.advance(std::time::Duration::from_secs(24 * 3_600));
    let today = books.reserve(&Spent::default(), daily(100), 80).await.unwrap();
    begun.settle(used(80, 0), 0).await;
    assert_eq!(books.spent().await.tokens(), 0, "a call counts for the day on which it began");
    today.settle(used(60, 10), 0).await;
    let again = Ledger::new(books.store.clone(), books.clock.clone());
    let books = Books { ledger: again, ..books };
    let over = books.reserve(&Spent::default(), daily(100), 31).await.err().unwrap();
    assert_eq!(over.used, 70);
    let days = books.store.llm_days(FLOW, 0, 10).await.unwrap();
    assert_eq!(days.iter().map(|one| (one.day, one.usage.calls)).collect::<Vec<_>>(), [(20_001, 1), (20_000, 1)]);
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
