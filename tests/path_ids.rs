//! Who moves here from a product changes the host name and nothing else: ids, tokens and paths stay.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use serde_json::{Value, json};

use crate::support::{Answer, House, hmac_hex};

async fn house() -> House {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    house
}

async fn post(house: &House, path: &str, header: Option<(&'static str, &str)>, body: &str) -> Answer {
    let json = ("content-type", "application/json");
    let headers = [json].into_iter().chain(header).map(|(k, v)| (HeaderName::from_static(k), v.parse().unwrap()));
    house.request(Method::POST, path, headers.collect::<HeaderMap>(), Bytes::from(body.to_owned())).await
}

#[tokio::test]
async fn the_documented_agenticflow_requests_work_as_they_are_printed() {
    let house = house().await;
    let spec = json!({ "dialect": "agenticflow", "path_id": "abc123", "secret": "wh_1234567890abcdef" });
    let hook = house.hook("echo", spec).await;
    assert_eq!(hook.path, "/webhooks/agents/abc123");
    house
        .post(&format!("/v1/hooks/{}/secrets", hook.id), json!({ "use": "auth", "secret": "password" }))
        .await
        .expect(201);

    let agent = r#"{"message":"Hello, I need help with my order #12345","user_id":"user_123"}"#;
    let workflow = r#"{"input_data":{"name":"John Doe"},"trigger_source":"contact_form"}"#;
    let bearer = Some(("authorization", "Bearer wh_1234567890abcdef"));
    let basic = Some(("authorization", "Basic dXNlcm5hbWU6cGFzc3dvcmQ="));
    for (kind, body) in [("agents", agent), ("workflows", workflow)] {
        let path = format!("/webhooks/{kind}/abc123");
        let token = format!("{path}?token=wh_1234567890abcdef");
        for (path, header) in [(&token, None), (&path, bearer), (&path, basic)] {
            let accepted = post(&house, path, header, body).await.expect(200);
            assert_eq!((&accepted["success"], &accepted["status"]), (&json!(true), &json!("queued")), "{path}");
        }
        let wrong = Some(("authorization", "Basic dXNlcm5hbWU6cGFzc3dvcmQx"));
        post(&house, &path, wrong, body).await.expect(401);
    }
}

#[tokio::test]
async fn an_almyty_agent_is_triggered_polled_and_switched_by_its_own_id() {
    let house = house().await;
    let id = "550e8400-e29b-41d4-a716-446655440000";
    let hook = house.hook("echo", json!({ "dialect": "almyty", "path_id": id, "auth": [{ "scheme": "none" }] })).await;
    let body = r#"{ "message": "Process this incoming data", "payload": { "key": "value" } }"#;
    let accepted = post(&house, &format!("/agents/{id}/webhook"), None, body).await.expect(200);
    let execution = accepted["data"]["executionId"].as_str().unwrap();
    house.ended_execution(execution).await;
    for agent in [id, hook.id.as_str()] {
        let polled = house.get(&format!("/agents/{agent}/executions/{execution}")).await.expect(200);
        assert_eq!(polled["data"]["output"]["text"], "Process this incoming data");
        let list = house.get(&format!("/agents/{agent}/executions?trigger=webhook")).await.expect(200);
        assert_eq!(list["data"][0]["executionId"], execution);
    }
    let path = format!("/agents/{id}");
    for on in [false, true] {
        let agent = house.api(Method::PATCH, &path, Some(json!({ "webhookEnabled": on }))).await.expect(200);
        assert_eq!((&agent["success"], &agent["data"]["id"]), (&json!(true), &json!(id)));
        assert_eq!(agent["data"]["webhookUrl"], format!("/agents/{id}/webhook"));
        assert_eq!(agent["data"]["webhookEnabled"], on);
        assert_eq!(house.get(&path).await.expect(200), agent);
    }
}

#[tokio::test]
async fn automs_and_endpoints_keep_their_ids_too() {
    let house = house().await;
    let autom = json!({ "dialect": "autommate", "path_id": "autom_7", "secret": "the-api-key" });
    house.hook("echo", autom).await;
    let body = r#"{"message":"Hello","userId":"test-user","sessionId":"test-session"}"#;
    let path = "/api/v1/automs/run/autom_7?apiKey=the-api-key";
    assert_eq!(post(&house, path, None, body).await.expect(200)["session_id"], "test-session");

    let endpoint = json!({ "dialect": "cognigy", "path_id": "endpoint-1" });
    assert_eq!(house.hook("echo", endpoint).await.path, "/hooks/endpoint-1");
    post(&house, "/hooks/endpoint-1", None, r#"{"userId":"u","sessionId":"s","text":"Hi"}"#).await.expect(200);

    let workflow = json!({ "dialect": "uptiq", "path_id": "workflow-1", "secret": "private" });
    house.hook("echo", workflow).await;
    let signature = hmac_hex("private", r#"{"documentId":"doc_42"}"#);
    let signed = Some(("x-signature", signature.as_str()));
    post(&house, "/hooks/workflow-1", signed, r#"{"documentId":"doc_42"}"#).await.expect(200);
    // An id of one product is none of another's.
    post(&house, "/api/v1/automs/run/workflow-1", None, body).await.expect(401);
    post(&house, "/hooks/autom_7?apiKey=the-api-key", None, body).await.expect(401);
}

#[tokio::test]
async fn a_path_id_is_given_changed_and_taken_away() {
    let house = house().await;
    let open = |id: Value| json!({ "dialect": "almyty", "auth": [{ "scheme": "none" }], "path_id": id });
    let first = house.hook("echo", open(json!("first"))).await;
    let second = house.hook("echo", open(Value::Null)).await;
    assert_eq!((&first.json["path_id"], &second.json["path_id"]), (&json!("first"), &Value::Null));
    let change = |hook: &str, id: Value| {
        let path = format!("/v1/hooks/{hook}");
        let house = &house;
        async move { house.api(Method::PATCH, &path, Some(json!({ "path_id": id }))).await }
    };
    let taken = change(&second.id, json!("first")).await.expect(409);
    assert_eq!((&taken["code"], &taken["errors"][0]["field"]), (&json!("name-taken"), &json!("path_id")));
    let wrong = change(&second.id, json!("a/b")).await.expect(422);
    assert_eq!(wrong["errors"][0]["field"], "path_id");

    let trigger = |id: &'static str| post(&house, id, None, "{}");
    trigger("/agents/first/webhook").await.expect(200);
    trigger("/agents/moved/webhook").await.expect(401);
    assert_eq!(change(&first.id, json!("moved")).await.expect(200)["url_path"], "/agents/moved/webhook");
    trigger("/agents/first/webhook").await.expect(401);
    trigger("/agents/moved/webhook").await.expect(200);
    change(&second.id, json!("first")).await.expect(200);
    trigger("/agents/first/webhook").await.expect(200);
    let own = format!("/agents/{}/webhook", first.id);
    assert_eq!(change(&first.id, Value::Null).await.expect(200)["url_path"], own);
    trigger("/agents/moved/webhook").await.expect(401);
    post(&house, &own, None, "{}").await.expect(200);
}
