//! `disable_sensitive_logging`: what was said is nowhere, not in an answer and not on the disk.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::json;

use crate::support::receiver::{Planned, Receiver};
use crate::support::{House, PATIENCE};

const MARKER: &str = "marker-that-nobody-may-find";

/// The files below a folder that hold a text.
fn found(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(self::found(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn what_was_said_is_in_no_file_and_no_line_of_the_log() {
    let mut house = House::start_with(&[("FLOWGATE_TELEMETRY_LOG", "trace")]).await;
    let receiver = Receiver::start().await;
    // The content must survive a while, and so be on the disk, before the receiver takes it.
    receiver.plan([Planned { status: 500, header: None }]);
    let callback = json!({ "url": receiver.url, "schedule_s": [0, 0, 0, 0] });
    let spec = json!({ "dialect": "cognigy", "disable_sensitive_logging": true, "callback": callback });
    for guest in ["echo", "speaker", "logger", "panic", "fail", "chat"] {
        house.deploy(guest, guest).await;
        let hook = house.hook(guest, spec.clone()).await;
        let data = json!({ "say": [MARKER, MARKER], "kind": "failed", "lines": 3 });
        let body = json!({ "userId": "user123", "sessionId": "session123", "text": MARKER, "data": data }).to_string();
        let answer = house.request(Method::POST, &hook.path, HeaderMap::new(), Bytes::from(body)).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        let execution = answer.header("flowgate-execution-id").to_owned();
        house.ended_execution(&execution).await;
        for path in ["", "/logs", "/events"] {
            let text = house.get(&format!("/v1/executions/{execution}{path}")).await.text();
            assert!(!text.contains(MARKER), "{guest}{path}: {text}");
        }
    }
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = house.get("/v1/deliveries?limit=200").await.expect(200);
        let deliveries = list["data"].as_array().unwrap();
        if deliveries.iter().all(|one| one["status"] == "succeeded") {
            assert!(deliveries.len() >= 5, "{list}");
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{list}");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    // Content of a hook that has no secrets is on the disk, so the search finds what is there.
    let open = house.hook("echo", json!({ "auth": [{ "scheme": "none" }], "record": "strict" })).await;
    house.send(&open, json!({ "message": "what-anybody-may-find" })).await.expect(200);
    assert_ne!(found(house.folder.path(), "what-anybody-may-find"), [] as [&str; 0]);
    let said = receiver.got().iter().filter(|one| String::from_utf8_lossy(&one.body).contains(MARKER)).count();
    assert!(said >= 4, "the receiver got it {said} times");
    assert_eq!(found(house.folder.path(), MARKER), [] as [&str; 0]);
    house.kill();
    house.restart().await;
    assert_eq!(found(house.folder.path(), MARKER), [] as [&str; 0]);
    let log = std::fs::read_to_string(house.folder.path().join("log")).unwrap();
    assert!(log.contains("TRACE") && log.contains("DEBUG"), "the log is as chatty as it can be");
}

#[tokio::test]
async fn content_that_waits_is_sealed_and_survives_a_crash() {
    let (mut house, receiver) = (House::start().await, Receiver::start().await);
    house.deploy("slow", "slow").await;
    let callback = json!({ "url": receiver.url });
    let spec = json!({ "dialect": "cognigy", "disable_sensitive_logging": true, "callback": callback });
    let hook = house.hook("slow", spec).await;
    let body = json!({ "userId": "u", "sessionId": "s", "text": MARKER, "data": { "ms": 1_500 } }).to_string();
    let answer = house.request(Method::POST, &hook.path, HeaderMap::new(), Bytes::from(body)).await;
    let execution = answer.header("flowgate-execution-id").to_owned();
    let waiting = house.get(&format!("/v1/executions/{execution}")).await.text();
    assert!(waiting.contains(&execution) && !waiting.contains(MARKER), "{waiting}");
    house.kill();
    assert_eq!(found(house.folder.path(), MARKER), [] as [&str; 0]);
    house.restart().await;
    assert_eq!(house.ended_execution(&execution).await["status"], "succeeded");
    let got = receiver.wait_for(2).await;
    assert_eq!(got[0].json()["AIOutput"]["text"], "step 1 of 1");
    assert_eq!(got.last().unwrap().json()["AIOutput"]["text"], "slept 1500 ms");
}
