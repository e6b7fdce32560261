//! An asynchronous flow that asks models, calls flows and keeps values at one time; and the budgets of models, which a flow shares
//! with those that it calls.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{Hook, House, hmac};

/// A host, and a provider of models at `/v1`, that writes down what comes: path and words. What ends in `after/WORD` is answered
/// when something with `WORD` before its own `after` has come.
#[derive(Clone)]
struct Crossing {
    host: String,
    seen: Arc<Mutex<Vec<String>>>,
    came: watch::Sender<()>,
}

impl Crossing {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let crossing = Self { host, seen: Arc::default(), came: watch::Sender::new(()) };
        let router = Router::new().fallback(pass).with_state(crossing.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        crossing
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.host)
    }

    fn model(&self) -> String {
        format!("{{ provider = \"openai\", url = \"{}\", model = \"m\" }}", self.url("v1"))
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    async fn wait_for(&self, word: &str) {
        let mut came = self.came.subscribe();
        while !self.seen().iter().any(|seen| seen.contains(word)) {
            came.changed().await.unwrap();
        }
    }
}

async fn pass(State(crossing): State<Crossing>, uri: Uri, body: axum::body::Bytes) -> Response {
    let asked: Option<Value> = serde_json::from_slice(&body).ok();
    let words = asked.as_ref().map_or("", |asked| asked["messages"][0]["content"].as_str().unwrap_or_default());
    let told = format!("{} {words}", uri.path());
    let (name, awaited) = told.split_once("after/").map_or((told.as_str(), None), |(name, word)| (name, Some(word)));
    crossing.seen.lock().unwrap().push(name.to_owned());
    crossing.came.send_replace(());
    if let Some(word) = awaited {
        crossing.wait_for(word.trim_end()).await;
    }
    if asked.is_none() {
        return "ok".into_response();
    }
    let said = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hello \"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"there.\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    );
    ([(header::CONTENT_TYPE, "text/event-stream")], said).into_response()
}

/// Deploys the guest `together` as `flow`, with grants.
async fn together(house: &House, flow: &str, grants: Value) {
    house.deploy(flow, "together").await;
    house.api(Method::PUT, &format!("/v1/flows/{flow}/grants"), Some(grants)).await.expect(200);
}

async fn hook(house: &House, flow: &str) -> Hook {
    house.hook(flow, json!({ "auth": [hmac()] })).await
}

/// Sends, and returns the execution as it is recorded.
async fn execution(house: &House, hook: &Hook, data: Value) -> Value {
    let answer = house.send(hook, json!({ "data": data })).await.json();
    house.ended_execution(answer["execution_id"].as_str().unwrap()).await
}

#[tokio::test]
async fn a_model_a_flow_and_a_host_are_asked_at_one_time() {
    let crossing = Crossing::start().await;
    let house = House::start_with(&[("FLOWGATE_MODELS_FAST", &crossing.model())]).await;
    let http = json!([{ "host": crossing.host, "scheme": "http" }]);
    together(&house, "below", json!({ "http": http })).await;
    together(&house, "top", json!({ "http": http, "flows": ["below"], "llm": { "models": ["fast"] } })).await;
    let hook = hook(&house, "top").await;
    // A circle: none of the three is answered before the next one has come.
    let lines = json!({ "lines": [
        [{ "ask": "model after/flow" }],
        [{ "call": "below", "data": { "lines": [[{ "fetch": crossing.url("flow/after/host") }]] } }],
        [{ "fetch": crossing.url("host/after/model") }],
        [{ "count": "n" }, { "count": "n" }],
        [{ "start": "below" }],
    ] });
    let ended = execution(&house, &hook, lines).await;
    let done = &ended["reply"]["data"];
    assert_eq!(crossing.seen().len(), 3, "{ended}");
    assert_eq!((&done[0], &done[2], &done[3]), (&json!(["Hello there."]), &json!([200]), &json!([1, 2])), "{ended}");
    assert_eq!(done[1][0]["data"], json!([[200]]), "{ended}");
    let started = house.ended_execution(done[4][0].as_str().unwrap()).await;
    assert_eq!((&started["mode"], &started["parent_id"]), (&json!("async"), &ended["id"]));

    // It is on record as it is of a synchronous flow.
    assert_eq!((&ended["usage"]["llm"]["calls"], &ended["usage"]["llm"]["input_tokens"]), (&json!(1), &json!(30)));
    let path = format!("/v1/executions/{}/spans", ended["id"].as_str().unwrap());
    let spans = house.get(&path).await.expect(200)["data"][0]["spans"].as_array().unwrap().clone();
    for name in ["llm.chat", "flows.call", "http.fetch", "keyvalue.increment", "flows.start"] {
        let span = spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no {name}: {spans:?}"));
        assert!(span["duration_us"].is_u64() && span.get("error").is_none(), "{span}");
    }
}

#[tokio::test]
async fn nothing_is_asked_that_was_not_granted() {
    let crossing = Crossing::start().await;
    let house = House::start_with(&[("FLOWGATE_MODELS_FAST", &crossing.model())]).await;
    together(&house, "top", json!({})).await;
    let hook = hook(&house, "top").await;
    let steps = json!([{ "ask": "hi" }, { "embed": "hi" }, { "call": "top", "data": {} }, { "start": "top" },
        { "fetch": crossing.url("host") }]);
    let ended = execution(&house, &hook, json!({ "lines": [steps] })).await;
    let done = ended["reply"]["data"][0].as_array().unwrap_or_else(|| panic!("{ended}"));
    for (step, says) in done.iter().zip(["was not granted", "was not granted", "may not call", "may not call", "grant"])
    {
        assert!(step["error"].as_str().unwrap().contains(says), "{step}");
    }
    assert!(execution(&house, &hook, json!({ "read": "hi" })).await["failure"].to_string().contains("not granted"));
    assert_eq!((done.len(), crossing.seen().len()), (5, 0));
}

#[tokio::test]
async fn what_a_call_under_way_may_take_is_not_there_for_another_one() {
    let crossing = Crossing::start().await;
    let house = House::start_with(&[("FLOWGATE_MODELS_FAST", &crossing.model())]).await;
    let http = json!([{ "host": crossing.host, "scheme": "http" }]);
    // One after the other, both would fit: a call may take 100 for its reply, and takes 32 in all.
    let llm = json!({ "models": ["fast"], "tokens_per_execution": 200 });
    together(&house, "top", json!({ "http": http, "llm": llm })).await;
    let hook = hook(&house, "top").await;
    let lines = json!({ "lines": [
        [{ "ask": "first after/refused" }],
        [{ "fetch": crossing.url("after/first") }, { "ask": "second" }, { "fetch": crossing.url("refused") }, ],
    ] });
    let ended = execution(&house, &hook, lines).await;
    let done = &ended["reply"]["data"];
    assert_eq!(done[0], json!(["Hello there."]), "{ended}");
    assert!(done[1][1]["error"].to_string().contains("200 tokens per execution"), "{ended}");
    let second = crossing.seen().iter().any(|seen| seen.contains("second"));
    assert_eq!((second, &ended["usage"]["llm"]["calls"]), (false, &json!(1)));
    let both = json!({ "lines": [[{ "ask": "first" }, { "ask": "second" }]] });
    assert_eq!(execution(&house, &hook, both).await["reply"]["data"][0], json!(["Hello there.", "Hello there."]));
}

#[tokio::test]
async fn a_models_words_are_read_as_they_come_or_passed_on() {
    let house = House::start_with(&[("FLOWGATE_MODELS_FAST", "{ provider = \"mock\" }")]).await;
    together(&house, "top", json!({ "llm": { "models": ["fast"] } })).await;
    let hook = hook(&house, "top").await;
    let whole = execution(&house, &hook, json!({ "read": "one two three" })).await;
    let told = &whole["reply"]["data"];
    assert_eq!(
        (&told["pieces"], &told["text"]),
        (&json!(["one ", "two ", "three"]), &json!("one two three")),
        "{whole}"
    );
    assert_eq!(told["output_tokens"], whole["usage"]["llm"]["output_tokens"]);

    // Whoever lets go of it pays for what has come.
    let words = "word ".repeat(300);
    let some = execution(&house, &hook, json!({ "read": words, "pieces": 3 })).await;
    assert_eq!(some["reply"]["data"]["pieces"].as_array().unwrap().len(), 3, "{some}");
    let usage = &some["usage"]["llm"];
    assert_eq!((&usage["calls"], &usage["output_tokens"]), (&json!(1), &json!(5)), "15 bytes: {some}");

    let body = Bytes::from(json!({ "data": { "pass_on": "one two three" } }).to_string());
    let streamed = house.send_with(&hook, &[("accept", "text/event-stream")], body).await.text();
    let deltas = streamed.split("\n\n").filter(|event| event.contains("event: delta"));
    assert_eq!(deltas.count(), 3, "{streamed}");
    let passed = execution(&house, &hook, json!({ "pass_on": "one two three" })).await;
    assert_eq!(passed["reply"]["text"], "one two three", "{passed}");
    assert_eq!(passed["usage"]["llm"]["calls"], 1, "{passed}");
}

/// A house whose model takes 1,050 tokens for each call and of which it is known before only that it may take some hundred; and
/// three flows, each of which may call the next one.
async fn tree(top: Value) -> (House, Hook) {
    let script = format!("{}/tests/fixtures/llm/plain.json", env!("CARGO_MANIFEST_DIR"));
    let mock = format!("{{ provider = \"mock\", mode = \"script\", script = \"{script}\" }}");
    let house = House::start_with(&[("FLOWGATE_MODELS_FAST", &mock)]).await;
    let mut llm = json!({ "models": ["fast"] });
    together(&house, "below", json!({ "llm": llm })).await;
    together(&house, "middle", json!({ "llm": llm, "flows": ["below"] })).await;
    llm.as_object_mut().unwrap().extend(top.as_object().unwrap().clone());
    together(&house, "top", json!({ "llm": llm, "flows": ["middle"] })).await;
    let hook = hook(&house, "top").await;
    (house, hook)
}

/// Each of the three asks once, from the top down, and then the top once more.
fn down() -> Value {
    let below = json!({ "lines": [[{ "ask": "three" }]] });
    let middle = json!({ "lines": [[{ "ask": "two" }, { "call": "below", "data": below }]] });
    json!({ "lines": [[{ "ask": "one" }, { "call": "middle", "data": middle }, { "ask": "four" }]] })
}

/// What came of the four, in that order.
fn answers(ended: &Value) -> [String; 4] {
    let top = &ended["reply"]["data"][0];
    let middle = &top[1]["data"][0];
    [&top[0], &middle[0], &middle[1]["data"][0][0], &top[2]].map(Value::to_string)
}

#[tokio::test]
async fn a_tree_of_calls_has_the_budget_of_its_top() {
    // The third call is one too many, two levels below the flow whose budget it is.
    let (house, hook) = tree(json!({ "tokens_per_execution": 2150 })).await;
    let ended = execution(&house, &hook, down()).await;
    let [one, two, three, four] = answers(&ended);
    assert_eq!([one, two], ["\"yes\"", "\"yes\""], "{ended}");
    assert!(three.contains("2150 tokens per execution of a caller") && three.contains("2100 are used"), "{three}");
    assert!(four.contains("2150 tokens per execution does") && four.contains("2100 are used"), "{four}");
    // Each execution tells what is its own.
    assert_eq!(ended["usage"]["llm"]["calls"], 1, "{ended}");

    // The third fits, and then there is nothing left for the top itself.
    let (house, hook) = tree(json!({ "tokens_per_execution": 3100 })).await;
    let [.., three, four] = answers(&execution(&house, &hook, down()).await);
    assert_eq!(three, "\"yes\"");
    assert!(four.contains("3100 tokens per execution does") && four.contains("3150 are used"), "{four}");

    // What is only started pays for itself.
    let steps = json!({ "lines": [[{ "start": "middle" }, { "ask": "one" }, { "ask": "two" }, { "ask": "three" }]] });
    let alone = execution(&house, &hook, steps).await;
    assert_eq!(alone["usage"]["llm"]["calls"], 3, "{alone}");
}

#[tokio::test]
async fn a_callers_day_counts_what_others_spend_for_it() {
    let (mut house, hook) = tree(json!({ "tokens_per_day": 2150 })).await;
    let [.., three, four] = answers(&execution(&house, &hook, down()).await);
    assert!(three.contains("2150 tokens per day of a caller") && four.contains("2150 tokens per day does"), "{three}");
    house.kill();
    house.restart().await;
    let [one, ..] = answers(&execution(&house, &hook, down()).await);
    assert!(one.contains("2100 are used"), "a restart forgets nothing: {one}");
    // The flow that was called has a day of its own, which nobody limits.
    let middle = self::hook(&house, "middle").await;
    let ended = execution(&house, &middle, json!({ "lines": [[{ "ask": "one" }]] })).await;
    assert_eq!(ended["reply"]["data"], json!([["yes"]]), "{ended}");
}

#[tokio::test]
async fn a_synchronous_caller_shares_its_budget_too() {
    let (house, _) = tree(json!({})).await;
    let hook = house.flow("caller").await;
    let llm = json!({ "models": ["fast"], "tokens_per_execution": 1100 });
    let grants = json!({ "flows": ["below"], "llm": llm });
    house.api(Method::PUT, "/v1/flows/caller/grants", Some(grants)).await.expect(200);
    let call = json!({ "flow": "below", "data": { "lines": [[{ "ask": "one" }]] } });
    let ended = execution(&house, &hook, json!({ "calls": [call, call] })).await;
    let done = &ended["reply"]["data"];
    assert_eq!(done[0]["data"], json!([["yes"]]), "{ended}");
    assert!(done[1].to_string().contains("1100 tokens per execution of a caller"), "{ended}");
}
