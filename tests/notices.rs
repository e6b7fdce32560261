//! What an operator is told of deliveries that fail, by ways that do not depend on them.

use std::process::{Command, Stdio};
use std::time::Duration;

use flowgate::signature::{Message, Scheme, Secret, verify};
use serde_json::{Value, json};

use crate::support::postbox::Postbox;
use crate::support::receiver::{Planned, Receiver};
use crate::support::{House, PATIENCE, now_ms};

const FAILS: Planned = Planned { status: 500, header: None };

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A house that writes mail about everything, at once, and is quick to try a receiver again.
async fn writing_to(postbox: &Postbox) -> House {
    House::start_with(&[
        ("FLOWGATE_DELIVERY_OPEN_S", "1"),
        ("FLOWGATE_NOTICE_SMTP_URL", &postbox.url),
        ("FLOWGATE_NOTICE_MAIL_FROM", "gate@example.com"),
        ("FLOWGATE_NOTICE_MAIL_TO", "ops@example.com"),
        ("FLOWGATE_NOTICE_PERIOD_S", "0"),
    ])
    .await
}

/// Sends one event to a receiver that fails, and does not try again.
async fn exhausts_a_delivery(house: &House) -> Receiver {
    let receiver = Receiver::start().await;
    receiver.plan([FAILS]);
    let webhook = json!({ "url": receiver.url, "events": ["*"], "retry_policy": { "max_retries": 0 } });
    let made = house.post("/api/v1/webhooks", webhook).await.expect(201);
    let path = format!("/api/v1/webhooks/{}/test", made["id"].as_str().unwrap());
    house.post(&path, json!({})).await.expect(200);
    receiver.wait_for(1).await;
    receiver
}

#[tokio::test]
async fn a_delivery_that_was_given_up_is_told_by_mail() {
    let postbox = Postbox::start(0).await;
    let house = writing_to(&postbox).await;
    let receiver = exhausts_a_delivery(&house).await;
    let mail = postbox.next().await;
    assert!(mail.from.contains("<gate@example.com>"), "{mail:?}");
    assert!(mail.to.len() == 1 && mail.to[0].contains("<ops@example.com>"), "{mail:?}");
    assert!(mail.text.contains("\nSubject: [flowgate] deliveries: 1 given up\n"), "{}", mail.text);
    assert!(mail.text.contains(&format!("  url: {}\n", receiver.url)), "{}", mail.text);
    assert!(mail.text.contains("  status: 500\n") && mail.text.contains("  error: "), "{}", mail.text);
    assert_eq!(receiver.got().len(), 1, "the receiver that fails is not told of its failure");
}

/// What is told of the next event of this kind.
async fn told(postbox: &Postbox, kind: &str) -> String {
    loop {
        let text = postbox.next().await.text;
        if let Some((_, told)) = text.split_once(&format!(" {kind}\n")) {
            return told.to_owned();
        }
    }
}

#[tokio::test]
async fn a_receiver_that_fails_three_times_in_a_row_and_is_well_again_is_told_of_by_mail() {
    let (postbox, receiver) = (Postbox::start(0).await, Receiver::start().await);
    let house = writing_to(&postbox).await;
    receiver.plan([FAILS; 3]);
    let webhook = json!({ "url": receiver.url, "events": ["*"], "retry_policy": { "max_retries": 0 } });
    let made = house.post("/api/v1/webhooks", webhook).await.expect(201);
    let path = format!("/api/v1/webhooks/{}/test", made["id"].as_str().unwrap());
    for n in 1..=3 {
        house.post(&path, json!({})).await.expect(200);
        receiver.wait_for(n).await;
    }
    let url = format!("  url: {}\n", receiver.url);
    let failing = told(&postbox, "delivery.failing").await;
    assert!(failing.contains("  failures: 3\n") && failing.contains(&url), "{failing}");
    house.post(&path, json!({})).await.expect(200);
    let recovered = told(&postbox, "delivery.recovered").await;
    assert!(recovered.contains("  failures: 3\n") && recovered.contains(&url), "{recovered}");
}

#[tokio::test]
async fn a_subscription_that_its_receiver_has_disabled_is_told_by_mail() {
    let (postbox, receiver) = (Postbox::start(0).await, Receiver::start().await);
    let house = writing_to(&postbox).await;
    receiver.plan([Planned { status: 410, header: None }]);
    let subscription = json!({ "name": "gone", "url": receiver.url, "events": ["*"] });
    house.post("/v1/subscriptions", subscription).await.expect(201);
    house.post("/v1/subscriptions/gone/test", json!({})).await.expect(202);
    let disabled = told(&postbox, "subscription.disabled").await;
    assert!(disabled.contains("  name: gone\n"), "{disabled}");
    assert!(disabled.contains("  reason: the receiver wants no more\n"), "{disabled}");
}

#[tokio::test]
async fn a_notice_that_had_not_gone_out_before_a_power_cut_goes_out_after_it() {
    let postbox = Postbox::start(usize::MAX).await;
    let mut house = writing_to(&postbox).await;
    let receiver = exhausts_a_delivery(&house).await;
    let end = tokio::time::Instant::now() + PATIENCE;
    while postbox.turned_away() == 0 {
        assert!(tokio::time::Instant::now() < end, "no notice was tried");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.kill();
    postbox.open();
    house.restart().await;
    let exhausted = told(&postbox, "delivery.exhausted").await;
    assert!(exhausted.contains(&format!("  url: {}\n", receiver.url)), "{exhausted}");
}

#[tokio::test]
async fn a_mail_server_that_was_away_gets_the_notice_later() {
    let postbox = Postbox::start(1).await;
    let house = writing_to(&postbox).await;
    let receiver = exhausts_a_delivery(&house).await;
    let mail = postbox.next().await;
    assert!(mail.text.contains(&format!("  url: {}\n", receiver.url)), "{}", mail.text);
    assert_eq!(postbox.turned_away(), 1);
}

#[tokio::test]
async fn a_notice_by_webhook_is_signed_and_is_the_same_when_it_is_sent_again() {
    let operator = Receiver::start().await;
    operator.plan([FAILS]);
    let house = House::start_with(&[
        ("FLOWGATE_NOTICE_WEBHOOK_URL", &operator.url),
        ("FLOWGATE_NOTICE_WEBHOOK_SECRET", SECRET),
        ("FLOWGATE_NOTICE_PERIOD_S", "0"),
    ])
    .await;
    let receiver = exhausts_a_delivery(&house).await;
    let got = operator.wait_for(2).await;
    for got in &got {
        let (headers, body) = (&got.headers, &got.body);
        let message = Message { method: "POST", path: "/", query: "", headers, body, public_url: None };
        let scheme = Scheme::named("standard-webhooks").unwrap();
        assert!(verify(&scheme, &[Secret::new(SECRET)], &message, now_ms()).is_ok());
    }
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    let told: Value = got[1].json();
    let event = &told["data"]["events"][0];
    assert_eq!((&told["type"], &event["type"]), (&json!("notice"), &json!("delivery.exhausted")));
    assert_eq!((&event["data"]["url"], &event["data"]["status"]), (&json!(receiver.url), &json!(500)));
}

#[tokio::test]
async fn a_server_whose_notices_would_reach_nobody_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("data"));
    command.env("FLOWGATE_NOTICE_SMTP_URL", "smtp://127.0.0.1:25").stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("notice.mail_to"), "{said}");
}
