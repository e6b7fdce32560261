//! The command line against a running house: what an operator types, and what comes of it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{House, hmac_hex};

/// Runs `flowgate` with these words, as an admin of `house`.
async fn run(house: &House, words: &[&str], secret: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    command.args(words).env("FLOWGATE_URL", house.url.as_str()).env("FLOWGATE_KEY", &house.key);
    command.env_remove("FLOWGATE_SECRET").envs(secret.map(|secret| ("FLOWGATE_SECRET", secret)));
    let done = tokio::task::spawn_blocking(move || command.output().unwrap());
    done.await.unwrap()
}

/// The JSON that a command answers with.
async fn told(house: &House, words: &[&str]) -> Value {
    let words = [&["--json"], words].concat();
    let output = run(house, &words, None).await;
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn secret(hook: &Value) -> String {
    let mut secrets = hook["secrets"].as_array().unwrap().iter().filter(|secret| secret["use"] == "auth");
    secrets.find_map(|secret| secret["secret"].as_str()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_private_key_is_generated_downloaded_and_rotated_with_an_overlap() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let create = ["hook", "create", "documents", "--flow", "echo", "--dialect", "uptiq", "--path-id", "workflow-1"];
    let generated = secret(&told(&house, &create).await);
    let key =
        async || told(&house, &["hook", "private-key", "documents"]).await["privateKey"].as_str().unwrap().to_owned();
    assert_eq!(key().await, generated);
    let accepted = async |key: &str| {
        let output = run(&house, &["send", "documents", "--data", r#"{"documentId":"doc_42"}"#], Some(key)).await;
        output.status.success()
    };
    assert!(accepted(&generated).await);

    told(&house, &["hook", "rotate", "documents", "--overlap-s", "3600"]).await;
    let second = key().await;
    assert_ne!(second, generated);
    assert!(accepted(&generated).await && accepted(&second).await, "both live during the overlap");

    told(&house, &["hook", "rotate", "documents", "--overlap-s", "0"]).await;
    let third = key().await;
    assert!(accepted(&third).await && !accepted(&second).await && !accepted(&generated).await);
    // Anybody's own signature, made with the key of the file.
    let signature = hmac_hex(&third, "{}");
    let headers = [("x-signature".parse().unwrap(), signature.parse().unwrap())].into_iter().collect();
    house.request(http::Method::POST, "/hooks/workflow-1", headers, "{}".into()).await.expect(200);
}

#[tokio::test]
async fn send_speaks_the_dialect_of_the_hook() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    for dialect in ["native", "autommate", "uptiq", "cognigy", "almyty", "agenticflow"] {
        let made = told(&house, &["hook", "create", dialect, "--flow", "echo", "--dialect", dialect]).await;
        let secret = secret(&made);
        let words =
            ["send", dialect, "--message", "Hello", "--user", "u1", "--session", "s1", "--data", r#"{"n":1.0}"#];
        let output = run(&house, &words, Some(&secret)).await;
        assert!(output.status.success(), "{dialect}: {}", String::from_utf8_lossy(&output.stderr));
        let list = house.get("/v1/executions?limit=1").await.expect(200);
        let execution = house.ended_execution(list["data"][0]["id"].as_str().unwrap()).await;
        let seen = &execution["reply"]["data"];
        assert_eq!((&seen["dialect"], &seen["message"]), (&json!(dialect), &json!("Hello")));
        assert!(seen["data"].to_string().contains(r#""n":1.0"#), "{dialect}: {seen}");
        let users = ["native", "autommate", "cognigy", "agenticflow"];
        assert_eq!(seen["user_id"], json!(users.contains(&dialect).then_some("u1")), "{dialect}");
        let session = match dialect {
            "native" | "autommate" | "cognigy" => json!("s1"),
            // The product has no sessions, so that each message is a conversation of its own.
            "agenticflow" => execution["id"].clone(),
            _ => json!(null),
        };
        assert_eq!(seen["session_id"], session, "{dialect}");
    }
}

#[tokio::test]
async fn a_path_id_is_set_changed_and_taken_away() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let create = ["hook", "create", "agent", "--flow", "echo", "--dialect", "almyty", "--path-id", "abc123"];
    assert_eq!(told(&house, &create).await["url_path"], "/agents/abc123/webhook");
    let taken =
        run(&house, &["hook", "create", "other", "--flow", "echo", "--dialect", "almyty", "--path-id", "abc123"], None)
            .await;
    assert!(
        !taken.status.success() && String::from_utf8_lossy(&taken.stderr).contains("the path id `abc123` is taken")
    );
    assert_eq!(told(&house, &["hook", "update", "agent", "--path-id", "xyz"]).await["url_path"], "/agents/xyz/webhook");
    assert_eq!(told(&house, &["hook", "update", "agent", "--path-id", ""]).await["path_id"], Value::Null);
}

#[tokio::test]
async fn a_flow_is_granted_what_it_needs_and_its_secrets_are_on_no_command_line() {
    let house = House::start().await;
    house.deploy("bot", "echo").await;
    let grant = ["flow", "grant", "bot", "http", "https://api.example.com/v1/*", "--method", "get", "--secret", "KEY"];
    let granted = run(&house, &grant, None).await;
    let (out, err) = (String::from_utf8_lossy(&granted.stdout), String::from_utf8_lossy(&granted.stderr));
    assert_eq!(out, "http api.example.com --method GET --path /v1/* --secret KEY\n", "{err}");
    assert!(err.contains("flowgate flow secret bot set KEY"), "{err}");

    let mut set = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    set.args(["flow", "secret", "bot", "set", "KEY"]);
    set.env("FLOWGATE_URL", house.url.as_str()).env("FLOWGATE_KEY", &house.key);
    let mut set = set.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    set.stdin.take().unwrap().write_all(b"sk-from-a-file\n").unwrap();
    let set = tokio::task::spawn_blocking(move || set.wait_with_output().unwrap()).await.unwrap();
    assert!(set.status.success());
    let listed = told(&house, &["flow", "secret", "bot", "list"]).await;
    assert_eq!(listed["data"][0]["name"], "KEY");

    told(&house, &["flow", "grant", "bot", "reveal", "KEY"]).await;
    told(&house, &["flow", "grant", "bot", "llm", "fast", "--tokens-per-day", "5"]).await;
    let all = told(&house, &["flow", "grant", "bot", "call", "other"]).await;
    let http = json!([{ "host": "api.example.com", "methods": ["GET"], "paths": ["/v1/*"], "secrets": ["KEY"] }]);
    let llm = json!({ "models": ["fast"], "tokens_per_day": 5 });
    assert_eq!(all, json!({ "http": http, "reveal": ["KEY"], "llm": llm, "flows": ["other"] }));
    assert_eq!(told(&house, &["flow", "grant", "bot"]).await, all);

    told(&house, &["flow", "revoke", "bot", "http", "api.example.com"]).await;
    assert!(!run(&house, &["flow", "revoke", "bot", "http", "api.example.com"], None).await.status.success());
    assert_eq!(told(&house, &["flow", "revoke", "bot", "all"]).await, json!({}));
    let wrong = run(&house, &["flow", "grant", "bot", "http", "API.example.com"], None).await;
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("write `api.example.com`"));
}
