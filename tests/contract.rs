//! The API against its own document: schemathesis makes requests of `/openapi.json`, right ones and wrong ones, and judges
//! the answers.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::receiver::Receiver;
use crate::support::{House, installed};

/// Everything beyond it is a hang.
const WITHIN: Duration = Duration::from_secs(300);

#[tokio::test]
async fn the_api_does_what_its_document_says() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    furnish(&house, &receiver).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let component = |name: &str| root.join(format!("guests/target/wasm32-wasip2/release/{name}.wasm"));
    let mut judge = Command::new(installed("python").join("bin/st"));
    judge.arg("--config-file").arg(root.join("tests/contract/schemathesis.toml"));
    judge.args(["run", house.url.join("/openapi.json").unwrap().as_str()]);
    judge.env("FLOWGATE_KEY", &house.key).env("FLOWGATE_COMPONENTS", component("echo"));
    judge.env("SCHEMATHESIS_HOOKS", root.join("tests/contract/hooks.py")).current_dir(house.folder.path());
    let ran = tokio::task::spawn_blocking(move || judge.output());
    let ran = tokio::time::timeout(WITHIN, ran).await.expect("it ends in time").unwrap().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    // It has not locked itself out, which would have made everything else easy.
    house.get("/v1/flows").await.expect(200);
}

/// Makes what the requests can be about.
async fn furnish(house: &House, receiver: &Receiver) {
    for guest in ["chat", "echo"] {
        house.deploy("support", guest).await;
    }
    let callback = json!({ "url": receiver.url });
    let inbox = json!({ "name": "inbox", "auth": [{ "scheme": "bearer" }], "mode": "async", "callback": callback });
    let inbox = house.hook("support", inbox).await;
    house.hook("support", json!({ "name": "documents", "dialect": "uptiq" })).await;
    for turn in 0..5 {
        let accepted = house.send(&inbox, json!({ "message": format!("turn {turn}") })).await.expect(202);
        house.ended_execution(accepted["execution_id"].as_str().unwrap()).await;
    }
    receiver.wait_for(5).await;
}
