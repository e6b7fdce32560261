//! Nothing is lost: power cuts at random under load, beside receivers that refuse, stall, drip, have gone or want less.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::mute::Mute;
use crate::support::receiver::{Got, Planned, Receiver};
use crate::support::{Hook, House, PATIENCE, hmac};

/// Senders at one time, and how long each rests between two triggers.
const SENDERS: usize = 8;
const REST: Duration = Duration::from_millis(40);

/// An execution's id and an event's name.
type Happened = (String, String);

/// Whether a subscription is to hear of it.
type Wants = fn(&Happened) -> bool;

/// A subscription whose receiver is well, and what it must have heard of.
struct Healthy {
    name: &'static str,
    receiver: Receiver,
    wants: Wants,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_recorded_execution_produced_reaches_every_healthy_subscription() {
    let (seconds, seed) = (number("FLOWGATE_TEST_CRASH_S", 8), number("FLOWGATE_TEST_CRASH_SEED", rand::random()));
    let environment = [
        ("FLOWGATE_DELIVERY_ATTEMPT_MS_MAX", "1000"),
        ("FLOWGATE_DELIVERY_OPEN_S", "1"),
        ("FLOWGATE_DELIVERY_OPEN_S_MAX", "2"),
    ];
    let mut house = House::start_with(&environment).await;
    house.deploy("emitter", "emitter").await;
    let hook = house.hook("emitter", json!({ "auth": [hmac()] })).await;
    let healthy = healthy(&house).await;
    let _unwell = unwell(&house).await;

    let (mut random, mut kills, end) = (StdRng::seed_from_u64(seed), 0, Instant::now() + Duration::from_secs(seconds));
    let sent = AtomicUsize::new(0);
    while Instant::now() < end {
        let alive = Duration::from_millis(random.random_range(300..3_000));
        tokio::join!(load(&house, &hook, &sent), cut(house.process(), alive));
        house.kill();
        house.restart().await;
        kills += 1;
    }

    let happened = truth(&house).await;
    let mut told = format!("seed {seed}: {kills} kills, {} triggers, {} events", sent.into_inner(), happened.len());
    for one in &healthy {
        let wanted: HashSet<_> = happened.iter().filter(|event| (one.wants)(event)).collect();
        let heard = heard_all(one, &wanted).await;
        let twice: usize = heard.values().map(|times| times - 1).sum();
        let untrue = heard.keys().filter(|event| !wanted.contains(event)).count();
        told += &format!("; {}: {} of {}, {twice} more than once", one.name, wanted.len(), wanted.len());
        assert_eq!(untrue, 0, "{told}: what never was");
        assert!(!wanted.is_empty(), "{told}");
    }
    assert_eq!(out_of_order(&healthy), 0, "{told}");
    #[expect(clippy::print_stderr, reason = "the figures are part of what this test shows")]
    {
        eprintln!("{told}; none lost");
    }
}

#[expect(clippy::disallowed_methods, reason = "a person may ask for a longer run, or for the same one again")]
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

async fn subscribe(house: &House, url: &str, more: Value) {
    let mut wish = json!({ "url": url, "events": ["custom.made", "execution.succeeded", "execution.failed"] });
    wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.post("/v1/subscriptions", wish).await.expect(201);
}

async fn healthy(house: &House) -> [Healthy; 4] {
    let rows: [(_, _, Wants); 4] = [
        ("failed", json!({ "filter": { "status": "failed" } }), |(_, name)| name == "execution.failed"),
        ("custom", json!({ "events": ["custom.*"], "filter": { "data": { "n": 1 } } }), |(_, name)| {
            name == "custom.made"
        }),
        ("batch", json!({ "batch": { "events_max": 20, "wait_s": 1 } }), |_| true),
        ("session", json!({ "order": "session" }), |_| true),
    ];
    let made = rows.map(|(name, more, wants)| async move {
        let receiver = Receiver::start().await;
        subscribe(house, &receiver.url, more).await;
        Healthy { name, receiver, wants }
    });
    futures_util::future::join_all(made).await.try_into().ok().unwrap()
}

/// Receivers as nobody wants them. They live as long as what is returned.
async fn unwell(house: &House) -> (Mute, Mute, [Receiver; 3]) {
    let plan = |status, header| Planned { status, header };
    let (stalling, dripping) = (Mute::start().await, Mute::dripping().await);
    let answering = [
        Receiver::answering(plan(500, None)).await,
        Receiver::answering(plan(410, None)).await,
        Receiver::answering(plan(429, Some(("retry-after", "1")))).await,
    ];
    for url in [&stalling.url, &dripping.url].into_iter().chain(answering.iter().map(|one| &one.url)) {
        subscribe(house, url, json!({ "schedule": [1, 1, 1, 1, 1] })).await;
    }
    (stalling, dripping, answering)
}

/// Sends triggers until the server is gone: half of them to wait for the reply, a quarter of them to fail.
async fn load(house: &House, hook: &Hook, sent: &AtomicUsize) {
    let senders = (0..SENDERS).map(|_| async {
        loop {
            let n = sent.fetch_add(1, Ordering::Relaxed);
            let fail = n.is_multiple_of(4).then_some("no luck");
            let data = json!({ "emit": [["made", { "n": 1 }]], "fail": fail });
            let body = json!({ "session_id": format!("s{}", n % 16), "message": "x", "data": data });
            let prefer = if n % 8 < 4 { "respond-async" } else { "wait=10" };
            if house.try_send(hook, &[("prefer", prefer)], body.to_string().into()).await.is_err() {
                return;
            }
            tokio::time::sleep(REST).await;
        }
    });
    futures_util::future::join_all(senders).await;
}

/// Ends the server after a while as a power cut would.
async fn cut(process: u32, alive: Duration) {
    tokio::time::sleep(alive).await;
    let killed = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    assert!(killed.success());
}

/// What all executions produced, by the server's own account when none of them is under way any more.
async fn truth(house: &House) -> Vec<Happened> {
    let end = Instant::now() + PATIENCE;
    while !page(house, "?status=queued,running,waiting&limit=1").await.0.is_empty() {
        assert!(Instant::now() < end, "not all executions end");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (mut happened, mut query) = (Vec::new(), "?limit=100".to_owned());
    loop {
        let (rows, next) = page(house, &query).await;
        for row in rows {
            let id = row["id"].as_str().unwrap().to_owned();
            let name = format!("execution.{}", row["status"].as_str().unwrap());
            // Those that were not let to end by themselves would have produced something else.
            assert!(name == "execution.succeeded" || row["reason"] == "flow_error", "{row}");
            happened.extend([(id.clone(), "custom.made".to_owned()), (id, name)]);
        }
        let Some(next) = next else { return happened };
        query = format!("?limit=100&cursor={next}");
    }
}

async fn page(house: &House, query: &str) -> (Vec<Value>, Option<String>) {
    let list = house.get(&format!("/v1/executions{query}")).await.expect(200);
    (list["data"].as_array().unwrap().clone(), list["next_cursor"].as_str().map(str::to_owned))
}

/// What one delivery tells, a batch's events one by one.
fn told(got: &Got) -> Vec<Happened> {
    let body = got.json();
    let event = |event: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        (text(&event["data"]["execution_id"]), text(&event["type"]))
    };
    body["data"]["events"].as_array().map_or_else(|| vec![event(&body)], |events| events.iter().map(event).collect())
}

/// Waits until all that is wanted was heard, and returns how often each was.
async fn heard_all(one: &Healthy, wanted: &HashSet<&Happened>) -> HashMap<Happened, usize> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut heard = HashMap::new();
        for event in one.receiver.got().iter().flat_map(told) {
            *heard.entry(event).or_default() += 1;
        }
        let missing: Vec<_> = wanted.iter().filter(|event| !heard.contains_key(**event)).collect();
        if missing.is_empty() {
            return heard;
        }
        let lost = missing.len();
        assert!(Instant::now() < end, "{}: {lost} of {} were lost, {:?}", one.name, wanted.len(), missing[0]);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Executions whose end was heard before what they had emitted, where the order is promised.
fn out_of_order(healthy: &[Healthy]) -> usize {
    let ordered = healthy.iter().find(|one| one.name == "session").unwrap();
    let mut first = HashMap::new();
    for (id, name) in ordered.receiver.got().iter().flat_map(told) {
        first.entry(id).or_insert(name);
    }
    first.values().filter(|name| *name != "custom.made").count()
}
