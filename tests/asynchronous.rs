//! Flows of `flowgate:flow@0.2` and components of `wasi:http@0.3`, beside synchronous ones: calls at one time, replies that
//! stream, and the same limits.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::reflector::Reflector;
use crate::support::{Hook, House, component, hmac};

/// The events of a stream, each with its name.
fn events(text: &str) -> Vec<(String, Value)> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_start().to_owned())
    };
    let blocks = text.split("\n\n").filter_map(|block| Some((field(block, "event:")?, field(block, "data:")?)));
    blocks.map(|(name, data)| (name, serde_json::from_str(&data).unwrap())).collect()
}

async fn stream(house: &House, hook: &Hook, data: Value) -> Vec<(String, Value)> {
    let body = Bytes::from(json!({ "data": data }).to_string());
    let answer = house.send_with(hook, &[("accept", "text/event-stream")], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    events(&answer.text())
}

fn deltas(events: &[(String, Value)]) -> Vec<&str> {
    let deltas = events.iter().filter(|(name, _)| name == "delta");
    deltas.map(|(_, data)| data["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn many_calls_of_one_guest_are_under_way_at_one_time() {
    let house = House::start().await;
    let (echo, concurrent) = (house.flow("echo").await, house.flow("concurrent").await);
    let trigger = json!({ "session_id": "s", "data": { "calls": 8, "ms": 400 } });
    let (answer, sync) = tokio::join!(house.send(&concurrent, trigger), house.send(&echo, json!({ "message": "hi" })));
    assert_eq!(sync.expect(200)["reply"]["text"], "hi");
    let answer = answer.expect(200);
    let data = &answer["reply"]["data"];
    let took_ms = data["took_ms"].as_u64().unwrap();
    assert!((400..1_600).contains(&took_ms), "eight pauses of 400 ms took {took_ms} ms");
    let kept = (0..8).map(|n| format!("kept {n}")).collect::<Vec<_>>();
    assert_eq!(data["kept"], json!(kept));
    let execution = answer["execution_id"].as_str().unwrap();
    let execution = house.get(&format!("/v1/executions/{execution}")).await.expect(200);
    assert!(execution["usage"]["cpu_us"].as_u64().unwrap() < took_ms * 1_000, "waiting costs no cpu: {execution}");
    let versions = house.get("/v1/flows/concurrent/versions").await.expect(200);
    let digest = versions["data"][0]["digest"].as_str().unwrap();
    let version = house.get(&format!("/v1/flows/concurrent/versions/{digest}")).await.expect(200);
    assert_eq!(
        (&version["inspection"]["kind"], &version["describe"]["title"]),
        (&json!("flow02"), &json!("Concurrent"))
    );
}

#[tokio::test]
async fn requests_of_one_guest_are_out_together_where_they_were_granted() {
    let house = House::start().await;
    let hook = house.flow("concurrent").await;
    for wasi in [false, true] {
        let host = Reflector::start().await;
        let trigger = json!({ "session_id": "s", "data": { "fetch": vec![host.url("/together?4"); 4], "wasi": wasi } });
        let denied = house.send(&hook, trigger.clone()).await.expect(200)["reply"]["data"]["fetched"].clone();
        assert!(denied.as_array().unwrap().iter().all(|one| one.to_string().contains("enied") || !wasi), "{denied}");
        assert_eq!(host.got().len(), 0, "{denied}");
        let grants = json!({ "http": [{ "host": host.host, "scheme": "http" }] });
        house.api(http::Method::PUT, "/v1/flows/concurrent/grants", Some(grants)).await.expect(200);
        // None of the four is answered before all of them are out.
        let answer = house.send(&hook, trigger).await.expect(200);
        assert_eq!(answer["reply"]["data"]["fetched"], json!(["200", "200", "200", "200"]), "{wasi}");
    }
}

#[tokio::test]
async fn a_reply_streams_part_by_part_and_is_kept_whole() {
    let house = House::start().await;
    let hook = house.flow("streamer").await;
    let data = json!({ "first": "Well, ", "words": ["one ", "two ", "three"], "pause_ms": 20 });
    let streamed = stream(&house, &hook, data.clone()).await;
    assert_eq!(deltas(&streamed), ["Well, ", "one ", "two ", "three"]);
    let (name, end) = streamed.last().unwrap();
    assert_eq!((name.as_str(), &end["status"]), ("end", &json!("succeeded")));
    assert_eq!((&end["reply"]["text"], &end["reply"]["data"]["done"]), (&json!("Well, one two three"), &json!(true)));
    // A caller that does not stream gets the whole, and the record has it.
    let answer = house.send(&hook, json!({ "data": data })).await.expect(200);
    assert_eq!(answer["reply"]["text"], "Well, one two three");
    let execution = end["execution_id"].as_str().unwrap();
    let list = house.get(&format!("/v1/executions/{execution}/events")).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), streamed.len());
}

#[tokio::test]
async fn the_sdk_streams_and_the_calls_of_0_1_0_work_beside() {
    let house = House::start().await;
    let hook = house.flow("relay").await;
    for before in [0, 2] {
        let body = json!({ "message": "hi there you", "session_id": "s" }).to_string();
        let answer = house.send_with(&hook, &[("accept", "text/event-stream")], Bytes::from(body)).await;
        let events = events(&answer.text());
        assert_eq!((events[0].0.as_str(), &events[0].1["text"]), ("say", &json!(format!("{before} before"))));
        assert_eq!(deltas(&events), ["You said: ", "hi ", "there ", "you"]);
        assert_eq!(events.last().unwrap().1["reply"]["text"], "You said: hi there you");
    }
}

#[tokio::test]
async fn a_reply_arrives_while_it_is_written() {
    let house = House::start().await;
    let hook = house.flow("streamer").await;
    let data = json!({ "words": ["one ", "two"], "pause_ms": 1_000 });
    let body = Bytes::from(json!({ "data": data }).to_string());
    let accepted = house.send_with(&hook, &[("prefer", "respond-async")], body).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let id = accepted.json()["execution_id"].as_str().unwrap().to_owned();
    let since = tokio::time::Instant::now();
    loop {
        let list = house.get(&format!("/v1/executions/{id}/events")).await.expect(200);
        let names = list["data"].as_array().unwrap().iter().map(|event| event["event"].clone()).collect::<Vec<_>>();
        if names.contains(&json!("delta")) {
            assert!(!names.contains(&json!("end")), "the first word comes before the end");
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{list}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(house.ended_execution(&id).await["status"], "succeeded");
}

/// What becomes of a guest that misbehaves, and of an honest one meanwhile.
async fn unruly(what: &str) -> Value {
    let house = House::start_with(&[("FLOWGATE_ENGINE_CPU_MS_MAX", "700")]).await;
    let echo = house.flow("echo").await;
    house.deploy("unruly", "unruly").await;
    let hook = house.hook("unruly", json!({ "auth": [hmac()], "limits": { "wall_ms_max": 4_000 } })).await;
    let (answer, ()) = tokio::join!(house.send(&hook, json!({ "data": { "do": what } })), async {
        for _ in 0..10 {
            house.send(&echo, json!({ "message": "still here" })).await.expect(200);
        }
    });
    let body = answer.json();
    let id = body["execution_id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    house.ended_execution(&id).await
}

#[track_caller]
fn assert_reason(execution: &Value, status: &str, reason: &str) {
    assert_eq!((&execution["status"], &execution["reason"]), (&json!(status), &json!(reason)), "{execution:.1000}");
}

#[tokio::test]
async fn what_never_ends_uses_up_its_cpu_budget() {
    assert_reason(&unruly("spin").await, "failed", "cpu_budget");
    assert_reason(&unruly("yield").await, "failed", "cpu_budget");
}

#[tokio::test]
async fn what_only_waits_ends_at_its_deadline() {
    assert_reason(&unruly("wait").await, "timed_out", "deadline");
    assert_reason(&unruly("hold").await, "timed_out", "deadline");
}

#[tokio::test]
async fn what_is_under_way_at_one_time_has_a_bound() {
    assert_reason(&unruly("spawn").await, "failed", "over_limit");
    assert_reason(&unruly("streams").await, "failed", "over_limit");
}

#[tokio::test]
async fn a_reply_without_an_end_is_over_the_limit() {
    assert_reason(&unruly("flood").await, "failed", "over_limit");
}

#[tokio::test]
async fn a_trap_in_the_middle_of_a_reply_fails_the_execution() {
    assert_reason(&unruly("trap").await, "failed", "trap");
}

#[tokio::test]
async fn what_a_flow_does_after_its_reply_is_not_waited_for() {
    assert_eq!(unruly("linger").await["status"], "succeeded");
}

#[tokio::test]
async fn a_streaming_reply_can_be_canceled() {
    let house = House::start().await;
    let hook = house.flow("unruly").await;
    let body = Bytes::from(json!({ "data": { "do": "hold" } }).to_string());
    let accepted = house.send_with(&hook, &[("prefer", "respond-async")], body).await;
    let id = accepted.json()["execution_id"].as_str().unwrap().to_owned();
    let cancel = house.post(&format!("/v1/executions/{id}/cancel"), json!({})).await;
    assert!(cancel.status.is_success(), "{}", cancel.text());
    assert_reason(&house.ended_execution(&id).await, "canceled", "canceled");
}

#[tokio::test]
async fn a_server_of_wasi_http_0_3_is_a_flow() {
    let house = House::start().await;
    let hook = house.flow("service").await;
    let body = json!({ "text": "x".repeat(20_000) }).to_string();
    let answer = house.send_with(&hook, &[], Bytes::from(body.clone())).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let text = answer.text();
    let (line, echoed) = text.split_once('\n').unwrap();
    assert!(line.contains("Post") && line.contains(&hook.path), "{line}");
    assert_eq!(echoed, body);
}

#[tokio::test]
async fn an_asynchronous_component_of_a_wrong_type_is_told_all_of_it() {
    let house = House::start().await;
    let answer = house.upload("bad", component("wrong_type_async")).await.expect(422);
    let told = answer["errors"].to_string();
    for says in ["must be async", "must be `string`", "flowgate:flow/handler@0.2.0"] {
        assert!(told.contains(says), "{says}: {told}");
    }
}
