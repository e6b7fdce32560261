//! `flowgate dev` and `flowgate test` around a project that changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use flowgate::egress::{self, Client, Policy};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use url::Url;

use crate::support::PATIENCE;
use crate::support::project::{Dev, Project, stderr, stdout};

/// Whoever uses the flow meanwhile.
#[derive(Clone)]
struct User {
    client: Client,
    url: Url,
    secret: String,
}

impl User {
    /// One who knows what `dev` says.
    async fn of(dev: &mut Dev, project: &Project) -> Self {
        let serving = dev.next("serving").await;
        let url =
            Url::parse(serving["url"].as_str().unwrap()).unwrap().join(serving["hook"].as_str().unwrap()).unwrap();
        let secret = std::fs::read_to_string(project.path().join(".flowgate/secret")).unwrap();
        Self { client: Client::under(Policy::anywhere(), &egress::Options::default()), url, secret }
    }

    async fn send(&self, body: &Value) -> (u16, Value) {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.secret)).unwrap();
        let headers = HeaderMap::from_iter([
            (http::header::AUTHORIZATION, bearer),
            (http::header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let (method, url, body) = (Method::POST, self.url.clone(), Bytes::from(body.to_string()).into());
        let request = egress::Request { method, url, headers, body, deadline: PATIENCE, identity: None };
        let answer = self.client.send(request).await.unwrap();
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
    }
}

#[tokio::test]
async fn versions_are_swapped_under_load_and_no_request_is_dropped() {
    let project = Project::of("echo");
    let mut dev = Dev::start(&project);
    let user = User::of(&mut dev, &project).await;
    let mut versions = vec![dev.live().await];
    let stop = Arc::new(AtomicBool::new(false));
    let users = (0..4).map(|_| {
        let (user, stop) = (user.clone(), stop.clone());
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let (status, answer) = user.send(&json!({ "message": "Hello" })).await;
                assert_eq!(status, 200, "{answer}");
                seen.push(answer["reply"]["data"]["version"].as_str().unwrap().to_owned());
            }
            seen
        })
    });
    let users = users.collect::<Vec<_>>();
    for n in 1..=5 {
        project.save(n);
        versions.push(dev.live().await);
    }
    let (status, last) = user.send(&json!({})).await;
    assert_eq!((status, &last["reply"]["data"]["version"]), (200, &json!(versions[5])));
    stop.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    for user in users {
        seen.extend(user.await.unwrap());
    }
    assert!(seen.iter().all(|version| versions.contains(version)));
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 2, "the load goes on through the swaps: {seen:?}");
    assert!(dev.interrupt().await.success());
}

#[tokio::test]
async fn an_execution_ends_with_the_version_that_it_began_with() {
    let project = Project::of("slow");
    let mut dev = Dev::start(&project);
    let user = User::of(&mut dev, &project).await;
    let old = dev.live().await;
    let long = tokio::spawn({
        let user = user.clone();
        async move { user.send(&json!({ "data": { "ms": 4_000 } })).await }
    });
    // It says something at its first step, so that it is known to run.
    project.save(1);
    assert_ne!(dev.live().await, old);
    assert!(!long.is_finished(), "the swap does not wait for it");
    assert_eq!(long.await.unwrap().0, 200);
    let shown = dev.next("execution").await;
    assert_eq!((&shown["execution"]["version"], &shown["execution"]["status"]), (&json!(old), &json!("succeeded")));
}

#[tokio::test]
async fn a_failed_build_keeps_the_version_before_and_the_next_good_one_is_taken() {
    let project = Project::of("echo");
    let mut dev = Dev::start(&project);
    let user = User::of(&mut dev, &project).await;
    let first = dev.live().await;
    project.write("src/section", "");
    let failed = dev.next("failed").await;
    assert!(failed["error"].as_str().unwrap().contains("ended with code 1"), "{failed}");
    let (status, answer) = user.send(&json!({})).await;
    assert_eq!((status, &answer["reply"]["data"]["version"]), (200, &json!(first)));
    // Built well, and no component: refused as it is uploaded, and nothing is changed either.
    project.write("src/section", "garbage");
    dev.next("failed").await;
    assert_eq!(user.send(&json!({})).await.1["reply"]["data"]["version"], json!(first));
    project.save(9);
    assert_ne!(dev.live().await, first);
    assert!(dev.interrupt().await.success());

    // The next session has the same address to sign for, and what was kept.
    let mut dev = Dev::start(&project);
    let again = User::of(&mut dev, &project).await;
    dev.live().await;
    assert_eq!((again.url.path(), &again.secret), (user.url.path(), &user.secret));
    assert_eq!(again.send(&json!({})).await.0, 200);
}

#[tokio::test]
async fn cases_that_fail_are_told_with_a_difference_and_an_exit_code() {
    let project = Project::of("echo");
    project.write("cases/good.toml", "[[turns]]\nmessage = \"Hello\"\nexpect.where = { \"reply.text\" = \"Hello\" }\n");
    let good = project.run(&["test"]).await;
    assert!(stdout(&good).contains("ok    cases/good.toml"), "{}", stdout(&good));
    project.write("cases/bad.toml", "[[turns]]\nmessage = \"Hello\"\nexpect.reply = { text = \"Bye\" }\n");
    let bad = project.run(&["test", "--junit", "report.xml"]).await;
    let told = String::from_utf8_lossy(&bad.stdout);
    assert_eq!(bad.status.code(), Some(1));
    assert!(told.contains("FAIL  cases/bad.toml") && told.contains("-   \"text\": \"Bye\""), "{told}");
    assert!(told.contains("+   \"text\": \"Hello\"") && told.contains("1 passed, 1 failed"), "{told}");
    let report = std::fs::read_to_string(project.path().join("report.xml")).unwrap();
    assert!(report.contains("tests=\"2\" failures=\"1\" errors=\"0\"") && report.contains("cases/bad"), "{report}");
    project.write("cases/bad.toml", "[[turns]]\nmesage = \"Hello\"\n");
    let wrong = project.run(&["test"]).await;
    assert!(stderr(&wrong).contains("did you mean `message`?"), "{}", stderr(&wrong));
}

#[tokio::test]
async fn each_case_begins_with_an_empty_memory() {
    let project = Project::of("counter");
    let case = "[[turns]]\nsession = \"s\"\n[[turns]]\nsession = \"s\"\nexpect.where = { \"reply.data.count\" = 2 }\n";
    for name in ["a", "b", "c"] {
        project.write(&format!("cases/{name}.toml"), case);
    }
    let tested = project.run(&["test"]).await;
    assert!(stdout(&tested).contains("3 passed, 0 failed"), "{}", stdout(&tested));
}
