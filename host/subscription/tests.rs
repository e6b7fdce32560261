//! Subscriptions over a real store, by a clock that stands still.

use serde_json::{Value, json};

use super::*;
use crate::event::{Event, Facts, Format, Type, example};
use crate::signature::{self, Scheme};

struct House {
    subscriptions: Subscriptions,
    clock: Clock,
    workspace: WorkspaceId,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &store::Options::default()).unwrap();
        let clock = Clock::manual(Timestamp::from_unix_ms(1_700_000_000_000));
        let subscriptions = Subscriptions::new(store, clock.clone());
        Self { subscriptions, clock, workspace: WorkspaceId::at(1), _folder: folder }
    }

    fn new_of(&self, spec: Value) -> NewSubscription {
        let spec = serde_json::from_value(spec).unwrap();
        NewSubscription { workspace: self.workspace, name: None, spec, secret: None, credential: None }
    }

    async fn make(&self, spec: Value) -> Subscription {
        self.subscriptions.create(self.new_of(spec)).await.unwrap()
    }

    async fn refusal(&self, spec: Value) -> String {
        self.subscriptions.create(self.new_of(spec)).await.unwrap_err().to_string()
    }
}

const URL: &str = "https://receiver.example/hooks";

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

#[tokio::test]
async fn a_subscription_is_found_changed_and_removed_and_never_stale() {
    let house = House::new();
    let all = &house.subscriptions;
    assert!(all.of(house.workspace).await.unwrap().is_empty());
    let made = house.make(json!({ "url": URL, "events": ["*"] })).await;
    assert_eq!(made.name, made.id.to_string());
    assert_eq!(all.of(house.workspace).await.unwrap().len(), 1);
    assert_eq!(all.find(made.id).await.unwrap().unwrap().spec, made.spec);

    let mut change = all.get(house.workspace, &made.name).await.unwrap();
    change.name = "Warehouse, north".to_owned();
    change.enabled = false;
    let before = change.clone();
    all.update(change).await.unwrap();
    assert!(all.of(house.workspace).await.unwrap().is_empty());
    assert!(matches!(all.update(before).await, Err(Error::Changed)));

    let found = all.get(house.workspace, "Warehouse, north").await.unwrap();
    assert!(matches!(all.get(WorkspaceId::at(2), &found.id.to_string()).await, Err(Error::Unknown(_))));
    all.delete(&found).await.unwrap();
    assert!(all.find(made.id).await.unwrap().is_none());
    assert!(matches!(all.delete(&found).await, Err(Error::Unknown(_))));
}

#[tokio::test]
async fn a_name_may_be_there_twice_and_names_nothing_then() {
    let house = House::new();
    for _ in 0..2 {
        let new =
            NewSubscription { name: Some("same".to_owned()), ..house.new_of(json!({ "url": URL, "events": ["*"] })) };
        house.subscriptions.create(new).await.unwrap();
    }
    assert!(matches!(house.subscriptions.get(house.workspace, "same").await, Err(Error::Ambiguous(_))));
}

#[tokio::test]
async fn a_disabled_subscription_says_why_until_it_is_enabled_again() {
    let house = House::new();
    let made = house.make(json!({ "url": URL, "events": ["*"] })).await;
    assert!(house.subscriptions.disable(&made, "the receiver answered 410").await.unwrap());
    assert!(!house.subscriptions.disable(&made, "again").await.unwrap());
    let mut found = house.subscriptions.get(house.workspace, &made.id.to_string()).await.unwrap();
    assert_eq!((found.enabled, found.disabled_reason.as_deref()), (false, Some("the receiver answered 410")));
    assert!(house.subscriptions.of(house.workspace).await.unwrap().is_empty());
    // Whoever read it before must not enable it by accident.
    assert!(matches!(house.subscriptions.update(made).await, Err(Error::Changed)));
    found.enabled = true;
    assert_eq!(house.subscriptions.update(found).await.unwrap().disabled_reason, None);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_field() {
    let house = House::new();
    let with = |members: Value| {
        let mut spec = json!({ "url": URL, "events": ["*"] });
        spec.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        spec
    };
    for (members, field) in [
        (json!({ "in_flight_max": 0 }), "`in_flight_max`: is 0; allowed: 1 to 256"),
        (json!({ "rate_per_s": 10_001 }), "`rate_per_s`: is 10001; allowed: 1 to 10000"),
        (json!({ "batch": { "events_max": 0 } }), "`batch.events_max`: is 0"),
        (json!({ "order": { "pointer": "a" } }), "`order.pointer`: is `a`"),
        (json!({ "headers": { "host": "x" } }), "`headers`: has `host`"),
        (json!({ "headers": { "webhook-id": "x" } }), "`headers`: has `webhook-id`"),
        (json!({ "authentication": { "type": "bearer" } }), "`authentication.token`: is missing"),
        (json!({ "authentication": { "type": "basic", "user": "a:b" } }), "`authentication.user`: has a colon"),
        (json!({ "authentication": { "type": "header", "name": "host" } }), "`authentication.name`: is not"),
        (json!({ "signature": { "scheme": "sendgrid" } }), "`signature`:"),
    ] {
        let told = house.refusal(with(members)).await;
        assert!(told.contains(field), "{field}: {told}");
    }
    let secret = |scheme: &str, secret: &str| {
        let spec = with(json!({ "signature": { "scheme": scheme } }));
        NewSubscription { secret: Some(Secret::new(secret)), ..house.new_of(spec) }
    };
    for new in [secret("standard-webhooks", "no base64!"), secret("agenticflow", "")] {
        let told = house.subscriptions.create(new).await.unwrap_err().to_string();
        assert!(told.contains("`secret`: the secret does not fit"), "{told}");
    }
}

#[tokio::test]
async fn whatever_is_signed_verifies() {
    let house = House::new();
    for scheme in [
        "standard-webhooks",
        "standard-webhooks-v1a",
        "agenticflow",
        "github",
        "stripe",
        "slack",
        "square",
        "svix",
        "bearer",
        "basic",
    ] {
        let made = house.make(json!({ "url": URL, "events": ["*"], "signature": { "scheme": scheme } })).await;
        let (now, message) = (house.clock.now(), b"{\"a\":1}");
        let signed = made.request(made.spec.url.as_ref().unwrap(), "dlv_1", message, None, 1, now).unwrap();
        let received = signature::Message {
            method: "POST",
            path: "/hooks",
            query: "",
            headers: &signed.headers,
            body: message,
            public_url: Some(URL),
        };
        let (rule, mut secrets) = (made.spec.scheme(), made.secrets.live(Use::Signing, now));
        if let Some(public) = rule.public_key(&secrets[0]) {
            secrets = vec![Secret::new(public)];
        }
        let proof = signature::verify(&rule, &secrets, &received, now.unix_ms());
        assert!(proof.is_ok(), "{scheme}: {proof:?}");
    }
}

#[tokio::test]
async fn a_signature_in_the_query_is_added_to_the_url() {
    let house = House::new();
    let spec = json!({ "url": "https://receiver.example/a?b=1", "events": ["*"], "signature": { "scheme": "api-key", "query": "key" } });
    let new = NewSubscription { secret: Some(Secret::new("s&t")), ..house.new_of(spec) };
    let made = house.subscriptions.create(new).await.unwrap();
    let signed = made.request(made.spec.url.as_ref().unwrap(), "id", b"", None, 1, house.clock.now()).unwrap();
    assert_eq!(signed.url.as_str(), "https://receiver.example/a?b=1&key=s%26t");
}

#[tokio::test]
async fn during_a_rotation_a_receiver_with_either_secret_gets_each_message() {
    let house = House::new();
    for (scheme, attempts) in [("standard-webhooks", 1), ("agenticflow", 2)] {
        let made = house.make(json!({ "url": URL, "events": ["*"], "signature": { "scheme": scheme } })).await;
        let old = made.secrets.live(Use::Signing, house.clock.now()).remove(0);
        let (made, new) = house.subscriptions.rotate(made, None, Duration::from_secs(60)).await.unwrap();
        let passes = |secret: &Secret, now: Timestamp| {
            (1..=attempts).any(|attempt| {
                let signed = made.request(made.spec.url.as_ref().unwrap(), "dlv_1", b"{}", None, attempt, now).unwrap();
                let received = signature::Message {
                    method: "POST",
                    path: "",
                    query: "",
                    headers: &signed.headers,
                    body: b"{}",
                    public_url: None,
                };
                let secrets = std::slice::from_ref(secret);
                signature::verify(&Scheme::named(scheme).unwrap(), secrets, &received, now.unix_ms()).is_ok()
            })
        };
        let now = house.clock.now();
        assert!(passes(&old, now) && passes(&new.secret, now), "{scheme}");
        let later = now.after(Duration::from_secs(61));
        assert!(!passes(&old, later) && passes(&new.secret, later), "{scheme}");
        let only = new.id.to_string();
        let current = house.subscriptions.get(house.workspace, &made.id.to_string()).await.unwrap();
        let older = current.secrets.all(Use::Signing).find(|held| held.id != new.id).unwrap().id.to_string();
        let current = house.subscriptions.revoke(current, &older).await.unwrap();
        assert!(matches!(house.subscriptions.revoke(current, &only).await, Err(Error::LastSecret(_))));
    }
}

#[tokio::test]
async fn another_scheme_gets_a_secret_that_fits_it() {
    let house = House::new();
    let mut made = house.make(json!({ "url": URL, "events": ["*"] })).await;
    made.spec.signature = Some(Scheme::named("standard-webhooks-v1a").unwrap());
    let changed = house.subscriptions.update(made).await.unwrap();
    let secrets = changed.secrets.live(Use::Signing, house.clock.now());
    assert_eq!(secrets.len(), 1);
    assert!(changed.spec.scheme().public_key(&secrets[0]).is_some());
}

#[tokio::test]
async fn a_receiver_gets_what_it_asks_for_and_own_headers() {
    let house = House::new();
    for (authentication, secret, name, value) in [
        (json!({ "type": "bearer" }), "tok", "authorization", "Bearer tok"),
        (json!({ "type": "basic", "username": "me" }), "pass", "authorization", "Basic bWU6cGFzcw=="),
        (json!({ "type": "header", "name": "X-Api-Key" }), "k", "x-api-key", "k"),
    ] {
        let spec =
            json!({ "url": URL, "events": ["*"], "authentication": authentication, "headers": { "x-team": "a" } });
        let new = NewSubscription { credential: Some(Secret::new(secret)), ..house.new_of(spec) };
        let made = house.subscriptions.create(new).await.unwrap();
        let signed = made.request(made.spec.url.as_ref().unwrap(), "dlv_1", b"{}", None, 1, house.clock.now()).unwrap();
        assert_eq!(signed.headers[name], value);
        assert!(signed.headers[name].is_sensitive());
        assert_eq!(
            (&signed.headers["x-team"], &signed.headers["content-type"]),
            (&"a".parse().unwrap(), &"application/json".parse().unwrap())
        );
        assert!(signed.headers.contains_key("webhook-signature"));
        assert!(
            !serde_json::to_string(&made.spec).unwrap().contains(&format!("\"{secret}\"")),
            "the spec holds no secret"
        );
    }
}

#[tokio::test]
async fn an_event_is_told_when_its_data_fits_and_cut_as_asked() {
    let house = House::new();
    let spec = json!({
        "url": URL,
        "events": ["workflow.execution.completed", "workflow.execution.failed"],
        "format": "agenticflow",
        "conditions": { "credits_used": { "gt": 1 } },
        "include_fields": ["workflow_id", "status", "output_data.email_id", "credits_used"],
    });
    let made = house.make(spec).await;
    let message = made.message(&example(&Type::ExecutionSucceeded)).unwrap();
    assert_eq!(message.name, "workflow.execution.completed");
    let told = body(&message);
    assert_eq!(told["webhook_id"], made.id.to_string());
    let data = json!({
        "workflow_id": "wf_abc123", "status": "success", "output_data": { "email_id": "email_567890" }, "credits_used": 4.5,
    });
    assert_eq!(told["data"], data);
    assert_eq!(made.message(&example(&Type::SessionStarted)), Err(Passed::Event));

    let Facts::Execution(mut facts) = example(&Type::ExecutionSucceeded).facts else { panic!() };
    facts.credits = 0.5;
    let cheap = Event { facts: Facts::Execution(facts), ..example(&Type::ExecutionSucceeded) };
    let why = made.message(&cheap).unwrap_err().to_string();
    assert_eq!(why, "`credits_used` is 0.5, not greater than 1");
}

#[tokio::test]
async fn a_lane_is_a_session_or_what_a_pointer_finds() {
    let house = House::new();
    let event = example(&Type::SessionCompleted);
    for (order, lane) in [
        (json!("none"), None),
        (json!("session"), Some("conv_1234567890")),
        (json!({ "pointer": "/flow/name" }), Some("support")),
        (json!({ "pointer": "/message_count" }), Some("8")),
        (json!({ "pointer": "/nothing" }), None),
    ] {
        let made = house.make(json!({ "url": URL, "events": ["*"], "order": order.clone() })).await;
        assert_eq!(serde_json::to_value(&made.spec.order).unwrap(), order);
        assert_eq!(made.message(&event).unwrap().lane.as_deref(), lane, "{order}");
    }
}

#[tokio::test]
async fn a_format_has_its_own_signature() {
    let house = House::new();
    for (format, header) in [("native", "webhook-signature"), ("agenticflow", "x-agenticflow-signature")] {
        let made = house.make(json!({ "url": URL, "events": ["*"], "format": format })).await;
        let signed = made.request(made.spec.url.as_ref().unwrap(), "dlv_1", b"{}", None, 1, house.clock.now()).unwrap();
        assert!(signed.headers.contains_key(header));
        let text = serde_json::to_value(&made.spec).unwrap();
        assert_eq!((&text["format"], text.get("signature")), (&json!(format), None));
    }
    let made = house.make(json!({ "url": URL, "events": ["*"], "signature": { "scheme": "none" } })).await;
    assert!(!made.secrets.has(Use::Signing));
    assert_eq!(Format::AgenticFlow.as_str(), "agenticflow");
}

#[test]
fn a_spec_is_kept_as_it_was_written() {
    let spec = json!({
        "url": URL, "events": ["execution.*"], "format": "native", "filter": { "a": { "$gt": 1 } },
        "conditions": { "a": { "gt": 1 } }, "include_fields": ["a.b"],
        "batch": { "events_max": 10, "wait_s": 5, "bytes_max": 4096 }, "order": "session", "schedule": [1, 2],
        "signature": { "scheme": "github" }, "authentication": { "type": "oauth2", "token_url": "https://a.example/t",
        "client_id": "me", "scope": "x", "client_auth": "body" }, "headers": { "x-a": "b" }, "in_flight_max": 2, "rate_per_s": 5,
    });
    let read: Spec = serde_json::from_value(spec.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), spec);
    let unknown = serde_json::from_value::<Spec>(json!({ "url": URL, "events": ["*"], "colour": 1 })).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `colour`"));
}
