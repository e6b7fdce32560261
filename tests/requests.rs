//! What came to a hook and what became of it: filtered, repeated, captured, replayed.

use std::process::Command;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::support::{Hook, House, PATIENCE, hmac};

/// The requests of a hook with these verdicts, once there are `n`.
async fn came(house: &House, hook: &Hook, verdict: &str, n: usize) -> Vec<Value> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = house.get(&format!("/v1/hooks/{}/requests?verdict={verdict}", hook.id)).await.expect(200);
        let found = list["data"].as_array().unwrap().clone();
        if found.len() >= n {
            assert_eq!(found.len(), n, "{list}");
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "there are not {n} requests {verdict}: {list}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn body(value: impl std::fmt::Display) -> Bytes {
    Bytes::from(value.to_string())
}

/// A hook of the guest `echo` with a preset whose sender names its deliveries.
async fn github(house: &House, more: Value) -> Hook {
    let mut spec = json!({ "auth": [{ "scheme": "github" }] });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.hook("echo", spec).await
}

fn delivery(id: &str) -> [(&'static str, &str); 2] {
    [("x-github-delivery", id), ("x-github-event", "issues")]
}

#[tokio::test]
async fn every_request_is_listed_with_what_became_of_it() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let hook = github(&house, json!({ "filter": { "body.data.action": { "$in": ["opened", "edited"] } } })).await;
    let opened = || body(json!({ "message": "one", "data": { "action": "opened" } }));
    let first = house.send_with(&hook, &delivery("d-1"), opened()).await.expect(200);
    let again = house.send_with(&hook, &delivery("d-1"), opened()).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(200), first);
    // What comes within one millisecond has no order, so each waits for the one before it.
    came(&house, &hook, "duplicate", 1).await;
    let closed = house.send_with(&hook, &delivery("d-2"), body(json!({ "data": { "action": "closed" } }))).await;
    assert_eq!(closed.expect(200), json!({ "filtered": true }));
    came(&house, &hook, "filtered", 1).await;
    house.request(Method::POST, &hook.path, HeaderMap::new(), Bytes::from_static(b"{}")).await.expect(401);

    let all = came(&house, &hook, "accepted,refused,filtered,duplicate", 4).await;
    let verdicts = all.iter().map(|one| one["verdict"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(verdicts, ["refused", "filtered", "duplicate", "accepted"]);
    let [refused, filtered, duplicate, accepted] = &all[..] else { unreachable!() };
    let execution = &first["execution_id"];
    assert_eq!((&accepted["execution_id"], &accepted["reason"]), (execution, &json!("succeeded")));
    assert!(accepted["timings"]["finished_at"].is_string(), "{accepted}");
    assert_eq!((&duplicate["execution_id"], &duplicate["status"]), (execution, &json!(200)));
    let told = format!("the id in `x-github-delivery` came before, with {}", execution.as_str().unwrap());
    assert_eq!(duplicate["reason"], told);
    let why = filtered["reason"].as_str().unwrap();
    assert!(why.contains("`body.data.action` is \"closed\""), "{why}");
    assert_eq!((&filtered["genuine"], &filtered["body_kept"]), (&json!(true), &json!(true)));
    assert_eq!(refused["code"], "unauthenticated");
    for one in [refused, filtered, duplicate] {
        assert!(one["timings"]["answered_us"].as_u64() >= one["timings"]["proof_us"].as_u64(), "{one}");
        assert_eq!((&one["request"]["method"], &one["request"]["peer"]), (&json!("POST"), &json!("127.0.0.1")));
        assert!(!one.to_string().contains("sha256="), "a signature is a credential where nothing else is signed");
    }
    let one = house.get(&format!("/v1/requests/{}", filtered["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(one["request"]["body_text"], r#"{"data":{"action":"closed"}}"#);
}

#[tokio::test]
async fn a_repeated_delivery_is_known_after_a_kill() {
    let mut house = House::start().await;
    house.deploy("echo", "echo").await;
    let hook = github(&house, json!({})).await;
    let first = house.send_with(&hook, &delivery("d-1"), body(json!({ "message": "one" }))).await.expect(200);
    house.kill();
    house.restart().await;
    // The sender has rendered it anew, which is still the same delivery.
    let again = house.send_with(&hook, &delivery("d-1"), body(json!({ "message": "one", "data": 1 }))).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let again = again.expect(200);
    assert_eq!(again["execution_id"], first["execution_id"]);
    let duplicate = came(&house, &hook, "duplicate", 1).await;
    assert!(duplicate[0]["reason"].as_str().unwrap().contains("the rest of the request is not the same"));
    assert_eq!(came(&house, &hook, "accepted", 1).await.len(), 1);
}

#[tokio::test]
async fn a_signature_with_a_timestamp_passes_once_whatever_else_is_changed() {
    let mut house = House::start().await;
    house.deploy("echo", "echo").await;
    let stamped = json!({ "scheme": "hmac-sha256", "header": "x-signature", "timestamp_header": "x-time",
                          "signed": "{timestamp}.{body}", "tolerance_s": 300 });
    let spec = json!({ "auth": [stamped], "deduplicate": { "header": "x-event-id" } });
    let hook = house.hook("echo", spec).await;
    let text = body(json!({ "message": "pay" }));
    let (signed, path) = hook.signed(HeaderMap::new(), &text);
    let send = async |house: &House, id: &str| {
        let mut headers = signed.clone();
        headers.insert("x-event-id", id.parse().unwrap());
        headers.insert("idempotency-key", id.parse().unwrap());
        house.request(Method::POST, &path, headers, text.clone()).await.expect(200)["execution_id"].clone()
    };
    let first = send(&house, "e-1").await;
    assert_eq!(send(&house, "e-2").await, first, "another id does not make it another request");
    // The key is durable at once, the record of the repeated request a moment later.
    came(&house, &hook, "duplicate", 1).await;
    house.kill();
    house.restart().await;
    assert_eq!(send(&house, "e-3").await, first);
    let off = json!({ "deduplicate": "off" });
    house.api(Method::PATCH, &format!("/v1/hooks/{}", hook.id), Some(off)).await.expect(200);
    assert_eq!(send(&house, "e-4").await, first, "what is signed passes once in any case");
    for one in came(&house, &hook, "duplicate", 3).await {
        assert!(one["reason"].as_str().unwrap().starts_with("what is signed came before"), "{one}");
    }
}

#[tokio::test]
async fn a_hook_says_what_makes_requests_the_same() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "auth": [hmac()], "deduplicate": { "pointer": "/data/id" } })).await;
    let send = async |hook: &Hook, body: Value| house.send(hook, body).await.expect(200)["execution_id"].clone();
    let first = send(&hook, json!({ "data": { "id": 1 } })).await;
    assert_eq!(send(&hook, json!({ "data": { "id": 1 }, "message": "x" })).await, first);
    assert_ne!(send(&hook, json!({ "data": { "id": 2 } })).await, first);
    let without = json!({ "data": {} });
    assert_ne!(send(&hook, without.clone()).await, send(&hook, without).await, "nothing is the same without an id");

    let off = github(&house, json!({ "deduplicate": "off" })).await;
    let send =
        async || house.send_with(&off, &delivery("d"), body(json!({}))).await.expect(200)["execution_id"].clone();
    assert_ne!(send().await, send().await);
}

#[tokio::test]
async fn a_sender_that_tries_again_after_a_failure_is_heard() {
    let house = House::start().await;
    house.deploy("fail", "fail").await;
    house.deploy("slow", "slow").await;
    let hook = house.hook("fail", json!({ "auth": [{ "scheme": "github" }] })).await;
    let failing = || body(json!({ "message": "no", "data": { "kind": "failed" } }));
    for _ in 0..2 {
        assert_eq!(house.send_with(&hook, &delivery("d"), failing()).await.problem(502), "flow-failed");
    }
    assert_eq!(came(&house, &hook, "accepted", 2).await.len(), 2);

    // One that tries again while the first is under way is told that it is taken care of.
    let hook = house.hook("slow", json!({ "auth": [{ "scheme": "github" }], "sync_wait_ms": 20_000 })).await;
    let slow = || body(json!({ "data": { "ms": 1500 } }));
    let send = async || house.send_with(&hook, &delivery("d"), slow()).await;
    let second = async {
        came(&house, &hook, "accepted", 1).await;
        send().await
    };
    let (first, second) = tokio::join!(send(), second);
    let second = second.expect(202);
    assert_eq!(first.expect(200)["execution_id"], second["execution_id"]);
    assert_eq!(came(&house, &hook, "duplicate", 1).await[0]["status"], 202);
}

#[tokio::test]
async fn what_was_captured_is_replayed_into_another_version() {
    let house = House::start().await;
    house.deploy("bot", "echo").await;
    let other = house.upload("bot", crate::support::component("counter")).await.json();
    let hook = house.hook("bot", json!({ "auth": [{ "scheme": "bearer" }], "capture": true })).await;
    let text = body(json!({ "message": "look", "session_id": "s", "data": { "add": 3 } }));
    let captured = house.send_with(&hook, &[], text.clone()).await.expect(202);
    assert_eq!(captured["captured"], json!(true));
    let mut stranger = HeaderMap::new();
    stranger.insert("x-api-key", "not-your-secret".parse().unwrap());
    stranger.insert("x-event", "seen".parse().unwrap());
    stranger.insert("content-type", "application/json".parse().unwrap());
    let path = format!("{}?token=neither-this&page=2", hook.path);
    let unproven = house.request(Method::POST, &path, stranger, text).await.expect(202);
    assert_eq!(house.get("/v1/executions").await.expect(200)["data"], json!([]), "nothing runs");

    let show = async |id: &Value| house.get(&format!("/v1/requests/{}", id.as_str().unwrap())).await.expect(200);
    let (genuine, strange) = (show(&captured["request_id"]).await, show(&unproven["request_id"]).await);
    assert_eq!((&genuine["genuine"], &genuine["reason"]), (&json!(true), &json!("genuine")));
    assert!(!genuine.to_string().contains(&hook.secret), "{genuine}");
    assert_eq!(strange["genuine"], json!(false));
    assert!(strange["reason"].as_str().unwrap().starts_with("not genuine: bearer: "), "{strange}");
    let text = strange.to_string();
    assert!(!text.contains("not-your-secret") && !text.contains("neither-this"), "{strange}");
    assert!(text.contains("x-api-key") && text.contains("seen") && text.contains("page=2"), "{strange}");

    house.api(Method::PATCH, &format!("/v1/hooks/{}", hook.id), Some(json!({ "capture": false }))).await.expect(200);
    for (id, version, count) in [(&captured, &Value::Null, None), (&unproven, &other["digest"], Some(3))] {
        let path = format!("/v1/requests/{}/replay", id["request_id"].as_str().unwrap());
        let replayed = house.post(&path, json!({ "version": version })).await.expect(202);
        assert_eq!(replayed["genuine"], json!(count.is_none()));
        let ended = house.ended_execution(replayed["execution_id"].as_str().unwrap()).await;
        assert_eq!((&ended["status"], &ended["replay_of"]), (&json!("succeeded"), &id["request_id"]));
        match count {
            None => assert_eq!(ended["reply"]["text"], "look"),
            Some(n) => assert_eq!(ended["reply"]["data"]["count"], json!(n), "{ended}"),
        }
    }
    assert_eq!(came(&house, &hook, "accepted", 0).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_hook_that_keeps_nothing_keeps_no_bodies_either() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let spec = json!({ "auth": [hmac()], "filter": { "message": "welcome" }, "disable_sensitive_logging": true });
    let hook = house.hook("echo", spec).await;
    house.send(&hook, json!({ "message": "my-private-words" })).await.expect(200);
    let filtered = came(&house, &hook, "filtered", 1).await.remove(0);
    assert_eq!(filtered["body_kept"], json!(false));
    assert!(!filtered.to_string().contains("my-private-words"), "{filtered}");
    let path = format!("/v1/requests/{}/replay", filtered["id"].as_str().unwrap());
    assert_eq!(house.post(&path, json!({})).await.problem(409), "not-replayable");
}

#[tokio::test]
async fn a_hook_that_captures_takes_no_more_than_it_can_keep() {
    let house = House::start_with(&[("FLOWGATE_INGRESS_RECORDED_PER_S_MAX", "3")]).await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "auth": [hmac()], "capture": true })).await;
    let all = (0..40).map(|_| house.send(&hook, json!({})));
    let answers = futures_util::future::join_all(all).await;
    let statuses = answers.iter().map(|answer| answer.status.as_u16()).collect::<Vec<_>>();
    assert!(statuses.contains(&202) && statuses.contains(&429), "{statuses:?}");
    let kept = statuses.iter().filter(|status| **status == 202).count();
    assert_eq!(came(&house, &hook, "captured", kept).await.len(), kept, "what is answered so is on record");
}

#[tokio::test]
async fn the_command_line_reads_and_replays_requests() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "auth": [hmac()], "filter": { "message": "welcome" } })).await;
    house.send(&hook, json!({ "message": "away" })).await.expect(200);
    let id = came(&house, &hook, "filtered", 1).await[0]["id"].as_str().unwrap().to_owned();
    let run = async |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
        command.args(words).env("FLOWGATE_URL", house.url.as_str()).env("FLOWGATE_KEY", &house.key);
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    };
    let list = run(&["hook", "requests", &hook.id, "--verdict", "filtered,refused"]).await;
    assert!(list.contains(&id) && list.contains("`message` is \"away\""), "{list}");
    let one = run(&["hook", "request", &id]).await;
    assert!(one.contains("genuine") && one.ends_with("\n{\"message\":\"away\"}\n"), "{one}");
    let execution = run(&["hook", "replay", &id]).await;
    let ended = house.ended_execution(execution.trim()).await;
    assert_eq!((&ended["reply"]["text"], &ended["replay_of"]), (&json!("away"), &json!(id)));
}
