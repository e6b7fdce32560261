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

#[tokio::test]
async fn what_a_flow_says_while_it_runs_is_told_with_what_the_record_does_not_say_yet() {
    let house = house().await;
    house.listen().await;
    let say = |role: &str, speaker| {
        let message = NewMessage { role: role.into(), ..said("psst") };
        house.store.session_append(house.flow, "s1", message, speaker)
    };
    let confidential = Speaker { user_id: Some("u1".into()), confidential: true, ..house.speaker() };
    say("user", house.speaker()).await.unwrap();
    say("system", house.speaker()).await.unwrap();
    say("tool", house.speaker()).await.unwrap();
    say("assistant", confidential).await.unwrap();
    let told = house.store.events_after(0, 100).await.unwrap();
    let types: Vec<_> = told.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(types, ["session.started", "session.message.received", "session.message.sent"]);
    assert!(told.iter().all(|event| event.execution == Some(house.execution().id)));
    assert!(told.iter().all(|event| !event.facts.contains("psst")));
    let facts: serde_json::Value = serde_json::from_str(&told[2].facts).unwrap();
    let hook = serde_json::json!(house.execution().hook);
    assert_eq!(facts, serde_json::json!({"seq": 4, "hook": hook, "user_id": "u1", "confidential": true}));
    house.recorded(succeeded()).await;
    assert_eq!(house.types_after(told[2].seq).await, ["execution.started", "execution.succeeded"], "begun already");
}

#[tokio::test]
async fn what_events_need_of_a_flow_and_a_hook_stays_until_they_are_told_and_too_old() {
    let house = house().await;
    let hook = house.hook("orders").await;
    let path_id = Some("orders-1".to_owned());
    let hook = Hook { path_id: path_id.clone(), updated_at: later(1), ..hook };
    assert!(house.store.hook_update(hook.clone(), NOW).await.unwrap());
    house.listen().await;
    house.recorded(Finish { messages: vec![said("one")], ..succeeded() }).await;
    house.store.hook_delete(house.workspace, hook.id, NOW).await.unwrap();
    house.store.flow_delete(house.flow, NOW).await.unwrap();
    let left = async || {
        let names = house.store.flow_names(house.flow, Some(hook.id)).await.unwrap();
        let messages = house.store.session_messages(house.flow, "s1", 9, None).await.unwrap();
        (names, messages.len())
    };
    let sweep = async |events_before| {
        let [executions_before, keys_before, requests_before] = [NOW; 3];
        let now = later(100);
        let retention = Retention { executions_before, keys_before, requests_before, events_before, now };
        house.store.sweep(retention).await.unwrap().departed
    };
    let names = Names { flow: "bot".into(), path_id };
    assert_eq!((sweep(later(100)).await, left().await), (0, (Some(names.clone()), 1)), "nobody was told");
    let seq = house.store.events_after(0, 100).await.unwrap().pop().unwrap().seq;
    house.store.dispatch("dispatch", Place { seq, subscription: None }, Vec::new()).await.unwrap();
    assert_eq!((sweep(NOW).await, left().await), (0, (Some(names), 1)), "somebody may come and ask");
    assert_eq!((sweep(later(100)).await, left().await), (3, (None, 0)));
}
