//! What happens to messages of a session that has an execution under way.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::{Answer, Hook, House, PATIENCE, hmac};

/// A flow that sleeps, behind a hook that does so when a session is busy.
async fn hook(house: &House, guest: &str, on_busy: &str) -> Hook {
    house.deploy(guest, guest).await;
    house.hook(guest, json!({ "auth": [hmac()], "on_busy": on_busy, "merge_ms": 3_000 })).await
}

/// Accepts a message of a session and returns its execution.
async fn accept(house: &House, hook: &Hook, session: &str, message: &str, ms: u64) -> String {
    let answer = post(house, hook, session, message, ms, true).await.expect(202);
    answer["execution_id"].as_str().unwrap().to_owned()
}

async fn post(house: &House, hook: &Hook, session: &str, message: &str, ms: u64, later: bool) -> Answer {
    let body = json!({ "session_id": session, "message": message, "data": { "ms": ms, "steps": ms.div_ceil(100) } });
    let prefer = if later { "respond-async" } else { "wait=25" };
    house.send_with(hook, &[("prefer", prefer)], body.to_string().into()).await
}

async fn shown(house: &House, id: &str) -> Value {
    house.get(&format!("/v1/executions/{id}")).await.expect(200)
}

async fn running(house: &House, id: &str) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while shown(house, id).await["status"] != "running" {
        assert!(tokio::time::Instant::now() < end, "{id} does not run");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn cancel(house: &House, id: &str) {
    house.post(&format!("/v1/executions/{id}/cancel"), json!({})).await;
    house.ended_execution(id).await;
}

#[tokio::test]
async fn messages_of_a_session_run_in_order_and_others_do_not_wait() {
    let mut house = House::start().await;
    let hook = hook(&house, "slow", "queue").await;
    let long = accept(&house, &hook, "s1", "first", 600_000).await;
    running(&house, &long).await;
    let mut waiting = Vec::new();
    for n in 0..5 {
        waiting.push(accept(&house, &hook, "s1", &n.to_string(), 150).await);
    }
    let (other, none) = (json!({ "session_id": "s2", "data": { "ms": 1 } }), json!({ "data": { "ms": 1 } }));
    for free in [other, none] {
        house.send(&hook, free).await.expect(200);
    }
    for id in &waiting {
        assert_eq!(shown(&house, id).await["status"], "queued");
    }
    // Order survives a power cut, too.
    house.kill();
    house.restart().await;
    running(&house, &long).await;
    assert_eq!(shown(&house, &waiting[0]).await["status"], "queued");
    let late = post(&house, &hook, "s1", "last", 1, false);
    let ended = async {
        cancel(&house, &long).await;
        join_all(waiting.iter().map(|id| house.ended_execution(id))).await
    };
    let (late, ended) = join(late, ended).await;
    let times = ended.iter().map(|one| (one["started_at"].as_str().unwrap(), one["finished_at"].as_str().unwrap()));
    let times = times.collect::<Vec<_>>();
    assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "one after the other: {times:?}");
    let late = late.expect(200);
    let late = shown(&house, late["execution_id"].as_str().unwrap()).await;
    assert!(late["finished_at"].as_str() >= Some(times[4].1), "{late}");
}

#[tokio::test]
async fn callers_who_wait_are_answered_in_their_order() {
    let house = House::start().await;
    let hook = hook(&house, "counter", "queue").await;
    let sent = (0..12).map(|_| house.send(&hook, json!({ "session_id": "s1", "data": { "add": 1 } })));
    let answers = join_all(sent).await.into_iter().map(|answer| answer.expect(200)).collect::<Vec<_>>();
    let mut seen =
        answers.iter().map(|answer| (answer["execution_id"].as_str(), &answer["reply"]["data"])).collect::<Vec<_>>();
    seen.sort_by_key(|(id, _)| *id);
    let counts = seen.iter().map(|(_, data)| data["count"].as_u64().unwrap()).collect::<Vec<_>>();
    let mut sorted = counts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=12).collect::<Vec<_>>());
    assert!(seen.iter().all(|(_, data)| data["count"] == data["version"]), "no change had to be made twice: {seen:?}");
}

#[tokio::test]
async fn a_session_has_only_so_many_who_wait() {
    let house = House::start_with(&[("FLOWGATE_EXECUTION_SESSION_WAITING_MAX", "1")]).await;
    let hook = hook(&house, "slow", "queue").await;
    let long = accept(&house, &hook, "s1", "first", 600_000).await;
    let second = accept(&house, &hook, "s1", "second", 1).await;
    assert_eq!(post(&house, &hook, "s1", "third", 1, true).await.problem(429), "rate-limited");
    assert_eq!(post(&house, &hook, "s1", "third", 1, false).await.problem(429), "rate-limited");
    cancel(&house, &second).await;
    let third = accept(&house, &hook, "s1", "third", 1).await;
    cancel(&house, &long).await;
    assert_eq!(house.ended_execution(&third).await["status"], "succeeded");
}

#[tokio::test]
async fn a_busy_session_rejects() {
    let house = House::start().await;
    let hook = hook(&house, "slow", "reject").await;
    let long = accept(&house, &hook, "s1", "first", 600_000).await;
    assert_eq!(post(&house, &hook, "s1", "second", 1, false).await.problem(409), "session-busy");
    assert_eq!(post(&house, &hook, "s1", "second", 1, true).await.problem(409), "session-busy");
    post(&house, &hook, "s2", "other", 1, false).await.expect(200);
    cancel(&house, &long).await;
    post(&house, &hook, "s1", "second", 1, false).await.expect(200);
    let racers = join_all((0..6).map(|_| post(&house, &hook, "s3", "me", 1_000, false))).await;
    let won = racers.iter().filter(|answer| answer.status.as_u16() == 200).count();
    assert!(won >= 1 && racers.iter().all(|answer| matches!(answer.status.as_u16(), 200 | 409)), "{racers:?}");
}

#[tokio::test]
async fn a_later_message_interrupts() {
    let house = House::start().await;
    let hook = hook(&house, "slow", "interrupt").await;
    let long = accept(&house, &hook, "s1", "first", 600_000).await;
    running(&house, &long).await;
    let other = accept(&house, &hook, "s2", "other", 600_000).await;
    post(&house, &hook, "s1", "second", 1, false).await.expect(200);
    let ended = shown(&house, &long).await;
    assert_eq!((&ended["status"], &ended["reason"]), (&json!("canceled"), &json!("superseded")));
    assert_eq!(ended["stopped"]["reason"], "superseded");

    // Callers who wait are told, and only the last one is answered.
    let mut third = std::pin::pin!(post(&house, &hook, "s1", "third", 600_000, false));
    let third = loop {
        // The third one leaves no record before it ends, so further ones come until they have met it.
        tokio::select! {
            biased;
            answer = &mut third => break answer,
            _ = post(&house, &hook, "s1", "fourth", 1, false) => {}
        }
    };
    assert_eq!(third.problem(409), "execution-canceled");
    assert_eq!(shown(&house, &other).await["status"], "running", "another session is left alone");
    cancel(&house, &other).await;
}

#[tokio::test]
async fn messages_that_come_together_are_merged() {
    let mut house = House::start().await;
    let hook = hook(&house, "echo", "merge").await;
    let texts = ["a", "b", "c", "d", "e"];
    let answers = join_all(texts.map(|text| post(&house, &hook, "s1", text, 1, false))).await;
    let answers = answers.into_iter().map(|answer| answer.expect(200)).collect::<Vec<_>>();
    assert!(answers.iter().all(|answer| answer["execution_id"] == answers[0]["execution_id"]), "{answers:?}");
    let message = answers[0]["reply"]["data"]["message"].as_str().unwrap();
    let mut lines = message.lines().collect::<Vec<_>>();
    lines.sort_unstable();
    assert_eq!(lines, texts);

    // What was accepted is merged and kept, whatever happens; a later message is one of its own.
    let first = accept(&house, &hook, "s1", "one", 1).await;
    assert_eq!(accept(&house, &hook, "s1", "two", 1).await, first);
    house.kill();
    house.restart().await;
    let ended = house.ended_execution(&first).await;
    assert_eq!(ended["reply"]["data"]["message"], "one\ntwo");
    assert_ne!(accept(&house, &hook, "s1", "three", 1).await, first);
    let wrong = json!({ "on_busy": "merge", "disable_sensitive_logging": true });
    let refused = house.api(http::Method::PATCH, &format!("/v1/hooks/{}", hook.id), Some(wrong)).await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "on_busy");
}
