//! Events: written with what makes them true, read in order, kept until they are told.

use super::*;
use crate::id::SubscriptionId;

impl House {
    pub(super) async fn listen(&self) {
        let subscription = Subscription {
            id: SubscriptionId::at(1),
            workspace: self.workspace,
            name: "all".into(),
            enabled: true,
            disabled_reason: None,
            spec: r#"{"url":"https://user:pass@example.com/hook?key=1"}"#.into(),
            secrets: b"{}".to_vec().into(),
            created_at: NOW,
            updated_at: NOW,
        };
        assert!(self.store.subscription_create(subscription, 10).await.unwrap());
    }

    pub(super) async fn recorded(&self, finish: Finish) {
        self.store.execution_record_durably(self.execution(), finish).await.unwrap();
    }

    async fn types_after(&self, seq: u64) -> Vec<String> {
        let events = self.store.events_after(seq, 100).await.unwrap();
        events.into_iter().map(|event| event.r#type).collect()
    }
}

fn said(text: &str) -> NewMessage {
    NewMessage { at: NOW, role: "user".into(), text: text.into(), data: None }
}

#[tokio::test]
async fn events_are_written_for_whoever_listens() {
    let house = house().await;
    house.recorded(succeeded()).await;
    assert!(house.types_after(0).await.is_empty(), "nobody listens");
    house.listen().await;
    let events = vec![NewEvent { at: NOW, r#type: "custom.a".into(), data: serde_json::json!(1) }];
    let end = SessionEnd { status: "resolved".into(), facts: serde_json::json!({"satisfaction_score": 4.5}) };
    house.recorded(Finish { messages: vec![said("one")], events, session_end: Some(end), ..succeeded() }).await;
    let told =
        ["execution.started", "custom.a", "session.message.received", "execution.succeeded", "session.completed"];
    assert_eq!(house.types_after(0).await, told);
    let over = house.store.events_after(0, 100).await.unwrap().pop().unwrap();
    let facts: serde_json::Value = serde_json::from_str(&over.facts).unwrap();
    // The session began with the execution before, when nobody listened.
    assert_eq!((&facts["message_count"], &facts["execution_count"]), (&1.into(), &2.into()));
    assert_eq!(facts["satisfaction_score"], 4.5);
    house.recorded(Finish { messages: vec![said("two"), said("three")], ..succeeded() }).await;
    assert_eq!(house.store.sessions_close(later(0), later(60)).await.unwrap(), 0);
    assert_eq!(house.store.sessions_close(later(9), later(60)).await.unwrap(), 1);
    let over = house.store.events_after(0, 100).await.unwrap().pop().unwrap();
    let facts: serde_json::Value = serde_json::from_str(&over.facts).unwrap();
    assert_eq!(
        (&facts["status"], &facts["message_count"]),
        (&"idle".into(), &2.into()),
        "only those since the end before"
    );
}

#[tokio::test]
async fn an_event_is_kept_until_it_is_told_and_its_place_is_never_used_again() {
    let house = house().await;
    house.listen().await;
    house.recorded(succeeded()).await;
    let last = house.store.events_after(0, 100).await.unwrap().pop().unwrap().seq;
    let sweep = async || {
        let at = later(100);
        let retention =
            Retention { executions_before: NOW, keys_before: NOW, requests_before: NOW, events_before: at, now: at };
        house.store.sweep(retention).await.unwrap().events
    };
    assert_eq!(sweep().await, 0, "nobody has read them");
    house.store.dispatch("dispatch", Place { seq: last, subscription: None }, Vec::new()).await.unwrap();
    assert_eq!(house.store.cursor("dispatch").await.unwrap(), last);
    assert_eq!(sweep().await as u64, last - 1);
    house.recorded(succeeded()).await;
    assert!(house.store.events_after(last, 100).await.unwrap().iter().all(|event| event.seq > last));
    assert!(!house.types_after(last).await.is_empty());
}

#[tokio::test]
async fn a_disabled_subscription_is_told_of_without_what_is_secret_in_its_url() {
    let house = house().await;
    house.listen().await;
    let id = house.store.subscriptions_by_name(house.workspace, "all").await.unwrap()[0].id;
    house.store.subscription_disable(id, "gone".into(), NOW).await.unwrap();
    let told = house.store.events_after(0, 100).await.unwrap().pop().unwrap();
    assert_eq!(told.r#type, "subscription.disabled");
    assert!(told.facts.contains(r#""url":"https://example.com/hook""#), "{}", told.facts);
}
