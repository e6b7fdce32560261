//! Flows that ask language models: the mock, a provider that stands here, and what they may spend.

use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Hook, House, hmac};

const AGENT: &str = "support_agent";
const KEY: &str = "sk-house-very-secret-42";

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/llm/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A house whose mock model answers by the script, and the agent in it.
async fn agent(grants: Value) -> (House, Hook) {
    let mock = format!("{{ provider = \"mock\", mode = \"script\", script = \"{}\" }}", fixture("support.json"));
    let house = House::start_with(&[("FLOWGATE_MODELS_MOCK", &mock)]).await;
    let hook = deployed(&house, grants).await;
    (house, hook)
}

async fn deployed(house: &House, grants: Value) -> Hook {
    house.deploy(AGENT, AGENT).await;
    house.api(Method::PUT, &format!("/v1/flows/{AGENT}/grants"), Some(grants)).await.expect(200);
    house.hook(AGENT, json!({ "auth": [hmac()] })).await
}

fn granted(budgets: &Value) -> Value {
    let mut llm = json!({ "models": ["mock", "fast"] });
    for (name, value) in budgets.as_object().unwrap() {
        llm[name] = value.clone();
    }
    json!({ "llm": llm })
}

fn lamp(session: &str) -> Value {
    let saved = std::fs::read(format!("{}/examples/{AGENT}/request.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut request: Value = serde_json::from_slice(&saved).unwrap();
    request["session_id"] = session.into();
    request
}

/// Sends, and returns the execution as it is recorded.
async fn execution(house: &House, hook: &Hook, body: Value) -> Value {
    let answer = house.send(hook, body).await.json();
    house.ended_execution(answer["execution_id"].as_str().unwrap()).await
}

#[tokio::test]
async fn the_mock_model_drives_two_tools_to_the_same_transcript_every_time() {
    let (house, hook) = agent(granted(&json!({}))).await;
    let transcript: Value =
        serde_json::from_slice(&std::fs::read(fixture("support.transcript.json")).unwrap()).unwrap();
    for session in ["a", "b", "c"] {
        let ended = execution(&house, &hook, lamp(session)).await;
        assert_eq!(ended["reply"]["data"], json!({ "steps": 3, "transcript": transcript }), "{ended}");
        let usage =
            json!({ "calls": 3, "input_tokens": 3000, "output_tokens": 150, "cached_tokens": 0, "cost_micro_usd": 0 });
        assert_eq!(ended["usage"]["llm"], usage);
        let spans = house.get(&format!("/v1/executions/{}/spans", ended["id"].as_str().unwrap())).await.text();
        assert_eq!(spans.matches("\"llm.chat\"").count(), 3, "{spans}");
        assert!(spans.contains("\"gen_ai.usage.input_tokens\":\"1000\""), "{spans}");
        assert!(!spans.contains("lamp") && !spans.contains("48213"), "no content: {spans}");
    }
    let again = execution(&house, &hook, json!({ "message": "And 99999?", "session_id": "a" })).await;
    let said = again["reply"]["data"]["transcript"].to_string();
    assert!(said.contains("there is no order 99999") && said.contains("\"is_error\":true"), "{said}");
}

#[tokio::test]
async fn a_budget_ends_at_the_call_that_it_does_not_allow() {
    // Two calls take 1,050 tokens each; of the third it is known before that it may take 400 for its reply alone.
    let (house, hook) = agent(granted(&json!({ "tokens_per_execution": 2500 }))).await;
    let ended = execution(&house, &hook, lamp("a")).await;
    let why = ended["failure"].to_string();
    assert!(why.contains("2500 tokens per execution") && why.contains("2100 are used"), "{ended}");
    assert_eq!((&ended["usage"]["llm"]["calls"], &ended["usage"]["llm"]["input_tokens"]), (&json!(2), &json!(2000)));
    let enough = granted(&json!({ "tokens_per_execution": 4000 }));
    house.api(Method::PUT, &format!("/v1/flows/{AGENT}/grants"), Some(enough)).await.expect(200);
    assert_eq!(execution(&house, &hook, lamp("b")).await["status"], "succeeded");
}

#[tokio::test]
async fn a_model_that_was_not_granted_is_not_asked() {
    let (house, hook) = agent(json!({})).await;
    let ended = execution(&house, &hook, lamp("a")).await;
    assert!(ended["failure"].to_string().contains("`mock` was not granted to the flow"), "{ended}");
    assert_eq!(ended["usage"].get("llm"), None);
    let unknown = granted(&json!({}));
    house.api(Method::PUT, &format!("/v1/flows/{AGENT}/grants"), Some(unknown)).await.expect(200);
    house.api(Method::PUT, &format!("/v1/flows/{AGENT}/config"), Some(json!({ "model": "fast" }))).await.expect(200);
    let ended = execution(&house, &hook, lamp("a")).await;
    assert!(ended["failure"].to_string().contains("there is no model of this name"), "{ended}");
}

#[tokio::test]
async fn executions_that_race_for_the_budget_of_a_day_cannot_overspend_it() {
    // A call reserves 400 tokens for its reply and some hundred for its request, and takes 1,050.
    let (mut house, hook) = agent(granted(&json!({ "tokens_per_day": 1300 }))).await;
    let slowly = || execution(&house, &hook, json!({ "message": "slowly" }));
    let (one, other) = tokio::join!(slowly(), slowly());
    let mut statuses = [&one, &other].map(|ended| ended["status"].as_str().unwrap());
    statuses.sort_unstable();
    assert_eq!(statuses, ["failed", "succeeded"]);
    let failed = if one["status"] == "failed" { &one } else { &other };
    assert!(failed["failure"].to_string().contains("1300 tokens per day"), "{failed}");

    let usage = house.get(&format!("/v1/flows/{AGENT}/usage")).await.expect(200);
    let day = &usage["data"][0];
    assert_eq!((&day["model"], &day["calls"], &day["input_tokens"]), (&json!("mock"), &json!(1), &json!(1000)));
    house.kill();
    house.restart().await;
    let after = execution(&house, &hook, json!({ "message": "slowly" })).await;
    assert!(after["failure"].to_string().contains("1050 are used"), "a restart forgets nothing: {after}");
    let mut usage = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    usage.args(["flow", "usage", AGENT]).env("FLOWGATE_URL", house.url.as_str()).env("FLOWGATE_KEY", &house.key);
    let shown = command(&mut usage).await;
    assert!(shown.contains("TOKENS_IN") && shown.contains("1000"), "{shown}");
}

async fn command(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_caller_reads_the_words_while_they_come() {
    let (house, hook) = agent(granted(&json!({}))).await;
    let body = Bytes::from(lamp("a").to_string());
    let stream = house.send_with(&hook, &[("accept", "text/event-stream")], body).await.text();
    let said = stream.split("\n\n").filter(|event| event.contains("event: say"));
    let said = said.map(|event| {
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        serde_json::from_str::<Value>(data).unwrap()["text"].as_str().unwrap().to_owned()
    });
    let said: Vec<_> = said.collect();
    let whole = "Let me look.I am sorry about your lamp. A new one is on its way: CASE-48213.";
    assert_eq!(said.concat(), whole);
    assert!(said.len() > 3, "in pieces: {said:?}");
}

#[tokio::test]
async fn a_stream_that_is_let_go_of_costs_what_has_come() {
    let house = House::start().await;
    house.deploy("listener", "listener").await;
    let grants = json!({ "llm": { "models": ["mock", "none"] } });
    house.api(Method::PUT, "/v1/flows/listener/grants", Some(grants)).await.expect(200);
    let hook = house.hook("listener", json!({ "auth": [hmac()] })).await;
    let words = "word ".repeat(300);
    let heard = async |data: Value| {
        let ended = execution(&house, &hook, json!({ "message": words, "data": data })).await;
        (ended["reply"]["data"].clone(), ended["usage"]["llm"].clone())
    };
    let (whole, cost) = heard(json!({ "embed": ["a", "b"] })).await;
    assert_eq!((whole["pieces"].as_array().unwrap().len(), &whole["finish"]), (300, &json!("stop")));
    assert_eq!((&whole["models"], &cost["calls"], &cost["output_tokens"]), (&json!(["mock"]), &json!(2), &json!(500)));
    assert_eq!(whole["vectors"].as_array().unwrap().len(), 2);
    assert_ne!(whole["vectors"][0], whole["vectors"][1]);
    for keep in [false, true] {
        let (some, cost) = heard(json!({ "stop_after": 3, "keep": keep })).await;
        assert_eq!((some["pieces"].as_array().unwrap().len(), &some["finish"]), (3, &Value::Null));
        assert_eq!((&cost["calls"], &cost["output_tokens"]), (&json!(1), &json!(5)), "15 bytes: {cost}");
    }
}

/// What a provider was sent, by the header `authorization` and the body.
type Seen = Arc<Mutex<Vec<(String, Value)>>>;

/// Refuses the first request, with the key in its words, and answers the next.
async fn provide(
    State(seen): State<Seen>,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let mut seen = seen.lock().unwrap();
    let key = headers["authorization"].to_str().unwrap().to_owned();
    seen.push((key.clone(), serde_json::from_slice(&body).unwrap()));
    if seen.len() == 1 {
        let refusal = json!({ "error": { "message": format!("Incorrect API key provided: {key}") } });
        return (StatusCode::UNAUTHORIZED, [("content-type", "application/json")], refusal.to_string());
    }
    let said = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hello \"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"there.\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":300,\"completion_tokens\":20}}\n\ndata: [DONE]\n\n",
    );
    (StatusCode::OK, [("content-type", "text/event-stream")], said.to_owned())
}

#[tokio::test]
async fn a_real_model_is_a_matter_of_configuration_and_its_key_stays_with_the_host() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let seen = Seen::default();
    let router = Router::new().fallback(provide).with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let fast = format!(
        "{{ provider = \"openai\", url = \"{url}\", model = \"big-1\", key_env = \"MODEL_KEY\", \
         input_micro_usd_per_mtok = 2000000, output_micro_usd_per_mtok = 10000000 }}"
    );
    let environment =
        [("FLOWGATE_MODELS_FAST", fast.as_str()), ("MODEL_KEY", KEY), ("FLOWGATE_TELEMETRY_LOG", "trace")];
    let house = House::start_with(&environment).await;
    let hook = deployed(&house, granted(&json!({ "micro_usd_per_day": 10_000 }))).await;
    house.api(Method::PUT, &format!("/v1/flows/{AGENT}/config"), Some(json!({ "model": "fast" }))).await.expect(200);

    let refused = execution(&house, &hook, lamp("a")).await;
    assert!(
        refused
            .to_string()
            .contains("`model` cannot be asked: the provider refuses the operator's key (401 Unauthorized)"),
        "{refused}"
    );
    let ended = execution(&house, &hook, lamp("b")).await;
    assert_eq!(
        (&ended["reply"]["text"], &ended["usage"]["llm"]["cost_micro_usd"]),
        (&json!("Hello there."), &json!(800))
    );
    let seen = seen.lock().unwrap().clone();
    assert_eq!((seen.len(), seen[1].0.as_str()), (2, format!("Bearer {KEY}").as_str()));
    assert_eq!(
        (&seen[1].1["model"], &seen[1].1["tools"][0]["function"]["name"]),
        (&json!("big-1"), &json!("find_order"))
    );

    let spans = house.get(&format!("/v1/executions/{}/spans", refused["id"].as_str().unwrap())).await.text();
    let logs = std::fs::read_to_string(house.folder.path().join("log")).unwrap();
    let mut print = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    let printed = command(print.args(["config", "print"]).envs(environment)).await;
    assert!(printed.contains("[models.fast]") && printed.contains("key_env = \"MODEL_KEY\""), "{printed}");
    for text in [refused.to_string(), ended.to_string(), spans, logs, printed] {
        assert!(!text.contains(KEY) && !text.contains("sk-house"), "{text}");
    }
}
