//! Flows whose instances run more than one execution, because their owner asked for it.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Hook, House};

async fn reuse(house: &House, flow: &str, executions: u32) {
    let change = json!({ "reuse_max": executions });
    let flow = house.api(Method::PATCH, &format!("/v1/flows/{flow}"), Some(change)).await.expect(200);
    assert_eq!(flow["reuse_max"], executions);
}

/// What the instance that got this message had been told before.
async fn before(house: &House, hook: &Hook, message: &str) -> Vec<Value> {
    let answer = house.send(hook, json!({ "message": message })).await.expect(200);
    let mut told = answer["reply"]["data"]["told"].as_array().unwrap().clone();
    assert_eq!(told.pop().unwrap(), message);
    told
}

#[tokio::test]
async fn an_instance_is_fresh_unless_the_owner_says_otherwise() {
    let house = House::start().await;
    let hook = house.flow("diary").await;
    for n in 0..5 {
        assert!(before(&house, &hook, &n.to_string()).await.is_empty());
    }
    reuse(&house, "diary", 4).await;
    let mut longest = 0;
    for n in 0..60 {
        longest = longest.max(before(&house, &hook, &n.to_string()).await.len());
    }
    // Each instance lives for one to four executions, so that some of sixty find something and none finds four.
    assert!((1..=3).contains(&longest), "{longest}");
    reuse(&house, "diary", 1).await;
    for n in 0..5 {
        assert!(before(&house, &hook, &n.to_string()).await.is_empty());
    }
}

#[tokio::test]
async fn an_instance_serves_one_flow_only() {
    let house = House::start().await;
    let one = house.flow("diary").await;
    house.deploy("other", "diary").await;
    let other = house.hook("other", json!({ "auth": [crate::support::hmac()] })).await;
    for flow in ["diary", "other"] {
        reuse(&house, flow, 10_000).await;
    }
    for n in 0..10 {
        let told = before(&house, &one, &format!("one {n}")).await;
        assert!(told.iter().all(|told| told.as_str().unwrap().starts_with("one")), "{told:?}");
        let told = before(&house, &other, &format!("other {n}")).await;
        assert!(told.iter().all(|told| told.as_str().unwrap().starts_with("other")), "{told:?}");
    }
}

#[tokio::test]
async fn what_an_execution_logs_and_uses_is_its_own() {
    let house = House::start().await;
    let hook = house.flow("diary").await;
    reuse(&house, "diary", 10_000).await;
    for n in 0..3 {
        let message = format!("message {n}");
        let answer = house.send(&hook, json!({ "message": message })).await.expect(200);
        let id = answer["execution_id"].as_str().unwrap();
        let logs = house.get(&format!("/v1/executions/{id}/logs")).await.expect(200);
        let lines = logs["data"][0]["lines"].as_array().unwrap();
        let lines = lines.iter().map(|line| line["message"].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(lines, [format!("told {message}"), format!("noted {message}")]);
    }
}

#[tokio::test]
async fn a_trap_or_too_much_memory_takes_the_instance_with_it() {
    let house = House::start_with(&[("FLOWGATE_ENGINE_CPU_MS_MAX", "1500")]).await;
    let hook = house.flow("diary").await;
    reuse(&house, "diary", 10_000).await;
    assert!(before(&house, &hook, "first").await.is_empty());
    assert_eq!(before(&house, &hook, "second").await, ["first"]);
    house.send(&hook, json!({ "message": "bad", "data": { "panic": true } })).await.problem(502);
    assert!(before(&house, &hook, "third").await.is_empty());
    let hold = json!({ "message": "heavy", "data": { "hold_kib": 4096 } });
    house.send(&hook, hold).await.expect(200);
    // A hook that gives less memory than the instance holds gets a fresh one.
    let small = json!({ "auth": [crate::support::hmac()], "limits": { "memory_bytes_max": 3 << 20 } });
    let small = house.hook("diary", small).await;
    assert!(before(&house, &small, "fourth").await.is_empty());
}

#[tokio::test]
async fn a_new_version_gets_instances_of_its_own() {
    let house = House::start().await;
    let hook = house.flow("diary").await;
    reuse(&house, "diary", 10_000).await;
    assert!(before(&house, &hook, "old").await.is_empty());
    house.deploy("diary", "echo").await;
    house.send(&hook, json!({ "message": "new" })).await.expect(200);
    let wrong = house.api(Method::PATCH, "/v1/flows/diary", Some(json!({ "reuse_max": 0 }))).await;
    assert_eq!(wrong.problem(422), "invalid-request");
}
