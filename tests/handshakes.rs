//! Senders that ask whether they may send: answered at the hook's own URL, without a flow.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::json;

use crate::support::{Answer, Hook, House, hmac};

async fn ask(house: &House, hook: &Hook, method: Method, query: &str, headers: HeaderMap) -> Answer {
    house.request(method, &format!("{}{query}", hook.path), headers, Bytes::new()).await
}

#[tokio::test]
async fn questions_get_their_answers_and_make_no_execution() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;

    let meta = house.hook("echo", json!({ "auth": [{ "scheme": "meta", "verify_token": "meatyhamhock" }] })).await;
    let query = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=";
    let answer = ask(&house, &meta, Method::GET, &format!("{query}meatyhamhock"), HeaderMap::new()).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "1158201444"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    ask(&house, &meta, Method::GET, &format!("{query}other"), HeaderMap::new()).await.problem(401);

    let slack = house.hook("echo", json!({ "auth": [{ "scheme": "slack" }] })).await;
    let body = br#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    let (headers, path) = slack.signed(HeaderMap::new(), body);
    let answer = house.request(Method::POST, &path, headers, Bytes::from_static(body)).await;
    assert_eq!(answer.text(), "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
    house.request(Method::POST, &path, HeaderMap::new(), Bytes::from_static(body)).await.problem(401);

    let events = house.hook("echo", json!({ "auth": [{ "scheme": "bearer", "handshake": "cloudevents" }] })).await;
    let origin = [("webhook-request-origin".parse().unwrap(), "eventemitter.example.com".parse().unwrap())];
    let answer = ask(&house, &events, Method::OPTIONS, "", origin.into_iter().collect()).await;
    assert_eq!(answer.header("webhook-allowed-origin"), "eventemitter.example.com");

    let trello = house.hook("echo", json!({ "auth": [{ "scheme": "trello" }] })).await;
    assert_eq!(ask(&house, &trello, Method::HEAD, "", HeaderMap::new()).await.status, 200);

    let list = house.get("/v1/executions").await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 0, "{list}");
}

#[tokio::test]
async fn a_hook_whose_sender_does_not_ask_takes_no_other_method() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "auth": [hmac()] })).await;
    for method in [Method::GET, Method::OPTIONS, Method::PUT] {
        let answer = ask(&house, &hook, method, "?challenge=a", HeaderMap::new()).await;
        assert!(answer.header("allow").contains("POST"));
        assert_eq!(answer.problem(405), "method-not-allowed");
    }
    let open = house.hook("echo", json!({ "auth": [{ "scheme": "none" }] })).await;
    ask(&house, &open, Method::GET, "", HeaderMap::new()).await.problem(405);
}
