//! A power cut at the worst moment, and an orderly stop.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::support::receiver::Receiver;
use crate::support::{Hook, House, PATIENCE, hmac};

/// Triggers that are acknowledged in all.
const TRIGGERS: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_before_a_kill_is_executed_and_delivered() {
    let (mut house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let callback = json!({ "url": receiver.url, "schedule_s": [1, 1, 1, 1, 1, 1, 1, 1] });
    let hook = house.hook("echo", json!({ "auth": [hmac()], "mode": "async", "callback": callback })).await;

    // Killed in the middle of the flood, twice: some are accepted, some are running, some are being delivered.
    let mut acknowledged = HashSet::new();
    for kill_after in [TRIGGERS / 3, TRIGGERS / 3] {
        acknowledged.extend(flood_and_kill(&mut house, &hook, kill_after).await);
        house.restart().await;
    }
    let rest = TRIGGERS.saturating_sub(acknowledged.len());
    acknowledged.extend(flood(&house, &hook, rest, &AtomicBool::new(false)).await);
    assert!(acknowledged.len() >= TRIGGERS, "only {} were acknowledged", acknowledged.len());

    let end = tokio::time::Instant::now() + PATIENCE;
    let delivered = loop {
        let mut delivered: HashMap<String, usize> = HashMap::new();
        for got in receiver.got() {
            let id = got.json()["data"]["execution_id"].as_str().unwrap().to_owned();
            *delivered.entry(id).or_default() += 1;
        }
        let missing = acknowledged.iter().filter(|id| !delivered.contains_key(*id)).count();
        if missing == 0 {
            break delivered;
        }
        assert!(tokio::time::Instant::now() < end, "{missing} of {} were lost", acknowledged.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let duplicates: usize = delivered.values().map(|n| n - 1).sum();
    let unacknowledged = delivered.keys().filter(|id| !acknowledged.contains(*id)).count();
    #[expect(clippy::print_stderr, reason = "the figures are part of what this test shows")]
    {
        eprintln!(
            "{} acknowledged, {} lost, {duplicates} delivered twice, {unacknowledged} delivered without having been acknowledged",
            acknowledged.len(),
            0,
        );
    }
    assert!(duplicates < acknowledged.len() / 2, "a duplicate is the exception: {duplicates}");
}

/// Sends triggers until `kill_after` were acknowledged, then kills the server while more are on their way. Returns all
/// that were acknowledged.
async fn flood_and_kill(house: &mut House, hook: &Hook, kill_after: usize) -> HashSet<String> {
    let (enough, process) = (AtomicBool::new(false), house.process());
    let killer = async {
        while !enough.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The real thing, not a polite signal.
        let killed = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
        assert!(killed.success());
    };
    let sent = async {
        let mut acknowledged = flood(house, hook, kill_after, &AtomicBool::new(false)).await;
        acknowledged.extend(flood(house, hook, usize::MAX, &enough).await);
        acknowledged
    };
    let (acknowledged, ()) = tokio::join!(sent, killer);
    house.kill();
    acknowledged
}

/// Sends triggers by 32 senders until `n` were acknowledged or the server is gone; says in `under_way` when it has begun.
async fn flood(house: &House, hook: &Hook, n: usize, under_way: &AtomicBool) -> HashSet<String> {
    let acknowledged = Mutex::new(HashSet::new());
    let senders = (0..32).map(|_| async {
        while acknowledged.lock().unwrap().len() < n {
            let body = Bytes::from_static(br#"{"message":"do not lose me"}"#);
            let Ok(answer) = house.try_send(hook, &[], body).await else { return };
            if answer.status == 202 {
                let id = answer.json()["execution_id"].as_str().unwrap().to_owned();
                acknowledged.lock().unwrap().insert(id);
                under_way.store(true, Ordering::Relaxed);
            }
        }
    });
    futures_util::future::join_all(senders).await;
    acknowledged.into_inner().unwrap()
}

#[tokio::test]
async fn a_stop_lets_a_request_end_and_exits_with_0() {
    let mut house = House::start().await;
    let hook = house.flow("slow").await;
    let (answer, ()) =
        tokio::join!(house.send_with(&hook, &[], Bytes::from_static(br#"{"data":{"ms":1500}}"#)), async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            house.terminate();
        });
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(house.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_stop_hands_back_what_does_not_end_and_the_next_process_runs_it() {
    let mut house = House::start_with(&[("FLOWGATE_SERVER_DRAIN_MS_MAX", "300")]).await;
    let hook = house.flow("slow").await;
    let body = Bytes::from_static(br#"{"data":{"ms":2500}}"#);
    let accepted = house.send_with(&hook, &[("prefer", "respond-async")], body).await.expect(202);
    let id = accepted["execution_id"].as_str().unwrap();
    while house.get(&format!("/v1/executions/{id}")).await.json()["status"] != "running" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.terminate();
    assert_eq!(house.ended().await.code(), Some(0));
    house.restart().await;
    let ended = house.ended_execution(id).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("succeeded"), &json!(2)));
}

/// Keeps the database from being written, as a full or failing disk would, until it is dropped.
fn lock(house: &House) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(house.folder.path().join("data/flowgate.db")).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    database
}

#[tokio::test]
async fn a_store_that_cannot_be_written_promises_nothing_and_loses_nothing() {
    let house = House::start_with(&[("FLOWGATE_QUEUE_SETBACK_MS", "200")]).await;
    let chat = house.flow("chat").await;
    house.deploy("slow", "slow").await;
    let strict = house.hook("slow", json!({ "auth": [hmac()], "record": "strict", "sync_wait_ms": 1000 })).await;

    // Accepted before the failure, ends during it.
    let body = Bytes::from_static(br#"{"data":{"ms":2000}}"#);
    let accepted = house.send_with(&strict, &[], body.clone()).await.expect(202);
    let locked = lock(&house);
    let turn = json!({ "session_id": "s", "message": "remember me" });
    assert_eq!(house.send(&chat, turn.clone()).await.problem(503), "store-unavailable");
    let refused = house.send_with(&chat, &[("prefer", "respond-async")], body).await;
    assert_eq!(refused.problem(503), "store-unavailable");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    drop(locked);

    let ended = house.ended_execution(accepted["execution_id"].as_str().unwrap()).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("succeeded"), &json!(2)), "{ended}");
    house.send(&chat, turn).await.expect(200);
}

#[tokio::test]
async fn a_caller_who_goes_away_stops_nothing() {
    let house = House::start().await;
    let hook = house.flow("slow").await;
    let body = Bytes::from_static(br#"{"data":{"ms":1000}}"#);
    let gone = tokio::time::timeout(Duration::from_millis(300), house.send_with(&hook, &[], body)).await;
    assert!(gone.is_err());
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = house.get("/v1/executions?flow=slow&status=succeeded").await.expect(200);
        if list["data"].as_array().unwrap().len() == 1 {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "the execution went with its caller");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
