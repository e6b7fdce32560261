//! Outputs that are called back one by one, as soon as the flow says them.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::support::House;
use crate::support::receiver::{Got, Planned, Receiver};

/// A hook of Cognigy's dialect for a guest that says things; and the path of an execution that it accepted.
async fn speaking(house: &House, guest: &str, receiver: &Receiver, data: Value) -> String {
    house.deploy(guest, guest).await;
    let callback = json!({ "url": receiver.url, "schedule_s": [0, 0, 0] });
    let hook = house.hook(guest, json!({ "dialect": "cognigy", "callback": callback })).await;
    let body = json!({ "userId": "user123", "sessionId": "session123", "data": data });
    let answer = house.request(Method::POST, &hook.path, HeaderMap::new(), Bytes::from(body.to_string())).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    answer.header("flowgate-execution-id").to_owned()
}

/// What was said, each message once, however often it came.
fn texts(got: &[Got]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let new = got.iter().filter(|one| seen.insert(one.header("webhook-id").to_owned()));
    new.map(|one| one.json()["AIOutput"]["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_output_is_delivered_while_the_flow_goes_on() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let execution = speaking(&house, "slow", &receiver, json!({ "ms": 600_000, "steps": 6_000 })).await;
    let got = receiver.wait_for(3).await;
    assert_eq!(texts(&got)[..3], ["step 1 of 6000", "step 2 of 6000", "step 3 of 6000"]);
    let running = house.get(&format!("/v1/executions/{execution}")).await.expect(200);
    assert_eq!(running["status"], "running");
    let events = house.get(&format!("/v1/executions/{execution}/events")).await.text();
    assert!(events.contains("step 3 of 6000"), "{events}");

    house.post(&format!("/v1/executions/{execution}/cancel"), json!({})).await;
    assert_eq!(house.ended_execution(&execution).await["status"], "canceled");
    let list = house.get(&format!("/v1/deliveries?execution={execution}&limit=200")).await.expect(200);
    let said = list["data"].as_array().unwrap().len();
    let sent = texts(&receiver.wait_for(said).await);
    let wanted = (1..=said).map(|n| format!("step {n} of 6000")).collect::<Vec<_>>();
    assert_eq!(sent, wanted, "what was said before the end is sent, in order, and nothing else");
}

#[tokio::test]
async fn what_an_attempt_said_before_a_crash_is_not_sent_again_by_the_next_one() {
    let (mut house, receiver) = (House::start().await, Receiver::start().await);
    let execution = speaking(&house, "slow", &receiver, json!({ "ms": 8_000, "steps": 10 })).await;
    receiver.wait_for(3).await;
    house.kill();
    house.restart().await;
    let ended = house.ended_execution(&execution).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("succeeded"), &json!(2)));
    let list = house.get(&format!("/v1/deliveries?execution={execution}")).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 11);
    // A power cut between an answer and its record repeats a delivery, under the same id.
    let mut got = receiver.wait_for(11).await;
    while texts(&got).len() < 11 {
        got = receiver.wait_for(got.len() + 1).await;
    }
    let wanted = (1..=10).map(|n| format!("step {n} of 10")).chain(["slept 8000 ms".to_owned()]).collect::<Vec<_>>();
    assert_eq!(texts(&got), wanted);
}

#[tokio::test]
async fn an_output_that_is_tried_again_holds_the_later_ones_back() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    receiver.plan([Planned { status: 500, header: None }, Planned { status: 503, header: None }]);
    speaking(&house, "speaker", &receiver, json!({ "say": ["one", "two"] })).await;
    let got = receiver.wait_for(5).await;
    let said = got.iter().map(|one| one.json()["AIOutput"]["text"].clone()).collect::<Vec<_>>();
    assert_eq!(said, ["one", "one", "one", "two", "said 2"]);
    assert!(got[..3].iter().all(|one| one.header("webhook-id") == got[0].header("webhook-id")));
}
