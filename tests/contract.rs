//! The API against its own document: schemathesis makes requests of `/openapi.json`, right ones and wrong ones, and judges
//! the answers.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::json;

use crate::support::receiver::Receiver;
use crate::support::{House, component, installed};

/// Everything beyond it is a hang.
const WITHIN: Duration = Duration::from_secs(300);

#[tokio::test]
async fn the_api_does_what_its_document_says() {
    let (house, receiver) = (House::start().await, Receiver::start().await);
    let executions = furnish(&house, &receiver).await;
    let folder = house.folder.path();
    for name in ["schemathesis.toml", "hooks.py"] {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(name), folder.join(name))
            .unwrap();
    }
    std::fs::write(folder.join("component.wasm"), component("echo")).unwrap();
    // A request has the id of the execution that it made, but for the prefix.
    std::fs::write(folder.join("requests.dict"), executions.replace("exe_", "trg_")).unwrap();
    std::fs::write(folder.join("executions.dict"), executions).unwrap();
    let mut judge = Command::new(installed("python").join("bin/st"));
    judge.args(["run", house.url.join("/openapi.json").unwrap().as_str()]);
    judge.env("FLOWGATE_KEY", &house.key).current_dir(folder);
    let ran = tokio::task::spawn_blocking(move || judge.output());
    let ran = tokio::time::timeout(WITHIN, ran).await.expect("it ends in time").unwrap().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    // It has not locked itself out, which would have made everything else easy.
    house.get("/v1/flows").await.expect(200);
}

/// Makes what the requests can be about. Returns the ids of the executions, one quoted on each line.
async fn furnish(house: &House, receiver: &Receiver) -> String {
    for guest in ["chat", "echo"] {
        house.deploy("support", guest).await;
    }
    let callback = json!({ "url": receiver.url });
    let inbox = json!({ "name": "inbox", "auth": [{ "scheme": "bearer" }], "mode": "async", "callback": callback });
    let inbox = house.hook("support", inbox).await;
    house.hook("support", json!({ "name": "documents", "dialect": "uptiq" })).await;
    let warehouse = json!({ "name": "warehouse", "url": receiver.url, "events": ["custom.*"] });
    house.post("/v1/subscriptions", warehouse).await.expect(201);
    let mut executions = String::new();
    for turn in 0..5 {
        let accepted = house.send(&inbox, json!({ "message": format!("turn {turn}") })).await.expect(202);
        house.ended_execution(accepted["execution_id"].as_str().unwrap()).await;
        writeln!(executions, "{}", accepted["execution_id"]).unwrap();
    }
    receiver.wait_for(5).await;
    house.deploy("support", "fail").await;
    let failed = house.send(&inbox, json!({ "data": { "kind": "invalid" } })).await.expect(202);
    house.ended_execution(failed["execution_id"].as_str().unwrap()).await;
    writeln!(executions, "{}", failed["execution_id"]).unwrap();
    let binary = [("content-type", "application/octet-stream")];
    let binary = house.send_with(&inbox, &binary, Bytes::from_static(b"\xff\x00")).await.expect(202);
    writeln!(executions, "{}", binary["execution_id"]).unwrap();
    for path in [inbox.path.as_str(), "/hooks/nobodys"] {
        house.request(Method::POST, path, HeaderMap::new(), Bytes::new()).await.problem(401);
    }
    executions
}
