//! Hooks and their secrets.

use super::*;
use crate::id::RequestId;
use crate::store::{Recorded, Verdict};

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

fn recorded(house: &House, hook: &Value, ms: u64, verdict: Verdict) -> Recorded {
    let body = (verdict == Verdict::Filtered).then(|| bytes::Bytes::from_static(br#"{"message":"kept"}"#));
    Recorded {
        id: RequestId::at(ms),
        workspace: Some(house.workspace),
        hook: Some(hook["id"].as_str().unwrap().parse().unwrap()),
        at: house.api.clock.now(),
        verdict,
        status: 401,
        code: Some("unauthenticated".to_owned()),
        reason: "timestamp 412 s old, tolerance 300 s".to_owned(),
        execution: None,
        detail: r#"{"request":{"method":"POST","path":"/hooks/x","query":"","headers":[{"name":"content-type","value":"application/json"}],"peer":"::1"},"header_names":["a"],"timings":{"proof_us":5}}"#.to_owned(),
        kept_bytes: None,
        body,
    }
}

#[tokio::test]
async fn the_operator_reads_what_became_of_each_request() {
    let house = House::new().await;
    house.flow("bot").await;
    let hook = house.hook("in", "bot").await;
    for (ms, verdict) in [(1, Verdict::Refused), (2, Verdict::Filtered)] {
        house.api.store.request_record(recorded(&house, &hook, ms, verdict)).await.unwrap();
    }
    let execution = house.accept("bot", Some(&hook)).await.to_string();
    let list = |query: &str| {
        let path = format!("/v1/hooks/in/requests?{query}");
        let house = &house;
        async move { house.get(&path).await.expect(200) }
    };
    let all = list("").await;
    let verdicts = all["data"].as_array().unwrap().iter().map(|one| one["verdict"].as_str().unwrap());
    assert_eq!(verdicts.collect::<Vec<_>>(), ["accepted", "filtered", "refused"]);
    let (accepted, refused) = (&all["data"][0], &all["data"][2]);
    assert_eq!((&accepted["execution_id"], &accepted["reason"]), (&json!(execution), &json!("queued")));
    assert_eq!((&accepted["request"]["method"], &accepted["body_kept"]), (&json!("POST"), &json!(true)));
    assert_eq!((&refused["code"], &refused["status"]), (&json!("unauthenticated"), &json!(401)));
    assert_eq!((&refused["timings"]["proof_us"], &refused["header_names"]), (&json!(5), &json!(["a"])));

    let first = list("limit=1").await;
    let rest = list(&format!("cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 2, "one cursor leads through executions and others");
    let some = list("verdict=refused,captured").await;
    assert_eq!((some["data"].as_array().unwrap().len(), &some["data"][0]["id"]), (1, &refused["id"]));
    house.get("/v1/hooks/in/requests?verdict=good").await.refused(422, "invalid-request");

    let path = format!("/v1/requests/{}", all["data"][1]["id"].as_str().unwrap());
    let one = house.get(&path).await.expect(200);
    assert_eq!((&one["request"]["body_text"], &one["body_kept"]), (&json!(r#"{"message":"kept"}"#), &json!(true)));
    house.call_as(&house.stranger, "GET", &path, Value::Null).await.refused(404, "not-found");
    let path = format!("/v1/requests/{}", accepted["id"].as_str().unwrap());
    assert_eq!(house.get(&path).await.expect(200)["request"]["body_text"], json!("hello"));
}

#[tokio::test]
async fn what_was_kept_is_replayed_and_nothing_else() {
    let house = House::new().await;
    house.flow("bot").await;
    let hook = house.hook("in", "bot").await;
    let (filtered, refused) =
        (recorded(&house, &hook, 2, Verdict::Filtered), recorded(&house, &hook, 1, Verdict::Refused));
    let duplicate = Recorded { id: RequestId::at(3), verdict: Verdict::Duplicate, ..refused.clone() };
    let path = |one: &Recorded| format!("/v1/requests/{}/replay", one.id);
    for one in [&filtered, &refused, &duplicate] {
        house.api.store.request_record(one.clone()).await.unwrap();
    }
    let replayed = house.call("POST", &path(&filtered), Value::Null).await.expect(202);
    assert_eq!(replayed["genuine"], json!(false));
    let execution = house.get(&format!("/v1/executions/{}", replayed["execution_id"].as_str().unwrap())).await;
    let execution = execution.expect(200);
    assert_eq!((&execution["replay_of"], &execution["trigger"]["message"]), (&json!(filtered.id), &json!("kept")));
    let listed = house.get("/v1/hooks/in/requests?verdict=accepted").await.expect(200);
    assert_eq!(listed["data"], json!([]), "a replay has not come to the hook");

    let unknown = json!({ "alias": "nobodys" });
    house.call("POST", &path(&filtered), unknown).await.refused(404, "not-found");
    let both = json!({ "alias": "live", "version": execution["version"] });
    assert_eq!(house.call("POST", &path(&filtered), both).await.refused(422, "invalid-request"), "alias");
    house.call("POST", &path(&filtered), json!({ "version": execution["version"] })).await.expect(202);
    for one in [&refused, &duplicate] {
        house.call("POST", &path(one), Value::Null).await.refused(409, "not-replayable");
    }
    house.call_as(&house.reader, "POST", &path(&filtered), Value::Null).await.refused(403, "forbidden");
    house.call_as(&house.stranger, "POST", &path(&filtered), Value::Null).await.refused(404, "not-found");
}
