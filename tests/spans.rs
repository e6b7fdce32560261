//! What an execution's time was spent on.

use serde_json::{Value, json};

use crate::support::{House, hmac};

/// The spans of the only attempt of an execution.
async fn spans(house: &House, execution: &str) -> (Vec<Value>, u64) {
    let list = house.get(&format!("/v1/executions/{execution}/spans")).await.expect(200);
    let attempt = &list["data"][0];
    assert_eq!((list["data"].as_array().unwrap().len(), &attempt["attempt"]), (1, &json!(1)), "{list}");
    (attempt["spans"].as_array().unwrap().clone(), attempt["dropped"].as_u64().unwrap())
}

#[tokio::test]
async fn the_guests_spans_hold_those_of_its_host_calls() {
    let house = House::start().await;
    let hook = house.flow("timed").await;
    let answer = house.send(&hook, json!({ "session_id": "s1", "user_id": "u1", "data": {} })).await.expect(200);
    let execution = answer["execution_id"].as_str().unwrap();
    let (spans, dropped) = spans(&house, execution).await;
    let shown = spans.iter().map(|span| (span["name"].as_str().unwrap(), span["parent"].as_u64())).collect::<Vec<_>>();
    let wanted = [
        ("turn", None),
        ("remember", Some(0)),
        ("session.get", Some(1)),
        ("session.set", Some(1)),
        ("lookup", Some(0)),
        ("left open", None),
    ];
    assert_eq!((shown.as_slice(), dropped), (wanted.as_slice(), 0));
    assert_eq!(spans[0]["attributes"], json!({ "user": "u1" }));
    assert_eq!(spans[4]["error"], "nothing found");
    assert!(spans[3]["duration_us"].as_u64() <= spans[1]["duration_us"].as_u64(), "{spans:?}");
    assert_eq!(spans[5]["duration_us"], Value::Null, "it had not ended when the flow did");
}

#[tokio::test]
async fn spans_are_bounded_and_an_execution_without_any_has_none() {
    let house = House::start_with(&[("FLOWGATE_CAPABILITY_SPANS_MAX", "10")]).await;
    let hook = house.flow("timed").await;
    let answer = house.send(&hook, json!({ "session_id": "s1", "data": { "many": 100 } })).await.expect(200);
    let (kept, dropped) = spans(&house, answer["execution_id"].as_str().unwrap()).await;
    assert_eq!((kept.len(), dropped), (10, 96));

    let hook = house.flow("echo").await;
    let answer = house.send(&hook, json!({})).await.expect(200);
    let path = format!("/v1/executions/{}/spans", answer["execution_id"].as_str().unwrap());
    assert_eq!(house.get(&path).await.expect(200)["data"], json!([]));
    assert_eq!(house.get("/v1/executions/exe_00000000000000000000000000000000/spans").await.problem(404), "not-found");
}

#[tokio::test]
async fn a_confidential_execution_keeps_no_spans() {
    let house = House::start().await;
    house.deploy("timed", "timed").await;
    let spec = json!({ "auth": [hmac()], "disable_sensitive_logging": true });
    let hook = house.hook("timed", spec).await;
    let answer = house.send(&hook, json!({ "session_id": "s1", "user_id": "marker", "data": {} })).await.expect(200);
    let path = format!("/v1/executions/{}/spans", answer["execution_id"].as_str().unwrap());
    assert_eq!(house.get(&path).await.expect(200)["data"], json!([]));
}
