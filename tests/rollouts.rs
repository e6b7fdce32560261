//! A version on its way to its users: shown, tried, given to a part of them, and taken back.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::project::{Project, stderr, stdout};
use crate::support::{House, hmac};

/// The version that answers in a session.
async fn version(house: &House, hook: &crate::support::Hook, session: &str) -> String {
    let answer = house.send(hook, json!({ "message": "Hello", "session_id": session })).await.expect(200);
    answer["reply"]["data"]["version"].as_str().unwrap().to_owned()
}

async fn live(house: &House) -> Value {
    let aliases = house.get("/v1/flows/echo/aliases").await.expect(200);
    aliases["data"].as_array().unwrap().iter().find(|alias| alias["name"] == "live").unwrap().clone()
}

#[tokio::test]
async fn a_canary_gets_a_part_of_the_sessions_and_each_session_keeps_its_version() {
    let (house, project) = (House::start().await, Project::of("echo"));
    let first = stdout(&project.on(&house, &["deploy"]).await);
    assert!(first.contains("asks for") && first.contains("live is now this version"), "{first}");
    let hook = house.hook("echo", json!({ "auth": [hmac()] })).await;
    let old = version(&house, &hook, "s").await;
    project.save(1);
    let second = stdout(&project.on(&house, &["deploy", "--canary", "30%"]).await);
    assert!(second.contains("30 % of the sessions") && second.contains("+0 bytes"), "{second}");
    let new = live(&house).await["canary"]["version"].as_str().unwrap().to_owned();
    assert_eq!(live(&house).await["version"], json!(old));

    let mut tried = BTreeSet::new();
    for n in 0..60 {
        let session = format!("session {n}");
        let got = version(&house, &hook, &session).await;
        assert_eq!(version(&house, &hook, &session).await, got, "a session stays");
        if got == new {
            tried.insert(session);
        }
    }
    // One in three of sixty, by a fixed hash of what differs from run to run.
    assert!((4..35).contains(&tried.len()), "{} of 60", tried.len());
    let more = ["flow", "promote", "echo", &new, "--weight", "60"];
    assert!(stdout(&project.on(&house, &more).await).contains("60 % of the sessions"));
    for session in &tried {
        assert_eq!(version(&house, &hook, session).await, new, "more sessions join, and none leaves");
    }
    let back = stdout(&project.on(&house, &["flow", "rollback", "echo"]).await);
    assert_eq!(back, format!("live is now {old}\n"));
    for session in &tried {
        assert_eq!(version(&house, &hook, session).await, old);
    }
    stdout(&project.on(&house, &["flow", "promote", "echo", &new]).await);
    assert_eq!((version(&house, &hook, "s").await, &live(&house).await["canary"]), (new, &Value::Null));
    stdout(&project.on(&house, &["flow", "rollback", "echo"]).await);
    assert_eq!(version(&house, &hook, "s").await, old, "the canary is in the history when it got everybody");
}

#[tokio::test]
async fn a_canary_needs_a_version_beside_it_and_a_sensible_part() {
    let (house, project) = (House::start().await, Project::of("echo"));
    let alone = project.on(&house, &["deploy", "--canary", "10"]).await;
    assert!(!alone.status.success() && stderr(&alone).contains("could stay with"), "{}", stderr(&alone));
    let digest = house.deploy("echo", "echo").await;
    for percent in [json!(0), json!(100), json!("10"), json!(1.5), json!(-1)] {
        let body = json!({ "version": digest, "percent": percent });
        let refused = house.api(http::Method::PUT, "/v1/flows/echo/aliases/live", Some(body)).await;
        assert_eq!(refused.status, 422, "{percent}: {}", refused.text());
    }
}

#[tokio::test]
async fn a_version_that_fails_its_smoke_test_gets_no_users() {
    let (house, project) = (House::start().await, Project::of("echo"));
    project.write("good.toml", "[[turns]]\nmessage = \"Hello\"\nexpect.where = { \"reply.text\" = \"Hello\" }\n");
    project.write("bad.toml", "[[turns]]\nmessage = \"Hello\"\nexpect.where = { \"reply.text\" = \"Bye\" }\n");
    stdout(&project.on(&house, &["deploy", "--smoke", "good.toml"]).await);
    let before = live(&house).await;
    project.save(1);
    let failed = project.on(&house, &["deploy", "--smoke", "good.toml", "--smoke", "bad.toml"]).await;
    let (told, why) = (String::from_utf8_lossy(&failed.stdout).into_owned(), stderr(&failed));
    assert_eq!(failed.status.code(), Some(1));
    assert!(told.contains("ok    smoke good.toml") && told.contains("FAIL  smoke bad.toml"), "{told}");
    assert!(told.contains("`reply.text` is \"Hello\", not \"Bye\""), "{told}");
    assert!(why.contains("live stays as it was") && why.contains("1 of 2 smoke tests failed"), "{why}");
    assert_eq!(live(&house).await, before);
    let hooks = house.get("/v1/hooks").await.expect(200);
    assert_eq!(hooks["data"], json!([]), "the hooks of the tests are gone");
    let passed = stdout(&project.on(&house, &["deploy", "--smoke", "good.toml"]).await);
    assert!(passed.contains("live is now this version") && live(&house).await != before, "{passed}");
    project.write("http.toml", "[[turns]]\nmessage = \"a\"\n[[http]]\nurl = \"https://a.example/\"\n");
    let refused = project.on(&house, &["deploy", "--smoke", "http.toml"]).await;
    assert!(stderr(&refused).contains("real configuration, secrets, models and requests"), "{}", stderr(&refused));
}

#[tokio::test]
async fn what_is_confidential_is_not_exported() {
    let house = House::start().await;
    house.deploy("echo", "echo").await;
    let spec = json!({ "auth": [hmac()], "disable_sensitive_logging": true });
    let hook = house.hook("echo", spec).await;
    let id = house.send(&hook, json!({ "message": "my PIN" })).await.expect(200)["execution_id"].clone();
    let project = Project::of("echo");
    let refused = project.on(&house, &["execution", "export", id.as_str().unwrap()]).await;
    assert!(!refused.status.success() && stderr(&refused).contains("it is confidential"), "{}", stderr(&refused));
}
