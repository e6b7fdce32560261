//! Requests of flows: they go where they were granted, and end when they have to. By `wasi:http` and by `flowgate:flow/http`.

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::reflector::Reflector;
use crate::support::{Hook, House};

/// Both ways out of a guest.
const DOORS: [bool; 2] = [false, true];

async fn house(environment: &[(&str, &str)]) -> (House, Hook) {
    let house = House::start_with(environment).await;
    let hook = house.flow("thief").await;
    (house, hook)
}

async fn grant(house: &House, grants: Value) {
    house.api(Method::PUT, "/v1/flows/thief/grants", Some(grants)).await.expect(200);
}

/// What came of requests, one after the other.
async fn ask(house: &House, hook: &Hook, wasi: bool, requests: Value) -> Vec<Value> {
    let body = json!({ "data": { "requests": requests, "wasi": wasi } });
    let answer = house.send(hook, body).await.expect(200);
    let id = answer["execution_id"].as_str().unwrap();
    let execution = house.ended_execution(id).await;
    execution["reply"]["data"]["results"].as_array().unwrap_or_else(|| panic!("{execution}")).clone()
}

fn refused(result: &Value) -> &str {
    result["error"].as_str().unwrap_or_else(|| panic!("it was sent: {result}"))
}

async fn last_logs(house: &House) -> String {
    let list = house.get("/v1/executions?limit=1").await.expect(200);
    house.get(&format!("/v1/executions/{}/logs", list["data"][0]["id"].as_str().unwrap())).await.text()
}

#[tokio::test]
async fn nothing_goes_out_until_it_is_granted() {
    let (house, hook) = house(&[]).await;
    let (host, other) = (Reflector::start().await, Reflector::start().await);
    let get = json!([{ "url": host.url("/v1/things?q=1"), "headers": [["x-a", "b"]] }]);
    for wasi in DOORS {
        assert!(refused(&ask(&house, &hook, wasi, get.clone()).await[0]).contains("enied") || !wasi);
        let logs = last_logs(&house).await;
        let missing =
            format!("flowgate flow grant FLOW http {} --method GET --scheme http --path '/v1/things'", host.host);
        assert!(logs.contains(&missing) && !logs.contains("q=1"), "{logs}");
    }
    assert_eq!(host.got().len(), 0);

    grant(
        &house,
        json!({ "http": [{ "host": host.host, "scheme": "http", "methods": ["GET", "POST"], "paths": ["/v1/*"] }] }),
    )
    .await;
    for wasi in DOORS {
        let requests = json!([
            { "url": host.url("/v1/things?q=1"), "headers": [["x-a", "b"]] },
            { "method": "POST", "url": host.url("/v1/things"), "body": "some words" },
            { "method": "DELETE", "url": host.url("/v1/things") },
            { "url": host.url("/v2/things") },
            { "url": other.url("/v1/things") },
            { "url": format!("https://{}/v1/things", host.host) },
        ]);
        let results = ask(&house, &hook, wasi, requests).await;
        assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(200), &json!(200)), "{results:?}");
        results[2..].iter().for_each(|result| assert!(!refused(result).is_empty()));
    }
    let got = host.got();
    assert_eq!(got.len(), 4, "{got:?}");
    assert!(got.chunks(2).all(|two| two[0].target == "/v1/things?q=1" && two[0].header("x-a") == "b"));
    assert!(got.chunks(2).all(|two| two[1].method == Method::POST && &two[1].body[..] == b"some words"));
    assert!(got.iter().all(|one| one.header("host") == host.host));
    assert_eq!(other.got().len(), 0);
}

#[tokio::test]
async fn a_granted_path_is_not_climbed_out_of() {
    let (house, hook) = house(&[]).await;
    let host = Reflector::start().await;
    grant(&house, json!({ "http": [{ "host": host.host, "scheme": "http", "paths": ["/v1/*"] }] })).await;
    let tricks = [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/.%2E/admin",
        "/v1/..%2fadmin",
        "/v1/%252e%252e/admin",
        "/v1/..;/admin",
        "/v1/..%5cadmin",
        "//v1/admin",
        "//admin",
        "/V1/admin",
        "/admin?/v1/",
        "?/v1/",
    ];
    let requests = tricks.map(|path| json!({ "url": host.url(path) }));
    for wasi in DOORS {
        for (result, path) in ask(&house, &hook, wasi, json!(requests)).await.iter().zip(tricks) {
            assert!(result["error"].is_string(), "{path}: {result}");
        }
    }
    assert_eq!(host.got().len(), 0, "{:?}", host.got());
}

#[tokio::test]
async fn a_grant_leads_nowhere_that_the_operator_did_not_open() {
    let (house, hook) = house(&[]).await;
    let http = ["*", "*:8080"].map(|host| json!({ "host": host, "scheme": "http" }));
    grant(&house, json!({ "http": http })).await;
    let inside = [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://10.0.0.1/",
        "http://192.168.0.1:8080/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://0251.0376.0251.0376/",
    ];
    let requests = inside.map(|url| json!({ "url": url, "timeout_ms": 2_000 }));
    for wasi in DOORS {
        for (result, url) in ask(&house, &hook, wasi, json!(requests)).await.iter().zip(inside) {
            let error = refused(result);
            assert!(error.contains("the address") || error.contains("IpProhibited"), "{url}: {error}");
        }
    }
}

#[tokio::test]
async fn answers_end_at_their_deadline_and_bodies_at_their_bound() {
    let bounds = [("FLOWGATE_CAPABILITY_HTTP_MS_MAX", "1500"), ("FLOWGATE_CAPABILITY_HTTP_ANSWER_BYTES_MAX", "100000")];
    let (house, hook) = house(&[&bounds[..], &[("FLOWGATE_CAPABILITY_HTTP_REQUEST_BYTES_MAX", "1000")]].concat()).await;
    let host = Reflector::start().await;
    grant(&house, json!({ "http": [{ "host": host.host, "scheme": "http" }] })).await;
    for wasi in DOORS {
        let begun = Instant::now();
        let requests = json!([
            { "url": host.url("/never"), "timeout_ms": 300 },
            { "url": host.url("/never") },
            { "url": host.url("/stalls") },
            { "url": host.url("/endless") },
            { "method": "POST", "url": host.url("/"), "body": "x".repeat(1_001) },
            { "method": "POST", "url": host.url("/"), "body": "x".repeat(1_000) },
        ]);
        let results = ask(&house, &hook, wasi, requests).await;
        for result in &results[..3] {
            assert!(refused(result).to_lowercase().contains("time"), "{result}");
        }
        assert!(refused(&results[3]).contains("100000 bytes"), "{}", results[3]);
        assert!(results[4]["error"].is_string(), "{}", results[4]);
        assert_eq!(results[5]["status"], 200, "{}", results[5]);
        assert!(begun.elapsed().as_secs() < 30);
    }
    assert!(host.got().iter().filter(|got| got.method == Method::POST).all(|got| got.body.len() <= 1_000));
}

#[tokio::test]
async fn an_execution_sends_so_many_requests_and_no_more() {
    let (house, hook) = house(&[]).await;
    let host = Reflector::start().await;
    grant(&house, json!({ "http": [{ "host": host.host, "scheme": "http" }] })).await;
    for wasi in DOORS {
        let before = host.got().len();
        let results = ask(&house, &hook, wasi, json!([{ "url": host.url("/"), "times": 1_000 }])).await;
        let sent = results.iter().filter(|result| result["status"] == 200).count();
        assert_eq!((sent, host.got().len() - before), (100, 100));
        assert!(refused(&results[999]).contains("100 requests"), "{}", results[999]);
    }
}

#[tokio::test]
async fn a_request_is_a_line_in_the_waterfall() {
    let (house, hook) = house(&[]).await;
    let host = Reflector::start().await;
    grant(&house, json!({ "http": [{ "host": host.host, "scheme": "http" }] })).await;
    for wasi in DOORS {
        ask(&house, &hook, wasi, json!([{ "url": host.url("/headers?private=1"), "headers": [["x-private", "2"]] }]))
            .await;
        let list = house.get("/v1/executions?limit=1").await.expect(200);
        let id = list["data"][0]["id"].as_str().unwrap();
        let spans = house.get(&format!("/v1/executions/{id}/spans")).await.text();
        assert!(["http.fetch", &host.host, r#""status":"200""#].iter().all(|part| spans.contains(part)), "{spans}");
        assert!(!spans.contains("private"), "{spans}");
    }
}
