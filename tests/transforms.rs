//! Transforms: what a receiver gets instead, and what a hostile component cannot do.

use std::time::Duration;

use flowgate::signature::{Message, Scheme, Secret, verify};
use http::Method;
use serde_json::{Value, json};

use crate::support::receiver::{Got, Planned, Receiver};
use crate::support::{House, PATIENCE, component, hmac, now_ms};

/// A house with a transform, and a subscription to executions that is reshaped by it. The machine may be busy, and time is
/// no concern of the honest ones.
async fn reshaped(guest: &str, receiver: &Receiver, more: Value) -> (House, Value) {
    let limits = [("FLOWGATE_TRANSFORM_CPU_MS_MAX", "2000"), ("FLOWGATE_TRANSFORM_WALL_MS_MAX", "6000")];
    let house = House::start_with(&limits).await;
    house.deploy("shape", guest).await;
    let mut subscription =
        json!({ "name": "shaped", "url": receiver.url, "events": ["execution.*"], "transform": { "flow": "shape" } });
    for (name, value) in more.as_object().unwrap() {
        subscription[name] = value.clone();
    }
    let made = house.post("/v1/subscriptions", subscription).await.expect(201);
    (house, made)
}

async fn trial(house: &House, data: Value) -> String {
    let body = json!({ "event": "execution.succeeded", "data": data });
    let sent = house.post("/v1/subscriptions/shaped/test", body).await.expect(202);
    sent["delivery_id"].as_str().unwrap().to_owned()
}

async fn preview(house: &House, data: Value) -> Value {
    let body = json!({ "event": "execution.succeeded", "data": data, "dry_run": true });
    house.post("/v1/subscriptions/shaped/test", body).await.expect(200)
}

/// A delivery once it has this status.
async fn delivery(house: &House, id: &str, status: &str) -> Value {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = house.get(&format!("/v1/deliveries/{id}")).await.expect(200);
        if found["status"] == status {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "{id} is not {status}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_genuine(got: &Got, secret: &Value) -> bool {
    let message =
        Message { method: "POST", path: "/", query: "", headers: &got.headers, body: &got.body, public_url: None };
    let secret = Secret::new(secret.as_str().unwrap());
    verify(&Scheme::named("standard-webhooks").unwrap(), &[secret], &message, now_ms()).is_ok()
}

#[tokio::test]
async fn what_a_transform_makes_is_signed_sent_and_sent_again() {
    let receiver = Receiver::start().await;
    receiver.plan([Planned { status: 500, header: None }]);
    let (house, made) = reshaped("slack_message", &receiver, json!({ "schedule": [0] })).await;
    let config = json!({ "greeting": "psst, " });
    house.api(Method::PUT, "/v1/flows/shape/config", Some(config)).await.expect(200);

    let shown = preview(&house, json!({})).await;
    assert_eq!(shown["transform"]["logs"][0]["source"], "slack");
    let id = trial(&house, json!({})).await;
    let got = receiver.wait_for(2).await;
    assert_eq!(got[0].body, got[1].body, "what was sent at first is sent again");
    for one in &got {
        assert!(is_genuine(one, &made["secrets"][0]["secret"]));
        assert_eq!(one.json()["text"], "psst, execution.succeeded: orders");
        assert_eq!((one.header("x-event"), one.header("webhook-id")), ("execution.succeeded", &*id));
        assert_eq!(shown["body"], String::from_utf8_lossy(&one.body).as_ref(), "the dry run shows the same bytes");
    }
    let told = delivery(&house, &id, "succeeded").await;
    let message = format!("execution.succeeded for {}", made["id"].as_str().unwrap());
    assert_eq!(told["transform"]["logs"][0]["message"], message);
    assert_eq!((&told["transform"]["flow"], &told["transform"]["alias"]), (&json!("shape"), &json!("live")));

    // Whatever becomes of the transform, this delivery stays what it was.
    let other = json!({ "greeting": "later, " });
    house.api(Method::PUT, "/v1/flows/shape/config", Some(other)).await.expect(200);
    house.post(&format!("/v1/deliveries/{id}/redeliver"), json!({})).await.expect(202);
    assert_eq!(receiver.wait_for(3).await[2].body, got[0].body);
}

#[tokio::test]
async fn a_transform_may_change_the_type_or_send_nothing() {
    let receiver = Receiver::start().await;
    let (house, made) = reshaped("slack_message", &receiver, json!({})).await;
    let text = trial(&house, json!({ "as": "text" })).await;
    let got = receiver.wait_for(1).await.remove(0);
    assert!(is_genuine(&got, &made["secrets"][0]["secret"]));
    assert_eq!(got.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(got.body, "execution.succeeded: orders");
    delivery(&house, &text, "succeeded").await;

    let shown = preview(&house, json!({ "status": "skipped" })).await;
    assert_eq!((&shown["filtered"], &shown["body"]), (&json!("the transform wants it not sent"), &json!("")));
    let skipped = trial(&house, json!({ "status": "skipped" })).await;
    let told = delivery(&house, &skipped, "filtered").await;
    assert_eq!((&told["attempts_made"], &told["error"]), (&json!(0), &Value::Null));
    // What is wanted after all is asked of the transform again.
    house.post(&format!("/v1/deliveries/{skipped}/redeliver"), json!({})).await.expect(202);
    delivery(&house, &skipped, "filtered").await;
    let dead = house.get("/v1/deliveries?status=exhausted,abandoned").await.expect(200);
    assert_eq!(dead["data"], json!([]));
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test]
async fn a_hostile_transform_costs_its_own_deliveries_and_nobody_elses() {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let (house, _) = reshaped("bad_transform", &receiver, json!({})).await;
    let healthy = json!({ "name": "healthy", "url": other.url, "events": ["custom.*"] });
    house.post("/v1/subscriptions", healthy).await.expect(201);
    let begun = tokio::time::Instant::now();
    let mut dead = Vec::new();
    for (deed, says) in [
        ("loop", "cpu budget"),
        ("wait", "deadline"),
        ("panic", "trapped"),
        ("refuse", "failed: not today"),
        ("huge", "bytes"),
        ("forged", "`webhook-signature`"),
        ("broken", "not one JSON text"),
    ] {
        let shown = preview(&house, json!({ "do": deed })).await;
        let error = shown["transform"]["error"].as_str().unwrap().to_owned();
        assert!(error.contains(says) && error.contains("`shape@live`"), "{deed}: {error}");
        assert_eq!(shown["body"], "", "{deed}");
        dead.push((trial(&house, json!({ "do": deed })).await, says));
    }
    let fine = trial(&house, json!({})).await;
    house.post("/v1/subscriptions/healthy/test", json!({ "event": "custom.order.paid" })).await.expect(202);
    other.wait_for(1).await;
    receiver.wait_for(1).await;
    delivery(&house, &fine, "succeeded").await;
    for (id, says) in &dead {
        let told = delivery(&house, id, "exhausted").await;
        assert!(told["error"].as_str().unwrap().contains(says), "{told}");
        assert_eq!(told["attempts"][0]["blame"], "transform", "{told}");
        assert!(told["body"].as_str().unwrap().contains("execution.succeeded"), "the event is kept: {told}");
    }
    assert!(begun.elapsed() < PATIENCE);
    let panicked = delivery(&house, &dead[2].0, "exhausted").await;
    assert!(panicked["transform"]["logs"].to_string().contains("I have had enough"), "{panicked}");
    let stats = house.get(&format!("/v1/deliveries/stats?target={}", panicked["target"].as_str().unwrap())).await;
    assert_eq!(stats.expect(200)["failures"], 0, "the receiver had no part in it");
}

#[tokio::test]
async fn dead_letters_are_sent_once_the_transform_is_mended() {
    let receiver = Receiver::start().await;
    let (house, made) = reshaped("bad_transform", &receiver, json!({})).await;
    let id = trial(&house, json!({ "do": "panic" })).await;
    delivery(&house, &id, "exhausted").await;
    house.deploy("shape", "slack_message").await;
    let recover = json!({ "target": made["id"], "since": "2020-01-01T00:00:00Z" });
    house.post("/v1/deliveries/recover", recover).await.expect(202);
    assert_eq!(receiver.wait_for(1).await[0].json()["text"], "execution.succeeded: orders");
    delivery(&house, &id, "succeeded").await;
}

#[tokio::test]
async fn a_flow_handles_triggers_or_reshapes_deliveries() {
    let house = House::start().await;
    house.deploy("shape", "slack_message").await;
    house.deploy("echo", "echo").await;
    let hook = json!({ "name": "in", "flow": "shape", "auth": [hmac()] });
    let refused = house.post("/v1/hooks", hook).await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "flow");
    let subscription = |flow: &str, alias: &str| json!({ "url": "https://a.example/", "events": ["*"], "transform": { "flow": flow, "alias": alias } });
    for (flow, alias, field) in [("echo", "live", "transform.flow"), ("shape", "beta", "transform.alias")] {
        let refused = house.post("/v1/subscriptions", subscription(flow, alias)).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field);
    }
    for (flow, guest) in [("shape", "echo"), ("echo", "slack_message")] {
        let refused = house.upload(flow, component(guest)).await.expect(422);
        assert!(refused["detail"].as_str().unwrap().contains("a flow of its own"), "{refused}");
    }
    house.post("/v1/flows", json!({ "name": "empty" })).await.expect(201);
    house.post("/v1/hooks", json!({ "name": "in", "flow": "empty", "auth": [hmac()] })).await.expect(201);
    let refused = house.upload("empty", component("slack_message")).await.expect(422);
    assert!(refused["detail"].as_str().unwrap().contains("hook `in` triggers it"), "{refused}");

    house.post("/v1/subscriptions", subscription("shape", "live")).await.expect(201);
    assert_eq!(house.api(Method::DELETE, "/v1/flows/shape", None).await.problem(409), "in-use");
}
