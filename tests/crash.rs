//! A power cut at the worst moment, and an orderly stop.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::support::receiver::Receiver;
use crate::support::{Hook, House, PATIENCE, hmac};

/// Triggers that are sent before the test gives up on them.
const TRIGGERS: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_before_a_kill_is_executed_and_delivered() {
    let (mut house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let callback = json!({ "url": receiver.url, "schedule_s": [1, 1, 1, 1, 1, 1, 1, 1] });
    let hook = house.hook("echo", json!({ "auth": [hmac()], "mode": "async", "callback": callback })).await;

    // Killed in the middle of the flood, twice: some are accepted, some are running, some are being delivered.
    let mut acknowledged = HashSet::new();
    for (kill_after, sent) in [(400, TRIGGERS / 2), (700, TRIGGERS / 2)] {
        acknowledged.extend(flood_and_kill(&mut house, &hook, sent, kill_after).await);
        house.restart().await;
    }
    acknowledged.extend(flood(&house, &hook, 50).await);
    assert!(acknowledged.len() > 400, "only {} were acknowledged before the kills", acknowledged.len());

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

/// Sends triggers until the server, killed on the way, takes no more; returns those that were acknowledged.
async fn flood_and_kill(house: &mut House, hook: &Hook, sent: usize, kill_after: usize) -> HashSet<String> {
    let acknowledged = Arc::new(tokio::sync::Mutex::new(HashSet::new()));
    let process = house.process();
    let killer = {
        let acknowledged = acknowledged.clone();
        async move {
            while acknowledged.lock().await.len() < kill_after {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The real thing, not a polite signal.
            let killed = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
            assert!(killed.success());
        }
    };
    let senders = futures_util::future::join_all((0..32).map(|_| {
        let (house, acknowledged) = (&*house, acknowledged.clone());
        async move {
            for _ in 0..sent / 32 {
                let body = Bytes::from_static(br#"{"message":"do not lose me"}"#);
                let Ok(answer) = house.try_send(hook, &[], body).await else { return };
                if answer.status == 202 {
                    let id = answer.json()["execution_id"].as_str().unwrap().to_owned();
                    acknowledged.lock().await.insert(id);
                }
            }
        }
    }));
    tokio::join!(senders, killer);
    house.kill();
    Arc::into_inner(acknowledged).unwrap().into_inner()
}

async fn flood(house: &House, hook: &Hook, n: usize) -> HashSet<String> {
    let mut acknowledged = HashSet::new();
    for _ in 0..n {
        let accepted = house.send(hook, json!({ "message": "the last ones" })).await.expect(202);
        acknowledged.insert(accepted["execution_id"].as_str().unwrap().to_owned());
    }
    acknowledged
}

#[tokio::test]
async fn a_stop_lets_a_request_end_and_exits_with_0() {
    let mut house = House::start().await;
    let hook = house.flow("slow").await;
    let (answer, ()) = tokio::join!(
        house.send_with(&hook, &[], Bytes::from_static(br#"{"data":{"ms":1500}}"#)),
        async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            house.terminate();
        }
    );
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
