//! Who is let in, and what nobody else sees.

use std::time::Duration;

use super::*;

/// A path of the table with something in the place of each parameter.
fn filled(path: &str) -> String {
    let fill = |part: &str| if part.starts_with('{') { "x".to_owned() } else { part.to_owned() };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

fn managed() -> impl Iterator<Item = (String, String)> {
    let managed = ENDPOINTS.iter().filter(|(_, path, _)| path.starts_with("/v1/"));
    managed.map(|(method, path, _)| (method.to_uppercase(), filled(path)))
}

#[tokio::test]
async fn no_endpoint_lets_anybody_in_without_a_key() {
    let house = House::new().await;
    for (method, path) in managed() {
        let request = Request::builder().method(&*method).uri(&path).body(Body::empty()).unwrap();
        house.send(request).await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let house = House::new().await;
    let end = house.api.clock.now().after(Duration::from_secs(60));
    let new = |name: &str| json!({ "name": name, "role": "admin", "expires_at": end });
    let expired = house.call("POST", "/v1/keys", new("short")).await.expect(201);
    let expired = expired["key"].as_str().unwrap();
    house.call_as(expired, "GET", "/v1/flows", Value::Null).await.expect(200);
    house.api.clock.advance(Duration::from_secs(60));
    let revoked = house.call("POST", "/v1/keys", json!({ "name": "gone", "role": "admin" })).await.expect(201);
    let path = format!("/v1/keys/{}", revoked["id"].as_str().unwrap());
    let revoked = revoked["key"].as_str().unwrap();
    house.call_as(revoked, "GET", "/v1/flows", Value::Null).await.expect(200);
    house.call("DELETE", &path, Value::Null).await.expect(204);

    let unknown = format!("fgk_{}", "0".repeat(64));
    let mut texts = Vec::new();
    for key in [expired, revoked, &unknown, "", "fgk_", "ü"] {
        let answer = house.call_as(key, "GET", "/v1/flows", Value::Null).await;
        answer.refused(401, "unauthenticated");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        texts.push(answer.text);
    }
    let basic = Request::builder().uri("/v1/flows").header("authorization", format!("Basic {}", house.admin));
    texts.push(house.send(basic.body(Body::empty()).unwrap()).await.text);
    texts.dedup();
    assert_eq!(texts.len(), 1);
}

#[tokio::test]
async fn a_reader_looks_and_changes_nothing() {
    let house = House::new().await;
    house.call_as(&house.reader, "GET", "/v1/flows", Value::Null).await.expect(200);
    for (method, path) in managed().filter(|(method, _)| method != "GET") {
        house.call_as(&house.reader, &method, &path, json!({})).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn another_workspace_finds_nothing() {
    let house = House::new().await;
    house.flow("ours").await;
    let hook = house.hook("ours", "ours").await;
    let hook = hook["id"].as_str().unwrap();
    let execution = house.accept("ours", None).await;
    let keys = house.get("/v1/keys").await.expect(200);
    let key = keys["data"][0]["id"].as_str().unwrap();
    for list in ["flows", "hooks", "executions", "deliveries"] {
        let answer = house.call_as(&house.stranger, "GET", &format!("/v1/{list}"), Value::Null).await;
        assert_eq!(answer.expect(200), json!({ "data": [], "next_cursor": null }));
    }
    for (method, path, body) in [
        ("GET", "/v1/flows/ours".to_owned(), Value::Null),
        ("DELETE", "/v1/flows/ours".to_owned(), Value::Null),
        ("PUT", "/v1/flows/ours/config".to_owned(), json!({})),
        ("GET", "/v1/flows/ours/versions".to_owned(), Value::Null),
        ("POST", "/v1/flows/ours/versions".to_owned(), Value::Null),
        ("GET", "/v1/executions?flow=ours".to_owned(), Value::Null),
        ("POST", "/v1/hooks".to_owned(), json!({ "name": "mine", "flow": "ours", "auth": [{ "scheme": "none" }] })),
        ("GET", format!("/v1/hooks/{hook}"), Value::Null),
        ("GET", "/v1/hooks/ours".to_owned(), Value::Null),
        ("PATCH", format!("/v1/hooks/{hook}"), json!({ "enabled": false })),
        ("POST", format!("/v1/hooks/{hook}/secrets"), json!({ "use": "auth" })),
        ("GET", format!("/v1/hooks/{hook}/requests"), Value::Null),
        ("DELETE", format!("/v1/hooks/{hook}"), Value::Null),
        ("GET", format!("/v1/executions/{execution}"), Value::Null),
        ("GET", format!("/v1/executions/{execution}/logs"), Value::Null),
        ("GET", format!("/v1/executions/{execution}/events"), Value::Null),
        ("POST", format!("/v1/executions/{execution}/cancel"), Value::Null),
        ("POST", format!("/v1/executions/{execution}/replay"), Value::Null),
        ("DELETE", format!("/v1/keys/{key}"), Value::Null),
    ] {
        let answer = house.call_as(&house.stranger, method, &path, body).await;
        assert_eq!(answer.refused(404, "not-found"), "", "{method} {path}");
    }
    house.get("/v1/flows/ours").await.expect(200);
}

#[tokio::test]
async fn a_key_is_shown_once_and_what_it_cannot_be_is_refused() {
    let house = House::new().await;
    let answer = house.call("POST", "/v1/keys", json!({ "name": "ci", "role": "reader" })).await;
    let made = answer.expect(201);
    let text = made["key"].as_str().unwrap();
    assert!(text.starts_with("fgk_") && text.len() == 68);
    let listed = house.get("/v1/keys").await;
    assert_eq!(listed.expect(200)["data"].as_array().unwrap().len(), 3);
    assert!(!listed.text.contains(text));
    for (body, field) in [
        (json!({ "role": "admin" }), "name"),
        (json!({ "name": "", "role": "admin" }), "name"),
        (json!({ "name": "x", "role": "root" }), "role"),
        (json!({ "name": "x", "role": "admin", "expires_at": "2001-01-01T00:00:00Z" }), "expires_at"),
        (json!({ "name": "x", "role": "admin", "expires_at": "soon" }), "expires_at"),
        (json!({ "name": "x", "role": "admin", "workspace": "y" }), "workspace"),
    ] {
        assert_eq!(house.call("POST", "/v1/keys", body).await.refused(422, "invalid-request"), field);
    }
}

#[tokio::test]
async fn a_server_that_stops_lives_and_is_not_ready() {
    let house = House::new().await;
    let ask = async |path: &str| house.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await;
    assert_eq!(ask("/readyz").await.status, 200);
    house.api.stopping.cancel();
    ask("/readyz").await.refused(503, "stopping");
    assert_eq!(ask("/healthz").await.status, 200);
}
