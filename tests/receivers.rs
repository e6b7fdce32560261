//! Deliveries verified by what their receivers run: AgenticFlow's own samples, and the libraries of others.
//!
//! The programs that receive are in `tests/senders`, with those that send.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{House, PATIENCE, hmac, installed};

/// Triggers before the rotation, between it and the receiver's change, and after.
const EACH: usize = 15;

/// A receiver that runs in a process of its own.
struct Receiver {
    process: Child,
    secrets: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Receiver {
    fn start(language: &str, how: &str) -> Self {
        let folder = installed(language);
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/senders");
        let mut command = match language {
            "python" => Command::new(folder.join("bin/python")),
            _ => Command::new("node"),
        };
        let program = if language == "python" { "python/receive.py" } else { "node/receive.mjs" };
        command.arg(sources.join(program)).arg(how).current_dir(&folder);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (secrets, said) = (process.stdin.take(), process.stdout.take().unwrap());
        let mut receiver = Self { process, secrets, said: BufReader::new(said).lines(), url: String::new() };
        receiver.url = format!("http://127.0.0.1:{}/", receiver.line());
        receiver
    }

    fn line(&mut self) -> String {
        self.said.next().expect("the receiver speaks").unwrap()
    }

    /// From now on it knows this secret and no other.
    fn know(&mut self, secret: &str) {
        writeln!(self.secrets.as_mut().unwrap(), "{secret}").unwrap();
        assert_eq!(self.line(), "changed");
    }

    /// What it has seen.
    fn end(mut self) -> Value {
        drop(self.secrets.take());
        let seen = serde_json::from_str(&self.line()).unwrap();
        self.process.wait().unwrap();
        seen
    }
}

/// Lets a receiver verify what comes of triggers, through a rotation of the secret.
async fn verifies(language: &str, how: &str, more: Value) {
    let house = House::start().await;
    house.deploy("emitter", "emitter").await;
    let hook = house.hook("emitter", json!({ "auth": [hmac()] })).await;
    let mut receiver = Receiver::start(language, how);
    let mut wish = json!({ "url": receiver.url, "schedule": [0, 0, 0, 1, 1, 1] });
    wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = house.post("/v1/subscriptions", wish).await.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    receiver.know(made["secrets"][0]["secret"].as_str().unwrap());
    let mut sent = Vec::new();
    trigger(&house, &hook, &mut sent).await;
    let rotated = house.post(&format!("/v1/subscriptions/{id}/secrets"), json!({ "overlap_s": 600 })).await.expect(201);
    trigger(&house, &hook, &mut sent).await;
    settled(&house).await;
    receiver.know(rotated["secret"].as_str().unwrap());
    trigger(&house, &hook, &mut sent).await;
    settled(&house).await;
    let seen = receiver.end();
    let verified = seen["verified"].as_object().unwrap();
    assert!(sent.iter().all(|one| verified.get(one).is_some_and(|times| *times == 1)), "{seen}");
    assert_eq!(verified.len(), sent.len(), "{seen}");
    // A header with one signature has the newest one first; who knows the other one only, gets that at the next attempt.
    if how != "sample" {
        assert_eq!(seen["refused"], 0, "{seen}");
    }
}

async fn trigger(house: &House, hook: &crate::support::Hook, sent: &mut Vec<String>) {
    for n in 0..EACH {
        let reply = json!({ "n": n, "half": 0.5, "whole": 12.0, "große": "Zürich \u{1f600} \u{2028} </script>", "2": 1, "1": [null] });
        let answered =
            house.send(hook, json!({ "message": "grüezi \"du\"\n", "data": { "reply": reply } })).await.expect(200);
        sent.push(answered["execution_id"].as_str().unwrap().to_owned());
    }
}

/// Waits until everything that was to be sent has been.
async fn settled(house: &House) {
    let end = tokio::time::Instant::now() + PATIENCE;
    let mut before = 0;
    loop {
        let list = house.get("/v1/deliveries?limit=200").await.expect(200);
        let all = list["data"].as_array().unwrap();
        let pending = all.iter().filter(|one| one["status"] == "pending").count();
        if pending == 0 && all.len() == before && before > 0 {
            return;
        }
        before = all.len();
        assert!(tokio::time::Instant::now() < end, "{pending} deliveries are pending");
        // As long as a batch waits for company, so that the last one is among them.
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    }
}

fn native() -> Value {
    json!({ "events": ["execution.succeeded"] })
}

fn page() -> Value {
    json!({ "events": ["workflow.execution.completed"], "format": "agenticflow" })
}

fn batches(mut wish: Value) -> Value {
    wish["batch"] = json!({ "events_max": 4, "wait_s": 1, "bytes_max": 1048576 });
    wish
}

#[tokio::test]
async fn the_pages_sample_for_express_verifies() {
    verifies("node", "sample", page()).await;
}

#[tokio::test]
async fn the_pages_sample_for_express_verifies_batches() {
    verifies("node", "sample", batches(page())).await;
}

#[tokio::test]
async fn the_pages_sample_for_flask_verifies() {
    verifies("python", "sample", page()).await;
}

#[tokio::test]
async fn the_pages_sample_for_flask_verifies_batches() {
    verifies("python", "sample", batches(page())).await;
}

#[tokio::test]
async fn standardwebhooks_verifies() {
    verifies("node", "standardwebhooks", native()).await;
    verifies("python", "standardwebhooks", batches(native())).await;
}

#[tokio::test]
async fn svix_verifies() {
    verifies("node", "svix", batches(native())).await;
    verifies("python", "svix", native()).await;
}
