//! An event of each type, for the catalogue, the pages and test deliveries. Where AgenticFlow's page shows values, these are
//! they.

use serde_json::json;

use super::facts::{
    Custom, Delivery, Error, Execution, Facts, Flow, Input, Message, Output, Promotion, Said, Session, Subscription,
    Version,
};
use super::{Event, Type};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, Digest, ExecutionId, FlowId, HookId, Id, Kind, SubscriptionId};
use crate::trigger::Json;

/// 2024-01-15T10:20:00Z.
const BEGIN_MS: i64 = 1_705_314_000_000;

/// An event of this type with made-up facts; its ids and times are the same every time.
pub fn example(kind: &Type) -> Event {
    use Type as T;
    let facts = match kind {
        T::ExecutionStarted => execution("running", None, None),
        T::ExecutionSucceeded => execution("succeeded", Some(reply()), None),
        T::ExecutionFailed => execution("failed", None, Some(("flow_error", "the warehouse does not answer"))),
        T::ExecutionCanceled => execution("canceled", None, Some(("canceled", "the execution was canceled"))),
        T::ExecutionTimedOut => execution("timed_out", None, Some(("deadline", "the flow was not done in time"))),
        T::ExecutionOutput => output(),
        T::SessionStarted => session(false),
        T::SessionCompleted => session(true),
        T::SessionMessageReceived => message(1, "user", "Hello, I need help with my order #12345"),
        T::SessionMessageSent => message(2, "assistant", "I am looking into it."),
        T::VersionCreated | T::VersionReady => version(None),
        T::VersionFailed => version(Some(("compile", "the component takes too long to compile"))),
        T::FlowPromoted => promotion(),
        T::DeliveryFailing | T::DeliveryRecovered | T::DeliveryExhausted => delivery(*kind == T::DeliveryRecovered),
        T::SubscriptionDisabled => subscription(),
        T::Custom(_) => custom(),
    };
    Event { id: id(1), kind: kind.clone(), at: minute(10), facts }
}

fn minute(after: i64) -> Timestamp {
    Timestamp::from_unix_ms(BEGIN_MS + after * 60_000)
}

/// An id that sorts where it belongs, by the time of the example.
fn id<K: Kind>(last: u8) -> Id<K> {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&BEGIN_MS.to_be_bytes()[2..]);
    (bytes[6], bytes[8], bytes[15]) = (0x70, 0x80, last);
    Id::from_bytes(bytes)
}

fn data(value: &serde_json::Value) -> Option<Json> {
    Json::of(value).ok()
}

fn flow() -> Flow {
    let (id, hook_id): (FlowId, HookId) = (id(2), id(3));
    Flow { id, name: "orders".to_owned(), hook_id: Some(hook_id), path_id: Some("wf_abc123".to_owned()) }
}

fn agent() -> Flow {
    Flow { name: "support".to_owned(), path_id: Some("agent_abc123".to_owned()), ..flow() }
}

fn execution_id() -> ExecutionId {
    id(4)
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn reply() -> Said {
    let output = json!({ "result": "Email sent successfully", "email_id": "email_567890" });
    Said { text: None, data: data(&output) }
}

fn error((reason, message): (&str, &str)) -> Error {
    Error { reason: reason.to_owned(), message: message.to_owned() }
}

fn execution(status: &str, output: Option<Said>, failed: Option<(&str, &str)>) -> Facts {
    let has_ended = status != "running";
    let given = json!({ "name": "John Doe", "email": "john@example.com" });
    Facts::Execution(Box::new(Execution {
        execution_id: execution_id(),
        flow: flow(),
        version: digest(0xab),
        session_id: None,
        user_id: None,
        attempt: 1,
        status: status.to_owned(),
        started_at: minute(5),
        finished_at: has_ended.then(|| minute(10)),
        cpu_ms: has_ended.then_some(3.5),
        memory_bytes: has_ended.then_some(1_179_648),
        credits: if has_ended { 4.5 } else { 0.0 },
        steps: if has_ended { 5 } else { 0 },
        input: Some(Input { message: None, data: data(&given) }),
        output,
        error: failed.map(error),
    }))
}

fn output() -> Facts {
    Facts::Output(Box::new(Output {
        execution_id: execution_id(),
        flow: flow(),
        session_id: None,
        attempt: 1,
        step: 2,
        output: Said { text: Some("The order is packed.".to_owned()), data: data(&json!({ "order_id": "12345" })) },
    }))
}

fn session(has_ended: bool) -> Facts {
    let resolution = json!({
        "type": "solved", "category": "technical_support", "tags": ["password_reset", "account_access"],
    });
    Facts::Session(Box::new(Session {
        session_id: "conv_1234567890".to_owned(),
        flow: agent(),
        user_id: Some("user_123".to_owned()),
        status: if has_ended { "resolved" } else { "active" }.to_owned(),
        started_at: minute(0),
        finished_at: has_ended.then(|| minute(10)),
        message_count: if has_ended { 8 } else { 0 },
        credits: if has_ended { 12.0 } else { 0.0 },
        satisfaction_score: has_ended.then_some(4.5),
        resolution: data(&resolution).filter(|_| has_ended),
    }))
}

fn message(number: u64, role: &str, text: &str) -> Facts {
    Facts::Message(Box::new(Message {
        session_id: "conv_1234567890".to_owned(),
        number,
        execution_id: execution_id(),
        flow: agent(),
        user_id: Some("user_123".to_owned()),
        role: role.to_owned(),
        message: Said { text: Some(text.to_owned()), data: None },
    }))
}

fn version(failed: Option<(&str, &str)>) -> Facts {
    let flow = Flow { hook_id: None, path_id: None, ..flow() };
    Facts::Version(Box::new(Version { flow, version: digest(0xab), size_bytes: 73_104, error: failed.map(error) }))
}

fn promotion() -> Facts {
    Facts::Promotion(Box::new(Promotion {
        flow: Flow { hook_id: None, path_id: None, ..flow() },
        alias: "live".to_owned(),
        version: digest(0xab),
        previous: Some(digest(0xcd)),
    }))
}

fn delivery(has_recovered: bool) -> Facts {
    let (delivery_id, subscription_id): (DeliveryId, SubscriptionId) = (id(5), id(6));
    Facts::Delivery(Box::new(Delivery {
        delivery_id,
        subscription_id: Some(subscription_id),
        hook_id: None,
        url: "https://receiver.example/webhooks".to_owned(),
        event: "execution.succeeded".to_owned(),
        attempts: 5,
        failures: if has_recovered { 0 } else { 5 },
        failing_since: Some(minute(2)).filter(|_| !has_recovered),
        status: Some(if has_recovered { 204 } else { 503 }),
        error: Some("the receiver answered 503".to_owned()).filter(|_| !has_recovered),
    }))
}

fn subscription() -> Facts {
    let subscription_id: SubscriptionId = id(6);
    Facts::Subscription(Box::new(Subscription {
        subscription_id,
        name: "warehouse".to_owned(),
        url: "https://receiver.example/webhooks".to_owned(),
        reason: "the receiver answered 410".to_owned(),
    }))
}

fn custom() -> Facts {
    let said = json!({ "order_id": "12345", "carrier": "post" });
    let data = data(&said).unwrap_or_default();
    Facts::Custom(Box::new(Custom { execution_id: execution_id(), flow: flow(), session_id: None, data }))
}
