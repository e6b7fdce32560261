//! Many targets: what one of them does must not be felt by another, and nothing that is meant for it is lost.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::mute::Mute;
use crate::support::receiver::{Planned, Receiver};
use crate::support::{Hook, House, PATIENCE, hmac};

/// A hook of the flow `flow` that calls `url` back.
async fn hook(house: &House, flow: &str, url: &str, schedule_s: &[u64]) -> Hook {
    let callback = json!({ "url": url, "schedule_s": schedule_s });
    house.hook(flow, json!({ "auth": [hmac()], "mode": "async", "callback": callback })).await
}

/// One callback's worth of work.
async fn trigger(house: &House, hook: &Hook, message: &str) {
    house.send(hook, json!({ "message": message })).await.expect(202);
}

fn plan(status: u16) -> Planned {
    Planned { status, header: None }
}

/// What the receiver was told, in the order in which it was told.
fn texts(receiver: &Receiver) -> Vec<String> {
    let text = |got: &crate::support::receiver::Got| got.json()["data"]["reply"]["text"].as_str().unwrap().to_owned();
    receiver.got().iter().map(text).collect()
}

/// The hook's deliveries, the oldest first, when `enough` says so of them.
async fn deliveries(house: &House, hook: &Hook, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = house.get(&format!("/v1/deliveries?target={}&limit=200", hook.id)).await.expect(200);
        let mut rows = list["data"].as_array().unwrap().clone();
        rows.reverse();
        if enough(&rows) {
            return rows;
        }
        assert!(tokio::time::Instant::now() < end, "not yet: {list}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Waits until the hook's deliveries stand so, the oldest first.
async fn stand(house: &House, hook: &Hook, wanted: &[&str]) -> Vec<Value> {
    let statuses = |rows: &[Value]| rows.iter().map(|row| row["status"].clone()).collect::<Vec<_>>();
    deliveries(house, hook, |rows| statuses(rows) == *wanted).await
}

async fn one(house: &House, delivery: &Value) -> Value {
    house.get(&format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap())).await.expect(200)
}

async fn stats(house: &House, hook: &Hook) -> Value {
    house.get(&format!("/v1/deliveries/stats?target={}", hook.id)).await.expect(200)
}

/// Waits until the numbers of the hook's deliveries are so.
async fn stats_when(house: &House, hook: &Hook, enough: impl Fn(&Value) -> bool) -> Value {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let told = stats(house, hook).await;
        if enough(&told) {
            return told;
        }
        assert!(tokio::time::Instant::now() < end, "not yet: {told}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn dead_targets_with_a_backlog_keep_no_healthy_one_waiting() {
    // Sixteen places: four for new targets, four for suspect ones, eight for those that answer.
    let environment = [
        ("FLOWGATE_DELIVERY_AT_ONCE", "16"),
        ("FLOWGATE_DELIVERY_ATTEMPT_MS_MAX", "600000"),
        ("FLOWGATE_EGRESS_TOTAL_MS_MAX", "600000"),
    ];
    let house = House::start_with(&environment).await;
    let (dead, healthy) = (Mute::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let well = hook(&house, "echo", &healthy.url, &[]).await;
    trigger(&house, &well, "first").await;
    healthy.wait_for(1).await;
    for _ in 0..10 {
        let mute = hook(&house, "echo", &dead.url, &[0, 0, 0]).await;
        for n in 0..4 {
            trigger(&house, &mute, &n.to_string()).await;
        }
    }
    // Each of them hangs once; their places are free again after a moment.
    dead.wait_for_open(10).await;
    for n in 0..30 {
        trigger(&house, &well, &n.to_string()).await;
    }
    healthy.wait_for(31).await;
    assert_eq!((dead.open(), dead.got()), (10, 10), "nothing has ended at the dead ones meanwhile, nor begun");
    stand(&house, &well, &["succeeded"; 31]).await;
}

#[tokio::test]
async fn a_failing_target_is_tried_one_by_one_and_then_left_alone() {
    let house =
        House::start_with(&[("FLOWGATE_DELIVERY_ATTEMPT_MS_MAX", "500"), ("FLOWGATE_DELIVERY_FAILURES_MAX", "3")]);
    let (house, dead) = (house.await, Mute::start().await);
    house.deploy("echo", "echo").await;
    let mute = hook(&house, "echo", &dead.url, &[3600]).await;
    for n in 0..10 {
        trigger(&house, &mute, &n.to_string()).await;
    }
    // Three failures one after the other, then the breaker is open and nothing is sent any more.
    let attempted = |rows: &[Value]| rows.iter().filter(|row| row["attempts_made"] == 1).count();
    let rows = deliveries(&house, &mute, |rows| attempted(rows) == 3).await;
    assert_eq!((rows.len(), dead.got()), (10, 3));
    assert!(rows.iter().all(|row| row["status"] == "pending"));
    // How the target stands is written when its turn has ended.
    let told = stats_when(&house, &mute, |told| told["failures"] == 3).await;
    assert_eq!((&told["standing"], &told["failed"]), (&json!("suspect"), &json!(3)));
    assert!(told["held_until"].is_string() && told["failing_since"].is_string(), "{told}");
    let tried = rows.iter().find(|row| row["attempts_made"] == 1).unwrap();
    let attempt = &one(&house, tried).await["attempts"][0];
    assert_eq!((&attempt["blame"], &attempt["status"]), (&json!("receiver"), &Value::Null), "{attempt}");
}

#[tokio::test]
async fn a_probe_that_succeeds_lets_the_others_out_with_all_their_attempts() {
    let environment = [("FLOWGATE_DELIVERY_FAILURES_MAX", "2"), ("FLOWGATE_DELIVERY_OPEN_S", "1")];
    let (house, receiver) = (House::start_with(&environment).await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let hook = hook(&house, "echo", &receiver.url, &[3600]).await;
    receiver.plan([plan(503), plan(500), plan(502)]);
    for n in 0..6 {
        trigger(&house, &hook, &n.to_string()).await;
    }
    let ended = |rows: &[Value]| rows.iter().filter(|row| row["status"] == "succeeded").count();
    let rows = deliveries(&house, &hook, |rows| ended(rows) == 3).await;
    assert!(rows.iter().all(|row| row["attempts_made"] == 1), "{rows:?}");
    assert_eq!(receiver.got().len(), 6);
    let told = stats_when(&house, &hook, |told| told["standing"] == "proven").await;
    assert_eq!(told["success_rate"], json!(0.5), "{told}");
    assert_eq!(told["hours"].as_array().unwrap().iter().map(|hour| hour["attempts"].as_u64().unwrap()).sum::<u64>(), 6);
}

#[tokio::test]
async fn whoever_is_gone_gets_nothing_of_what_waited() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let hook = hook(&house, "echo", &receiver.url, &[3600]).await;
    receiver.plan([plan(500), plan(500), plan(410)]);
    for n in 0..3 {
        trigger(&house, &hook, &n.to_string()).await;
        receiver.wait_for(n + 1).await;
    }
    let rows = stand(&house, &hook, &["abandoned"; 3]).await;
    assert!(rows.iter().all(|row| row["attempts_made"] == 1 && row["error"].is_string()), "{rows:?}");
    trigger(&house, &hook, "later").await;
    stand(&house, &hook, &["abandoned", "abandoned", "abandoned", "succeeded"]).await;
}

#[tokio::test]
async fn a_receiver_can_want_no_more_of_one_message() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let hook = hook(&house, "echo", &receiver.url, &[0, 0]).await;
    receiver.plan([Planned { status: 500, header: Some(("webhook-delivery", "abort-message")) }]);
    for n in 0..2 {
        trigger(&house, &hook, &n.to_string()).await;
        receiver.wait_for(n + 1).await;
    }
    stand(&house, &hook, &["abandoned", "succeeded"]).await;
}

#[tokio::test]
async fn retry_after_holds_everything_for_the_target() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let hook = hook(&house, "echo", &receiver.url, &[0]).await;
    receiver.plan([Planned { status: 429, header: Some(("retry-after", "2")) }]);
    trigger(&house, &hook, "first").await;
    receiver.wait_for(1).await;
    for n in 0..4 {
        trigger(&house, &hook, &n.to_string()).await;
    }
    let sent = |got: &crate::support::receiver::Got| got.header("webhook-timestamp").parse::<u64>().unwrap();
    let got = receiver.wait_for(6).await;
    assert!(
        got[1..].iter().all(|later| sent(later) >= sent(&got[0]) + 2),
        "{:?}",
        got.iter().map(sent).collect::<Vec<_>>()
    );
    stand(&house, &hook, &["succeeded"; 5]).await;
}

#[tokio::test]
async fn a_lane_keeps_its_order_whatever_fails() {
    let environment = [("FLOWGATE_DELIVERY_FAILURES_MAX", "100")];
    let (house, receiver) = (House::start_with(&environment).await, Receiver::start().await);
    house.deploy("speaker", "speaker").await;
    let callback = json!({ "url": receiver.url, "schedule_s": [0, 0] });
    let spec = json!({ "dialect": "cognigy", "auth": [hmac()], "callback": callback });
    let hook = house.hook("speaker", spec).await;
    // The second output fails once, the third for good.
    receiver.plan([204, 500, 204, 500, 404, 302, 204].map(plan));
    let said = json!({ "say": ["a", "b", "c", "d"] });
    house.send(&hook, json!({ "userId": "u", "sessionId": "s", "data": said })).await.expect(200);
    stand(&house, &hook, &["succeeded", "succeeded", "exhausted", "succeeded", "succeeded"]).await;
    let got = receiver.got();
    let order = got.iter().map(|got| got.json()["AIOutput"]["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(order[..7], ["a", "b", "b", "c", "c", "c", "d"]);
    assert_eq!(order.len(), 8, "and the reply at the end");
}

#[tokio::test]
async fn a_byte_now_and_then_is_no_answer() {
    let environment = [("FLOWGATE_DELIVERY_ATTEMPT_MS_MAX", "1000")];
    let (house, drip) = (House::start_with(&environment).await, Mute::dripping().await);
    let healthy = Receiver::start().await;
    house.deploy("echo", "echo").await;
    let dripping = hook(&house, "echo", &drip.url, &[]).await;
    trigger(&house, &dripping, "hello").await;
    drip.wait_for_open(1).await;
    let well = hook(&house, "echo", &healthy.url, &[]).await;
    trigger(&house, &well, "hello").await;
    healthy.wait_for(1).await;
    let rows = stand(&house, &dripping, &["exhausted"]).await;
    let attempt = &one(&house, &rows[0]).await["attempts"][0];
    assert!((1_000..20_000).contains(&attempt["duration_ms"].as_u64().unwrap()), "{attempt}");
    assert!(attempt["error"].as_str().unwrap().contains("within 1000 ms"), "{attempt}");
}

#[tokio::test]
async fn what_has_failed_is_recovered_when_the_receiver_is_well_again() {
    let (mut house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let hook = hook(&house, "echo", &receiver.url, &[]).await;
    receiver.plan([plan(500), plan(404), plan(500)]);
    for n in 0..3 {
        trigger(&house, &hook, &n.to_string()).await;
        receiver.wait_for(n + 1).await;
    }
    let rows = stand(&house, &hook, &["exhausted"; 3]).await;
    let discard = format!("/v1/deliveries/{}/discard", rows[2]["id"].as_str().unwrap());
    house.post(&discard, json!({})).await.expect(200);
    assert_eq!(house.post(&discard, json!({})).await.problem(409), "delivery-ended");
    let dead = house.get(&format!("/v1/deliveries?target={}&status=exhausted,abandoned", hook.id)).await.expect(200);
    assert_eq!(dead["data"].as_array().unwrap().len(), 2);

    let recover = |dry_run: bool| json!({ "target": hook.id, "since": rows[0]["created_at"], "dry_run": dry_run });
    assert_eq!(house.post("/v1/deliveries/recover", recover(true)).await.expect(200)["deliveries"], 2);
    assert_eq!(receiver.got().len(), 3);
    assert_eq!(house.post("/v1/deliveries/recover", recover(false)).await.expect(202)["deliveries"], 2);
    // It is a job like any other, and outlives its process.
    house.kill();
    house.restart().await;
    stand(&house, &hook, &["succeeded", "succeeded", "discarded"]).await;
    let mut told = texts(&receiver)[3..].to_vec();
    told.sort();
    told.dedup();
    assert_eq!(told, ["0", "1"]);
    assert_eq!(house.post("/v1/deliveries/recover", recover(true)).await.expect(200)["deliveries"], 0);
}

#[tokio::test]
async fn an_attempt_shows_what_was_sent_and_hides_what_proves_it() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let basic = json!({ "user": "us", "password": "a password" });
    let callback = json!({ "url": receiver.url, "schedule_s": [], "basic": basic });
    let hook = house.hook("echo", json!({ "auth": [hmac()], "mode": "async", "callback": callback })).await;
    receiver.plan([Planned { status: 400, header: Some(("x-why", "because")) }]);
    trigger(&house, &hook, "hello").await;
    let rows = stand(&house, &hook, &["exhausted"]).await;
    let attempt = one(&house, &rows[0]).await["attempts"][0].clone();
    let pairs = |field: &str| serde_json::from_value::<Vec<(String, String)>>(attempt[field].clone()).unwrap();
    let value = |pairs: Vec<(String, String)>, name: &str| {
        pairs.into_iter().find(|(own, _)| own == name).map(|(_, value)| value).unwrap_or_default()
    };
    let got = receiver.got().remove(0);
    assert_eq!(value(pairs("request_headers"), "webhook-signature"), got.header("webhook-signature"));
    assert!(got.header("authorization").starts_with("Basic "));
    assert_eq!(value(pairs("request_headers"), "authorization"), "[redacted]");
    assert_eq!(value(pairs("response_headers"), "x-why"), "because");
    assert_eq!(attempt["url"], receiver.url.as_str());
    assert!(attempt["timings"]["total_ms"].is_u64(), "{attempt}");
}
