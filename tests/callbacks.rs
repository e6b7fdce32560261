//! Outcomes delivered to a receiver: signed, retried, and stopped where the receiver says so.

use bytes::Bytes;
use flowgate::signature::{Message, Scheme, Secret, verify};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::support::receiver::{Got, Planned, Receiver};
use crate::support::{Hook, House, PATIENCE, hmac, now_ms};

async fn calling_back(house: &House, guest: &str, receiver: &Receiver, schedule_s: &[u64]) -> Hook {
    house.deploy(&guest.replace('_', "-"), guest).await;
    let callback = json!({ "url": receiver.url, "schedule_s": schedule_s });
    house.hook(&guest.replace('_', "-"), json!({ "auth": [hmac()], "mode": "async", "callback": callback })).await
}

fn callback_secret(hook: &Hook) -> Secret {
    let secrets = hook.json["secrets"].as_array().unwrap();
    let secret = secrets.iter().find(|secret| secret["use"] == "callback").unwrap();
    Secret::new(secret["secret"].as_str().unwrap())
}

fn genuine(got: &Got, secret: &Secret) -> bool {
    let scheme = Scheme::named("standard-webhooks").unwrap();
    let headers: HeaderMap = got.headers.clone();
    let message =
        Message { method: "POST", path: "/callback", query: "", headers: &headers, body: &got.body, public_url: None };
    verify(&scheme, std::slice::from_ref(secret), &message, now_ms()).is_ok()
}

async fn delivery(house: &House, execution: &str, until: &str) -> Value {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = house.get(&format!("/v1/deliveries?execution={execution}")).await.expect(200);
        if let Some(one) = list["data"].get(0).filter(|one| one["status"] == until) {
            return house.get(&format!("/v1/deliveries/{}", one["id"].as_str().unwrap())).await.expect(200);
        }
        assert!(tokio::time::Instant::now() < end, "no delivery is {until}: {list}");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn the_outcome_is_delivered_signed() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = calling_back(&house, "echo", &receiver, &[]).await;
    let accepted = house.send(&hook, json!({ "message": "hi", "session_id": "s" })).await.expect(202);
    let got = receiver.wait_for(1).await.remove(0);
    assert!(genuine(&got, &callback_secret(&hook)));
    let event = got.json();
    assert_eq!(
        (&event["type"], &event["data"]["execution_id"]),
        (&json!("execution.succeeded"), &accepted["execution_id"])
    );
    assert_eq!((&event["data"]["reply"]["text"], &event["data"]["session_id"]), (&json!("hi"), &json!("s")));
    let delivery = delivery(&house, accepted["execution_id"].as_str().unwrap(), "succeeded").await;
    assert_eq!(delivery["attempts"].as_array().map(Vec::len), Some(1), "{delivery}");
}

#[tokio::test]
async fn a_failed_execution_is_told_too() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = calling_back(&house, "panic", &receiver, &[]).await;
    house.send(&hook, json!({})).await.expect(202);
    let event = receiver.wait_for(1).await[0].json();
    assert_eq!((&event["type"], &event["data"]["reason"]), (&json!("execution.failed"), &json!("trap")));
}

#[tokio::test]
async fn a_failing_receiver_is_tried_again_with_the_same_message() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = calling_back(&house, "echo", &receiver, &[0, 0, 0]).await;
    let plan = |status, header| Planned { status, header };
    receiver.plan([plan(500, None), plan(429, Some(("retry-after", "1"))), plan(302, Some(("location", "/callback")))]);
    let accepted = house.send(&hook, json!({ "message": "hi" })).await.expect(202);
    let got = receiver.wait_for(4).await;
    assert!(got.iter().all(|one| one.body == got[0].body));
    assert!(got.iter().all(|one| one.header("webhook-id") == got[0].header("webhook-id")));
    assert!(got.iter().all(|one| genuine(one, &callback_secret(&hook))));
    let waited = |n: usize| got[n].header("webhook-timestamp").parse::<u64>().unwrap();
    assert!(waited(2) > waited(1), "Retry-After is honoured");
    let delivery = delivery(&house, accepted["execution_id"].as_str().unwrap(), "succeeded").await;
    let statuses = delivery["attempts"].as_array().unwrap().iter().map(|one| one["status"].clone());
    assert_eq!(statuses.collect::<Vec<_>>(), [500, 429, 302, 204].map(Value::from));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = calling_back(&house, "echo", &receiver, &[0, 0, 0]).await;
    receiver.plan([Planned { status: 410, header: None }]);
    let accepted = house.send(&hook, json!({})).await.expect(202);
    let execution = accepted["execution_id"].as_str().unwrap();
    let delivery_row = delivery(&house, execution, "abandoned").await;
    assert_eq!(receiver.got().len(), 1);
    let again =
        house.post(&format!("/v1/deliveries/{}/redeliver", delivery_row["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(again.status, 202, "{}", again.text());
    receiver.wait_for(2).await;
    delivery(&house, execution, "succeeded").await;
}

#[tokio::test]
async fn a_schedule_that_ends_leaves_the_delivery_exhausted() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = calling_back(&house, "echo", &receiver, &[0]).await;
    receiver.plan([Planned { status: 503, header: None }, Planned { status: 503, header: None }]);
    let accepted = house.send(&hook, json!({})).await.expect(202);
    let delivery = delivery(&house, accepted["execution_id"].as_str().unwrap(), "exhausted").await;
    assert_eq!(delivery["attempts"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_private_receiver_is_refused_when_the_hook_is_made() {
    let house = House::start_with(&[]).await;
    house.deploy("echo", "echo").await;
    for url in ["http://10.0.0.1/", "http://[::ffff:169.254.169.254]/", "http://0x0a000001/", "ftp://example.com/"] {
        let hook = json!({ "name": "bad", "flow": "echo", "auth": [hmac()], "callback": { "url": url } });
        let answer = house.post("/v1/hooks", hook).await;
        assert_eq!(answer.problem(422), "invalid-request", "{url}");
    }
}

#[tokio::test]
async fn a_sync_caller_gets_its_reply_and_the_receiver_its_callback() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = calling_back(&house, "echo", &receiver, &[]).await;
    house
        .api(http::Method::PATCH, &format!("/v1/hooks/{}", hook.id), Some(json!({ "mode": "sync" })))
        .await
        .expect(200);
    let answer = house.send_with(&hook, &[], Bytes::from_static(br#"{"message":"both"}"#)).await.expect(200);
    assert_eq!(answer["reply"]["text"], "both");
    assert_eq!(receiver.wait_for(1).await[0].json()["data"]["reply"]["text"], "both");
}
