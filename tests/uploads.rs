//! Components in: versions, aliases, and what is refused.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

use crate::support::{House, component, hmac};

#[tokio::test]
async fn the_same_bytes_are_the_same_version() {
    let house = House::start().await;
    let first = house.upload("echo", component("echo")).await.expect(201);
    let again = house.upload("echo", component("echo")).await.expect(200);
    assert_eq!((&first["digest"], &again["state"]), (&again["digest"], &json!("ready")));
    let versions = house.get("/v1/flows/echo/versions").await.expect(200);
    assert_eq!(versions["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_alias_moves_forward_and_back_in_one_call() {
    let house = House::start().await;
    let one = house.deploy("bot", "echo").await;
    let hook = house.hook("bot", json!({ "auth": [hmac()] })).await;
    let two = house.deploy("bot", "counter").await;
    let answer = house.send(&hook, json!({ "session_id": "s", "data": {} })).await.expect(200);
    assert_eq!(answer["reply"]["data"]["count"], 1, "the new version answers");
    let back = house.post("/v1/flows/bot/aliases/live/rollback", json!({})).await.expect(200);
    assert_eq!(back["version"], one);
    let answer = house.send(&hook, json!({ "message": "hi", "session_id": "s" })).await.expect(200);
    assert_eq!(answer["reply"]["text"], "hi", "the old version answers");
    assert_eq!(house.post("/v1/flows/bot/aliases/live/rollback", json!({})).await.problem(409), "nothing-to-roll-back");
    let used = house.api(Method::DELETE, &format!("/v1/flows/bot/versions/{one}"), None).await;
    assert_eq!(used.problem(409), "in-use");
    let free = house.api(Method::DELETE, &format!("/v1/flows/bot/versions/{two}"), None).await;
    assert!(free.status.is_success(), "{}", free.text());
    assert_eq!(house.api(Method::DELETE, "/v1/flows/bot", None).await.problem(409), "in-use");
}

#[tokio::test]
async fn what_cannot_run_here_is_refused_and_leaves_nothing() {
    let house = House::start().await;
    let echo = component("echo");
    let module = wat::parse_str("(module (func (export \"run\")))").unwrap();
    for (what, bytes, told) in [
        ("a core module", Bytes::from(module), "wasm32-wasip2"),
        ("a truncated file", echo.slice(..echo.len() / 2), "cut short"),
        ("text", Bytes::from_static(b"(component)"), "text"),
        ("nothing", Bytes::new(), "empty"),
        ("noise", Bytes::from(vec![7; 10_000]), "not WebAssembly"),
        ("another world", component("other_world"), "flowgate:flow/handler"),
        ("a wrong type", component("wrong_type"), "handle"),
        ("unknown imports", component("unknown_import"), "example:billing"),
    ] {
        let answer = house.upload("bad", bytes).await;
        let text = answer.text();
        assert_eq!(answer.problem(422), "invalid-component", "{what}");
        assert!(text.contains(told), "{what}: {text}");
    }
    let versions = house.get("/v1/flows/bad/versions").await.expect(200);
    assert_eq!(versions["data"].as_array().unwrap().len(), 0);
    for folder in ["components", "uploads"] {
        let left = std::fs::read_dir(house.folder.path().join("data").join(folder)).unwrap().count();
        assert_eq!(left, 0, "{folder}");
    }
}

#[tokio::test]
async fn every_mismatch_is_told_at_once() {
    let house = House::start().await;
    let answer = house.upload("bad", component("unknown_import")).await.expect(422);
    let errors = answer["errors"].as_array().unwrap();
    let fields = errors.iter().map(|error| error["field"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(fields.iter().any(|field| field.contains("example:billing")), "{fields:?}");
    assert!(fields.iter().any(|field| field.contains("flowgate:flow/output")), "{fields:?}");
}

#[tokio::test]
async fn too_large_an_upload_is_cut_off() {
    let house = House::start_with(&[("FLOWGATE_ENGINE_COMPONENT_BYTES_MAX", "100000")]).await;
    let answer = house.upload("bad", Bytes::from(vec![0; 1_000_000])).await;
    assert_eq!(answer.problem(413), "body-too-large");
}

#[tokio::test]
async fn an_upload_that_was_changed_on_its_way_is_noticed() {
    let house = House::start().await;
    house.post("/v1/flows", json!({ "name": "echo" })).await.expect(201);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {}", house.key)).unwrap());
    headers.insert("content-type", HeaderValue::from_static("application/wasm"));
    let path = format!("/v1/flows/echo/versions?digest=sha256:{}", "0".repeat(64));
    let answer = house.request(Method::POST, &path, headers, component("echo")).await;
    assert_eq!(answer.problem(422), "digest-mismatch");
}

#[tokio::test]
async fn a_component_that_does_not_start_never_becomes_ready() {
    let house = House::start().await;
    let version = house.upload("bad", component("start_trap")).await;
    assert!(version.status.is_success(), "{}", version.text());
    let version = version.json();
    assert_eq!(version["state"], "failed", "{version}");
    assert!(version.to_string().contains("does not start"), "{version}");
    let promote = json!({ "version": version["digest"] });
    let answer = house.api(Method::PUT, "/v1/flows/bad/aliases/live", Some(promote)).await;
    assert_eq!(answer.problem(409), "version-not-ready");
}

#[tokio::test]
async fn a_corrupted_artifact_is_compiled_again() {
    let mut house = House::start().await;
    let hook = house.flow("echo").await;
    house.kill();
    let mut spoiled = 0;
    for folder in std::fs::read_dir(house.folder.path().join("data/compiled")).unwrap().flatten() {
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "cwasm") {
                let bytes = std::fs::read(file.path()).unwrap();
                std::fs::write(file.path(), [&bytes[..bytes.len() / 2], &vec![0x90; bytes.len() / 2]].concat())
                    .unwrap();
                spoiled += 1;
            }
        }
    }
    assert_eq!(spoiled, 1);
    house.restart().await;
    house.send(&hook, json!({ "message": "hi" })).await.expect(200);
}

#[tokio::test]
async fn a_component_can_describe_itself() {
    let house = House::start().await;
    house.upload("echo", component("echo")).await.expect(201);
    let versions = house.get("/v1/flows/echo/versions").await.expect(200);
    let version = &versions["data"][0];
    let digest = version["digest"].as_str().unwrap();
    let version = house.get(&format!("/v1/flows/echo/versions/{digest}")).await.expect(200);
    assert!(version["describe"].is_object(), "{version}");
}
