//! Hooks and their secrets.

use super::*;
use crate::id::RequestId;
use crate::store::Refused;

async fn flow(house: &House) {
    house.call("POST", "/v1/flows", json!({ "name": "bot" })).await.expect(201);
}

#[tokio::test]
async fn a_secret_is_shown_in_the_answer_that_makes_it_and_never_again() {
    let house = House::new().await;
    flow(&house).await;
    let spec = json!({
        "name": "in", "flow": "bot", "auth": [{ "scheme": "github" }], "callback": { "url": "https://example.com/in" },
    });
    let made = house.call("POST", "/v1/hooks", spec).await;
    assert_eq!(made.headers["location"], format!("/v1/hooks/{}", made.json()["id"].as_str().unwrap()));
    let made = made.expect(201);
    let uses =
        |hook: &Value| hook["secrets"].as_array().unwrap().iter().map(|one| one["use"].clone()).collect::<Vec<_>>();
    assert_eq!(uses(&made), ["auth", "callback"]);
    let rotated =
        house.call("POST", "/v1/hooks/in/secrets", json!({ "use": "auth", "secret": "chosen" })).await.expect(201);
    assert_eq!((&rotated["use"], &rotated["secret"]), (&json!("auth"), &json!("chosen")));

    let hook = house.get("/v1/hooks/in").await;
    assert_eq!(uses(&hook.expect(200)), ["auth", "auth", "callback"]);
    let texts = made["secrets"].as_array().unwrap().iter().chain([&rotated]).map(|one| one["secret"].as_str().unwrap());
    for text in texts {
        assert!(!hook.text.contains(text) && !house.get("/v1/hooks").await.text.contains(text));
    }
    assert!(hook.json()["secrets"][1]["expires_at"].is_string(), "the old one lives on for a day");
    let path = format!("/v1/hooks/in/secrets/{}", made["secrets"][0]["id"].as_str().unwrap());
    house.call("DELETE", &path, Value::Null).await.expect(204);
    house.call("DELETE", &path, Value::Null).await.refused(404, "not-found");
    assert_eq!(uses(&house.get("/v1/hooks/in").await.json()), ["auth", "callback"]);
}

#[tokio::test]
async fn a_secret_that_could_never_fit_is_refused() {
    let house = House::new().await;
    flow(&house).await;
    let spec = json!({ "name": "in", "flow": "bot", "auth": [{ "scheme": "basic" }], "secret": "user:password" });
    house.call("POST", "/v1/hooks", spec).await.expect(201);
    for (body, field) in [
        (json!({ "use": "auth", "secret": "no-colon" }), "secret"),
        (json!({ "use": "callback", "secret": "not base64!" }), "secret"),
        (json!({ "use": "auth", "overlap_s": 99_999_999 }), "overlap_s"),
        (json!({ "use": "other" }), "use"),
    ] {
        assert_eq!(house.call("POST", "/v1/hooks/in/secrets", body).await.refused(422, "invalid-request"), field);
    }
}

#[tokio::test]
async fn a_change_replaces_members_and_null_stands_for_the_default() {
    let house = House::new().await;
    flow(&house).await;
    house.call("POST", "/v1/flows", json!({ "name": "other" })).await.expect(201);
    let made = house.hook("in", "bot").await;
    assert_eq!(made["url_path"], format!("/hooks/{}", made["id"].as_str().unwrap()));
    assert_eq!((&made["sync_wait_ms"], &made["mode"]), (&json!(25_000), &json!("sync")));

    let change = json!({
        "name": "out", "flow": "other", "enabled": false, "mode": "async", "sync_wait_ms": 5,
        "callback": { "url": "https://example.com/in" },
    });
    let changed = house.call("PATCH", "/v1/hooks/in", change.clone()).await.expect(200);
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&changed[name], value, "{name}");
    }
    assert!(changed["secrets"][0]["secret"].is_string(), "the secret that signs callbacks is new");
    assert_eq!(changed["auth"], made["auth"]);

    let path = format!("/v1/hooks/{}", made["id"].as_str().unwrap());
    let reset = json!({ "mode": null, "callback": null, "sync_wait_ms": null });
    let reset = house.call("PATCH", &path, reset).await.expect(200);
    assert_eq!((&reset["sync_wait_ms"], &reset["mode"]), (&json!(25_000), &json!("sync")));
    assert_eq!((reset.get("callback"), &reset["enabled"]), (None, &json!(false)));
    assert!(reset["secrets"][0].get("secret").is_none());
}

#[tokio::test]
async fn what_a_hook_cannot_be_is_refused_by_name() {
    let house = House::new().await;
    flow(&house).await;
    house.hook("taken", "bot").await;
    let none = json!([{ "scheme": "none" }]);
    for (body, field) in [
        (json!({ "flow": "bot", "auth": none }), "name"),
        (json!({ "name": "in", "auth": none }), "flow"),
        (json!({ "name": "in", "flow": "bot" }), "auth"),
        (json!({ "name": "in", "flow": "bot", "auth": [] }), "auth"),
        (json!({ "name": "in", "flow": "bot", "auth": [{ "scheme": "magic" }] }), "auth[0]"),
        (json!({ "name": "In", "flow": "bot", "auth": none }), "name"),
        (json!({ "name": "in", "flow": "bot", "auth": none, "mode": "later" }), "mode"),
        (json!({ "name": "in", "flow": "bot", "auth": none, "colour": 1 }), "colour"),
        (json!({ "name": "in", "flow": "bot", "auth": none, "enabled": true }), "enabled"),
        (json!({ "name": "in", "flow": "bot", "auth": none, "retry": { "attempts_max": -1 } }), "retry.attempts_max"),
        (
            json!({ "name": "in", "flow": "bot", "auth": none, "callback": { "url": "http://127.0.0.1/" } }),
            "callback.url",
        ),
        (
            json!({ "name": "in", "flow": "bot", "auth": none, "callback": { "url": "file:///etc/passwd" } }),
            "callback.url",
        ),
    ] {
        let answer = house.call("POST", "/v1/hooks", body.clone()).await;
        assert_eq!(answer.refused(422, "invalid-request"), field, "{body}: {}", answer.text);
    }
    for (body, field) in [
        (json!({ "auth": null }), "auth"),
        (json!({ "secret": "x" }), "secret"),
        (json!({ "enabled": "no" }), "enabled"),
        (json!({ "callback": { "url": "http://[::1]:80/" } }), "callback.url"),
    ] {
        assert_eq!(house.call("PATCH", "/v1/hooks/taken", body).await.refused(422, "invalid-request"), field);
    }
    let body = |name: &str, flow: &str| json!({ "name": name, "flow": flow, "auth": none });
    house.call("POST", "/v1/hooks", body("taken", "bot")).await.refused(409, "name-taken");
    house.call("POST", "/v1/hooks", body("in", "none")).await.refused(404, "not-found");
    assert_eq!(house.get("/v1/hooks").await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_flow_goes_after_its_hooks() {
    let house = House::new().await;
    flow(&house).await;
    house.hook("in", "bot").await;
    house.call("DELETE", "/v1/flows/bot", Value::Null).await.refused(409, "in-use");
    house.call("DELETE", "/v1/hooks/in", Value::Null).await.expect(204);
    house.call("DELETE", "/v1/flows/bot", Value::Null).await.expect(204);
    house.get("/v1/flows/bot").await.refused(404, "not-found");
}

#[tokio::test]
async fn the_operator_reads_why_requests_were_refused() {
    let house = House::new().await;
    flow(&house).await;
    let hook = house.hook("in", "bot").await;
    let refused = Refused {
        id: RequestId::at(1),
        workspace: Some(house.workspace),
        hook: Some(hook["id"].as_str().unwrap().parse().unwrap()),
        at: house.api.clock.now(),
        status: 401,
        verdict: "unauthenticated".to_owned(),
        reason: "timestamp 412 s old, tolerance 300 s".to_owned(),
        detail: r#"{"method":"POST"}"#.to_owned(),
    };
    house.api.store.request_record(refused.clone()).await.unwrap();
    house.api.store.flush().await.unwrap();
    let row = house.get("/v1/hooks/in/requests").await.expect(200)["data"][0].clone();
    assert_eq!((&row["code"], &row["reason"]), (&json!("unauthenticated"), &json!(refused.reason)));
    assert_eq!(row["request"], json!({ "method": "POST" }));
}
