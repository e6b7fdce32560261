//! Hostile guests: each ends its own execution, for the right reason, while others go on.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Hook, House, hmac};

/// A house in which guests get little, so that they reach their limits soon.
async fn house() -> (House, Hook) {
    let house = House::start_with(&[("FLOWGATE_ENGINE_CPU_MS_MAX", "1500")]).await;
    let echo = house.flow("echo").await;
    (house, echo)
}

/// Lets a guest do its worst while an honest flow is asked, and returns the hostile execution.
async fn against(guest: &str, data: Value) -> Value {
    let (house, echo) = house().await;
    let hostile = house.flow(guest).await;
    let (answer, honest) = tokio::join!(house.send(&hostile, json!({ "data": data })), async {
        for _ in 0..20 {
            house.send(&echo, json!({ "message": "still here" })).await.expect(200);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let () = honest;
    let id = answer.header("flowgate-execution-id").to_owned();
    let body = answer.json();
    let id = body["execution_id"].as_str().map_or(id, str::to_owned);
    let execution = house.ended_execution(&id).await;
    house.send(&echo, json!({ "message": "afterwards" })).await.expect(200);
    let logs = house.get(&format!("/v1/executions/{id}/logs")).await.expect(200);
    json!({ "answer": body, "execution": execution, "logs": logs })
}

#[track_caller]
fn assert_reason(told: &Value, status: &str, reason: &str) {
    let execution = &told["execution"];
    assert_eq!((&execution["status"], &execution["reason"]), (&json!(status), &json!(reason)), "{told:.2000}");
}

#[tokio::test]
async fn an_infinite_loop_uses_up_its_cpu_budget() {
    let told = against("infinite_loop", json!({})).await;
    assert_reason(&told, "failed", "cpu_budget");
    assert_eq!(told["answer"]["code"], "flow-cpu-budget");
    let used = told["execution"]["usage"]["cpu_us"].as_u64().unwrap();
    assert!((1_400_000..2_500_000).contains(&used), "{used}");
}

#[tokio::test]
async fn a_memory_bomb_is_out_of_memory() {
    let told = against("memory_bomb", json!({})).await;
    assert_reason(&told, "failed", "out_of_memory");
    assert!(told["execution"]["usage"]["memory_bytes"].as_u64().unwrap() <= 128 << 20);
}

#[tokio::test]
async fn bombs_share_the_memory_of_the_host_and_leave_some() {
    let house = House::start_with(&[("FLOWGATE_ENGINE_MEMORY_TOTAL_BYTES_MAX", "50331648")]).await;
    let (echo, bomb) = (house.flow("echo").await, house.flow("memory_bomb").await);
    let (bombs, ()) =
        tokio::join!(futures_util::future::join_all((0..8).map(|_| house.send(&bomb, json!({})))), async {
            for _ in 0..20 {
                house.send(&echo, json!({ "message": "still here" })).await.expect(200);
            }
        });
    let mut all = 0;
    for answer in bombs {
        assert_eq!(answer.header("retry-after"), "1", "{}", answer.text());
        let id = answer.json()["execution_id"].as_str().unwrap().to_owned();
        assert_eq!(answer.problem(503), "host-out-of-memory");
        let execution = house.ended_execution(&id).await;
        assert_reason(&json!({ "execution": execution }), "failed", "host_memory");
        all = all.max(execution["usage"]["memory_bytes"].as_u64().unwrap());
    }
    assert!(all <= 52 << 20, "the total and what is each one's own: {all}");
}

#[tokio::test]
async fn a_table_bomb_traps() {
    let told = against("table_bomb", json!({})).await;
    assert_eq!(told["execution"]["status"], "failed", "{told}");
    assert!(matches!(told["execution"]["reason"].as_str(), Some("trap" | "out_of_memory")), "{told}");
}

#[tokio::test]
async fn deep_recursion_traps() {
    assert_reason(&against("deep_recursion", json!({})).await, "failed", "trap");
}

#[tokio::test]
async fn a_panic_traps_and_leaves_its_words_in_the_log() {
    let told = against("panic", json!({})).await;
    assert_reason(&told, "failed", "trap");
    assert!(told["logs"].to_string().contains("panicked"), "{}", told["logs"]);
}

#[tokio::test]
async fn a_huge_reply_is_over_the_limit() {
    assert_reason(&against("huge_reply", json!({})).await, "failed", "over_limit");
}

#[tokio::test]
async fn a_header_flood_is_over_the_limit() {
    assert_reason(&against("header_flood", json!({})).await, "failed", "over_limit");
    let evil = against("header_flood", json!({ "fields": 1, "evil": true })).await;
    assert_reason(&evil, "failed", "over_limit");
}

#[tokio::test]
async fn a_reply_that_is_not_json_is_over_the_limit() {
    assert_reason(&against("bad_json", json!({})).await, "failed", "over_limit");
}

#[tokio::test]
async fn a_log_flood_is_counted_and_dropped() {
    let told = against("log_flood", json!({ "lines": 20_000, "bytes": 100 })).await;
    let attempt = &told["logs"]["data"][0];
    assert_eq!(attempt["lines"].as_array().map(Vec::len), Some(1_000), "{:.500}", told["logs"].to_string());
    assert!(attempt["dropped"].as_u64().unwrap() >= 19_000);
}

#[tokio::test]
async fn a_stderr_flood_is_counted_and_dropped() {
    let told = against("stderr_flood", json!({ "bytes": 8 << 20 })).await;
    assert!(told["logs"]["data"][0]["dropped"].as_u64().unwrap() > 0, "{:.500}", told["logs"].to_string());
}

#[tokio::test]
async fn an_output_flood_is_refused_by_the_host() {
    let told = against("output_flood", json!({ "outputs": 20_000, "bytes": 1024 })).await;
    let id = told["execution"]["id"].as_str().unwrap();
    assert!(id.starts_with("exe_"));
    assert!(matches!(told["execution"]["status"].as_str(), Some("succeeded" | "failed")), "{told:.500}");
}

#[tokio::test]
async fn a_random_bomb_and_a_resource_bomb_trap() {
    let random = against("random_bomb", json!({})).await;
    assert_eq!(random["execution"]["status"], "failed", "{random:.500}");
    let resources = against("resource_bomb", json!({})).await;
    assert_eq!(resources["execution"]["status"], "failed", "{resources:.500}");
}

#[tokio::test]
async fn a_guest_finds_no_files_no_sockets_and_no_environment() {
    let (house, _) = house().await;
    let hook = house.flow("curious").await;
    let answer = house.send(&hook, json!({})).await.expect(200);
    let found = answer["reply"]["data"].to_string();
    assert!(!found.contains("PATH"), "{found}");
    assert!(!found.contains(house.folder.path().to_str().unwrap()), "{found}");
}

#[tokio::test]
async fn a_slow_guest_costs_no_cpu_and_ends_at_its_deadline() {
    let house = House::start_with(&[("FLOWGATE_ENGINE_CPU_MS_MAX", "300")]).await;
    house.deploy("slow", "slow").await;
    let hook = house.hook("slow", json!({ "auth": [hmac()], "limits": { "wall_ms_max": 1200 } })).await;
    let answer = house.send(&hook, json!({ "data": { "ms": 800, "steps": 4 } })).await;
    assert_eq!(answer.status, 200, "waiting is not running: {}", answer.text());
    let answer = house.send(&hook, json!({ "data": { "ms": 60_000 } })).await;
    assert_eq!(answer.problem(502), "flow-timed-out");
}

#[tokio::test]
async fn infinite_loops_on_every_worker_leave_an_honest_flow_answering() {
    let (house, echo) = house().await;
    let hostile = house.flow("infinite_loop").await;
    let loops = std::thread::available_parallelism().unwrap().get() * 4;
    let body = || Bytes::from_static(b"{}");
    let attack = futures_util::future::join_all((0..loops).map(|_| house.send_with(&hostile, &[], body())));
    let honest = async {
        let mut answered = 0;
        for _ in 0..50 {
            house.send(&echo, json!({ "message": "still here" })).await.expect(200);
            answered += 1;
        }
        answered
    };
    let (ended, answered) = tokio::join!(attack, async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::time::timeout(Duration::from_secs(30), honest).await
    });
    assert_eq!(answered.expect("the honest flow is answered while all loops run"), 50);
    for answer in ended {
        assert_eq!(answer.problem(502), "flow-cpu-budget");
    }
}

#[tokio::test]
async fn loops_in_every_place_that_one_flow_gets_leave_places_for_another() {
    let few = [("FLOWGATE_ENGINE_CPU_MS_MAX", "1000"), ("FLOWGATE_EXECUTION_SYNC_AT_ONCE", "8")];
    let house = House::start_with(&few).await;
    let echo = house.flow("echo").await;
    let hostile = house.flow("infinite_loop").await;
    let body = || Bytes::from_static(b"{}");
    let attack = futures_util::future::join_all((0..32).map(|_| house.send_with(&hostile, &[], body())));
    let honest = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..20 {
            house.send(&echo, json!({ "message": "still here" })).await.expect(200);
        }
    };
    let (ended, ()) = tokio::join!(attack, honest);
    let refused = ended.iter().filter(|answer| answer.status == 503).count();
    assert!(refused >= 20, "{refused} of 32 loops found no place");
}

#[tokio::test]
async fn a_fork_bomb_leaves_half_of_the_queue_to_triggers() {
    let few = [("FLOWGATE_EXECUTION_QUEUED_MAX", "40"), ("FLOWGATE_EXECUTION_ASYNC_AT_ONCE", "1")];
    let house = House::start_with(&few).await;
    let (slow, bomb) = (house.flow("slow").await, house.flow("forker").await);
    house.api(Method::PUT, "/v1/flows/forker/grants", Some(json!({ "flows": ["forker"] }))).await.expect(200);
    // It has the one place in the queue's work for as long as the bomb grows.
    let later = [("prefer", "respond-async")];
    let body = || Bytes::from(json!({ "data": { "ms": 30_000 } }).to_string());
    house.send_with(&slow, &later, body()).await.expect(202);
    let answer = house.send(&bomb, json!({})).await.expect(200);
    let told = &answer["reply"]["data"];
    assert!(told["started"].as_u64().is_some_and(|n| (18..=20).contains(&n)), "{told}");
    assert_eq!(told["why"], "the host has no place for another execution now");
    for _ in 0..10 {
        house.send_with(&slow, &later, body()).await.expect(202);
    }
}
