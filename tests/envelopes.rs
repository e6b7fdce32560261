//! What goes wrong, in every dialect: the same faults, each told in the product's own envelope.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::support::{Answer, Hook, House, hmac_hex};

const SECRET: &str = "the-secret-of-every-hook";

/// How a product's callers send, and what they may expect.
struct Product {
    dialect: &'static str,
    /// `auth` where the product's own would let everybody in, or has to be told.
    auth: Option<&'static str>,
    path: &'static str,
    good: &'static str,
    /// Lacks a member that must be there, and which.
    missing: Option<(&'static str, &'static str)>,
    /// Has a member of another type than it must have, and which.
    wrong_type: Option<(&'static str, &'static str)>,
    envelope: Envelope,
    /// The status of a body that is JSON and cannot be used.
    unusable: u16,
    /// Whether the caller waits for the flow.
    waits: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Envelope {
    Problem,
    Cognigy,
    Almyty,
    Agenticflow,
}

const PRODUCTS: [Product; 6] = [
    Product {
        dialect: "native",
        auth: Some("bearer"),
        path: "/hooks/{id}",
        good: r#"{"message":"Hello"}"#,
        missing: None,
        wrong_type: Some((r#"{"message":5}"#, "message")),
        envelope: Envelope::Problem,
        unusable: 422,
        waits: true,
    },
    Product {
        dialect: "autommate",
        auth: None,
        path: "/api/v1/automs/run/{id}",
        good: r#"{"message":"Hello","userId":"u","sessionId":"s"}"#,
        missing: None,
        wrong_type: Some((r#"{"message":"Hello","userId":7}"#, "userId")),
        envelope: Envelope::Problem,
        unusable: 422,
        waits: true,
    },
    Product {
        dialect: "uptiq",
        auth: None,
        path: "/hooks/{id}",
        good: r#"{"documentId":"doc_42"}"#,
        missing: None,
        wrong_type: None,
        envelope: Envelope::Problem,
        unusable: 422,
        waits: true,
    },
    Product {
        dialect: "cognigy",
        auth: Some("bearer"),
        path: "/hooks/{id}",
        good: r#"{"userId":"u","sessionId":"s","text":"Hello"}"#,
        missing: Some((r#"{"sessionId":"s","text":"Hello"}"#, "userId")),
        wrong_type: Some((r#"{"userId":"u","sessionId":["s"],"text":"Hello"}"#, "sessionId")),
        envelope: Envelope::Cognigy,
        unusable: 400,
        waits: false,
    },
    Product {
        dialect: "almyty",
        auth: None,
        path: "/agents/{id}/webhook",
        good: r#"{"message":"Process this incoming data","payload":{"key":"value"}}"#,
        missing: None,
        wrong_type: None,
        envelope: Envelope::Almyty,
        unusable: 400,
        waits: false,
    },
    Product {
        dialect: "agenticflow",
        auth: None,
        path: "/webhooks/agents/{id}",
        good: r#"{"message":"Hello","user_id":"user_123"}"#,
        missing: Some((r#"{"user_id":"user_123"}"#, "message")),
        wrong_type: Some((r#"{"message":["Hello"]}"#, "message")),
        envelope: Envelope::Agenticflow,
        unusable: 400,
        waits: false,
    },
];

impl Product {
    /// A hook that senders know as `id`.
    async fn hook(&self, house: &House, flow: &str, id: &str, more: Value) -> Hook {
        let mut spec = json!({ "dialect": self.dialect, "path_id": id, "secret": SECRET });
        if let Some(scheme) = self.auth {
            spec["auth"] = json!([{ "scheme": scheme }]);
        }
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let hook = house.hook(flow, spec).await;
        assert_eq!(hook.path, self.path.replace("{id}", id));
        hook
    }

    /// What a caller sends who has this secret.
    async fn send_by(&self, house: &House, secret: &str, id: &str, media_type: &str, body: &str) -> Answer {
        let mut path = self.path.replace("{id}", id);
        let mut headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, media_type.parse().unwrap())]);
        let mut header = |name: &'static str, value: &str| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        };
        match self.dialect {
            "autommate" => path += &format!("?apiKey={secret}"),
            "agenticflow" => path += &format!("?token={secret}"),
            "uptiq" => header("x-signature", &hmac_hex(secret, body)),
            _ => header("authorization", &format!("Bearer {secret}")),
        }
        house.request(Method::POST, &path, headers, Bytes::from(body.to_owned())).await
    }

    async fn send(&self, house: &House, id: &str, body: &str) -> Answer {
        self.send_by(house, SECRET, id, "application/json", body).await
    }

    #[track_caller]
    fn refused(&self, answer: &Answer, status: u16, code: &str) -> Value {
        let (envelope, dialect) = (self.envelope, self.dialect);
        let told = envelope.told(answer);
        assert_eq!(
            (answer.status.as_u16(), told.code.as_str()),
            (status, envelope.code(code)),
            "{dialect}: {}",
            answer.text()
        );
        if matches!(status, 429 | 503) {
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0, "{dialect}");
        }
        told.rest
    }

    /// What is told before anything is proven, in the dialect of the path: two products share theirs with the native one.
    #[track_caller]
    fn unproven(&self, answer: &Answer) -> String {
        let own = if self.path.starts_with("/hooks/") { Envelope::Problem } else { self.envelope };
        assert_eq!(answer.status.as_u16(), 401, "{}: {}", self.dialect, answer.text());
        assert_eq!(own.told(answer).code, own.code("unauthenticated"), "{}", self.dialect);
        answer.text()
    }
}

/// What an envelope says.
struct Told {
    code: String,
    /// The member of the envelope that says which field is wrong.
    rest: Value,
}

impl Envelope {
    fn code(self, slug: &str) -> &str {
        match (self, slug) {
            (Self::Agenticflow, "malformed-body" | "invalid-request") => "INVALID_INPUT",
            (Self::Agenticflow, "unauthenticated") => "UNAUTHENTICATED",
            (Self::Agenticflow, "method-not-allowed") => "METHOD_NOT_ALLOWED",
            (Self::Agenticflow, "hook-disabled") => "HOOK_DISABLED",
            (Self::Agenticflow, "body-too-large") => "BODY_TOO_LARGE",
            (Self::Agenticflow, "rate-limited") => "RATE_LIMITED",
            (Self::Agenticflow, "overloaded") => "OVERLOADED",
            (Self::Agenticflow, "no-live-version") => "NO_LIVE_VERSION",
            (_, slug) => slug,
        }
    }

    /// Takes an error apart, and fails where it has another shape than the product's.
    #[track_caller]
    fn told(self, answer: &Answer) -> Told {
        let body = answer.json();
        let media_type = if self == Self::Problem { "application/problem+json" } else { "application/json" };
        assert_eq!(answer.header("content-type"), media_type);
        let (error, rest) = match self {
            Self::Problem => {
                let always = ["code", "detail", "fault", "retryable", "status", "title", "type"];
                members(&body, &always, &["errors", "execution_id"]);
                assert_eq!(body["status"], answer.status.as_u16());
                (&body, body["errors"][0]["field"].clone())
            }
            Self::Cognigy => {
                members(&body, &["error"], &[]);
                members(&body["error"], &["code", "message", "status"], &["field"]);
                assert_eq!(body["error"]["status"], answer.status.as_u16());
                (&body["error"], body["error"]["field"].clone())
            }
            Self::Almyty => {
                members(&body, &["error", "success"], &[]);
                members(&body["error"], &["code", "message"], &["field"]);
                assert_eq!(body["success"], false);
                (&body["error"], body["error"]["field"].clone())
            }
            Self::Agenticflow => {
                members(&body, &["error", "success"], &[]);
                members(&body["error"], &["code", "details", "message"], &[]);
                members(&body["error"]["details"], &[], &["expected", "field", "received"]);
                assert_eq!(body["success"], false);
                (&body["error"], body["error"]["details"].clone())
            }
        };
        let words = error.get("message").or(error.get("detail")).and_then(Value::as_str).unwrap();
        assert!(!words.is_empty() && !words.contains(SECRET), "{words}");
        Told { code: error["code"].as_str().unwrap().to_owned(), rest }
    }
}

#[track_caller]
fn members(value: &Value, always: &[&str], sometimes: &[&str]) {
    let names = value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str);
    let names = names.filter(|name| !sometimes.contains(name)).collect::<Vec<_>>();
    assert_eq!(names, always, "{value}");
}

/// A house with an echo, and a hook of every product that is known as `known`.
async fn house() -> House {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    for product in &PRODUCTS {
        let more = json!({ "body_bytes_max": 1_000 });
        product.hook(&house, "echo", &format!("known-{}", product.dialect), more).await;
    }
    house
}

#[tokio::test]
async fn an_unknown_id_and_a_wrong_credential_are_told_alike() {
    let house = house().await;
    for product in &PRODUCTS {
        let known = format!("known-{}", product.dialect);
        let json = "application/json";
        let wrong = product.send_by(&house, "wrong", &known, json, product.good).await;
        let unknown = product.send(&house, "unknown", product.good).await;
        let bare = Method::POST;
        let none = house.request(bare, &product.path.replace("{id}", &known), HeaderMap::new(), Bytes::new()).await;
        let told = [&wrong, &unknown, &none].map(|answer| product.unproven(answer));
        assert!(told[0] == told[1] && told[1] == told[2], "{told:?}");
        assert_eq!(wrong.headers.len(), unknown.headers.len(), "{:?} {:?}", wrong.headers, unknown.headers);
        let odd = product.send(&house, "a%2Fb%00", product.good).await;
        product.unproven(&odd);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_in_the_products_envelope() {
    let house = house().await;
    for product in &PRODUCTS {
        let known = &format!("known-{}", product.dialect);
        for media_type in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
            let answer = product.send_by(&house, SECRET, known, media_type, product.good).await;
            assert!(answer.status.is_success(), "{} {media_type}: {}", product.dialect, answer.text());
        }
        for broken in ["{", r#"{"message":"a","message":"b","userId":"u","sessionId":"s","text":"t"}"#] {
            product.refused(&product.send(&house, known, broken).await, 400, "malformed-body");
        }
        let large = format!(r#"{{"message":"{}"}}"#, "x".repeat(1_000));
        product.refused(&product.send(&house, known, &large).await, 413, "body-too-large");
        if let Some((body, field)) = product.missing {
            let rest = product.refused(&product.send(&house, known, body).await, product.unusable, "invalid-request");
            let details = json!({ "field": field, "expected": "string", "received": "null" });
            assert!(rest == field || rest == details, "{rest}");
        }
        if let Some((body, field)) = product.wrong_type {
            let rest = product.refused(&product.send(&house, known, body).await, product.unusable, "invalid-request");
            let details = json!({ "field": field, "expected": "string", "received": "array" });
            assert!(rest == field || rest == details, "{rest}");
        }
    }
}

#[tokio::test]
async fn another_method_is_told_which_one_is_right() {
    let house = house().await;
    for product in &PRODUCTS {
        let envelope = if product.path.starts_with("/hooks/") { Envelope::Problem } else { product.envelope };
        for name in ["known", "unknown"] {
            let path = product.path.replace("{id}", &format!("{name}-{}", product.dialect));
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                let answer = house.request(method, &path, HeaderMap::new(), Bytes::new()).await;
                assert_eq!(answer.status.as_u16(), 405, "{path}");
                let allowed = answer.header("allow").split(',').any(|method| method.trim() == "POST");
                assert!(allowed, "{path}: {:?}", answer.headers);
                assert_eq!(envelope.told(&answer).code, envelope.code("method-not-allowed"));
            }
        }
    }
    // A hook that lets everybody in speaks its own dialect at once.
    let open = house.hook("echo", json!({ "dialect": "cognigy" })).await;
    assert_eq!(Envelope::Cognigy.told(&house.get(&open.path).await).code, "method-not-allowed");
}

#[tokio::test]
async fn what_the_hook_does_not_take_now_is_told_in_the_products_envelope() {
    let house = house().await;
    house.post("/v1/flows", json!({ "name": "empty" })).await.expect(201);
    for product in &PRODUCTS {
        let limits = json!({ "limits": { "requests_per_minute": 1 } });
        product.hook(&house, "echo", "limited", limits).await;
        assert!(product.send(&house, "limited", product.good).await.status.is_success());
        let limited = product.send(&house, "limited", product.good).await;
        assert!(limited.header("ratelimit").starts_with("\"minute\";r=0;t="), "{:?}", limited.headers);
        product.refused(&limited, 429, "rate-limited");

        let hook = product.hook(&house, "empty", "switched", json!({})).await;
        product.refused(&product.send(&house, "switched", product.good).await, 503, "no-live-version");
        house
            .api(Method::PATCH, &format!("/v1/hooks/{}", hook.id), Some(json!({ "enabled": false })))
            .await
            .expect(200);
        product.refused(&product.send(&house, "switched", product.good).await, 403, "hook-disabled");
        // The products that share a path must not have the same ids there.
        for id in ["limited", "switched"] {
            let list = house.get("/v1/hooks?limit=200").await.expect(200);
            let same = |hook: &&Value| hook["path_id"] == id;
            for hook in list["data"].as_array().unwrap().iter().filter(same) {
                let path = format!("/v1/hooks/{}", hook["id"].as_str().unwrap());
                house.api(Method::PATCH, &path, Some(json!({ "path_id": null }))).await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn a_house_that_is_full_says_so_in_the_products_envelope() {
    let house = House::start_with(&[("FLOWGATE_EXECUTION_QUEUED_MAX", "1")]).await;
    house.deploy("echo", "echo").await;
    house.deploy("slow", "slow").await;
    let slow = house.hook("slow", json!({ "auth": [{ "scheme": "none" }], "mode": "async" })).await;
    house.send(&slow, json!({ "data": { "ms": 600_000 } })).await.expect(202);
    for product in &PRODUCTS {
        let id = format!("busy-{}", product.dialect);
        product.hook(&house, "echo", &id, json!({})).await;
        product.refused(&product.send(&house, &id, product.good).await, 503, "overloaded");
    }
}

#[tokio::test]
async fn a_flow_that_fails_is_told_to_who_waits_for_it_and_recorded_for_the_others() {
    let house = House::start().await;
    for (guest, limits, code, status, reason) in [
        ("fail", json!({}), "flow-failed", "failed", "flow_error"),
        ("slow", json!({ "wall_ms_max": 50 }), "flow-timed-out", "timed_out", "deadline"),
    ] {
        house.deploy(guest, guest).await;
        for product in &PRODUCTS {
            let id = format!("{guest}-{}", product.dialect);
            product.hook(&house, guest, &id, json!({ "limits": limits })).await;
            let answer = product.send(&house, &id, product.good).await;
            let execution = answer.header("flowgate-execution-id").to_owned();
            if product.waits {
                let told = answer.json();
                product.refused(&answer, 502, code);
                assert!(told["execution_id"].as_str().is_some_and(|id| id.starts_with("exe_")), "{told}");
                continue;
            }
            assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
            let ended = house.ended_execution(&execution).await;
            assert_eq!((&ended["status"], &ended["reason"]), (&json!(status), &json!(reason)), "{}", product.dialect);
            if product.dialect == "almyty" {
                let polled = house.get(&format!("/agents/{id}/executions/{execution}")).await.expect(200);
                assert_eq!(
                    (&polled["data"]["status"], &polled["data"]["error"]["code"]),
                    (&json!(status), &json!(reason))
                );
            }
        }
    }
}
