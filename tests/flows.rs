//! Flows that call flows.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Hook, House, hmac};

/// A house with the flow `caller`, which may call all of `flows`; these are guests of the same names.
async fn house(environment: &[(&str, &str)], flows: &[&str]) -> (House, Hook) {
    let house = House::start_with(environment).await;
    for flow in flows.iter().filter(|flow| **flow != "caller") {
        house.deploy(flow, &flow.replace('-', "_")).await;
    }
    let hook = house.flow("caller").await;
    house.api(Method::PUT, "/v1/flows/caller/grants", Some(json!({ "flows": flows }))).await.expect(200);
    (house, hook)
}

/// What the caller says came of its calls, and the caller's execution.
async fn calls(house: &House, hook: &Hook, calls: Value) -> (Vec<Value>, String) {
    let answer = house.send(hook, json!({ "user_id": "u1", "data": { "calls": calls } })).await.expect(200);
    let told = answer["reply"]["data"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    (told, answer["execution_id"].as_str().unwrap().to_owned())
}

async fn children(house: &House, parent: &str) -> Vec<Value> {
    let list = house.get(&format!("/v1/executions?parent={parent}")).await.expect(200);
    list["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_called_flow_is_an_execution_of_its_own() {
    let (house, hook) = house(&[], &["echo", "counter"]).await;
    let wanted = json!([
        { "flow": "echo", "message": "hello", "data": { "n": 1 } },
        { "flow": "counter", "session_id": "s1", "data": { "add": 2 } },
        { "flow": "counter", "session_id": "s1", "data": { "add": 3 } },
    ]);
    let (told, parent) = calls(&house, &hook, wanted).await;
    let seen = &told[0]["data"];
    assert_eq!(
        (&seen["message"], &seen["data"], &seen["user_id"]),
        (&json!("hello"), &json!({ "n": 1 }), &json!("u1"))
    );
    assert_eq!((&told[1]["text"], &told[2]["text"]), (&json!("2"), &json!("5")), "in a session of the called flow");
    let children = children(&house, &parent).await;
    assert_eq!(children.len(), 3);
    assert!(children.iter().all(|one| one["parent_id"] == *parent && one["status"] == "succeeded"), "{children:?}");
    let spans = house.get(&format!("/v1/executions/{parent}/spans")).await.expect(200);
    let spans = &spans["data"][0]["spans"];
    assert_eq!((&spans[0]["name"], &spans[0]["attributes"]), (&json!("flows.call"), &json!({ "flow": "echo" })));
}

#[tokio::test]
async fn a_failure_is_passed_on_and_is_the_called_flows_own() {
    let (house, hook) = house(&[], &["fail", "panic", "retry-once"]).await;
    let wanted = json!([
        { "flow": "fail", "data": { "kind": "failed" } },
        { "flow": "retry-once" },
        { "flow": "panic" },
        { "flow": "nobody" },
    ]);
    let (told, parent) = calls(&house, &hook, wanted).await;
    assert!(told[0]["failed"].to_string().contains("Failed"), "{}", told[0]);
    assert!(told[1]["failed"].to_string().contains("Retry"), "{}", told[1]);
    assert_eq!(told[2], json!({ "stopped": "trap" }));
    assert!(told[3]["error"].to_string().contains("may not call `nobody`"), "{}", told[3]);
    let children = children(&house, &parent).await;
    assert!(children.iter().all(|one| one["status"] == "failed" && one["attempt"] == 1), "once each: {children:?}");
    assert_eq!(children.len(), 3);
}

#[tokio::test]
async fn nobody_is_called_who_was_not_granted_or_is_not_there() {
    let (house, hook) = house(&[], &["echo"]).await;
    house.api(Method::PUT, "/v1/flows/caller/grants", Some(json!({ "flows": ["gone", "empty"] }))).await.expect(200);
    house.post("/v1/flows", json!({ "name": "empty" })).await.expect(201);
    let (told, _) = calls(&house, &hook, json!([{ "flow": "echo" }, { "flow": "gone" }, { "flow": "empty" }])).await;
    assert!(told[0]["error"].to_string().contains("may not call `echo`"), "{}", told[0]);
    assert!(told[1]["error"].to_string().contains("no flow `gone`"), "{}", told[1]);
    assert!(told[2]["error"].to_string().contains("no version"), "{}", told[2]);
}

#[tokio::test]
async fn flows_call_themselves_and_each_other_only_so_deep_and_so_often() {
    let environment = [("FLOWGATE_CAPABILITY_CALL_DEPTH_MAX", "3"), ("FLOWGATE_CAPABILITY_CALLS_MAX", "2")];
    let (house, hook) = house(&environment, &["caller", "echo"]).await;
    let answer = house.send(&hook, json!({ "data": { "again": true } })).await.expect(200);
    let told = &answer["reply"]["data"];
    assert_eq!(told["depth"], 3, "{told}");
    assert!(told["why"].to_string().contains("at most 3 levels deep"), "{told}");

    let (told, _) = calls(&house, &hook, json!([{ "flow": "echo" }, { "flow": "echo" }, { "flow": "echo" }])).await;
    assert!(told[2]["error"].to_string().contains("at most 2 times"), "{}", told[2]);

    // A circle: caller, second, caller, second.
    house.deploy("second", "caller").await;
    for (flow, other) in [("caller", "second"), ("second", "caller")] {
        let grants = Some(json!({ "flows": [other] }));
        house.api(Method::PUT, &format!("/v1/flows/{flow}/grants"), grants).await.expect(200);
    }
    let call = |flow: &str, calls: Value| json!([{ "flow": flow, "data": { "calls": calls } }]);
    let circle = call("second", call("caller", call("second", call("caller", json!([])))));
    let (told, _) = calls(&house, &hook, circle).await;
    let deepest = &told[0]["data"][0]["data"][0]["data"][0];
    assert!(deepest["error"].to_string().contains("at most 3 levels deep"), "{told:?}");
}

#[tokio::test]
async fn a_full_pool_refuses_callers_and_lets_none_wait_for_the_other() {
    let (house, hook) = house(&[("FLOWGATE_ENGINE_INSTANCES_MAX", "2")], &["slow", "caller"]).await;
    let nested =
        |ms: u32| json!([{ "flow": "caller", "data": { "calls": [{ "flow": "slow", "data": { "ms": ms } }] } }]);
    let (told, _) = calls(&house, &hook, nested(1)).await;
    assert!(told[0]["data"][0]["error"].to_string().contains("no place"), "the third one does not fit: {told:?}");
    let sent = (0..6).map(|_| house.send(&hook, json!({ "data": { "calls": nested(50) } })));
    let answers = futures_util::future::join_all(sent).await;
    assert!(answers.iter().all(|answer| answer.status.is_success()), "{answers:?}");
    let (told, _) = calls(&house, &hook, json!([{ "flow": "slow", "data": { "ms": 1 } }])).await;
    assert_eq!(told[0]["text"], "slept 1 ms", "afterwards there is room");
}

#[tokio::test]
async fn whoever_is_waited_for_ends_with_its_caller() {
    let (house, hook) = house(&[], &["slow"]).await;
    let body = json!({ "data": { "calls": [{ "flow": "slow", "data": { "ms": 600_000, "steps": 6_000 } }] } });
    let answer = house.send_with(&hook, &[("prefer", "respond-async")], body.to_string().into()).await.expect(202);
    let parent = answer["execution_id"].as_str().unwrap().to_owned();
    let end = tokio::time::Instant::now() + crate::support::PATIENCE;
    while house.get(&format!("/v1/executions/{parent}")).await.expect(200)["status"] != "running" {
        assert!(tokio::time::Instant::now() < end);
    }
    house.post(&format!("/v1/executions/{parent}/cancel"), json!({})).await;
    assert_eq!(house.ended_execution(&parent).await["status"], "canceled");
    for child in children(&house, &parent).await {
        let child = house.ended_execution(child["id"].as_str().unwrap()).await;
        assert_eq!(child["status"], "canceled", "{child}");
    }

    // What it runs counts against its caller's budget, which is then spent for both.
    let house = House::start_with(&[("FLOWGATE_ENGINE_CPU_MS_MAX", "300")]).await;
    house.deploy("infinite-loop", "infinite_loop").await;
    let hook = house.flow("caller").await;
    let grants = json!({ "flows": ["infinite-loop"] });
    house.api(Method::PUT, "/v1/flows/caller/grants", Some(grants)).await.expect(200);
    let body = json!({ "data": { "calls": [{ "flow": "infinite-loop" }, { "flow": "infinite-loop" }] } });
    let answer = house.send(&hook, body).await;
    assert_eq!(answer.status.as_u16(), 502, "{}", answer.text());
    let id = answer.json()["execution_id"].as_str().unwrap().to_owned();
    let children = children(&house, &id).await;
    assert!(children.iter().all(|child| child["reason"] == "cpu_budget"), "{children:?}");
    let cpu: u64 = children.iter().map(|child| child["usage"]["cpu_us"].as_u64().unwrap()).sum();
    assert!(cpu < 450_000, "both together have the budget of one: {cpu} µs");
}

#[tokio::test]
async fn what_is_started_runs_on_its_own_and_survives_a_power_cut() {
    let (mut house, hook) = house(&[], &["slow"]).await;
    let wanted = json!([{ "flow": "slow", "data": { "ms": 1_500 }, "start": true }]);
    let (told, parent) = calls(&house, &hook, wanted).await;
    let started = told[0]["started"].as_str().unwrap().to_owned();
    house.kill();
    house.restart().await;
    let ended = house.ended_execution(&started).await;
    assert_eq!(
        (&ended["status"], &ended["parent_id"], &ended["mode"]),
        (&json!("succeeded"), &json!(parent), &json!("async"))
    );
}

#[tokio::test]
async fn a_confidential_call_stays_confidential() {
    let (house, _) = house(&[], &["echo"]).await;
    let spec = json!({ "auth": [hmac()], "disable_sensitive_logging": true });
    let hook = house.hook("caller", spec).await;
    let (told, parent) = calls(&house, &hook, json!([{ "flow": "echo", "message": "marker" }])).await;
    assert_eq!(told[0]["data"]["message"], "marker");
    let child = &children(&house, &parent).await[0];
    let shown = house.get(&format!("/v1/executions/{}", child["id"].as_str().unwrap())).await.text();
    assert!(!shown.contains("marker"), "{shown}");
}
