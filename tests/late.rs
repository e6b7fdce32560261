//! Receivers that do not answer: what happens meanwhile waits in the log, costs nothing, and reaches them in order.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::mute::Mute;
use crate::support::receiver::{Planned, Receiver};
use crate::support::{Hook, House, PATIENCE, hmac};

/// A hook whose events are on record before it answers.
async fn echo(house: &House) -> Hook {
    house.deploy("echo", "echo").await;
    house.hook("echo", json!({ "auth": [hmac()], "record": "strict" })).await
}

async fn subscribe(house: &House, url: &str, more: Value) -> String {
    let mut wish = json!({ "url": url, "events": ["execution.succeeded"] });
    wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = house.post("/v1/subscriptions", wish).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn trigger(house: &House, hook: &Hook, message: usize) {
    house.send(hook, json!({ "message": message.to_string(), "session_id": "one" })).await.expect(200);
}

async fn deliveries(house: &House, target: &str) -> Vec<Value> {
    let list = house.get(&format!("/v1/deliveries?target={target}&limit=200")).await.expect(200);
    list["data"].as_array().unwrap().clone()
}

fn messages(receiver: &Receiver) -> Vec<Value> {
    receiver.got().iter().map(|got| got.json()["data"]["input"]["message"].clone()).collect()
}

#[tokio::test]
async fn whoever_was_dead_for_a_while_gets_everything_in_order_even_after_a_power_cut() {
    let environment = [("FLOWGATE_DELIVERY_OPEN_S", "1"), ("FLOWGATE_DELIVERY_OPEN_S_MAX", "1")];
    let mut house = House::start_with(&environment).await;
    let hook = echo(&house).await;
    let (dead, healthy) = (Receiver::start().await, Receiver::start().await);
    let failing = Planned { status: 500, header: None };
    let deader = Receiver::answering(failing).await;
    dead.plan(std::iter::repeat_n(failing, 8));
    let schedule = json!(vec![1; 50]);
    subscribe(&house, &dead.url, json!({ "order": "session", "schedule": schedule })).await;
    let target = subscribe(&house, &deader.url, json!({ "schedule": schedule })).await;
    subscribe(&house, &healthy.url, json!({})).await;
    for n in 0..40 {
        trigger(&house, &hook, n).await;
    }
    healthy.wait_for(40).await;
    let rows = deliveries(&house, &target).await.len();
    assert!(rows < 40, "{rows} deliveries wait for a receiver that is dead");
    house.kill();
    house.restart().await;
    for n in 40..60 {
        trigger(&house, &hook, n).await;
    }
    let end = Instant::now() + PATIENCE;
    let wanted: Vec<Value> = (0..60).map(|n| json!(n.to_string())).collect();
    loop {
        // A power cut may have come between an answer and its record.
        let mut got = messages(&dead);
        got.dedup();
        if got == wanted {
            break;
        }
        assert!(Instant::now() < end, "{got:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_a_flow_did_is_told_when_the_flow_and_its_hook_are_gone() {
    let environment = [("FLOWGATE_DELIVERY_OPEN_S", "1"), ("FLOWGATE_DELIVERY_OPEN_S_MAX", "1")];
    let house = House::start_with(&environment).await;
    let (dead, well) = (Receiver::answering(Planned { status: 500, header: None }).await, Receiver::start().await);
    let events = ["execution.succeeded", "session.message.received", "flow.version.ready"];
    let more = json!({ "events": events, "schedule": vec![1; 50] });
    let target = subscribe(&house, &dead.url, more).await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "auth": [hmac()], "record": "strict", "path_id": "orders-1" })).await;
    for n in 0..20 {
        trigger(&house, &hook, n).await;
    }
    let path = format!("/v1/hooks/{}", hook.id);
    assert_eq!(house.api(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(house.api(Method::DELETE, "/v1/flows/echo", None).await.status, 204);
    let path = format!("/v1/subscriptions/{target}");
    house.api(Method::PATCH, &path, Some(json!({ "url": well.url }))).await.expect(200);
    let got = well.wait_for(41).await;
    let of = |kind: &str| got.iter().map(|one| one.json()).filter(|one| one["type"] == kind).collect::<Vec<_>>();
    assert!(got.iter().all(|one| one.json()["data"]["flow"]["name"] == "echo"));
    assert!(of("flow.version.ready")[0]["data"]["size_bytes"].as_u64().unwrap() > 0);
    for (kind, pointer) in [(events[0], "/data/input/message"), (events[1], "/data/message/text")] {
        let told = of(kind);
        let mut said: Vec<usize> =
            told.iter().map(|one| one.pointer(pointer).unwrap().as_str().unwrap().parse().unwrap()).collect();
        said.sort_unstable();
        assert_eq!(said, (0..20).collect::<Vec<_>>(), "{kind}");
        assert!(told.iter().all(|one| one["data"]["flow"]["path_id"] == "orders-1"), "{kind}");
    }
}

#[tokio::test]
async fn what_was_not_told_when_a_receiver_had_enough_can_be_sent_later() {
    let house = House::start().await;
    let (hook, receiver) = (echo(&house).await, Receiver::start().await);
    let asks_for_time = Planned { status: 429, header: Some(("retry-after", "8")) };
    receiver.plan([asks_for_time, Planned { status: 410, header: None }]);
    let target = subscribe(&house, &receiver.url, json!({ "schedule": [1] })).await;
    for n in 0..20 {
        trigger(&house, &hook, n).await;
    }
    let end = Instant::now() + PATIENCE;
    while deliveries(&house, &target).await.iter().filter(|row| row["status"] == "abandoned").count() < 20 {
        assert!(Instant::now() < end, "{:?}", deliveries(&house, &target).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_newcomer_is_tried_at_once_beside_many_that_hang() {
    // Four places for newcomers, each of which a hanging one would have for ten minutes.
    let environment = [
        ("FLOWGATE_DELIVERY_AT_ONCE", "16"),
        ("FLOWGATE_DELIVERY_ATTEMPT_MS_MAX", "600000"),
        ("FLOWGATE_EGRESS_TOTAL_MS_MAX", "600000"),
    ];
    let house = House::start_with(&environment).await;
    let (hook, mute, receiver) = (echo(&house).await, Mute::start().await, Receiver::start().await);
    for _ in 0..12 {
        subscribe(&house, &mute.url, json!({})).await;
    }
    trigger(&house, &hook, 0).await;
    mute.wait_for_open(12).await;
    subscribe(&house, &receiver.url, json!({})).await;
    trigger(&house, &hook, 1).await;
    receiver.wait_for(1).await;
    assert_eq!(mute.open(), 12);
}
