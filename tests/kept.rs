//! Components as they were built for the first release: their very bytes still run, with the replies of then.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::{Hook, House, hmac};

/// Deploys a kept component and makes a hook for it.
async fn kept(house: &House, name: &str) -> Hook {
    let path = format!("{}/tests/fixtures/flow-0.1.0/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    let flow = name.replace('_', "-");
    house.deploy_bytes(&flow, std::fs::read(path).unwrap().into()).await;
    house.hook(&flow, json!({ "auth": [hmac()] })).await
}

async fn reply(house: &House, hook: &Hook, trigger: Value) -> Value {
    house.send(hook, trigger).await.expect(200)["reply"].clone()
}

#[tokio::test]
async fn a_kept_echo_gives_back_every_member_of_its_trigger() {
    let house = House::start().await;
    let echo = kept(&house, "echo").await;
    let trigger =
        json!({ "message": "hi", "user_id": "u", "session_id": "s", "data": { "a": 1 }, "metadata": { "b": 2 } });
    let reply = reply(&house, &echo, trigger.clone()).await;
    let data = &reply["data"];
    assert_eq!((&reply["text"], &data["dialect"], &data["attempt"]), (&json!("hi"), &json!("native"), &json!(1)));
    for member in ["message", "user_id", "session_id", "data", "metadata"] {
        assert_eq!(data[member], trigger[member], "{member}");
    }
    assert_eq!(data["request"]["body"].as_str(), Some(&*trigger.to_string()));
    let versions = house.get("/v1/flows/echo/versions").await.expect(200);
    let digest = versions["data"][0]["digest"].as_str().unwrap();
    let version = house.get(&format!("/v1/flows/echo/versions/{digest}")).await.expect(200);
    assert_eq!(version["describe"]["title"], "Echo", "{version}");
}

#[tokio::test]
async fn kept_components_remember_their_sessions() {
    let house = House::start().await;
    let (chat, counter) = (kept(&house, "chat").await, kept(&house, "counter").await);
    for (turn, message) in ["one", "two"].into_iter().enumerate() {
        let reply = reply(&house, &chat, json!({ "message": message, "session_id": "s" })).await;
        assert_eq!(reply["text"], format!("{}: {message}", turn + 1));
        assert_eq!(reply["data"]["messages"].as_array().unwrap().len(), turn * 2);
    }
    for count in [3, 6] {
        let reply = reply(&house, &counter, json!({ "session_id": "s", "data": { "add": 3 } })).await;
        assert_eq!(reply["data"]["count"], count);
    }
}

#[tokio::test]
async fn a_kept_component_of_cargo_component_greets() {
    let house = House::start().await;
    let greeter = kept(&house, "greeter").await;
    let trigger = json!({ "message": "Hello", "session_id": "s", "data": { "name": "Ada", "language": "german" } });
    let first = reply(&house, &greeter, trigger).await;
    assert!(first["text"].as_str().unwrap().contains("Ada"), "{first}");
    let second = reply(&house, &greeter, json!({ "message": "Hello", "session_id": "s" })).await;
    assert_eq!((&second["data"]["name"], &second["data"]["visits"]), (&json!("Ada"), &json!(2)));
}

#[tokio::test]
async fn a_kept_speaker_streams() {
    let house = House::start().await;
    let speaker = kept(&house, "speaker").await;
    let body = Bytes::from(json!({ "data": { "say": ["one", "two"] } }).to_string());
    let stream = house.send_with(&speaker, &[("accept", "text/event-stream")], body).await.text();
    let events = stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect::<Vec<_>>();
    assert_eq!(events, ["say", "progress", "say", "progress", "end"], "{stream}");
}

#[tokio::test]
async fn a_kept_server_of_http_answers() {
    let house = House::start().await;
    let server = kept(&house, "http_echo").await;
    let answer = house.send_with(&server, &[], Bytes::from_static(b"{\"a\":1}")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().ends_with("{\"a\":1}"), "{}", answer.text());
}
