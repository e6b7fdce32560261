//! Cases of a project: they hold a flow to what it emits, and play again what it was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use http::Method;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::project::{Dev, Project, shell, stderr, stdout};
use crate::support::{House, hmac};

const SECRET: &str = "sk-shop-very-secret-42";

/// A host that flows ask, which tells whoever asks what it was told.
struct Shop {
    host: String,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Shop {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (host, asked) = (listener.local_addr().unwrap().to_string(), Arc::<AtomicUsize>::default());
        let router = Router::new().route("/orders/{number}", axum::routing::get(order)).with_state(asked.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, asked, serving }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Ends it: nobody answers there any more.
    async fn close(self) {
        self.serving.abort();
        let _ = self.serving.await;
        assert!(TcpStream::connect(&self.host).await.is_err(), "it is closed");
    }
}

async fn order(
    State(asked): State<Arc<AtomicUsize>>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let (n, told) = (asked.fetch_add(1, Ordering::Relaxed), headers["authorization"].to_str().unwrap().to_owned());
    let body = json!({ "number": number, "asked_before": n, "told": told, "state": "shipped" });
    ([("x-told", told), ("set-cookie", "visit=1".to_owned())], axum::Json(body))
}

/// What the courier asks the operator for.
fn grants(shop: &Shop) -> Value {
    json!({ "http": [{ "host": shop.host, "scheme": "http", "secrets": ["KEY"] }], "llm": { "models": ["fast"] } })
}

fn data(shop: &Shop, order: &str) -> Value {
    json!({ "shop": format!("http://{}", shop.host), "order": order })
}

/// A project of the guest `courier`, whose model is a mock with these rules.
fn courier(shop: &Shop, rules: &str) -> Project {
    let project = Project::of("courier");
    let manifest = std::fs::read_to_string(project.path().join("flow.toml")).unwrap();
    let grants = format!(
        "[[grants.http]]\nhost = \"{}\"\nscheme = \"http\"\nsecrets = [\"KEY\"]\n[grants.llm]\nmodels = [\"fast\"]\n",
        shop.host
    );
    project.write("flow.toml", format!("{manifest}{grants}[models.fast]\nmode = \"script\"\nrules = {rules}\n"));
    project
}

#[tokio::test]
async fn what_a_flow_emits_is_checked_by_name_and_by_what_it_says() {
    let project = Project::of("emitter");
    let turn = "[[turns]]\ndata = { emit = [[\"ticket.opened\", { id = 7, by = \"ada\" }], [\"mailed\", 2]] }\n";
    let good = r#"
expect.events = [{ name = "ticket.opened", where = { "data.id" = { "$gt" = 5 } } }, { name = "mailed", data = 2 }]
expect.where = { "events" = { name = "ticket.opened", "data.by" = "ada" } }
[[turns]]
expect.events = []
"#;
    project.write("cases/good.toml", format!("{turn}{good}"));
    let tested = project.run(&["test"]).await;
    assert!(stdout(&tested).contains("1 passed, 0 failed"), "{}", stdout(&tested));

    let says =
        "expect.events = [{ name = \"ticket.opened\", data = { id = 8, by = \"ada\" } }, { name = \"mailed\" }]\n";
    project.write("cases/a.toml", format!("{turn}{says}"));
    project.write("cases/b.toml", format!("{turn}expect.events = [{{ name = \"ticket.closed\" }}]\n"));
    let where_ =
        "expect.events = [{ name = \"ticket.opened\" }, { name = \"mailed\", where = { data = { \"$lt\" = 2 } } }]\n";
    project.write("cases/c.toml", format!("{turn}{where_}"));
    let tested = project.run(&["test", "--no-build", "--junit", "report.xml"]).await;
    let told = String::from_utf8_lossy(&tested.stdout);
    assert_eq!(tested.status.code(), Some(1));
    for fault in [
        "FAIL  cases/a.toml",
        "event 1, `ticket.opened`, says something else:",
        "-   \"id\": 8",
        "+   \"id\": 7",
        "the events are others:",
        "-   \"ticket.closed\"",
        "+   \"mailed\"",
        "event 2, `mailed`, does not fit: `data` is 2, not less than 2",
        "1 passed, 3 failed",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    let report = std::fs::read_to_string(project.path().join("report.xml")).unwrap();
    assert!(report.contains("tests=\"4\" failures=\"3\" errors=\"0\""), "{report}");
    assert!(report.contains("message=\"event 1, `ticket.opened`, says something else:\""), "{report}");
}

#[tokio::test]
async fn what_really_happened_is_a_case_that_passes_when_nobody_answers_any_more() {
    let shop = Shop::open().await;
    let rules = "[{ once = true, text = \"It left us.\" }, { text = \"It left us, too.\" }]";
    let project = courier(&shop, rules);
    let mut dev = Dev::start_with(&project, &["--record"]);
    dev.live().await;
    let typed = async |words: &str| {
        let line = format!(". .flowgate/env && {} {words}", env!("CARGO_BIN_EXE_flowgate"));
        stdout(&shell(project.path(), &line).await)
    };
    project.write("key.txt", SECRET);
    typed("flow secret courier set KEY <key.txt").await;
    for (order, words) in [("48213", "It left us."), ("48214", "It left us, too.")] {
        let said = typed(&format!("send courier --session s1 --data '{}'", data(&shop, order))).await;
        assert!(said.starts_with(words) && said.contains("*****") && !said.contains(SECRET), "{said}");
    }
    let list: Value = serde_json::from_str(&typed("--json execution list").await).unwrap();
    let exported = typed(&format!("execution export {}", list["data"][0]["id"].as_str().unwrap())).await;
    let case: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!((shop.asked(), case["http"].as_array().unwrap().len()), (2, 2), "{exported}");
    assert_eq!(case["http"][1]["response"]["json"]["state"], "shipped", "{exported}");
    assert_eq!(case["models"]["fast"]["rules"][1]["text"], "It left us, too.", "{exported}");
    assert_eq!(case["turns"][1]["expect"]["events"][0]["name"], "order.asked", "{exported}");
    assert_eq!(case["secrets"], json!(["KEY"]));
    assert!(!exported.contains("very-secret") && !exported.contains("set-cookie"), "{exported}");

    assert!(dev.interrupt().await.success());
    shop.close().await;
    // The project's own model would say something else.
    let manifest = std::fs::read_to_string(project.path().join("flow.toml")).unwrap();
    project.write("flow.toml", manifest.replace(rules, "[{ text = \"I know nothing.\" }]"));
    project.write("cases/real.json", &exported);
    let tested = project.run(&["test", "--no-build"]).await;
    assert!(stdout(&tested).contains("ok    cases/real.json"), "{}", stdout(&tested));

    let mut fewer = case.clone();
    fewer["http"].as_array_mut().unwrap().pop();
    project.write("cases/real.json", fewer.to_string());
    let tested = project.run(&["test", "--no-build"]).await;
    let told = String::from_utf8_lossy(&tested.stdout);
    assert!(told.contains("no `[[http]]` of the case expects") && told.contains("/orders/48214"), "{told}");
    assert!(told.contains("\"authorization\": \"Bearer secret-KEY\""), "what stands for the secret is told: {told}");
}

#[tokio::test]
async fn no_answer_is_kept_unless_it_is_asked_for_and_then_it_is_told_what_is_missing() {
    let (house, shop) =
        (House::start_with(&[("FLOWGATE_MODELS_FAST", "{ provider = \"mock\" }")]).await, Shop::open().await);
    let project = courier(&shop, "[]");
    house.deploy("courier", "courier").await;
    let set = json!({ "value": SECRET });
    house.api(Method::PUT, "/v1/flows/courier/secrets/KEY", Some(set)).await.expect(200);
    house.api(Method::PUT, "/v1/flows/courier/grants", Some(grants(&shop))).await.expect(200);
    let hook = house.hook("courier", json!({ "auth": [hmac()] })).await;
    let answer = house.send(&hook, json!({ "data": data(&shop, "48213") })).await.expect(200);
    let id = answer["execution_id"].as_str().unwrap();
    let ended = house.ended_execution(id).await;
    let calls = house.get(ended["links"]["calls"].as_str().unwrap()).await.expect(200);
    let calls = calls["data"][0]["calls"].as_array().unwrap().clone();
    assert_eq!((calls.len(), &calls[0]["kind"], &calls[0]["name"]), (1, &json!("event"), &json!("order.asked")));
    let exported = project.on(&house, &["execution", "export", id]).await;
    assert!(stderr(&exported).contains("the answers to 2 calls were not kept"), "{}", stderr(&exported));
    let case: Value = serde_json::from_str(&stdout(&exported)).unwrap();
    assert_eq!((case.get("http"), case.get("models")), (None, None), "{case}");
    assert_eq!(case["turns"][0]["expect"]["events"][0]["data"]["number"], "48213", "{case}");
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_of_what_is_confidential_it_is_nothing() {
    let environment = [
        ("FLOWGATE_CAPABILITY_RECORD_ANSWERS", "true"),
        ("FLOWGATE_CAPABILITY_RECORD_BYTES_MAX", "120"),
        ("FLOWGATE_MODELS_FAST", "{ provider = \"mock\", mode = \"script\", rules = [{ text = \"Soon.\" }] }"),
    ];
    let (house, shop) = (House::start_with(&environment).await, Shop::open().await);
    house.deploy("courier", "courier").await;
    let set = json!({ "value": SECRET });
    house.api(Method::PUT, "/v1/flows/courier/secrets/KEY", Some(set)).await.expect(200);
    house.api(Method::PUT, "/v1/flows/courier/grants", Some(grants(&shop))).await.expect(200);
    let calls = async |spec: Value| {
        let hook = house.hook("courier", spec).await;
        let answer = house.send(&hook, json!({ "data": data(&shop, "48213") })).await.expect(200);
        let id = answer["execution_id"].as_str().unwrap();
        house.ended_execution(id).await;
        house.get(&format!("/v1/executions/{id}/calls")).await.expect(200)["data"].clone()
    };
    let kept = calls(json!({ "auth": [hmac()] })).await;
    let kinds = kept[0]["calls"].as_array().unwrap().iter().map(|call| call["kind"].as_str().unwrap());
    assert_eq!((kinds.collect::<Vec<_>>(), &kept[0]["dropped"]), (vec!["event", "llm"], &json!(1)), "{kept}");
    let none = calls(json!({ "auth": [hmac()], "disable_sensitive_logging": true })).await;
    assert_eq!(none, json!([]));
}
