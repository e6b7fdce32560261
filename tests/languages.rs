//! Flows in JavaScript and Python: templates from their build to their stream, and the same tour through what the SDKs offer.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::receiver::Receiver;
use crate::support::reflector::Reflector;
use crate::support::{Answer, Hook, House, hmac};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Guests for the same tour, which must give the same answers.
const TOURS: [&str; 2] = ["tour_js", "tour_py"];

async fn tour(house: &House, guest: &str) -> Hook {
    house.typed(&["deploy", guest, &format!("{ROOT}/target/components/{guest}.wasm")], None).await;
    house.hook(guest, json!({ "auth": [hmac()], "retry": { "attempts_max": 3 } })).await
}

async fn step(house: &House, hook: &Hook, step: &str, more: Value) -> Answer {
    let mut data = json!({ "step": step });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.send(hook, json!({ "message": "hi", "session_id": "s", "user_id": "u", "data": data })).await
}

async fn logs(house: &House, answer: &Value) -> String {
    let id = answer["execution_id"].as_str().unwrap();
    house.get(&format!("/v1/executions/{id}/logs")).await.expect(200).to_string()
}

#[tokio::test]
async fn both_languages_take_the_same_tour() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let wish = json!({ "url": receiver.url, "events": ["custom.visited"] });
    house.post("/v1/subscriptions", wish).await.expect(201);
    for guest in TOURS {
        let hook = tour(&house, guest).await;
        works(&house, &hook, guest, &receiver).await;
        fails(&house, &hook, guest).await;
        fetches(&house, &hook, guest).await;
    }
}

/// The steps that give a reply.
async fn works(house: &House, hook: &Hook, guest: &str, receiver: &Receiver) {
    let reply = async |name: &str| step(house, hook, name, json!({})).await.expect(200)["reply"].clone();
    // The session is new: nothing was said before.
    let visit = |n: u32, before: Value| json!({ "data": { "before": before, "visits": n, "said": "hi" } });
    assert_eq!(reply("session").await, visit(1, json!([])), "{guest}");
    assert_eq!(reply("session").await, visit(2, json!(["user: hi"])), "{guest}");
    let conflict = json!({ "code": "conflict", "detail": 1, "kept": 1 });
    assert_eq!(reply("conflict").await["data"], conflict, "{guest}");

    let seen = reply("trigger").await["data"].clone();
    let known = json!({
        "message": "hi", "user_id": "u", "session_id": "s", "dialect": "native", "attempt": 1, "metadata": {},
        "method": "POST", "content_type": "application/json", "body": "hi",
    });
    assert_eq!(seen, known, "{guest}");
    assert_eq!(reply("both").await, json!({ "text": "👩‍🚀", "data": { "ü": [null, true, 1.5] } }), "{guest}");
    let raw = step(house, hook, "raw", json!({})).await;
    assert_eq!((raw.status.as_u16(), raw.text().as_str()), (201, "✓"), "{guest}");
    assert_eq!(raw.headers["x-tour"].as_bytes(), "größe".as_bytes(), "{guest}");

    let config = json!({ "mood": "good" });
    house.api(Method::PUT, &format!("/v1/flows/{guest}/config"), Some(config.clone())).await;
    assert_eq!(reply("config").await["data"], json!({ "mood": "good", "other": "none", "all": config }), "{guest}");
    let kept =
        |n: u64| json!({ "places": vec!["Oslo"; n as usize], "count": n, "keys": ["count", "places"], "none": null });
    assert_eq!(reply("keep").await["data"], kept(1), "{guest}");
    assert_eq!(reply("keep").await["data"], kept(2), "{guest}");

    let say = ["send", &hook.id, "--data", r#"{"step":"say"}"#, "--stream"];
    let streamed = house.typed(&say, Some(&hook.secret)).await;
    assert!(["one", "two", "done"].iter().all(|word| streamed.contains(word)), "{guest}: {streamed}");

    reply("event").await;
    let visits = TOURS.iter().position(|tour| *tour == guest).unwrap() + 1;
    let told = receiver.wait_for(visits).await;
    assert_eq!(told.last().unwrap().json()["data"]["data"], json!({ "place": "Oslo" }), "{guest}");

    let (once, again) = (reply("chance").await["data"].clone(), reply("chance").await["data"].clone());
    assert!(once["number"] != again["number"] && once["id"] != again["id"], "{guest}: {once} {again}");
}

/// A request goes where it was granted, with a secret that the flow does not see.
async fn fetches(house: &House, hook: &Hook, guest: &str) {
    let host = Reflector::start().await;
    let secret = json!({ "value": "a-secret-of-the-tour" });
    house.api(Method::PUT, &format!("/v1/flows/{guest}/secrets/TOKEN"), Some(secret)).await;
    let grant = json!({ "host": host.host, "scheme": "http", "paths": ["/v1/*"], "secrets": ["TOKEN"] });
    let grants = json!({ "http": [grant] });
    house.api(Method::PUT, &format!("/v1/flows/{guest}/grants"), Some(grants)).await.expect(200);
    let urls = json!({ "url": host.url("/v1/things"), "elsewhere": host.url("/v2") });
    let reply = step(house, hook, "fetch", urls).await.expect(200)["reply"]["data"].clone();
    let expected = json!({ "ok": true, "status": 200, "elsewhere": "not-granted", "known": true });
    assert_eq!(reply, expected, "{guest}");
    let got = host.got();
    assert_eq!((got.len(), got[0].header("authorization")), (1, "Bearer a-secret-of-the-tour"), "{guest}");
    assert_eq!(&got[0].body[..], "größe".as_bytes(), "{guest}");
}

/// The steps that give none.
async fn fails(house: &House, hook: &Hook, guest: &str) {
    let order = json!({ "lines": [{ "quantity": 2, "cents": 150 }, { "quantity": 1 }] });
    assert_eq!(step(house, hook, "parse", order).await.expect(200)["reply"]["data"], json!({ "cents": 300 }));
    for (lines, field, expected, received) in [
        (json!({ "lines": [{ "quantity": "2" }] }), "lines.0.quantity", "integer", "string"),
        (json!({ "lines": [{}] }), "lines.0.quantity", "integer", "null"),
        (json!({}), "lines", "array", "null"),
    ] {
        let refused = step(house, hook, "parse", lines).await.expect(422);
        let error = &refused["errors"][0];
        assert_eq!(
            (&error["field"], &error["expected"], &error["received"]),
            (&json!(field), &json!(expected), &json!(received)),
            "{guest}: {refused}"
        );
    }
    let failed = step(house, hook, "failed", json!({})).await.json();
    assert!(failed["code"] == "flow-failed" && failed["detail"].as_str().unwrap().contains("no way"), "{failed}");

    let asynchronous = [("prefer", "respond-async")];
    let body = json!({ "data": { "step": "retry" } }).to_string();
    let accepted = house.send_with(hook, &asynchronous, Bytes::from(body)).await.expect(202);
    let ended = house.ended_execution(accepted["execution_id"].as_str().unwrap()).await;
    assert_eq!(ended["reply"]["data"], json!({ "attempt": 2 }), "{guest}: {ended}");

    // What nobody caught is a failure with its message, not a trap, and the log has where it came from.
    let uncaught = step(house, hook, "uncaught", json!({})).await.json();
    assert_eq!(uncaught["code"], "flow-failed", "{guest}: {uncaught}");
    let (error, place) = match guest {
        "tour_js" => ("SyntaxError", "uncaught"),
        _ => ("JSONDecodeError", "tour.py"),
    };
    assert!(uncaught["detail"].as_str().unwrap().contains(error), "{guest}: {uncaught}");
    let logged = logs(house, &uncaught).await;
    assert!(logged.contains(error) && logged.contains(place), "{guest}: {logged}");

    let answer = step(house, hook, "log", json!({})).await.expect(200);
    let logged = logs(house, &answer).await;
    assert!(logged.contains(r#"a warning {\"n\":1}"#) && logged.contains("to the console"), "{guest}: {logged}");
}

#[tokio::test]
async fn each_template_is_deployed_triggered_and_streamed_from() {
    let house = House::start().await;
    for language in ["js", "python"] {
        let folder = format!("{ROOT}/target/projects/{language}");
        let component = format!("{folder}/build/flow.wasm");
        let asked = ["--data", r#"{"name":"Ada"}"#, "--session", "s-1"];
        house.typed(&["deploy", language, &component], None).await;
        let create = ["--json", "hook", "create", language, "--flow", language, "--auth", "bearer"];
        let hook: Value = serde_json::from_str(&house.typed(&create, None).await).unwrap();
        let secret = hook["secrets"][0]["secret"].as_str();
        let reply = house.typed(&[&["--json", "send", language], &asked[..]].concat(), secret).await;
        let reply: Value = serde_json::from_str(&reply).unwrap();
        let hello = json!({ "text": "Hello, Ada!", "data": { "name": "Ada", "visits": 1 } });
        assert_eq!(reply["reply"], hello, "{language}: {reply}");
        let streamed = house.typed(&[&["send", language, "--stream"], &asked[..]].concat(), secret).await;
        assert!(streamed.contains("Welcome back, Ada!"), "{language}: {streamed}");
    }
}

#[tokio::test]
async fn the_mock_model_drives_two_tools_to_one_transcript_in_each_language() {
    let fixture = |name: &str| format!("{ROOT}/tests/fixtures/llm/{name}");
    let script = fixture("support.json");
    let mock = format!("{{ provider = \"mock\", mode = \"script\", script = \"{script}\" }}");
    let house = House::start_with(&[("FLOWGATE_MODELS_MOCK", &mock)]).await;
    let transcript: Value =
        serde_json::from_slice(&std::fs::read(fixture("support.transcript.json")).unwrap()).unwrap();
    let lamp = std::fs::read(format!("{ROOT}/examples/support_agent/request.json")).unwrap();
    let mut lamp: Value = serde_json::from_slice(&lamp).unwrap();
    for guest in ["agent_js", "agent_py"] {
        let hook = tour(&house, guest).await;
        let grant = async |tokens: u32| {
            let grants = json!({ "llm": { "models": ["mock"], "tokens_per_execution": tokens } });
            house.api(Method::PUT, &format!("/v1/flows/{guest}/grants"), Some(grants)).await.expect(200);
        };
        grant(10_000).await;
        for session in ["a", "b"] {
            lamp["session_id"] = session.into();
            let reply = house.send(&hook, lamp.clone()).await.expect(200)["reply"].clone();
            assert_eq!(reply["data"], json!({ "steps": 3, "transcript": transcript }), "{guest}: {reply}");
            assert!(reply["text"].as_str().unwrap().ends_with("CASE-48213."), "{guest}: {reply}");
        }
        let again = json!({ "message": "And 99999?", "session_id": "a" });
        let reply = house.send(&hook, again).await.expect(200)["reply"].to_string();
        assert!(reply.contains("there is no order 99999") && reply.contains(r#""is_error":true"#), "{guest}: {reply}");

        // Two calls take 1,050 tokens each; of the third it is known before that it may take 400 for its reply alone.
        grant(2500).await;
        lamp["session_id"] = "c".into();
        let answer = house.send(&hook, lamp.clone()).await.json();
        let ended = house.ended_execution(answer["execution_id"].as_str().unwrap()).await;
        assert!(ended["failure"].to_string().contains("tokens per execution"), "{guest}: {ended}");
        assert_eq!(ended["usage"]["llm"]["calls"], 2, "{guest}: {ended}");
    }
}
