//! Outgoing webhooks: what a subscription's receiver gets.

use std::time::Duration;

use flowgate::signature::{Message, Scheme, Secret, verify};
use http::Method;
use serde_json::{Value, json};

use crate::support::receiver::{Got, Planned, Receiver};
use crate::support::{House, PATIENCE, now_ms};

/// Whether what came was signed with this secret.
fn is_genuine(got: &Got, scheme: &str, secret: &Value) -> bool {
    let message =
        Message { method: "POST", path: "/", query: "", headers: &got.headers, body: &got.body, public_url: None };
    let secret = Secret::new(secret.as_str().unwrap());
    verify(&Scheme::named(scheme).unwrap(), &[secret], &message, now_ms()).is_ok()
}

/// The log of a webhook once its newest entry has this status.
async fn log(house: &House, path: &str, status: &str) -> Value {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let logs = house.get(&format!("{path}/logs")).await.expect(200)["logs"].clone();
        if logs[0]["status"] == status {
            return logs;
        }
        assert!(tokio::time::Instant::now() < end, "{logs}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_pages_webhook_is_tested_logged_and_counted() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let webhook = json!({
        "name": "Order Processing Webhook", "url": receiver.url, "events": ["workflow.execution.completed"],
        "authentication": { "type": "bearer", "token": "your_secret" },
    });
    let made = house.post("/api/v1/webhooks", webhook).await.expect(201);
    let path = format!("/api/v1/webhooks/{}", made["id"].as_str().unwrap());
    let test = json!({
        "event": "workflow.execution.completed", "test_data": { "workflow_id": "test_workflow", "status": "success" },
    });
    let sent = house.post(&format!("{path}/test"), test).await.expect(200);
    assert_eq!(sent["success"], true);

    let got = receiver.wait_for(1).await.remove(0);
    assert!(is_genuine(&got, "agenticflow", &made["secret"]));
    assert_eq!(got.header("authorization"), "Bearer your_secret");
    let told = got.json();
    assert_eq!((&told["event"], &told["webhook_id"]), (&json!("workflow.execution.completed"), &made["id"]));
    assert_eq!((&told["data"]["workflow_id"], &told["data"]["credits_used"]), (&json!("test_workflow"), &json!(4.5)));

    let logs = log(&house, &path, "success").await;
    let names = logs[0].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    let shown = ["attempts", "event", "id", "payload_size", "response_code", "response_time_ms", "status", "timestamp"];
    assert_eq!(names, shown);
    assert_eq!((&logs[0]["id"], &logs[0]["response_code"]), (&sent["log_id"], &json!(204)));
    assert_eq!((&logs[0]["attempts"], &logs[0]["payload_size"]), (&json!(1), &json!(got.body.len())));

    let stats = house.get(&format!("{path}/stats")).await.expect(200);
    assert_eq!((&stats["total_deliveries"], &stats["successful_deliveries"]), (&json!(1), &json!(1)));
    assert_eq!((&stats["failed_deliveries"], &stats["success_rate"]), (&json!(0), &json!(1.0)));
    let listed = house.get("/api/v1/webhooks").await.expect(200)["webhooks"][0].clone();
    assert_eq!(listed["delivery_stats"]["successful_deliveries"], 1);
    assert_eq!(listed["last_delivery"], logs[0]["timestamp"]);
}

#[tokio::test]
async fn a_webhook_that_fails_is_counted_as_failed() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    receiver.plan([Planned { status: 500, header: None }]);
    let webhook = json!({ "url": receiver.url, "events": ["*"], "retry_policy": { "max_retries": 0 } });
    let made = house.post("/api/v1/webhooks", webhook).await.expect(201);
    let path = format!("/api/v1/webhooks/{}", made["id"].as_str().unwrap());
    house.post(&format!("{path}/test"), json!({})).await.expect(200);
    let logs = log(&house, &path, "failed").await;
    assert_eq!((&logs[0]["response_code"], &logs[0]["event"]), (&json!(500), &json!("workflow.execution.completed")));
    let stats = house.get(&format!("{path}/stats")).await.expect(200);
    assert_eq!((&stats["failed_deliveries"], &stats["success_rate"]), (&json!(1), &json!(0.0)));
}

#[tokio::test]
async fn a_receiver_that_says_410_is_told_of_nothing_more() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    receiver.plan([Planned { status: 410, header: None }]);
    let subscription = json!({ "name": "gone", "url": receiver.url, "events": ["*"] });
    house.post("/v1/subscriptions", subscription).await.expect(201);
    house.post("/v1/subscriptions/gone/test", json!({})).await.expect(202);
    receiver.wait_for(1).await;
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = house.get("/v1/subscriptions/gone").await.expect(200);
        if found["enabled"] == false {
            assert_eq!(found["disabled_reason"], "the receiver wants no more");
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn during_a_rotation_every_delivery_verifies_with_either_secret() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let subscription = json!({ "name": "standard", "url": receiver.url, "events": ["*"] });
    let made = house.post("/v1/subscriptions", subscription).await.expect(201);
    let rotated = house.post("/v1/subscriptions/standard/secrets", json!({ "overlap_s": 600 })).await.expect(201);
    let (old, new) = (&made["secrets"][0]["secret"], &rotated["secret"]);
    house.post("/v1/subscriptions/standard/test", json!({})).await.expect(202);
    let got = receiver.wait_for(1).await.remove(0);
    assert!(is_genuine(&got, "standard-webhooks", old) && is_genuine(&got, "standard-webhooks", new));

    // AgenticFlow's header holds one signature, so a receiver with the old secret gets the second attempt.
    let (one, change) = (Receiver::start().await, json!({ "format": "agenticflow", "schedule": [0] }));
    house.api(Method::PATCH, "/v1/subscriptions/standard", Some(change)).await.expect(200);
    house.api(Method::PATCH, "/v1/subscriptions/standard", Some(json!({ "url": one.url }))).await.expect(200);
    one.plan([Planned { status: 401, header: None }]);
    house.post("/v1/subscriptions/standard/test", json!({})).await.expect(202);
    let got = one.wait_for(2).await;
    assert!(is_genuine(&got[0], "agenticflow", new) && is_genuine(&got[1], "agenticflow", old));
    assert_eq!(got[0].body, got[1].body);
}
