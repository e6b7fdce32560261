//! Subscriptions, natively and in AgenticFlow's words.

use super::*;
use crate::signature::{self, Secret};

const URL: &str = "https://receiver.example/hooks";

impl House {
    async fn subscription(&self, members: Value) -> Value {
        let mut body = json!({ "url": URL, "events": ["*"] });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.call("POST", "/v1/subscriptions", body).await.expect(201)
    }
}

#[tokio::test]
async fn a_subscription_shows_its_secret_once_and_its_credential_never() {
    let house = House::new().await;
    let made = house
        .subscription(json!({ "name": "Warehouse", "authentication": { "type": "bearer", "token": "s3cret" } }))
        .await;
    let path = format!("/v1/subscriptions/{}", made["id"].as_str().unwrap());
    assert!(made["secrets"][0]["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(made["authentication"], json!({ "type": "bearer" }));
    let found = house.get(&path).await;
    assert!(!made.to_string().contains("s3cret") && !found.text.contains("s3cret") && !found.text.contains("whsec_"));
    assert_eq!(found.expect(200)["secrets"][1]["use"], "credential");
    assert_eq!(house.get("/v1/subscriptions/Warehouse").await.expect(200)["id"], made["id"]);
    assert_eq!(house.get("/v1/subscriptions").await.expect(200)["data"].as_array().unwrap().len(), 1);
    house.call_as(&house.stranger, "GET", &path, Value::Null).await.refused(404, "not-found");
    assert_eq!(house.call("DELETE", &path, Value::Null).await.status, 204);
    house.get(&path).await.refused(404, "not-found");
}

#[tokio::test]
async fn members_of_a_change_replace_those_of_the_subscription() {
    let house = House::new().await;
    let made = house.subscription(json!({ "rate_per_s": 5 })).await;
    let path = format!("/v1/subscriptions/{}", made["id"].as_str().unwrap());
    let change = json!({ "enabled": false, "events": ["session.*"], "rate_per_s": null, "order": "session" });
    let changed = house.call("PATCH", &path, change).await.expect(200);
    assert_eq!((&changed["enabled"], &changed["order"]), (&json!(false), &json!("session")));
    assert_eq!((&changed["events"], changed.get("rate_per_s")), (&json!(["session.*"]), None));
    assert_eq!(changed["secrets"][0].get("secret"), None);

    let signed = json!({ "signature": { "scheme": "standard-webhooks-v1a" } });
    let changed = house.call("PATCH", &path, signed).await.expect(200);
    assert!(changed["secrets"][0]["secret"].as_str().unwrap().starts_with("whsk_"), "a new one is shown");
    assert!(changed["public_key"].as_str().unwrap().starts_with("whpk_"));
}

#[tokio::test]
async fn a_credential_stays_while_its_type_does() {
    let house = House::new().await;
    let made =
        house.subscription(json!({ "authentication": { "type": "basic", "user": "me", "password": "p" } })).await;
    let path = format!("/v1/subscriptions/{}", made["id"].as_str().unwrap());
    let other_user = json!({ "authentication": { "type": "basic", "user": "you" } });
    house.call("PATCH", &path, other_user).await.expect(200);
    let other_type = json!({ "authentication": { "type": "bearer" } });
    assert_eq!(house.call("PATCH", &path, other_type).await.refused(422, "invalid-request"), "authentication.token");
    let none = house.call("PATCH", &path, json!({ "authentication": null })).await.expect(200);
    assert_eq!(none["secrets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_subscription_is_named() {
    let house = House::new().await;
    for (body, field) in [
        (json!({ "url": URL }), "events"),
        (json!({ "url": "http://127.0.0.1/", "events": ["*"] }), "url"),
        (json!({ "url": "http://[::ffff:10.0.0.1]/", "events": ["*"] }), "url"),
        (json!({ "url": URL, "events": ["execution.done"] }), "events"),
        (json!({ "url": URL, "events": ["*"], "filter": { "a": { "$like": 1 } } }), "filter"),
        (json!({ "url": URL, "events": ["*"], "conditions": { "a": { "lt": [] } } }), "conditions"),
        (json!({ "url": URL, "events": ["*"], "schedule": "daily" }), "schedule"),
        (json!({ "url": URL, "events": ["*"], "headers": { "Host": "x" } }), "headers"),
        (json!({ "url": URL, "events": ["*"], "transform": { "flow": "nobody" } }), "transform.flow"),
        (json!({ "url": URL, "events": ["*"], "transform": { "flow": "a", "alias": "B C" } }), "transform.flow"),
        (json!({ "url": URL, "events": ["*"], "colour": "red" }), "colour"),
        (json!({ "url": URL, "events": ["*"], "name": "" }), "name"),
        (json!({ "url": URL, "events": ["*"], "enabled": false }), "enabled"),
        (json!({ "url": URL, "events": ["*"], "secret": "no base64" }), "secret"),
        (json!({ "url": URL, "events": ["*"], "signature": { "scheme": "nothing" } }), "signature"),
        (
            json!({ "url": URL, "events": ["*"], "authentication": { "type": "oauth2", "token_url": "http://10.0.0.1/",
                "client_id": "a", "client_secret": "b" } }),
            "authentication.token_url",
        ),
    ] {
        let told = house.call("POST", "/v1/subscriptions", body.clone()).await.refused(422, "invalid-request");
        assert_eq!(told, field, "{body}");
    }
}

#[tokio::test]
async fn secrets_are_rotated_and_revoked() {
    let house = House::new().await;
    let made = house.subscription(json!({})).await;
    let path = format!("/v1/subscriptions/{}/secrets", made["id"].as_str().unwrap());
    let new = house.call("POST", &path, json!({ "overlap_s": 60 })).await.expect(201);
    let old = format!("{path}/{}", made["secrets"][0]["id"].as_str().unwrap());
    assert_eq!(house.call("DELETE", &old, Value::Null).await.status, 204);
    house.call("DELETE", &old, Value::Null).await.refused(404, "not-found");
    let last = format!("{path}/{}", new["id"].as_str().unwrap());
    house.call("DELETE", &last, Value::Null).await.refused(409, "in-use");
    assert_eq!(
        house.call("POST", &path, json!({ "overlap_s": 9_999_999 })).await.refused(422, "invalid-request"),
        "overlap_s"
    );
}

#[tokio::test]
async fn the_catalogue_has_a_schema_and_an_example_for_each_event() {
    let house = House::new().await;
    let list = house.get("/v1/events").await.expect(200);
    let all = list["data"].as_array().unwrap();
    assert!(all.len() > 20 && list["next_cursor"].is_null());
    for one in all {
        assert!(one["schema"]["properties"]["data"].is_object(), "{one}");
        assert!(one["example"]["data"].is_object(), "{one}");
    }
    let part = house.get("/v1/events?limit=5").await.expect(200);
    assert_eq!(part["next_cursor"], part["data"][4]["name"]);
}

#[tokio::test]
async fn the_pages_requests_are_answered_in_its_words() {
    let house = House::new().await;
    let body = json!({
        "name": "Order Processing Webhook",
        "url": "https://your-app.example/webhooks/orders",
        "events": ["workflow.execution.completed"],
        "authentication": { "type": "bearer", "token": "your_secret" },
    });
    let made = house.call("POST", "/api/v1/webhooks", body).await.expect(201);
    assert!(!made["secret"].as_str().unwrap().is_empty());
    let path = format!("/api/v1/webhooks/{}", made["id"].as_str().unwrap());

    let list = house.get("/api/v1/webhooks").await.expect(200);
    let listed = &list["webhooks"][0];
    let names = listed.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(names, ["created_at", "delivery_stats", "events", "id", "last_delivery", "name", "status", "url"]);
    assert_eq!((&listed["status"], &listed["created_at"]), (&json!("active"), &json!("2025-11-20T16:00:00Z")));
    let stats = json!({ "total_deliveries": 0, "successful_deliveries": 0, "failed_deliveries": 0 });
    assert_eq!(listed["delivery_stats"], stats);

    let change = json!({
        "url": "https://new-app.example/webhooks/orders",
        "events": ["workflow.execution.completed", "workflow.execution.failed"],
    });
    let changed = house.call("PUT", &path, change.clone()).await.expect(200);
    assert_eq!((&changed["url"], &changed["events"]), (&change["url"], &change["events"]));
    assert_eq!(changed["name"], "Order Processing Webhook");

    let native = house.get(&path.replace("/api/v1/webhooks", "/v1/subscriptions")).await.expect(200);
    assert_eq!((&native["format"], &native["schedule"]), (&json!("agenticflow"), &json!("agenticflow")));
    let deleted = house.call("DELETE", &path, Value::Null).await.expect(200);
    assert_eq!(deleted["success"], true);
    assert_eq!(house.get(&path).await.expect(404)["error"]["code"], "NOT_FOUND");
}

#[tokio::test]
async fn the_pages_advanced_settings_are_taken() {
    let house = House::new().await;
    let body = json!({
        "url": "https://your-app.example/webhooks/high-priority",
        "events": ["agent.conversation.completed"],
        "conditions": { "satisfaction_score": { "lt": 3 }, "message_count": { "gt": 10 } },
        "filters": { "include_fields": ["workflow_id", "status", "output_data.order_id", "credits_used"] },
        "batch_settings": { "max_events": 100, "max_wait_seconds": 300 },
        "retry_policy": { "max_retries": 3, "backoff_multiplier": 2 },
    });
    let made = house.call("POST", "/api/v1/webhooks", body.clone()).await.expect(201);
    let native = house.get(&format!("/v1/subscriptions/{}", made["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(native["conditions"], body["conditions"]);
    assert_eq!(native["include_fields"], body["filters"]["include_fields"]);
    assert_eq!(native["batch"], json!({ "events_max": 100, "wait_s": 300, "bytes_max": 1 << 20 }));
    assert_eq!(native["schedule"], json!([60, 120, 240]));
}

#[tokio::test]
async fn the_pages_errors_are_in_its_envelope() {
    let house = House::new().await;
    let error = |answer: &Answer| answer.json()["error"].clone();
    let answer = house.call("POST", "/api/v1/webhooks", json!({ "url": URL })).await;
    let missing = json!({
        "code": "INVALID_INPUT", "message": "Required field 'events' is missing",
        "details": { "field": "events", "expected": "array", "received": "null" },
    });
    assert_eq!((answer.status, error(&answer)), (400, missing));
    let answer = house.call("POST", "/api/v1/webhooks", json!({ "url": "http://10.0.0.1", "events": ["*"] })).await;
    assert_eq!((answer.status, &error(&answer)["details"]["field"]), (400, &json!("url")));
    let answer = house.call_as("fgk_wrong", "GET", "/api/v1/webhooks", Value::Null).await;
    assert_eq!((answer.status, &error(&answer)["code"]), (401, &json!("UNAUTHENTICATED")));
    let answer = house.call_as(&house.reader, "POST", "/api/v1/webhooks", json!({})).await;
    assert_eq!((answer.status, &error(&answer)["code"]), (403, &json!("FORBIDDEN")));
    let answer = house.call("PATCH", "/api/v1/webhooks", json!({})).await;
    assert_eq!((answer.status, &error(&answer)["code"]), (405, &json!("METHOD_NOT_ALLOWED")));
}

#[tokio::test]
async fn a_dry_run_shows_the_exact_request() {
    let house = House::new().await;
    let made = house
        .subscription(json!({
            "name": "Warehouse", "events": ["workflow.execution.completed"], "format": "agenticflow",
            "conditions": { "credits_used": { "gt": 100 } }, "authentication": { "type": "bearer", "token": "s3cret" },
        }))
        .await;
    let body = json!({ "dry_run": true, "data": { "workflow_id": "test_workflow" } });
    let shown = house.call("POST", "/v1/subscriptions/Warehouse/test", body).await.expect(200);
    assert_eq!((&shown["method"], &shown["url"]), (&json!("POST"), &json!(URL)));
    assert_eq!(shown["filtered"], "`credits_used` is 4.5, not greater than 100");
    let header = |name: &str| {
        let found = shown["headers"].as_array().unwrap().iter().find(|header| header["name"] == name);
        found.map(|header| header["value"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert_eq!(header("authorization"), "[redacted]");
    let text = shown["body"].as_str().unwrap();
    let told: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&told["webhook_id"], &told["data"]["workflow_id"]), (&made["id"], &json!("test_workflow")));
    let secret = Secret::new(made["secrets"][0]["secret"].as_str().unwrap());
    let headers = HeaderMap::from_iter([(
        "x-agenticflow-signature".parse().unwrap(),
        header("x-agenticflow-signature").parse().unwrap(),
    )]);
    let message = signature::Message {
        method: "POST",
        path: "",
        query: "",
        headers: &headers,
        body: text.as_bytes(),
        public_url: None,
    };
    let scheme = signature::Scheme::named("agenticflow").unwrap();
    assert!(signature::verify(&scheme, &[secret], &message, 0).is_ok());
    // Nothing was sent.
    assert_eq!(house.get("/v1/deliveries").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_trial_is_a_delivery_of_an_event_that_there_is() {
    let house = House::new().await;
    let made = house.subscription(json!({ "name": "Warehouse", "events": ["session.*"] })).await;
    let path = "/v1/subscriptions/Warehouse/test";
    let sent = house.call("POST", path, Value::Null).await.expect(202);
    assert_eq!(sent["event"], "execution.succeeded");
    let custom = house.call("POST", path, json!({ "event": "custom.order.shipped" })).await.expect(202);
    let delivery = format!("/v1/deliveries/{}", custom["delivery_id"].as_str().unwrap());
    let delivery = house.get(&delivery).await.expect(200);
    assert_eq!((&delivery["target"], &delivery["event"]), (&made["id"], &json!("custom.order.shipped")));
    for event in ["execution.done", "execution.*", "custom.*", "custom.A", ""] {
        let told = house.call("POST", path, json!({ "event": event })).await.refused(422, "invalid-request");
        assert_eq!(told, "event", "{event}");
    }
    house.call("PATCH", "/v1/subscriptions/Warehouse", json!({ "enabled": false })).await.expect(200);
    assert_eq!(house.call("POST", path, Value::Null).await.refused(422, "invalid-request"), "enabled");
    house.call("POST", path, json!({ "dry_run": true })).await.expect(200);
}
