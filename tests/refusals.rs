//! Bad requests: the right answer, the exact reason on record, and no execution.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Hook, House, hmac, now_ms};

#[tokio::test]
async fn a_request_for_no_hook_is_on_record_too() {
    let house = House::start().await;
    let path = "/hooks/hok_00000000000000000000000000000000";
    house.request(Method::POST, path, HeaderMap::new(), Bytes::new()).await.problem(401);
    for _ in 0..200 {
        let list = house.get("/v1/requests").await.expect(200);
        if let Some(one) = list["data"].get(0) {
            assert_eq!((&one["code"], &one["request"]["path"]), (&json!("unauthenticated"), &json!(path)));
            assert!(one["reason"].as_str().unwrap().contains("there is no hook"), "{one}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the request was not recorded");
}

/// The record of a refused request whose reason says `told`, once there is one.
pub(crate) async fn recorded(house: &House, hook: &Hook, status: u16, told: &str) -> Value {
    let mut list = Value::Null;
    for _ in 0..200 {
        list = house.get(&format!("/v1/hooks/{}/requests", hook.id)).await.expect(200);
        let fits = |one: &&Value| one["status"] == status && one["reason"].as_str().unwrap().contains(told);
        if let Some(found) = list["data"].as_array().unwrap().iter().find(fits) {
            return found.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no request with status {status} and `{told}` was recorded: {list}");
}

pub(crate) async fn no_execution(house: &House) {
    let list = house.get("/v1/executions").await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 0, "{list}");
}

#[tokio::test]
async fn the_exact_reason_is_for_the_operator_only() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let stamped = json!({ "scheme": "hmac-sha256", "header": "x-signature", "timestamp_header": "x-time",
                          "signed": "{timestamp}.{body}", "tolerance_s": 300 });
    let hook = house.hook("echo", json!({ "auth": [stamped] })).await;

    let unknown =
        house.request(Method::POST, "/hooks/hok_00000000000000000000000000000000", HeaderMap::new(), Bytes::new());
    let unknown = unknown.await.expect(401);
    let missing = house.request(Method::POST, &hook.path, HeaderMap::new(), Bytes::new()).await.expect(401);
    assert_eq!(unknown, missing, "an unknown hook and a bad credential get the same answer");
    recorded(&house, &hook, 401, "header `x-signature` is missing").await;

    let (mut headers, path) = hook.signed(HeaderMap::new(), b"{}");
    let old = now_ms() / 1_000 - 412;
    headers.insert("x-time", old.to_string().parse().unwrap());
    house.request(Method::POST, &path, headers, Bytes::from_static(b"{}")).await.problem(401);
    recorded(&house, &hook, 401, " s old, tolerance 300 s").await;
    no_execution(&house).await;
}

#[tokio::test]
async fn malformed_bodies_are_refused_by_name() {
    let house = House::start().await;
    let hook = house.flow("echo").await;
    for (body, status, code) in [
        (&b"{\"message\":"[..], 400, "malformed-body"),
        (b"{\"message\":1}", 422, "invalid-request"),
        (b"{\"data\":1,\"data\":2}", 400, "malformed-body"),
        (b"\xff\xfe", 400, "malformed-body"),
    ] {
        let answer = house.send_with(&hook, &[], Bytes::copy_from_slice(body)).await;
        assert_eq!(answer.problem(status), code);
        assert_eq!(recorded(&house, &hook, status, "").await["code"], code);
    }
    no_execution(&house).await;
}

#[tokio::test]
async fn oversized_and_encoded_bodies_are_refused() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "auth": [hmac()], "body_bytes_max": 1000 })).await;
    let large = Bytes::from(vec![b'x'; 1001]);
    assert_eq!(house.send_with(&hook, &[("content-type", "text/plain")], large).await.problem(413), "body-too-large");
    let encoded = house.send_with(&hook, &[("content-encoding", "gzip")], Bytes::from_static(b"{}")).await;
    assert_eq!(encoded.problem(415), "unsupported-encoding");
    no_execution(&house).await;
}

#[tokio::test]
async fn a_disabled_hook_takes_nothing() {
    let house = House::start().await;
    let hook = house.flow("echo").await;
    let path = format!("/v1/hooks/{}", hook.id);
    house.api(Method::PATCH, &path, Some(json!({ "enabled": false }))).await.expect(200);
    assert_eq!(house.send(&hook, json!({})).await.problem(403), "hook-disabled");
    house.api(Method::PATCH, &path, Some(json!({ "enabled": true }))).await.expect(200);
    house.send(&hook, json!({ "message": "back" })).await.expect(200);
}

#[tokio::test]
async fn a_rotated_secret_works_beside_the_old_one_until_the_overlap_ends() {
    let house = House::start().await;
    let hook = house.flow("echo").await;
    let path = format!("/v1/hooks/{}/secrets", hook.id);
    let rotated = house.post(&path, json!({ "use": "auth", "overlap_s": 3600 })).await;
    assert!(rotated.status.is_success(), "{}", rotated.text());
    let secret = rotated.json()["secret"].as_str().unwrap().to_owned();
    let renewed = Hook { secret, ..hook.clone() };
    house.send(&hook, json!({ "message": "old" })).await.expect(200);
    house.send(&renewed, json!({ "message": "new" })).await.expect(200);
    house.post(&path, json!({ "use": "auth", "overlap_s": 0 })).await;
    house.send(&hook, json!({ "message": "old" })).await.problem(401);
    house.send(&renewed, json!({ "message": "new" })).await.problem(401);
}

/// Writes raw bytes to a new connection and reads until the server closes it.
async fn raw(house: &House, parts: &[&[u8]], pause: Duration) -> String {
    let address = house.url.socket_addrs(|| None).unwrap()[0];
    let mut stream = TcpStream::connect(address).await.unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
        tokio::time::sleep(pause).await;
    }
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the server keeps a connection that says nothing");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_and_half_closed_connections_end() {
    let house =
        House::start_with(&[("FLOWGATE_INGRESS_BODY_MS_MAX", "500"), ("FLOWGATE_SERVER_HEAD_MS_MAX", "500")]).await;
    let hook = house.flow("echo").await;
    let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n", hook.path);
    let answer = raw(&house, &[head.as_bytes(), b"{\"mes"], Duration::ZERO).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(recorded(&house, &hook, 408, "").await["code"], "body-timeout");
    let answer = raw(&house, &[b"POST /hooks/x HTTP/1.1\r\nhost"], Duration::ZERO).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");

    // Half of a body, then the caller goes away.
    let address = house.url.socket_addrs(|| None).unwrap()[0];
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"{\"half\":").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(recorded(&house, &hook, 400, "ended early").await["code"], "malformed-body");
    no_execution(&house).await;
    house.send(&hook, json!({ "message": "still here" })).await.expect(200);
}

#[tokio::test]
async fn many_failures_of_one_address_are_turned_away_unread() {
    let house = House::start_with(&[("FLOWGATE_INGRESS_FAILURES_PER_S_MAX", "5")]).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let answer = house.request(Method::POST, "/hooks/nobody", HeaderMap::new(), Bytes::new()).await;
        statuses.push(answer.status.as_u16());
    }
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn wrong_paths_and_methods_are_problems_too() {
    let house = House::start().await;
    assert_eq!(house.get("/nowhere").await.problem(404), "not-found");
    let wrong = house.request(Method::GET, "/hooks/hok_1", HeaderMap::new(), Bytes::new()).await;
    assert_eq!(wrong.problem(405), "method-not-allowed");
}
