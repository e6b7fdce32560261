//! Receivers that come and ask for their events.

use std::process::Stdio;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, timeout};

use crate::support::receiver::Receiver;
use crate::support::{Hook, House, PATIENCE, hmac};

/// A hook whose events are on record before it answers.
async fn echo(house: &House) -> Hook {
    house.deploy("echo", "echo").await;
    house.hook("echo", json!({ "auth": [hmac()], "record": "strict" })).await
}

/// What a consumer reads.
async fn pull(house: &House, subscription: &str, query: &str) -> Value {
    house.get(&format!("/v1/subscriptions/{subscription}/events?{query}")).await.expect(200)
}

async fn commit(house: &House, subscription: &str, consumer: &str, cursor: &Value) -> Value {
    let body = json!({ "consumer": consumer, "cursor": cursor });
    house.post(&format!("/v1/subscriptions/{subscription}/events/commit"), body).await.expect(200)
}

/// Triggers that were answered: the ids of their executions.
async fn trigger(house: &House, hook: &Hook, n: usize) -> Vec<Value> {
    let mut ids = Vec::new();
    for n in 0..n {
        ids.push(house.send(hook, json!({ "message": n.to_string() })).await.expect(200)["execution_id"].clone());
    }
    ids
}

fn executions(read: &Value) -> Vec<Value> {
    let events = read["data"].as_array().unwrap().iter();
    events.map(|event| event["payload"]["data"]["execution_id"].clone()).collect()
}

async fn subscribe(house: &House, more: Value) -> String {
    let mut wish = json!({ "events": ["execution.succeeded"] });
    wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = house.post("/v1/subscriptions", wish).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_was_read_and_not_committed_comes_again_after_a_power_cut() {
    let mut house = House::start_with(&[]).await;
    let hook = echo(&house).await;
    let subscription = subscribe(&house, json!({})).await;
    assert_eq!(pull(&house, &subscription, "").await["data"], json!([]), "it begins now");
    let (mut done, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        sent.extend(trigger(&house, &hook, 5).await);
        let read = pull(&house, &subscription, "limit=3").await;
        house.kill();
        house.restart().await;
        let again = pull(&house, &subscription, "limit=3").await;
        assert_eq!(read["data"], again["data"], "the same events, under the same ids");
        let moved = commit(&house, &subscription, "default", &again["cursor"]).await;
        house.kill();
        house.restart().await;
        assert_eq!(
            commit(&house, &subscription, "default", &read["data"][0]["cursor"]).await["cursor"],
            moved["cursor"]
        );
        done.extend(executions(&again));
    }
    loop {
        let read = pull(&house, &subscription, "limit=3").await;
        commit(&house, &subscription, "default", &read["cursor"]).await;
        done.extend(executions(&read));
        if read["has_more"] == false {
            break;
        }
    }
    assert_eq!(done, sent, "each of them, once, in order");
}

#[tokio::test]
async fn events_are_read_as_they_would_be_delivered() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = echo(&house).await;
    let more = json!({ "url": receiver.url, "include_fields": ["execution_id", "status"] });
    let told = subscribe(&house, more).await;
    let asks = subscribe(&house, json!({ "filter": { "input.message": "1" } })).await;
    let ids = trigger(&house, &hook, 3).await;
    let got = receiver.wait_for(3).await;
    let read = pull(&house, &told, "from=oldest&consumer=a").await;
    let mut sent: Vec<_> = got.iter().map(|got| got.json()).collect();
    sent.sort_by_key(|body| ids.iter().position(|id| *id == body["data"]["execution_id"]));
    let payloads: Vec<_> = read["data"].as_array().unwrap().iter().map(|event| event["payload"].clone()).collect();
    assert_eq!(payloads, sent);
    assert_eq!(executions(&pull(&house, &asks, "from=oldest").await), ids[1..2], "and filtered");
    let event = &read["data"][1];
    assert_eq!((&event["type"], &event["timestamp"]), (&event["payload"]["type"], &event["payload"]["timestamp"]));
    let since = format!("consumer=b&from={}", event["timestamp"].as_str().unwrap());
    assert!(executions(&pull(&house, &told, &since).await).ends_with(&ids[2..]));
    // Consumers have places of their own, which are listed and forgotten.
    commit(&house, &told, "a", &read["cursor"]).await;
    let list = house.get(&format!("/v1/subscriptions/{told}/consumers")).await.expect(200);
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(list["data"][0]["cursor"], read["cursor"]);
    let path = format!("/v1/subscriptions/{told}/consumers/a");
    assert_eq!(house.api(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(house.api(Method::DELETE, &path, None).await.problem(404), "not-found");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_field() {
    let house = House::start().await;
    let subscription = subscribe(&house, json!({})).await;
    let base = format!("/v1/subscriptions/{subscription}");
    let refused = async |path: &str, body: Option<Value>| {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let problem = house.api(method, &format!("{base}/{path}"), body).await.expect(422);
        format!("{}: {}", problem["errors"][0]["field"].as_str().unwrap(), problem["errors"][0]["message"])
    };
    assert!(refused("events?from=yesterday", None).await.starts_with("from: \"is `yesterday`; allowed: now, oldest"));
    assert!(refused("events?consumer=A%20b", None).await.starts_with("consumer: "));
    assert!(refused("events?limit=0", None).await.starts_with("limit: "));
    pull(&house, &subscription, "").await;
    for cursor in ["", "17", &"0".repeat(32)] {
        let told = refused("events/commit", Some(json!({ "cursor": cursor }))).await;
        assert!(told.starts_with("cursor: \"the cursor is not one of these events"), "{told}");
    }
    assert!(refused("test", Some(json!({}))).await.starts_with("url: "), "nothing is sent to it");
    let unknown = json!({ "consumer": "nobody", "cursor": pull(&house, &subscription, "").await["cursor"] });
    assert_eq!(house.post(&format!("{base}/events/commit"), unknown).await.problem(404), "not-found");
}

#[tokio::test]
async fn the_command_that_follows_writes_what_happens_a_line_each_and_commits_it() {
    let house = House::start().await;
    let hook = echo(&house).await;
    let subscription = subscribe(&house, json!({})).await;
    let before = trigger(&house, &hook, 2).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_flowgate"));
    command.args(["subscription", "pull", &subscription, "--from", "oldest", "--follow"]);
    command.env("FLOWGATE_URL", house.url.as_str()).env("FLOWGATE_KEY", &house.key);
    let mut follows = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("a line comes").unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["payload"]["data"]["execution_id"].clone()
    };
    assert_eq!([next().await, next().await], before[..]);
    let after = trigger(&house, &hook, 1).await;
    assert_eq!(next().await, after[0], "it asks again");
    // What was written is committed a moment later.
    let end = Instant::now() + PATIENCE;
    while !executions(&pull(&house, &subscription, "").await).is_empty() {
        assert!(Instant::now() < end, "what was written was not committed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
