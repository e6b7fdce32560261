//! What an event is called, and what is told of it, held against the page and against its own schema.

use serde_json::{Value, json};

use super::*;
use crate::id::SubscriptionId;
use crate::signature;
use crate::trigger::Json;

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn payload(event: &Event, name: &str, format: Format) -> String {
    let bytes = event.payload(name, format, webhook(), &event.data(name));
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn webhook() -> SubscriptionId {
    SubscriptionId::from_bytes([0x98; 16])
}

fn execution_of(event: &Event) -> &Execution {
    let Facts::Execution(facts) = &event.facts else { panic!("{event:?}") };
    facts
}

/// The page's text, with its ids in our form.
fn shown(text: &str, event: &Event) -> String {
    let text = text.lines().map(str::trim).collect::<String>();
    let text = text.replace("wh_987654321", &webhook().to_string());
    match &event.facts {
        Facts::Execution(facts) => text.replace("exec_1234567890", &facts.execution_id.to_string()),
        _ => text,
    }
}

#[test]
fn a_completed_workflow_is_told_as_the_page_shows_it_to_the_byte() {
    let event = example(&Type::ExecutionSucceeded);
    let page = r#"{
        "event":"workflow.execution.completed",
        "timestamp":"2024-01-15T10:30:00Z",
        "webhook_id":"wh_987654321",
        "data":{
            "workflow_id":"wf_abc123",
            "execution_id":"exec_1234567890",
            "status":"success",
            "started_at":"2024-01-15T10:25:00Z",
            "completed_at":"2024-01-15T10:30:00Z",
            "duration_seconds":300,
            "input_data":{"name":"John Doe","email":"john@example.com"},
            "output_data":{"result":"Email sent successfully","email_id":"email_567890"},
            "credits_used":4.5,
            "steps_completed":5
        }
    }"#;
    let mut facts = execution_of(&event).clone();
    // As they were sent: the order of a caller's own members is not ours to change.
    let raw = |text: &str| Json::parse(text.to_owned()).ok();
    facts.input = Some(Input { message: None, data: raw(r#"{"name":"John Doe", "email":"john@example.com"}"#) });
    facts.output =
        Some(Said { text: None, data: raw(r#"{"result":"Email sent successfully", "email_id":"email_567890"}"#) });
    let event = Event { facts: Facts::Execution(Box::new(facts)), ..event };
    assert_eq!(payload(&event, "workflow.execution.completed", Format::AgenticFlow), shown(page, &event));
}

#[test]
fn a_completed_conversation_is_told_as_the_page_shows_it_to_the_byte() {
    let event = example(&Type::SessionCompleted);
    let page = r#"{
        "event":"agent.conversation.completed",
        "timestamp":"2024-01-15T10:30:00Z",
        "webhook_id":"wh_987654321",
        "data":{
            "agent_id":"agent_abc123",
            "conversation_id":"conv_1234567890",
            "user_id":"user_123",
            "status":"resolved",
            "started_at":"2024-01-15T10:20:00Z",
            "completed_at":"2024-01-15T10:30:00Z",
            "message_count":8,
            "satisfaction_score":4.5,
            "credits_used":12,
            "resolution":{
                "type":"solved",
                "category":"technical_support",
                "tags":["password_reset","account_access"]
            }
        }
    }"#;
    let Facts::Session(mut facts) = event.facts else { panic!() };
    let resolution = r#"{"type":"solved","category":"technical_support","tags":["password_reset","account_access"]}"#;
    facts.resolution = Json::parse(resolution.to_owned()).ok();
    let event = Event { facts: Facts::Session(facts), ..event };
    assert_eq!(payload(&event, "agent.conversation.completed", Format::AgenticFlow), shown(page, &event));
}

#[test]
fn a_failed_workflow_says_why() {
    for (kind, status, code) in [
        (Type::ExecutionFailed, "failed", "FLOW_ERROR"),
        (Type::ExecutionTimedOut, "timed_out", "DEADLINE"),
        (Type::ExecutionCanceled, "canceled", "CANCELED"),
    ] {
        let event = example(&kind);
        let data = value(event.data("workflow.execution.failed").as_str());
        assert_eq!((&data["status"], &data["error"]["code"]), (&json!(status), &json!(code)));
        assert_eq!(data["output_data"], json!({}));
    }
}

#[test]
fn a_native_event_has_its_type_and_the_time_to_the_millisecond() {
    let event = example(&Type::ExecutionSucceeded);
    let told = value(&payload(&event, "execution.succeeded", Format::Native));
    assert_eq!(told["type"], "execution.succeeded");
    assert_eq!(told["timestamp"], "2024-01-15T10:30:00.000Z");
    assert_eq!(told["data"]["flow"]["name"], "orders");
    assert_eq!(told["data"]["output"]["data"]["email_id"], "email_567890");
    let text = payload(&event, "execution.succeeded", Format::Native);
    assert!(text.starts_with(r#"{"type":"execution.succeeded","timestamp":"#), "{text}");
}

#[test]
fn what_javascript_writes_after_reading_is_what_was_sent() {
    let mut facts = execution_of(&example(&Type::ExecutionSucceeded)).clone();
    let odd = r#"{"b": 1.0, "10": "\u00e9\/", "2": 1e3, "a": 12345678901234567890}"#;
    facts.input = Some(Input { message: None, data: Json::parse(odd.to_owned()).ok() });
    let event = Event { facts: Facts::Execution(Box::new(facts)), ..example(&Type::ExecutionSucceeded) };
    let sent = payload(&event, "workflow.execution.completed", Format::AgenticFlow);
    assert!(sent.contains(r#""input_data":{"2":1000,"10":"é/","b":1,"a":12345678901234567000}"#), "{sent}");
    assert_eq!(signature::stringify(sent.as_bytes()).unwrap(), sent.as_bytes());
    // The native form is left as the caller wrote it.
    let native = payload(&event, "execution.succeeded", Format::Native);
    assert!(native.contains("12345678901234567890"), "{native}");
}

#[test]
fn a_message_to_an_agent_is_the_input_of_its_workflow() {
    let mut facts = execution_of(&example(&Type::ExecutionStarted)).clone();
    facts.input = Some(Input { message: Some("Hello".to_owned()), data: Some(Json::empty()) });
    let event = Event { facts: Facts::Execution(Box::new(facts)), ..example(&Type::ExecutionStarted) };
    let data = value(event.data("workflow.execution.started").as_str());
    assert_eq!(data["input_data"], json!({ "message": "Hello" }));
    assert_eq!(data["completed_at"], Value::Null);
}

#[test]
fn a_workflow_is_known_by_the_id_in_its_url() {
    let event = example(&Type::ExecutionSucceeded);
    let mut facts = execution_of(&event).clone();
    let hook = facts.flow.hook_id.unwrap();
    for (path_id, hook_id, id) in [
        (Some("wf_abc123"), Some(hook), "wf_abc123".to_owned()),
        (None, Some(hook), hook.to_string()),
        (None, None, facts.flow.id.to_string()),
    ] {
        facts.flow = Flow { path_id: path_id.map(str::to_owned), hook_id, ..facts.flow };
        let event = Event { facts: Facts::Execution(Box::new(facts.clone())), ..event.clone() };
        assert_eq!(value(event.data("workflow.execution.completed").as_str())["workflow_id"], json!(id));
    }
}

#[test]
fn every_type_has_a_row_and_every_row_a_type() {
    for kind in Type::ALL {
        assert!(Row::find(&kind.to_string()).is_some(), "{kind}");
        assert_eq!(kind.to_string().parse(), Ok(kind.clone()));
    }
    for row in CATALOGUE.iter().filter(|row| row.view_of.is_empty() && row.name != "custom.*") {
        assert!(row.name.parse::<Type>().is_ok(), "{}", row.name);
    }
    for row in CATALOGUE.iter() {
        for kind in row.view_of {
            assert_eq!(example(kind).view(), Some(row.name));
        }
    }
}

#[test]
fn every_payload_is_as_its_schema_says() {
    for row in CATALOGUE {
        let kinds = if row.view_of.is_empty() { vec![row.example().kind] } else { row.view_of.to_vec() };
        for kind in kinds {
            let event = example(&kind);
            let name = if row.view_of.is_empty() { kind.to_string() } else { row.name.to_owned() };
            let told = value(&payload(&event, &name, row.format()));
            assert_eq!(mismatch(&row.schema(), &told, row.name), None);
        }
    }
}

/// Where a value is not as the schema says, members that it does not know included. Knows what our schemas use.
fn mismatch(schema: &Value, value: &Value, at: &str) -> Option<String> {
    let fits = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some("number") => value.is_number(),
        Some("object") => value.is_object(),
        _ => schema.get("const").is_none_or(|wanted| wanted == value),
    };
    if !fits {
        return Some(format!("{at} is {value}"));
    }
    let (Some(properties), Some(members)) = (schema["properties"].as_object(), value.as_object()) else { return None };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|name| !members.contains_key(*name)) {
        return Some(format!("{at} lacks {missing}"));
    }
    members.iter().find_map(|(name, value)| match properties.get(name) {
        Some(schema) => mismatch(schema, value, &format!("{at}.{name}")),
        None => Some(format!("{at} has {name}")),
    })
}

#[test]
fn facts_can_be_stored_and_read_back() {
    for row in CATALOGUE {
        let event = row.example();
        let stored = serde_json::to_string(&event.facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&stored).unwrap(), event.facts, "{}", row.name);
    }
}

#[test]
fn a_subscription_gets_each_event_once_under_the_name_that_it_wants() {
    use Format::{AgenticFlow, Native};
    let custom: Type = "custom.order.shipped".parse().unwrap();
    for (patterns, format, kind, name) in [
        (&["execution.succeeded"][..], Native, &Type::ExecutionSucceeded, Some("execution.succeeded")),
        (&["execution.succeeded"], AgenticFlow, &Type::ExecutionSucceeded, Some("execution.succeeded")),
        (&["execution.succeeded"], Native, &Type::ExecutionFailed, None),
        (&["execution.*"], Native, &Type::ExecutionFailed, Some("execution.failed")),
        (&["session.*"], Native, &Type::SessionMessageSent, Some("session.message.sent")),
        (&["session.message.*"], Native, &Type::SessionStarted, None),
        (&["workflow.execution.failed"], AgenticFlow, &Type::ExecutionTimedOut, Some("workflow.execution.failed")),
        (&["workflow.*"], Native, &Type::ExecutionOutput, Some("workflow.step.completed")),
        (&["agent.*"], AgenticFlow, &Type::ExecutionSucceeded, None),
        (&["*"], Native, &Type::ExecutionSucceeded, Some("execution.succeeded")),
        (&["*"], AgenticFlow, &Type::ExecutionSucceeded, Some("workflow.execution.completed")),
        (&["*"], AgenticFlow, &Type::FlowPromoted, Some("flow.promoted")),
        (&["custom.order.shipped"], Native, &custom, Some("custom.order.shipped")),
        (&["custom.order.*"], Native, &custom, Some("custom.order.shipped")),
        (&["custom.*"], Native, &custom, Some("custom.order.shipped")),
        (&["custom.invoice.*"], Native, &custom, None),
    ] {
        let parsed = Patterns::parse(patterns.iter().map(|&pattern| pattern.to_owned()).collect()).unwrap();
        assert_eq!(parsed.name_of(&example(kind), format).as_deref(), name, "{patterns:?} {kind} {format:?}");
    }
}

#[test]
fn patterns_that_nothing_fits_are_refused() {
    let wrong = |patterns: &[&str]| {
        let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Patterns::parse(patterns).unwrap_err().to_string()
    };
    assert_eq!(wrong(&[]), "has 0 entries; allowed: 1 to 64");
    assert_eq!(
        wrong(&["workflow.execution.complete"]),
        "has `workflow.execution.complete`, which is no event; did you mean `workflow.execution.completed`?"
    );
    assert_eq!(wrong(&["nothing"]), "has `nothing`, which is no event; GET /v1/events lists them");
    for pattern in ["exec*", "execution*", "custom.", "custom.A", "", "**", "nothing.*"] {
        wrong(&[pattern]);
    }
}

#[test]
fn custom_names_are_plain() {
    for good in ["a", "order.shipped", "x-1_y"] {
        assert!(format!("custom.{good}").parse::<Type>().is_ok(), "{good}");
    }
    for bad in ["", ".a", "a.", "A", "a b", &"a".repeat(65)] {
        assert!(format!("custom.{bad}").parse::<Type>().is_err(), "{bad}");
    }
}
