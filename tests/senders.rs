//! Requests signed by the libraries that senders use: every genuine one is taken, and none that has a wrong bit.
//!
//! The programs that send are in `tests/senders`; `cargo xtask senders` installs the libraries. Each sends from one process
//! over kept connections, and reports which status came how often.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{House, installed};

/// Bodies of each library; each is sent twice.
const BODIES: u32 = 200;

#[tokio::test]
async fn slack_sdk_of_python_is_understood() {
    sends(python("send.py"), "slack_sdk", "slack").await;
}

#[tokio::test]
async fn standardwebhooks_of_python_is_understood() {
    sends(python("send.py"), "standardwebhooks", "standard-webhooks").await;
}

#[tokio::test]
async fn stripe_of_python_is_understood() {
    sends(python("send.py"), "stripe", "stripe").await;
}

#[tokio::test]
async fn octokit_of_node_is_understood() {
    sends(node("send.mjs"), "@octokit/webhooks-methods", "github").await;
}

#[tokio::test]
async fn standardwebhooks_of_node_is_understood() {
    sends(node("send.mjs"), "standardwebhooks", "standard-webhooks").await;
}

#[tokio::test]
async fn stripe_of_node_is_understood() {
    sends(node("send.mjs"), "stripe", "stripe").await;
}

#[tokio::test]
async fn the_documented_sample_of_uptiq_is_understood() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "dialect": "uptiq" })).await;
    let mut sender = node("uptiq.mjs");
    sender.args([house.url.as_str(), &hook.id, &house.key]);
    let report = report(sender).await;
    let sent = report.as_array().unwrap();
    assert_eq!(sent.len(), 20);
    for one in sent {
        assert_eq!((&one["status"], &one["forged"]), (&json!(200), &json!(401)), "{one}");
    }
}

/// Lets a library sign for a hook with this scheme.
async fn sends(mut sender: Command, library: &str, scheme: &str) {
    // All requests come from one address, and half of them fail.
    let house = House::start_with(&[("FLOWGATE_INGRESS_FAILURES_PER_S_MAX", "100000")]).await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "auth": [{ "scheme": scheme }] })).await;
    let url = house.url.join(&hook.path).unwrap();
    let seed = rand::random::<u32>().to_string();
    sender.args([library, url.as_str(), &hook.secret, &BODIES.to_string(), &seed]);
    let report = report(sender).await;
    assert!(report["library"].as_str().unwrap().starts_with(library), "{report}");
    let expected = (&json!({ "200": BODIES }), &json!({ "401": BODIES }));
    assert_eq!((&report["genuine"], &report["flipped"]), expected, "seed {seed}");
    let metrics = house.get("/metrics").await.text();
    assert!(
        metrics.contains(&format!("\nflowgate_executions_total{{status=\"succeeded\",reason=\"\"}} {BODIES}\n")),
        "{metrics}"
    );
}

fn senders(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/senders").join(of)
}

fn python(program: &str) -> Command {
    let mut command = Command::new(installed("python").join("bin/python"));
    command.arg(senders("python").join(program));
    command
}

/// A program of node, read from stdin: then its imports are looked for where it runs.
fn node(program: &str) -> Command {
    let mut command = Command::new("node");
    command.args(["--input-type=module", "-"]).current_dir(installed("node"));
    command.stdin(File::open(senders("node").join(program)).unwrap());
    command
}

/// What a sender says on its last line.
async fn report(mut sender: Command) -> Value {
    let ran = tokio::task::spawn_blocking(move || sender.stderr(Stdio::inherit()).output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{}: {said}", ran.status);
    serde_json::from_str(said.lines().last().unwrap_or("")).unwrap_or_else(|_| panic!("not a report: {said}"))
}
