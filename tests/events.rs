//! What happens reaches whoever subscribes to it: in order, once true, with true values.

use http::Method;
use serde_json::{Value, json};

use crate::support::receiver::{Got, Receiver};
use crate::support::{Hook, House, PATIENCE, hmac};

/// A flow that emits, behind a hook.
async fn emitter(house: &House) -> Hook {
    house.deploy("emitter", "emitter").await;
    house.hook("emitter", json!({ "auth": [hmac()] })).await
}

async fn subscribe(house: &House, receiver: &Receiver, more: Value) -> Value {
    let mut wish = json!({ "url": receiver.url });
    wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.post("/v1/subscriptions", wish).await.expect(201)
}

fn types(got: &[Got]) -> Vec<String> {
    got.iter().map(|one| one.json()["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_conversation_is_told_from_its_start_to_its_end() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = emitter(&house).await;
    subscribe(&house, &receiver, json!({ "events": ["*"], "order": "session" })).await;
    let reply = json!({ "resolution": { "type": "solved" }, "satisfaction_score": 4.5 });
    let data = json!({ "emit": [["ticket.opened", { "id": 1 }]], "reply": reply });
    let body = json!({ "message": "help", "user_id": "u1", "session_id": "s1", "data": data });
    let answered = house.send(&hook, body).await.expect(200);
    let got = receiver.wait_for(7).await;
    let told = [
        "execution.started",
        "custom.ticket.opened",
        "session.started",
        "session.message.received",
        "session.message.sent",
        "execution.succeeded",
        "session.completed",
    ];
    assert_eq!(types(&got), told);
    let data = |n: usize| got[n].json()["data"].clone();
    assert_eq!(data(1)["data"], json!({ "id": 1 }));
    assert_eq!((&data(3)["message"]["text"], &data(3)["user_id"]), (&json!("help"), &json!("u1")));
    assert_eq!(data(4)["message"]["text"], "emitted 1");
    let ended = data(5);
    assert_eq!((&ended["execution_id"], &ended["status"]), (&answered["execution_id"], &json!("succeeded")));
    assert_eq!((&ended["input"]["message"], &ended["output"]["text"]), (&json!("help"), &json!("emitted 1")));
    let over = data(6);
    assert_eq!((&over["message_count"], &over["satisfaction_score"]), (&json!(2), &json!(4.5)));
    assert_eq!((&over["status"], &over["resolution"]["type"]), (&json!("resolved"), &json!("solved")));
}

#[tokio::test]
async fn what_a_flow_adds_to_a_conversation_itself_is_told_and_of_a_confidential_one_only_that_it_was() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let wish = json!({ "events": ["agent.message.*"], "format": "agenticflow", "order": "session" });
    subscribe(&house, &receiver, wish).await;
    house.deploy("chat", "chat").await;
    let hook = house.hook("chat", json!({ "auth": [hmac()] })).await;
    let say = |note: &str, role: &str| {
        let data = json!({ "append": note, "as": role });
        json!({ "message": "help", "user_id": "u1", "session_id": "s1", "data": data })
    };
    let answered = house.send(&hook, say("on behalf of", "user")).await.expect(200);
    house.send(&hook, say("not said", "system")).await.expect(200);
    let got = receiver.wait_for(5).await;
    let told: Vec<_> = got.iter().map(|one| one.json()).collect();
    let words: Vec<_> = told.iter().map(|one| one["data"]["message"].as_str().unwrap()).collect();
    assert_eq!(words, ["on behalf of", "help", "1: help", "help", "3: help"]);
    let first = &told[0];
    assert_eq!((&first["event"], &first["data"]["role"]), (&json!("agent.message.received"), &json!("user")));
    for member in ["agent_id", "user_id", "conversation_id"] {
        assert_eq!(first["data"][member], told[1]["data"][member], "{member}");
    }
    assert_eq!(first["data"]["execution_id"], answered["execution_id"]);
    assert_eq!(first["data"]["data"], json!({ "appended": true }));

    let secret = json!({ "auth": [hmac()], "name": "quiet", "disable_sensitive_logging": true });
    let hook = house.hook("chat", secret).await;
    house.send(&hook, say("marker", "assistant")).await.expect(200);
    let told = receiver.wait_for(6).await.pop().unwrap().json();
    assert_eq!((&told["event"], &told["data"]["user_id"]), (&json!("agent.message.sent"), &json!("u1")));
    assert_eq!((&told["data"]["message"], &told["data"]["data"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn what_a_flow_emits_is_true_only_when_its_execution_has_ended() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let hook = emitter(&house).await;
    subscribe(
        &house,
        &receiver,
        json!({ "events": ["custom.*", "execution.failed"], "order": { "pointer": "/flow/id" } }),
    )
    .await;
    let data = json!({ "emit": [["a", 1], ["b.c", 2]], "fail": "no luck" });
    house.send(&hook, json!({ "data": data })).await.problem(502);
    let got = receiver.wait_for(3).await;
    assert_eq!(types(&got), ["custom.a", "custom.b.c", "execution.failed"]);
    assert_eq!(got[2].json()["data"]["error"]["message"], "no luck");
    let data = json!({ "emit": [["Not A Name", 1]] });
    house.send(&hook, json!({ "data": data })).await.problem(502);
    assert_eq!(types(&receiver.wait_for(4).await)[3], "execution.failed");
}

#[tokio::test]
async fn agenticflows_page_gets_what_it_documents() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("emitter", "emitter").await;
    let auth = json!([{ "scheme": "none" }]);
    let hook = house.hook("emitter", json!({ "dialect": "agenticflow", "auth": auth, "path_id": "wf_abc123" })).await;
    let webhook = json!({
        "name": "Workflows", "url": receiver.url, "events": ["workflow.execution.completed"],
        "conditions": { "steps_completed": { "lt": 2 } },
        "filters": { "include_fields": ["workflow_id", "status", "output_data.order_id", "credits_used", "input_data.name"] },
    });
    house.post("/api/v1/webhooks", webhook).await.expect(201);
    let body = json!({ "input_data": { "reply": { "order_id": 7, "secret": 8 }, "name": "John Doe" } });
    let path = format!("/webhooks/workflows/{}", "wf_abc123");
    let sent = house.request(Method::POST, &path, Default::default(), body.to_string().into()).await.expect(200);
    let got = receiver.wait_for(1).await.remove(0).json();
    assert_eq!(got["event"], "workflow.execution.completed");
    let data = &got["data"];
    assert_eq!((&data["workflow_id"], &data["status"]), (&json!("wf_abc123"), &json!("success")));
    assert_eq!(data["output_data"], json!({ "order_id": 7 }), "{sent} {got} {}", hook.json);
    assert!(data["credits_used"].is_number() && data.get("execution_id").is_none());
}

#[tokio::test]
async fn an_agents_webhook_without_a_session_is_a_conversation_of_its_own() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("echo", "echo").await;
    let auth = json!([{ "scheme": "none" }]);
    house.hook("echo", json!({ "dialect": "agenticflow", "auth": auth, "path_id": "agent_1" })).await;
    let events =
        ["agent.conversation.started", "agent.conversation.completed", "agent.message.received", "agent.message.sent"];
    let webhook = json!({ "name": "Agents", "url": receiver.url, "events": events });
    house.post("/api/v1/webhooks", webhook).await.expect(201);
    let body = json!({ "message": "Hello", "user_id": "user_123", "metadata": {} });
    let headers = Default::default();
    house.request(Method::POST, "/webhooks/agents/agent_1", headers, body.to_string().into()).await.expect(200);
    let got = receiver.wait_for(4).await;
    let named = |name: &str| got.iter().map(Got::json).find(|one| one["event"] == name).unwrap();
    let over = named("agent.conversation.completed");
    assert_eq!((&over["data"]["agent_id"], &over["data"]["message_count"]), (&json!("agent_1"), &json!(2)));
    assert_eq!((&over["data"]["user_id"], &over["data"]["status"]), (&json!("user_123"), &json!("resolved")));
    for name in events {
        named(name);
    }
}

#[tokio::test]
async fn a_batch_goes_out_when_it_is_full_or_has_waited() {
    let (mut house, receiver) = (House::start().await, Receiver::start().await);
    let hook = emitter(&house).await;
    let batch = json!({ "events_max": 3, "wait_s": 2, "bytes_max": 1048576 });
    subscribe(&house, &receiver, json!({ "events": ["execution.succeeded"], "batch": batch })).await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        let answered = house.send(&hook, json!({ "message": "x" })).await.expect(200);
        sent.push(answered["execution_id"].clone());
    }
    let ids = |got: &Got| {
        let events = got.json()["data"]["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["data"]["execution_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&receiver.wait_for(1).await[0]), sent[..3]);
    // Else the crash may come before the record, and the first one comes twice.
    let end = tokio::time::Instant::now() + PATIENCE;
    while house.get("/v1/deliveries?status=succeeded").await.expect(200)["data"].as_array().unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < end, "the first batch is not on record");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // What waits for company survives the end of the process.
    house.kill();
    house.restart().await;
    assert_eq!(ids(&receiver.wait_for(2).await[1]), sent[3..]);
}

#[tokio::test]
async fn versions_and_promotions_are_told() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    subscribe(&house, &receiver, json!({ "events": ["flow.*"], "order": { "pointer": "/flow/id" } })).await;
    let digest = house.deploy("echo", "echo").await;
    let got = receiver.wait_for(3).await;
    assert_eq!(types(&got), ["flow.version.created", "flow.version.ready", "flow.promoted"]);
    assert!(got.iter().all(|one| one.json()["data"]["version"] == digest.as_str()), "{digest}");
}
