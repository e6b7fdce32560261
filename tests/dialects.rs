//! The documented examples of five products, sent as they are, and their answers held against the documented ones.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::support::receiver::Receiver;
use crate::support::{Answer, Hook, House, PATIENCE, hmac_hex};

/// What `curl -X POST URL -H … -d BODY` sends.
async fn post(house: &House, path: &str, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let json = [("content-type", "application/json")];
    let headers = json
        .iter()
        .chain(headers)
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    house.request(Method::POST, path, headers.collect::<HeaderMap>(), Bytes::from(body.to_owned())).await
}

async fn hook(house: &House, guest: &str, spec: Value) -> Hook {
    house.deploy(&guest.replace('_', "-"), guest).await;
    house.hook(&guest.replace('_', "-"), spec).await
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

mod autommate {
    use super::*;

    const EXAMPLE: &str = r#"{
  "message": "Hello",
  "userId": "user123",
  "sessionId": "session123"
}"#;

    #[tokio::test]
    async fn the_documented_request_gets_what_the_flow_decides() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "autommate" })).await;
        let path = format!("/api/v1/automs/run/{}?apiKey={}", hook.id, hook.secret);
        let answer = post(&house, &path, &[], EXAMPLE).await;
        assert_eq!(answer.header("content-type"), "application/json");
        let seen = answer.expect(200);
        assert_eq!((&seen["message"], &seen["user_id"]), (&json!("Hello"), &json!("user123")));
        assert_eq!((&seen["session_id"], &seen["dialect"]), (&json!("session123"), &json!("autommate")));
        assert_eq!(seen["request"]["query"], "", "the key does not reach the flow");

        let curl =
            "{\n    \"message\": \"Hello\",\n    \"userId\": \"test-user\",\n    \"sessionId\": \"test-session\"\n  }";
        assert_eq!(post(&house, &path, &[], curl).await.expect(200)["session_id"], "test-session");
        let again = post(&house, &format!("/hooks/{}?apiKey={}", hook.id, hook.secret), &[], EXAMPLE).await;
        assert_eq!(again.expect(200)["message"], "Hello");
    }

    #[tokio::test]
    async fn a_text_and_a_response_of_the_flows_own_are_answers_too() {
        let house = House::start().await;
        let chat = hook(&house, "chat", json!({ "dialect": "autommate" })).await;
        let path = |hook: &Hook| format!("{}?apiKey={}", hook.path, hook.secret);
        let raw = hook(&house, "raw_reply", json!({ "dialect": "autommate" })).await;
        let body = json!({ "message": "x", "status": 201, "body": "<ok/>" }).to_string();
        let answer = post(&house, &path(&raw), &[], &body).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (201, "<ok/>"));
        let speaker = hook(&house, "speaker", json!({ "dialect": "autommate" })).await;
        let said = post(&house, &path(&speaker), &[], r#"{"message":"x","say":["one"]}"#).await.expect(200);
        assert_eq!(said, json!({ "text": "said 1" }));
        post(&house, &path(&chat), &[], EXAMPLE).await.expect(200);
        let second = post(&house, &path(&chat), &[], EXAMPLE).await.expect(200);
        assert_eq!(second["messages"].as_array().map(Vec::len), Some(2), "the session goes on");
    }

    #[tokio::test]
    async fn a_wrong_key_an_unknown_autom_and_a_hook_of_another_dialect_are_the_same() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "autommate" })).await;
        let native = house.hook("echo", json!({ "auth": [{ "scheme": "none" }] })).await;
        for path in [
            format!("{}?apiKey=wrong", hook.path),
            hook.path.clone(),
            "/api/v1/automs/run/unknown?apiKey=x".to_owned(),
            format!("/api/v1/automs/run/{}", native.id),
        ] {
            assert_eq!(post(&house, &path, &[], EXAMPLE).await.problem(401), "unauthenticated", "{path}");
        }
    }
}

mod almyty {
    use super::*;

    const EXAMPLE: &str = r#"{ "message": "Process this incoming data", "payload": { "key": "value" } }"#;

    #[tokio::test]
    async fn the_documented_trigger_runs_and_is_polled() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "almyty", "auth": [{ "scheme": "none" }] })).await;
        assert_eq!(hook.path, format!("/agents/{}/webhook", hook.id));
        let accepted = post(&house, &hook.path, &[], EXAMPLE).await.expect(200);
        assert_eq!(names(&accepted), ["data", "success"]);
        assert_eq!(names(&accepted["data"]), ["executionId", "status"]);
        assert_eq!((&accepted["success"], &accepted["data"]["status"]), (&json!(true), &json!("running")));

        let id = accepted["data"]["executionId"].as_str().unwrap();
        house.ended_execution(id).await;
        let polled = house.get(&format!("/agents/{}/executions/{id}", hook.id)).await.expect(200);
        assert_eq!((&polled["success"], &polled["data"]["status"]), (&json!(true), &json!("succeeded")));
        assert_eq!(polled["data"]["output"]["text"], "Process this incoming data");
        assert_eq!(polled["data"]["output"]["data"]["data"]["payload"], json!({ "key": "value" }));

        let list = |query: &str| format!("/agents/{}/executions{query}", hook.id);
        for query in ["", "?trigger=webhook"] {
            let listed = house.get(&list(query)).await.expect(200);
            assert_eq!(listed["data"][0]["executionId"], *id);
            assert_eq!(
                (&listed["data"][0]["trigger"], listed["data"].as_array().unwrap().len()),
                (&json!("webhook"), 1)
            );
        }
        assert_eq!(house.get(&list("?trigger=manual")).await.expect(200)["data"], json!([]));
    }

    #[tokio::test]
    async fn bearer_and_signature_are_both_accepted() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "almyty" })).await;
        let body = r#"{"message":"Hello"}"#;
        let bearer = format!("Bearer {}", hook.secret);
        post(&house, &hook.path, &[("authorization", &bearer)], body).await.expect(200);
        let signature = format!("sha256={}", hmac_hex(&hook.secret, body));
        post(&house, &hook.path, &[("x-webhook-signature", &signature)], body).await.expect(200);
        let refused = post(&house, &hook.path, &[("x-webhook-signature", &signature)], "{}").await.expect(401);
        assert_eq!((&refused["success"], &refused["error"]["code"]), (&json!(false), &json!("unauthenticated")));
    }

    #[tokio::test]
    async fn a_hundred_requests_a_minute_pass() {
        let house = House::start().await;
        let spec = json!({ "dialect": "almyty", "auth": [{ "scheme": "none" }], "limits": { "concurrent": 1000 } });
        let hook = hook(&house, "echo", spec).await;
        for n in (0..100).rev() {
            let answer = post(&house, &hook.path, &[], EXAMPLE).await;
            assert!(answer.header("ratelimit").starts_with(&format!("\"minute\";r={n};t=")), "{:?}", answer.headers);
            answer.expect(200);
        }
        let refused = post(&house, &hook.path, &[], EXAMPLE).await;
        assert_eq!(refused.header("ratelimit-policy"), "\"minute\";q=100;w=60");
        let wait = refused.header("retry-after").parse::<u64>().unwrap();
        assert!((1..=61).contains(&wait), "{wait}");
        let refused = refused.expect(429);
        assert_eq!((&refused["success"], &refused["error"]["code"]), (&json!(false), &json!("rate-limited")));
    }

    #[tokio::test]
    async fn ten_executions_run_at_one_time() {
        let mut house = House::start().await;
        let hook = hook(&house, "slow", json!({ "dialect": "almyty", "auth": [{ "scheme": "none" }] })).await;
        let mut ids = Vec::new();
        for _ in 0..10 {
            let accepted = post(&house, &hook.path, &[], r#"{"ms":600000}"#).await.expect(200);
            ids.push(accepted["data"]["executionId"].as_str().unwrap().to_owned());
        }
        let refused = post(&house, &hook.path, &[], "{}").await;
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.expect(429)["error"]["code"], "rate-limited");
        house.kill();
        house.restart().await;
        post(&house, &hook.path, &[], "{}").await.expect(429);
        house.post(&format!("/v1/executions/{}/cancel", ids[0]), json!({})).await;
        house.ended_execution(&ids[0]).await;
        post(&house, &hook.path, &[], "{}").await.expect(200);
    }

    #[tokio::test]
    async fn the_webhook_is_switched_on_and_off() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "almyty", "auth": [{ "scheme": "none" }] })).await;
        let path = format!("/agents/{}", hook.id);
        let set = |on: bool| house.api(Method::PATCH, &path, Some(json!({ "webhookEnabled": on })));
        let off = set(false).await.expect(200);
        assert_eq!(off["data"]["webhookEnabled"], false);
        let refused = post(&house, &hook.path, &[], EXAMPLE).await.expect(403);
        assert_eq!((&refused["success"], &refused["error"]["code"]), (&json!(false), &json!("hook-disabled")));
        let on = set(true).await.expect(200);
        assert_eq!((&on["success"], &on["data"]["webhookUrl"]), (&json!(true), &json!(hook.path)));
        post(&house, &hook.path, &[], EXAMPLE).await.expect(200);
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_in_the_products_envelope() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "almyty", "auth": [{ "scheme": "none" }] })).await;
        let envelope = |answer: Answer, status| {
            let told = answer.expect(status);
            assert_eq!(told["success"], false, "{told}");
            told["error"]["code"].as_str().unwrap().to_owned()
        };
        assert_eq!(envelope(post(&house, &hook.path, &[], "{").await, 400), "malformed-body");
        assert_eq!(envelope(house.get(&hook.path).await, 405), "method-not-allowed");
        assert_eq!(envelope(house.get("/agents/unknown/executions").await, 404), "not-found");
        let nobody =
            house.request(Method::PATCH, &format!("/agents/{}", hook.id), HeaderMap::new(), Bytes::new()).await;
        assert_eq!(envelope(nobody, 401), "unauthenticated");
        let wrong =
            house.api(Method::PATCH, &format!("/agents/{}", hook.id), Some(json!({ "webhookEnabled": 1 }))).await;
        assert_eq!(envelope(wrong, 400), "invalid-request");
    }
}

mod cognigy {
    use super::*;

    const EXAMPLE: &str = r#"{
            "userId": "user123",
            "sessionId": "session123",
            "text": "Hello, I need help with my order",
            "data": {
              "exampleKey": "exampleValue"
            }
          }"#;

    #[tokio::test]
    async fn the_documented_request_is_accepted_and_each_output_called_back_in_order() {
        let (house, receiver) = (House::start().await, Receiver::start().await);
        let hook = hook(&house, "speaker", json!({ "dialect": "cognigy", "callback": { "url": receiver.url } })).await;
        let said = (0..12).map(|n| format!("output {n}")).collect::<Vec<_>>();
        let body = json!({ "userId": "user123", "sessionId": "session123", "data": { "say": said } });
        let accepted = post(&house, &hook.path, &[], &body.to_string()).await.expect(200);
        let got = receiver.wait_for(13).await;
        let texts = got.iter().map(|one| one.json()["AIOutput"]["text"].as_str().unwrap().to_owned());
        assert_eq!(texts.collect::<Vec<_>>(), [&said[..], &["said 12".to_owned()]].concat());

        let first = got[0].json();
        assert_eq!(names(&first), ["AIOutput", "sessionId", "userId"]);
        assert_eq!((&first["userId"], &first["sessionId"]), (&json!("user123"), &json!("session123")));
        let output = &first["AIOutput"];
        assert_eq!(names(output), ["data", "disableSensitiveLogging", "source", "text", "traceId"]);
        assert_eq!((&output["disableSensitiveLogging"], &output["source"]), (&json!(false), &json!("bot")));
        assert_eq!(output["data"], json!({ "index": 0 }));
        let trace = output["traceId"].as_str().unwrap();
        assert_eq!(trace.strip_prefix("endpoint-httpIncomingMessage-").map(str::len), Some(36));
        assert_eq!(accepted["traceId"], trace);
        assert!(got.iter().all(|one| one.json()["AIOutput"]["traceId"] == trace));
        assert_eq!(got[0].header("content-type"), "application/json");
        assert_eq!(got[0].header("authorization"), "", "nobody asked for it");
    }

    #[tokio::test]
    async fn a_reply_is_the_last_output() {
        let (house, receiver) = (House::start().await, Receiver::start().await);
        let hook = hook(&house, "echo", json!({ "dialect": "cognigy", "callback": { "url": receiver.url } })).await;
        post(&house, &hook.path, &[], EXAMPLE).await.expect(200);
        let output = receiver.wait_for(1).await[0].json()["AIOutput"].clone();
        assert_eq!(output["text"], "Hello, I need help with my order");
        assert_eq!(output["data"]["data"], json!({ "exampleKey": "exampleValue" }));
    }

    #[tokio::test]
    async fn the_callback_authenticates_where_the_receiver_asks_for_it() {
        let (house, receiver) = (House::start().await, Receiver::start().await);
        let basic = json!({ "user": "cognigy", "password": "p:ä" });
        let spec = json!({ "dialect": "cognigy", "callback": { "url": receiver.url, "basic": basic } });
        let hook = hook(&house, "echo", spec).await;
        assert!(!hook.json.to_string().contains("p:ä"), "{}", hook.json);
        post(&house, &hook.path, &[], EXAMPLE).await.expect(200);
        let wanted = format!("Basic {}", super::base64("cognigy:p:ä"));
        assert_eq!(receiver.wait_for(1).await[0].header("authorization"), wanted);

        let path = format!("/v1/hooks/{}", hook.id);
        let change = json!({ "callback": { "url": receiver.url, "basic": { "user": "cognigy", "password": "next" } } });
        house.api(Method::PATCH, &path, Some(change)).await.expect(200);
        post(&house, &hook.path, &[], EXAMPLE).await.expect(200);
        let wanted = format!("Basic {}", super::base64("cognigy:next"));
        assert_eq!(receiver.wait_for(2).await[1].header("authorization"), wanted);

        let without = json!({
            "name": "none", "flow": "echo", "dialect": "cognigy",
            "callback": { "url": receiver.url, "basic": { "user": "x" } }
        });
        let refused = house.post("/v1/hooks", without).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], "callback.basic.password");
    }

    #[tokio::test]
    async fn disabled_sensitive_logging_leaves_no_content_behind() {
        let (house, receiver) = (House::start().await, Receiver::start().await);
        let spec = json!({
            "dialect": "cognigy", "disable_sensitive_logging": true, "callback": { "url": receiver.url }
        });
        let echo = hook(&house, "echo", spec.clone()).await;
        let logger = hook(&house, "logger", spec.clone()).await;
        let panic = hook(&house, "panic", spec).await;
        let body = EXAMPLE.replace("Hello, I need", "A secret need for");
        let mut pages = Vec::new();
        for hook in [&echo, &logger, &panic] {
            let answer = post(&house, &hook.path, &[], &body).await;
            let id = answer.header("flowgate-execution-id").to_owned();
            house.ended_execution(&id).await;
            for path in ["", "/logs", "/events"] {
                pages.push(house.get(&format!("/v1/executions/{id}{path}")).await);
            }
            let replay = house.post(&format!("/v1/executions/{id}/replay"), json!({})).await;
            assert_eq!(replay.problem(404), "not-found");
        }
        let sent = receiver.wait_for(1).await;
        assert!(sent.iter().any(|one| one.json()["AIOutput"]["text"].as_str().unwrap().starts_with("A secret")));
        assert!(sent.iter().all(|one| one.json()["AIOutput"]["disableSensitiveLogging"] == true));
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let list = house.get("/v1/deliveries").await;
            let deliveries = list.json();
            if deliveries["data"].as_array().unwrap().iter().all(|one| one["status"] == "succeeded") {
                for one in deliveries["data"].as_array().unwrap() {
                    pages.push(house.get(&format!("/v1/deliveries/{}", one["id"].as_str().unwrap())).await);
                }
                break;
            }
            assert!(tokio::time::Instant::now() < end, "{}", list.text());
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        for page in pages {
            let text = page.text();
            assert!(page.status.is_success(), "{text}");
            assert!(!text.contains("A secret") && !text.contains("exampleValue"), "{text}");
        }
    }

    #[tokio::test]
    async fn text_or_data_is_needed() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "cognigy" })).await;
        for body in [r#"{"userId":"u","sessionId":"s"}"#, r#"{"userId":"u","sessionId":"s","text":1,"data":[]}"#] {
            let error = post(&house, &hook.path, &[], body).await.expect(400);
            assert_eq!((&error["error"]["status"], &error["error"]["code"]), (&json!(400), &json!("invalid-request")));
        }
        let error = post(&house, &hook.path, &[], r#"{"sessionId":"s","text":"x"}"#).await.expect(400);
        assert_eq!(error["error"]["field"], "userId");
        post(&house, &hook.path, &[], r#"{"userId":"u","sessionId":"s","data":{}}"#).await.expect(200);
    }
}

mod agenticflow {
    use super::*;

    const AGENT: &str = r#"{
"message": "Hello, I need help with my order #12345",
"user_id": "user_123",
"metadata": {
"source": "contact_form",
"priority": "high",
"department": "support"
},
"context": {
"order_id": "12345",
"customer_email": "[email protected]"
}
}"#;
    const WORKFLOW: &str = r#"{
"input_data": {
"name": "John Doe",
"email": "[email protected]",
"message": "I'm interested in your product"
},
"trigger_source": "contact_form",
"metadata": {
"form_id": "contact_v2",
"page_url": "https://example.com/contact",
"user_agent": "Mozilla/5.0..."
}
}"#;

    async fn accepted(answer: Answer) -> Value {
        let body = answer.expect(200);
        assert_eq!(names(&body), ["estimated_completion", "execution_id", "message", "status", "success"]);
        assert_eq!((&body["success"], &body["status"]), (&json!(true), &json!("queued")));
        assert_eq!(body["message"], "Webhook processed successfully");
        let estimate = body["estimated_completion"].as_str().unwrap();
        assert_eq!((estimate.len(), estimate.ends_with('Z')), ("2024-01-15T10:30:00Z".len(), true), "{estimate}");
        body
    }

    #[tokio::test]
    async fn the_documented_requests_are_accepted_by_all_three_ways_to_authenticate() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "agenticflow" })).await;
        let basic = format!("Basic {}", super::base64(&format!("webhook:{}", hook.secret)));
        let bearer = format!("Bearer {}", hook.secret);
        for (kind, body) in [("agents", AGENT), ("workflows", WORKFLOW)] {
            let path = format!("/webhooks/{kind}/{}", hook.id);
            accepted(post(&house, &format!("{path}?token={}", hook.secret), &[], body).await).await;
            accepted(post(&house, &path, &[("authorization", &basic)], body).await).await;
            let last = accepted(post(&house, &path, &[("authorization", &bearer)], body).await).await;
            let seen = house.ended_execution(last["execution_id"].as_str().unwrap()).await["reply"]["data"].clone();
            let sent: Value = serde_json::from_str(body).unwrap();
            if kind == "agents" {
                assert_eq!((&seen["message"], &seen["user_id"]), (&sent["message"], &sent["user_id"]));
                assert_eq!((&seen["data"], &seen["metadata"]), (&sent["context"], &sent["metadata"]));
            } else {
                assert_eq!((&seen["data"], &seen["message"]), (&sent["input_data"], &Value::Null));
                assert_eq!(seen["metadata"]["trigger_source"], "contact_form");
                assert_eq!(seen["metadata"]["form_id"], "contact_v2");
            }
        }
    }

    #[tokio::test]
    async fn a_missing_message_gets_the_documented_error() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "agenticflow" })).await;
        let path = format!("{}?token={}", hook.path, hook.secret);
        let error = post(&house, &path, &[], r#"{"user_id":"user_123"}"#).await.expect(400);
        let documented = json!({
            "success": false,
            "error": {
                "code": "INVALID_INPUT",
                "message": "Required field 'message' is missing",
                "details": { "field": "message", "expected": "string", "received": "null" }
            }
        });
        assert_eq!(error, documented);
        let unproven = post(&house, &format!("/webhooks/agents/{}", hook.id), &[], AGENT).await.expect(401);
        assert_eq!(unproven["error"]["code"], "UNAUTHENTICATED");
        let unknown = post(&house, "/webhooks/workflows/abc123?token=x", &[], WORKFLOW).await.expect(401);
        assert_eq!(unknown, unproven);
        assert_eq!(house.get(&hook.path).await.expect(405)["error"]["code"], "METHOD_NOT_ALLOWED");
    }
}

mod uptiq {
    use super::*;

    #[tokio::test]
    async fn a_signed_request_gets_the_workflows_result() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "uptiq" })).await;
        let sent = r#"{"documentId":"doc_42","event":"document.extracted"}"#;
        let signature = hmac_hex(&hook.secret, sent);
        let result = post(&house, &hook.path, &[("x-signature", &signature)], sent).await.expect(200);
        assert_eq!((&result["data"]["documentId"], &result["dialect"]), (&json!("doc_42"), &json!("uptiq")));
        // The documented sample signs what `JSON.stringify` makes of the body, however the body is sent.
        let spaced = "{\n  \"documentId\": \"doc_42\",\n  \"event\": \"document.extracted\"\n}";
        post(&house, &hook.path, &[("x-signature", &signature)], spaced).await.expect(200);
        let other = post(&house, &hook.path, &[("x-signature", &signature)], r#"{"documentId":"doc_43"}"#).await;
        assert_eq!(other.problem(401), "unauthenticated");
    }

    #[tokio::test]
    async fn the_private_key_is_downloaded_and_rotated_with_an_overlap() {
        let house = House::start().await;
        let hook = hook(&house, "echo", json!({ "dialect": "uptiq" })).await;
        let path = format!("/v1/hooks/{}/private-key", hook.id);
        let file = house.get(&path).await;
        assert!(file.header("content-disposition").starts_with("attachment; filename="), "{:?}", file.headers);
        let key = file.expect(200);
        assert_eq!((&key["privateKey"], &key["webhookId"]), (&json!(hook.secret), &json!(hook.id)));

        let rotated = house.post(&format!("/v1/hooks/{}/secrets", hook.id), json!({ "use": "auth" })).await.expect(201);
        let newest = house.get(&path).await.expect(200)["privateKey"].as_str().unwrap().to_owned();
        assert_eq!(newest, rotated["secret"]);
        for secret in [&hook.secret, &newest] {
            let signature = hmac_hex(secret, "{}");
            post(&house, &hook.path, &[("x-signature", &signature)], "{}").await.expect(200);
        }

        let reader = house.post("/v1/keys", json!({ "name": "r", "role": "reader" })).await.expect(201);
        let bearer = format!("Bearer {}", reader["key"].as_str().unwrap());
        let headers = HeaderMap::from_iter([("authorization".parse().unwrap(), bearer.parse().unwrap())]);
        let refused = house.request(Method::GET, &path, headers, Bytes::new()).await;
        assert_eq!(refused.problem(403), "forbidden");
        let native = house.hook("echo", json!({ "auth": [{ "scheme": "bearer" }] })).await;
        assert_eq!(house.get(&format!("/v1/hooks/{}/private-key", native.id)).await.problem(404), "not-found");
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}
