//! Who may send to a hook, and what bodies: addresses, proxies, types, encodings, forms and files.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::refusals::{no_execution, recorded};
use crate::support::{Answer, Hook, House, hmac};

/// A house with an echo, and a hook for it with these members.
async fn echo(environment: &[(&str, &str)], members: Value) -> (House, Hook) {
    let house = House::start_with(environment).await;
    house.deploy("echo", "echo").await;
    let mut spec = members;
    spec["auth"] = json!([hmac()]);
    let hook = house.hook("echo", spec).await;
    (house, hook)
}

/// What the flow got.
fn got(answer: Answer) -> Value {
    answer.expect(200)["reply"]["data"].clone()
}

#[tokio::test]
async fn an_address_that_is_not_listed_learns_no_more_than_a_bad_credential() {
    let (house, hook) = echo(&[], json!({ "allow_from": ["203.0.113.0/24", "2001:db8::/32"] })).await;
    let forged = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
    let outside = house.send_with(&hook, &forged, Bytes::from_static(b"{}")).await;
    let unproven = house.request(http::Method::POST, &hook.path, http::HeaderMap::new(), Bytes::new()).await;
    let unknown = "/hooks/hok_00000000000000000000000000000000";
    let unknown = house.request(http::Method::POST, unknown, http::HeaderMap::new(), Bytes::new()).await;
    let outside = outside.expect(401);
    assert_eq!((&outside, &outside), (&unproven.expect(401), &unknown.expect(401)));
    let record = recorded(&house, &hook, 401, "address 127.0.0.1 is not in `allow_from`").await;
    assert_eq!(record["request"]["peer"], "127.0.0.1");
    no_execution(&house).await;

    let path = format!("/v1/hooks/{}", hook.id);
    let change = json!({ "allow_from": ["::ffff:127.0.0.0/104"] });
    let changed = house.api(http::Method::PATCH, &path, Some(change)).await.expect(200);
    assert_eq!(changed["allow_from"], json!(["127.0.0.0/8"]));
    house.send(&hook, json!({})).await.expect(200);
    let wrong = json!({ "allow_from": ["127.0.0.1", "example.com"] });
    let problem = house.api(http::Method::PATCH, &path, Some(wrong)).await.expect(422);
    assert_eq!(problem["errors"][0]["field"], "allow_from[1]", "{problem}");
}

#[tokio::test]
async fn a_trusted_proxy_says_whom_it_speaks_for() {
    let trust = [("FLOWGATE_INGRESS_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")];
    let (house, hook) = echo(&trust, json!({ "allow_from": ["203.0.113.0/24"] })).await;
    let send = async |chain: &str| house.send_with(&hook, &[("x-forwarded-for", chain)], Bytes::from("{}")).await;
    for chain in ["203.0.113.7", "192.0.2.1, 203.0.113.7, 10.1.2.3", "::ffff:203.0.113.7"] {
        assert_eq!(got(send(chain).await)["request"]["peer"], "203.0.113.7", "{chain}");
    }
    send("203.0.113.7, 192.0.2.1").await.problem(401);
    recorded(&house, &hook, 401, "address 192.0.2.1 is not in `allow_from`").await;
    house.send_with(&hook, &[("forwarded", "for=203.0.113.7")], Bytes::from("{}")).await.problem(401);
    recorded(&house, &hook, 401, "address 127.0.0.1 is not in `allow_from`").await;
}

#[tokio::test]
async fn failures_are_counted_for_the_caller_and_not_for_its_proxy() {
    let environment = [
        ("FLOWGATE_INGRESS_TRUSTED_PROXIES", "127.0.0.1"),
        ("FLOWGATE_INGRESS_FORWARDED_BY", "forwarded"),
        ("FLOWGATE_INGRESS_FAILURES_PER_S_MAX", "1"),
    ];
    let (house, hook) = echo(&environment, json!({})).await;
    let guess = async |from: usize| {
        let from = format!("for=203.0.113.{from}").parse().unwrap();
        let headers = http::HeaderMap::from_iter([(http::header::FORWARDED, from)]);
        house.request(http::Method::POST, &hook.path, headers, Bytes::new()).await.status.as_u16()
    };
    // Each caller fails for the first time, and none for another's failures.
    for from in 1..=20 {
        assert_eq!(guess(from).await, 401);
    }
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(guess(99).await);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_type_that_is_not_listed_is_refused_in_the_words_of_the_dialect() {
    let (house, hook) = echo(&[], json!({ "content_types": ["application/json", "text/*"] })).await;
    house.send(&hook, json!({})).await.expect(200);
    house.send_with(&hook, &[("content-type", "text/csv")], Bytes::from("a,b")).await.expect(200);
    let told = "the body is `application/xml`; the hook takes application/json, text/*";
    let refused = house.send_with(&hook, &[("content-type", "application/xml")], Bytes::from("<a/>")).await;
    assert_eq!((&refused.json()["detail"], &refused.problem(415)[..]), (&json!(told), "unsupported-content-type"));
    recorded(&house, &hook, 415, told).await;

    let product = json!({ "dialect": "agenticflow", "auth": [hmac()], "content_types": ["application/json"] });
    let product = house.hook("echo", product).await;
    let refused = house.send_with(&product, &[("content-type", "text/plain")], Bytes::from("hi")).await;
    assert_eq!((refused.status.as_u16(), refused.header("content-type")), (415, "application/json"));
    assert!(refused.text().contains("the body is `text/plain`"), "{}", refused.text());
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap().into()
}

#[tokio::test]
async fn an_allowed_encoding_is_proven_as_it_came_and_reaches_the_flow_decoded() {
    let (house, hook) = echo(&[], json!({ "content_encodings": ["gzip"], "body_bytes_max": 100_000 })).await;
    let encoded = [("content-encoding", "gzip")];
    let plain = br#"{"message":"hi","data":{"n":1}}"#;
    let got = got(house.send_with(&hook, &encoded, gzip(plain)).await);
    assert_eq!((&got["message"], &got["data"]), (&json!("hi"), &json!({ "n": 1 })));
    assert_eq!(got["request"]["body"].as_str().unwrap().as_bytes(), plain);
    let headers = got["request"]["headers"].to_string();
    assert!(!headers.contains("content-encoding") && !headers.contains("content-length"), "{headers}");

    let bomb = gzip(&vec![b' '; 50 << 20]);
    assert!(bomb.len() < 100_000);
    assert_eq!(house.send_with(&hook, &encoded, bomb).await.problem(413), "body-too-large");
    recorded(&house, &hook, 413, "the body has more than 100000 bytes when it is decoded").await;
    let corrupt = gzip(plain).slice(..20);
    assert_eq!(house.send_with(&hook, &encoded, corrupt).await.problem(400), "malformed-body");
    recorded(&house, &hook, 400, "the body is not whole `gzip`").await;
    let other = house.send_with(&hook, &[("content-encoding", "br")], Bytes::from("x")).await;
    assert_eq!(other.problem(415), "unsupported-encoding");
    // Who proves nothing is not told what the hook takes.
    let headers = http::HeaderMap::from_iter([(http::header::CONTENT_ENCODING, "br".parse().unwrap())]);
    house.request(http::Method::POST, &hook.path, headers, Bytes::from("x")).await.problem(401);
}

/// A form with two fields and a file, as a browser sends it, and the file.
fn upload() -> (&'static str, Vec<u8>, Vec<u8>) {
    let file = (0..=255).chain(*b"\r\n--x\r\n").collect::<Vec<u8>>();
    let mut body = b"--xyz\r\nContent-Disposition: form-data; name=\"tag\"\r\n\r\na\r\n\
        --xyz\r\nContent-Disposition: form-data; name=\"tag\"\r\n\r\nb\r\n\
        --xyz\r\nContent-Disposition: form-data; name=\"scan\"; filename=\"a.bin\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n"
        .to_vec();
    body.extend(&file);
    body.extend(b"\r\n--xyz--\r\n");
    ("multipart/form-data; boundary=xyz", body, file)
}

#[tokio::test]
async fn a_file_is_found_in_the_body_where_the_data_says() {
    let (house, hook) = echo(&[], json!({})).await;
    let (content_type, body, file) = upload();
    let got = got(house.send_with(&hook, &[("content-type", content_type)], body.clone().into()).await);
    let scan = &got["data"]["scan"];
    let offset = body.windows(file.len()).position(|window| window == file).unwrap();
    let expected = json!({ "filename": "a.bin", "content_type": "application/octet-stream", "part": 2,
                           "offset": offset, "size_bytes": file.len() });
    assert_eq!((&got["data"]["tag"], scan), (&json!(["a", "b"]), &expected));

    // The same bytes, by a flow that gives them back as they are.
    let raw = house.flow("http_echo").await;
    let answer = house.send_with(&raw, &[("content-type", content_type)], body.clone().into()).await;
    assert_eq!((answer.status.as_u16(), answer.body.ends_with(&body)), (200, true));

    let cut = Bytes::copy_from_slice(&body[..body.len() - 10]);
    let refused = house.send_with(&hook, &[("content-type", content_type)], cut).await;
    let told = "the form cannot be read: no boundary ends part 2";
    assert_eq!((&refused.json()["detail"], &refused.problem(400)[..]), (&json!(told), "malformed-body"));
    recorded(&house, &hook, 400, told).await;
}

#[tokio::test]
async fn bodies_are_read_as_they_are_called_and_stay_as_they_are() {
    let (house, hook) = echo(&[], json!({})).await;
    for (content_type, body, message, data) in [
        (
            "application/x-www-form-urlencoded",
            "payload=%7B%7D&a=1&a=2",
            Value::Null,
            json!({ "payload": "{}", "a": ["1", "2"] }),
        ),
        ("application/x-ndjson", "{\"n\":1}\n{\"n\":2}\n", Value::Null, json!([{ "n": 1 }, { "n": 2 }])),
        ("application/xml", "<order id=\"1\"/>", json!("<order id=\"1\"/>"), json!({})),
        ("text/plain", "grüezi", json!("grüezi"), json!({})),
        ("application/octet-stream", "{\"message\":1", Value::Null, json!({})),
    ] {
        let got = got(house.send_with(&hook, &[("content-type", content_type)], Bytes::from(body)).await);
        assert_eq!((&got["message"], &got["data"]), (&message, &data), "{content_type}");
        assert_eq!(got["request"]["body"], body);
    }
    let line = house.send_with(&hook, &[("content-type", "application/jsonl")], Bytes::from("{}\n{")).await;
    assert!(line.json()["detail"].as_str().unwrap().starts_with("line 2 cannot be read: it is not JSON: "));
    assert_eq!(line.problem(400), "malformed-body");
}
