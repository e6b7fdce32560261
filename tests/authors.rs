//! What authors start from: the examples and the templates, each deployed and triggered as its README says.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::{House, hmac};

/// Deploys an example and sends its saved request.
async fn replied(house: &House, example: &str) -> Value {
    house.deploy(example, example).await;
    let hook = house.hook(example, json!({ "auth": [hmac()] })).await;
    let path = format!("{}/examples/{example}/request.json", env!("CARGO_MANIFEST_DIR"));
    let answer = house.send_with(&hook, &[], Bytes::from(std::fs::read(path).unwrap())).await;
    answer.expect(200)["reply"].clone()
}

#[tokio::test]
async fn the_support_bot_remembers_what_it_was_told() {
    let house = House::start().await;
    let first = replied(&house, "support_bot").await;
    assert_eq!((&first["data"]["intent"], &first["data"]["facts"]["order"]), (&json!("damaged_item"), &json!("48213")));
    let hook = house.hook("support_bot", json!({ "auth": [hmac()] })).await;
    let next = json!({ "message": "ada@example.com", "session_id": "conv_7f3a" });
    let second = house.send(&hook, next).await.expect(200);
    assert_eq!(second["reply"]["data"]["facts"]["order"], "48213", "{second}");
    let elsewhere = json!({ "message": "ada@example.com", "session_id": "another" });
    let third = house.send(&hook, elsewhere).await.expect(200);
    assert_eq!(third["reply"]["data"]["facts"]["order"], Value::Null, "{third}");
}

#[tokio::test]
async fn an_extracted_invoice_is_classified_and_summarised() {
    let reply = replied(&House::start().await, "document_extracted").await;
    assert!(reply.to_string().contains("invoice") && reply.to_string().contains("4,879.00"), "{reply}");
}

#[tokio::test]
async fn a_crm_update_refreshes_the_clients_record() {
    let reply = replied(&House::start().await, "crm_update").await;
    assert!(reply.to_string().contains("ada.lovelace@engine.example"), "{reply}");
}

#[tokio::test]
async fn a_suspicious_transaction_gets_a_risk_report() {
    let reply = replied(&House::start().await, "suspicious_transaction").await;
    assert_eq!(reply["data"]["score"], 96, "{reply}");
    assert_eq!(
        (&reply["data"]["level"], &reply["data"]["findings"][0]["rule"]),
        (&json!("critical"), &json!("impossible_travel"))
    );
}

#[tokio::test]
async fn a_payment_updates_the_balance_once() {
    let house = House::start().await;
    let first = replied(&house, "payment_processed").await;
    assert!(first.to_string().contains("1249.90"), "{first}");
    let again = replied(&house, "payment_processed").await;
    assert!(again.to_string().contains("duplicate"), "{again}");
}

#[tokio::test]
async fn a_solved_ticket_notifies_those_concerned() {
    let reply = replied(&House::start().await, "ticket_status_changed").await;
    assert!(reply.to_string().contains("ada@engine.example"), "{reply}");
}

#[tokio::test]
async fn a_slash_command_is_answered_in_slacks_own_words() {
    let house = House::start().await;
    house.deploy("slack-command", "slack-command").await;
    let hook = house.hook("slack-command", json!({ "auth": [{ "scheme": "slack" }] })).await;
    let path = format!("{}/examples/slack-command/request.form", env!("CARGO_MANIFEST_DIR"));
    let form = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let answer = house.send_with(&hook, &kind, Bytes::from(form.clone())).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"), "{}", answer.text());
    let told = answer.json();
    assert_eq!(told["text"], "Lunch &amp; tea? (Pizza, Sushi)");
    assert_eq!(
        (&told["response_type"], &told["blocks"][1]["elements"][1]["value"]),
        (&json!("in_channel"), &json!("Sushi"))
    );
    let answer = house.send_with(&hook, &kind, Bytes::from(form.replace("%7C", ""))).await.expect(200);
    assert_eq!(answer["response_type"], "ephemeral");
    let mut forger = hook.clone();
    forger.secret = "another".to_owned();
    assert_eq!(house.send_with(&forger, &kind, Bytes::from(form)).await.problem(401), "unauthenticated");
}

#[tokio::test]
async fn a_push_is_summarised() {
    let house = House::start().await;
    let component = format!("{}/target/components/push-summary.wasm", env!("CARGO_MANIFEST_DIR"));
    house.typed(&["deploy", "push-summary", &component], None).await;
    let hook = house.hook("push-summary", json!({ "auth": [{ "scheme": "github" }] })).await;
    let path = format!("{}/examples/push-summary/request.json", env!("CARGO_MANIFEST_DIR"));
    let push = Bytes::from(std::fs::read(path).unwrap());
    let told = house.send_with(&hook, &[("x-github-event", "push")], push.clone()).await.expect(200)["reply"].clone();
    let text = told["text"].as_str().unwrap();
    assert!(
        text.starts_with("ada pushed 2 commits to main of lovelace/engine:\n- 1481a2d Carry the tens (Ada"),
        "{text}"
    );
    assert_eq!((&told["data"]["files"], &told["data"]["folders"][0]), (&json!(6), &json!("mill/")), "{told}");
    let ping = house.send_with(&hook, &[("x-github-event", "ping")], push).await.expect(200);
    assert_eq!(ping["reply"]["text"], "Nothing to tell of a ping.");
}

#[tokio::test]
async fn a_component_of_cargo_component_runs() {
    let house = House::start().await;
    let template = format!("{}/guests/templates/cargo-component", env!("CARGO_MANIFEST_DIR"));
    let path = format!("{template}/target/wasm32-wasip2/release/greeter.wasm");
    let bytes = std::fs::read(&path).unwrap_or_else(|_| panic!("{path} is missing; `cargo xtask guests` builds it"));
    let version = house.upload("greeter", bytes.into()).await.expect(201);
    let promote = json!({ "version": version["digest"] });
    house.api(http::Method::PUT, "/v1/flows/greeter/aliases/live", Some(promote)).await.expect(200);
    let hook = house.hook("greeter", json!({ "auth": [hmac()] })).await;
    let trigger = json!({ "message": "Hello", "session_id": "s", "data": { "name": "Ada" } });
    let answer = house.send(&hook, trigger).await.expect(200);
    assert!(answer["reply"]["text"].as_str().unwrap().contains("Ada"), "{answer}");
}
