//! A trigger's ways through the house: sync, async, stream, and the same one twice.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::{House, hmac};

#[tokio::test]
async fn a_sync_trigger_gets_the_flows_reply() {
    let house = House::start().await;
    let hook = house.flow("echo").await;
    let body = json!({ "message": "grüezi", "user_id": "u1", "data": { "n": 1 }, "metadata": { "m": true } });
    let answer = house.send(&hook, body).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let id = answer.header("flowgate-execution-id").to_owned();
    let answer = answer.expect(200);
    assert_eq!((&answer["execution_id"], &answer["status"]), (&json!(id), &json!("succeeded")));
    assert_eq!(answer["reply"]["text"], "grüezi");
    let seen = &answer["reply"]["data"];
    assert_eq!((&seen["user_id"], &seen["data"]["n"], &seen["hook"]), (&json!("u1"), &json!(1), &json!(hook.id)));
    assert_eq!((&seen["dialect"], &seen["attempt"]), (&json!("native"), &json!(1)));

    let execution = house.get(&format!("/v1/executions/{id}")).await.expect(200);
    assert_eq!((&execution["status"], &execution["reply"]["text"]), (&json!("succeeded"), &json!("grüezi")));
}

#[tokio::test]
async fn a_flow_does_not_see_its_callers_credentials() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    for auth in [json!({ "scheme": "bearer" }), json!({ "scheme": "api-key", "query": "apiKey" })] {
        let hook = house.hook("echo", json!({ "auth": [auth] })).await;
        let answer = house.send(&hook, json!({ "message": "hi" })).await.expect(200);
        assert!(!answer.to_string().contains(&hook.secret), "{answer}");
        let id = answer["execution_id"].as_str().unwrap();
        let execution = house.get(&format!("/v1/executions/{id}")).await;
        assert!(!execution.text().contains(&hook.secret));
    }
    for file in std::fs::read_dir(house.folder.path().join("data")).unwrap().flatten() {
        let Ok(bytes) = std::fs::read(file.path()) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("whsec_"), "{}", file.path().display());
        assert!(!text.contains(&house.key), "{}", file.path().display());
    }
}

#[tokio::test]
async fn every_auth_scheme_lets_the_genuine_in_and_nobody_else() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let schemes = [
        json!({ "scheme": "bearer" }),
        json!({ "scheme": "basic", "user": "shop" }),
        json!({ "scheme": "api-key", "query": "apiKey" }),
        hmac(),
        json!({ "scheme": "hmac-sha256", "header": "x-sig", "encoding": "base64", "timestamp_header": "x-time",
                "signed": "{timestamp}.{body}" }),
        json!({ "scheme": "standard-webhooks" }),
    ];
    for scheme in schemes {
        let hook = house.hook("echo", json!({ "auth": [scheme] })).await;
        house.send(&hook, json!({ "message": "hi" })).await.expect(200);
        let mut stranger = hook.clone();
        stranger.secret = "whsec_c3RyYW5nZXJzdHJhbmdlcnN0cmFuZ2VycyEh".to_owned();
        let refused = house.send(&stranger, json!({ "message": "hi" })).await;
        assert_eq!(refused.problem(401), "unauthenticated", "{scheme}");
        let none = house.request(Method::POST, &hook.path, Default::default(), Bytes::from_static(b"{}")).await;
        assert_eq!(none.problem(401), "unauthenticated", "{scheme}");
    }
}

#[tokio::test]
async fn an_async_trigger_is_accepted_and_can_be_polled() {
    let house = House::start().await;
    let hook = house.flow("echo").await;
    let body = Bytes::from_static(br#"{"message":"later"}"#);
    let answer = house.send_with(&hook, &[("prefer", "respond-async")], body).await;
    assert_eq!(answer.header("preference-applied"), "respond-async");
    let location = answer.header("location").to_owned();
    let accepted = answer.expect(202);
    assert_eq!(location, format!("/v1/executions/{}", accepted["execution_id"].as_str().unwrap()));
    let ended = house.ended_execution(accepted["execution_id"].as_str().unwrap()).await;
    assert_eq!((&ended["status"], &ended["reply"]["text"]), (&json!("succeeded"), &json!("later")));
}

#[tokio::test]
async fn a_caller_who_waits_too_long_gets_a_202_and_the_execution_goes_on() {
    let house = House::start().await;
    house.deploy("slow", "slow").await;
    let hook = house.hook("slow", json!({ "auth": [hmac()], "sync_wait_ms": 200 })).await;
    let accepted = house.send(&hook, json!({ "data": { "ms": 1500 } })).await.expect(202);
    let ended = house.ended_execution(accepted["execution_id"].as_str().unwrap()).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("succeeded"), &json!(1)));

    let body = || Bytes::from_static(br#"{"data":{"ms":50}}"#);
    let waited = house.send_with(&hook, &[("prefer", "respond-async, wait=20")], body()).await;
    assert_eq!(waited.status, 200, "an accepted execution that ends in time is answered with its reply");
}

#[tokio::test]
async fn a_stream_brings_each_output_and_then_the_end() {
    let house = House::start().await;
    let hook = house.flow("speaker").await;
    let body = Bytes::from(json!({ "data": { "say": ["one", "two\nlines"] } }).to_string());
    let answer = house.send_with(&hook, &[("accept", "text/event-stream")], body).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream"));
    let events = events(&answer.text());
    let said = events.iter().filter(|(_, name, _)| name == "say").map(|(_, _, data)| data["text"].clone());
    assert_eq!(said.collect::<Vec<_>>(), [json!("one"), json!("two\nlines")]);
    let (id, name, end) = events.last().unwrap();
    assert_eq!((id.as_str(), name.as_str(), &end["status"]), ("end", "end", &json!("succeeded")));

    // The same log, resumed in the middle and as a list.
    let execution = end["execution_id"].as_str().unwrap();
    let path = format!("/v1/executions/{execution}/events");
    let list = house.get(&path).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), events.len());
    let rest = house.get(&format!("{path}?after={}", events[0].0)).await.expect(200);
    assert_eq!(rest["data"].as_array().unwrap().len(), events.len() - 1);
}

fn events(text: &str) -> Vec<(String, String, Value)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    let field = |block: &str, name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name)).map(|value| value.trim_start().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    };
    blocks
        .map(|block| {
            let data = serde_json::from_str(&field(block, "data:")).unwrap();
            (field(block, "id:"), field(block, "event:"), data)
        })
        .collect()
}

#[tokio::test]
async fn an_idempotency_key_runs_its_trigger_once() {
    let house = House::start().await;
    let hook = house.flow("counter").await;
    let body = |n: u32| Bytes::from(json!({ "session_id": "s", "data": { "add": n } }).to_string());
    let key = [("idempotency-key", "order-1")];
    let first = house.send_with(&hook, &key, body(1)).await.expect(200);
    let second = house.send_with(&hook, &key, body(1)).await;
    assert_eq!(second.header("idempotency-replayed"), "true");
    let second = second.expect(200);
    assert_eq!(first, second);
    let other = house.send_with(&hook, &key, body(2)).await;
    assert_eq!(other.problem(422), "key-reused");
    let fresh = house.send_with(&hook, &[("idempotency-key", "order-2")], body(1)).await.expect(200);
    assert_eq!(fresh["reply"]["data"]["count"], 2);
}

#[tokio::test]
async fn a_key_whose_execution_still_runs_is_told_so() {
    let house = House::start().await;
    let hook = house.flow("slow").await;
    let body = || Bytes::from_static(br#"{"data":{"ms":1500}}"#);
    let key = [("idempotency-key", "k")];
    let (first, second) = tokio::join!(house.send_with(&hook, &key, body()), async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        house.send_with(&hook, &key, body()).await
    });
    assert_eq!(first.status, 200);
    assert_eq!(second.problem(409), "still-running");
}

#[tokio::test]
async fn a_flow_that_asks_for_another_attempt_gets_it() {
    let house = House::start().await;
    let hook = house.flow("retry_once").await;
    let answer = house.send(&hook, json!({ "data": { "failures": 1, "after_ms": 10 } })).await.expect(200);
    assert_eq!(answer["reply"]["text"], "attempt 2");
    let spec = json!({ "auth": [hmac()], "retry": { "attempts_max": 2, "schedule_s": [0] } });
    let hook = house.hook("retry-once", spec).await;
    let answer = house.send(&hook, json!({ "data": { "failures": 9, "after_ms": 10 } })).await;
    assert_eq!(answer.problem(502), "flow-failed");
}

#[tokio::test]
async fn a_flows_failures_say_whose_fault_they_are() {
    let house = House::start().await;
    let hook = house.flow("fail").await;
    let invalid = house.send(&hook, json!({ "data": { "kind": "invalid" } })).await.expect(422);
    assert_eq!((&invalid["code"], &invalid["fault"]), (&json!("invalid-input"), &json!("caller")));
    assert_eq!(invalid["errors"][0]["field"], "customer.email");
    let failed = house.send(&hook, json!({ "message": "no stock", "data": { "kind": "failed" } })).await.expect(502);
    assert_eq!((&failed["code"], &failed["fault"]), (&json!("flow-failed"), &json!("flow")));
    let page = house.get(failed["type"].as_str().unwrap()).await;
    assert!(page.text().starts_with("# The flow failed"));
    assert!(failed["execution_id"].as_str().unwrap().starts_with("exe_"));
}

#[tokio::test]
async fn a_flow_may_write_the_whole_response() {
    let house = House::start().await;
    let hook = house.flow("raw_reply").await;
    let wanted =
        json!({ "status": 418, "headers": [["x-tea", "green"], ["connection", "close"]], "body": "short and stout" });
    let answer = house.send(&hook, json!({ "data": wanted })).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-tea")), (418, "green"));
    assert_eq!(answer.text(), "short and stout");
}

#[tokio::test]
async fn a_wasi_http_component_runs_behind_a_hook() {
    let house = House::start().await;
    let hook = house.flow("http_echo").await;
    let answer = house.send_with(&hook, &[("content-type", "text/plain")], Bytes::from_static(b"raw \x00 bytes")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.ends_with(b"raw \x00 bytes"), "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/plain");
}

#[tokio::test]
async fn a_component_that_was_not_written_for_this_host_runs_behind_a_hook() {
    let house = House::start().await;
    house.deploy("foreign", "http_proxy").await;
    let hook = house.hook("foreign", json!({ "auth": [hmac()] })).await;
    let answer = house.send(&hook, json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "Hello, WASI!"));
}

#[tokio::test]
async fn a_flow_reads_its_configuration() {
    let house = House::start().await;
    let hook = house.flow("settings").await;
    let config = json!({ "model": "small", "greeting": "hi" });
    let put = house.api(Method::PUT, "/v1/flows/settings/config", Some(config)).await;
    assert!(put.status.is_success(), "{}", put.text());
    let answer = house.send(&hook, json!({ "data": { "keys": ["model", "absent"] } })).await.expect(200);
    assert!(answer["reply"].to_string().contains("small"), "{answer}");
}

#[tokio::test]
async fn a_session_keeps_the_conversation() {
    let house = House::start().await;
    let hook = house.flow("chat").await;
    let say = |session: &'static str, text: &'static str| {
        let (house, hook) = (&house, &hook);
        async move { house.send(hook, json!({ "session_id": session, "message": text })).await.expect(200) }
    };
    say("a", "first").await;
    say("b", "other").await;
    let answer = say("a", "second").await;
    let messages = answer["reply"]["data"]["messages"].as_array().unwrap();
    let texts = messages.iter().map(|message| message["text"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(texts.len(), 2, "the user's message and the flow's reply: {texts:?}");
    assert_eq!(texts[0], "first");
}

#[tokio::test]
async fn executions_are_listed_canceled_and_replayed() {
    let house = House::start().await;
    let slow = house.flow("slow").await;
    let accepted = house
        .send_with(&slow, &[("prefer", "respond-async")], Bytes::from_static(br#"{"data":{"ms":60000}}"#))
        .await
        .expect(202);
    let id = accepted["execution_id"].as_str().unwrap().to_owned();
    let cancel = house.post(&format!("/v1/executions/{id}/cancel"), json!({})).await;
    assert!(cancel.status.is_success(), "{}", cancel.text());
    let ended = house.ended_execution(&id).await;
    assert_eq!((&ended["status"], &ended["reason"]), (&json!("canceled"), &json!("canceled")));

    let hook = house.flow("echo").await;
    let first = house.send(&hook, json!({ "message": "again" })).await.expect(200);
    let first = first["execution_id"].as_str().unwrap();
    let replay = house.post(&format!("/v1/executions/{first}/replay"), json!({})).await.expect(202);
    let replayed = house.ended_execution(replay["execution_id"].as_str().unwrap()).await;
    assert_eq!((&replayed["reply"]["text"], &replayed["replay_of"]), (&json!("again"), &json!(first)));

    let listed = house.get("/v1/executions?flow=echo&status=succeeded&limit=1").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let next = listed["next_cursor"].as_str().unwrap();
    let rest = house.get(&format!("/v1/executions?flow=echo&limit=10&cursor={next}")).await.expect(200);
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
}

#[tokio::test]
async fn what_a_guest_writes_becomes_its_log() {
    let house = House::start().await;
    let hook = house.flow("logger").await;
    let answer = house.send(&hook, json!({ "message": "look here" })).await.expect(200);
    let id = answer["execution_id"].as_str().unwrap();
    let logs = house.get(&format!("/v1/executions/{id}/logs")).await.expect(200).to_string();
    for part in ["look here", "stdout", "stderr", "\"error\"", "\"debug\""] {
        assert!(logs.contains(part), "{part} is missing: {logs}");
    }
}

#[tokio::test]
async fn the_flow_of_the_benchmarks_answers_what_it_got() {
    let house = House::start().await;
    let hook = house.flow("mirror").await;
    let sent = json!({ "message": "Where is my order?", "data": { "order": [1, 2.5, null] } });
    let answer = house.send(&hook, sent.clone()).await.expect(200);
    assert_eq!(answer["reply"]["data"], sent);
    let refused = house.send_with(&hook, &[("content-type", "text/plain")], Bytes::from_static(b"no JSON")).await;
    assert_eq!(refused.problem(422), "invalid-input");
}
