//! Tells everybody concerned that a ticket's status changed: checks that the change is allowed, composes a message per
//! person and channel, keeps quiet hours, watches the service level and escalates what is late or reopened too often.
//!
//! What is remembered of a ticket is the session's state, so the sender puts the ticket's id into `session_id`.

mod compose;
mod level;

use flowgate::{Failure, Reply, Result, Trigger, log, output, session};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::compose::Message;

/// A ticket that comes back so often needs another pair of eyes.
const REOPENED_MAX: u32 = 2;

#[derive(Deserialize)]
struct Input {
    ticket: Ticket,
    from: Status,
    to: Status,
    changed_at: Timestamp,
    changed_by: String,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct Ticket {
    id: String,
    subject: String,
    priority: Priority,
    created_at: Timestamp,
    requester: Person,
    assignee: Option<Person>,
    manager: Option<Person>,
    #[serde(default)]
    watchers: Vec<Person>,
}

#[derive(Debug, Clone, Deserialize)]
struct Person {
    name: String,
    channels: Vec<Channel>,
    /// Minutes east of UTC, for the person's own clock.
    #[serde(default)]
    utc_offset_minutes: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Channel {
    Email { address: String },
    Sms { number: String },
    Chat { handle: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    New,
    Open,
    Pending,
    OnHold,
    Solved,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Priority {
    Low,
    Normal,
    High,
    Urgent,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Memory {
    status: Option<Status>,
    changed_at: Option<Timestamp>,
    reopened: u32,
    /// The one message about lateness has been sent.
    escalated: bool,
    /// The execution that noted the last change, and its reason to escalate: another attempt of it does the same again.
    execution: String,
    escalation: Option<String>,
}

#[derive(Serialize)]
struct Report {
    ticket: String,
    status: Status,
    #[serde(flatten)]
    service: level::Service,
    reopened: u32,
    escalation: Option<String>,
    messages: Vec<Message>,
}

fn handle(trigger: Trigger) -> Result {
    trigger.session_id()?;
    let input: Input = trigger.data()?;
    let allowed = next(input.from);
    if !allowed.contains(&input.to) {
        let expected = format!("after {}, one of {}", name(input.from), names(allowed));
        return Err(Failure::invalid("to", expected, name(input.to)));
    }
    let service = level::service(&input);
    let noted = session::update("ticket", |memory: &mut Memory| {
        Ok(note(memory, &input, service.breached, &trigger.execution_id))
    })?;
    let Some((escalation, reopened)) = noted else {
        return Ok(Reply::text(format!(
            "Ticket {}: a later change is known already; nobody was told.",
            input.ticket.id
        )));
    };
    let messages = compose::messages(&input, escalation.as_deref());
    for message in &messages {
        output::say_json(message)?;
    }
    log::info!("ticket {}: {} messages", input.ticket.id, messages.len());
    let text = text(&input, &messages, escalation.as_deref());
    let report = Report { ticket: input.ticket.id, status: input.to, service, reopened, escalation, messages };
    Ok(Reply::json(&report)?.with_text(text))
}

/// Takes the change into memory. None when it is old news; otherwise the reason to escalate and how often the ticket has
/// been reopened.
fn note(memory: &mut Memory, input: &Input, breached: bool, execution: &str) -> Option<(Option<String>, u32)> {
    if memory.execution == execution {
        return Some((memory.escalation.clone(), memory.reopened));
    }
    if memory.changed_at.is_some_and(|known| known >= input.changed_at) {
        return None;
    }
    memory.status = Some(input.to);
    memory.changed_at = Some(input.changed_at);
    let reopens = matches!(input.from, Status::Solved) && matches!(input.to, Status::Open);
    memory.reopened += u32::from(reopens);
    let late = breached && !memory.escalated && !matches!(input.to, Status::Solved | Status::Closed);
    memory.escalated |= late;
    memory.execution = execution.to_owned();
    memory.escalation = match () {
        () if late => Some("it is past its service level".to_owned()),
        () if reopens && memory.reopened >= REOPENED_MAX => Some(format!("it was reopened {} times", memory.reopened)),
        () => None,
    };
    Some((memory.escalation.clone(), memory.reopened))
}

/// Where a ticket may go from a status. Nothing leaves `closed`: the customer opens a new one.
fn next(from: Status) -> &'static [Status] {
    match from {
        Status::New => &[Status::Open, Status::Pending, Status::Solved, Status::Closed],
        Status::Open => &[Status::Pending, Status::OnHold, Status::Solved],
        Status::Pending => &[Status::Open, Status::OnHold, Status::Solved],
        Status::OnHold => &[Status::Open, Status::Pending, Status::Solved],
        Status::Solved => &[Status::Open, Status::Closed],
        Status::Closed => &[],
    }
}

fn name(status: Status) -> &'static str {
    match status {
        Status::New => "new",
        Status::Open => "open",
        Status::Pending => "pending",
        Status::OnHold => "on_hold",
        Status::Solved => "solved",
        Status::Closed => "closed",
    }
}

fn names(statuses: &[Status]) -> String {
    match statuses {
        [] => "none".to_owned(),
        _ => statuses.iter().map(|status| name(*status)).collect::<Vec<_>>().join(", "),
    }
}

fn text(input: &Input, messages: &[Message], escalation: Option<&str>) -> String {
    let later = messages.iter().filter(|message| message.not_before.is_some()).count();
    let mut text = format!(
        "Ticket {} is {} now. {} messages, of which {later} wait for the morning.",
        input.ticket.id,
        name(input.to),
        messages.len()
    );
    if let Some(reason) = escalation {
        text.push_str(&format!(" Escalated, since {reason}."));
    }
    text
}

flowgate::flow!(handle);

#[cfg(test)]
mod tests {
    use flowgate::testing;
    use serde_json::{Value, json};

    use super::*;

    fn change(from: &str, to: &str, at: &str) -> Value {
        let person =
            |name: &str, kind: &str, key: &str| json!({ "name": name, "channels": [{ "kind": kind, key: name }] });
        json!({
            "from": from, "to": to, "changed_at": at, "changed_by": "Bob",
            "ticket": {
                "id": "T-1", "subject": "Lamp broken", "priority": "high", "created_at": "2026-03-04T09:00:00Z",
                "requester": person("Ada", "email", "address"),
                "assignee": person("Bob", "chat", "handle"),
                "manager": person("Eva", "sms", "number"),
            }
        })
    }

    fn send(data: &Value) -> Result<(Value, String)> {
        send_as(&data["changed_at"].to_string(), data)
    }

    fn send_as(execution: &str, data: &Value) -> Result<(Value, String)> {
        let body = json!({ "session_id": "T-1", "data": data }).to_string();
        let trigger = Trigger { execution_id: execution.to_owned(), ..testing::trigger().with_body(&body) };
        let reply = testing::run(handle, trigger)?;
        let data = reply.data.map_or(Value::Null, |data| serde_json::from_str(&data).unwrap());
        Ok((data, reply.text.unwrap()))
    }

    #[test]
    fn a_change_that_is_not_allowed_is_refused() {
        let Err(Failure::InvalidInput(error)) = send(&change("closed", "open", "2026-03-04T10:00:00Z")) else {
            panic!("accepted")
        };
        assert_eq!((error.field.as_str(), error.expected.as_str()), ("to", "after closed, one of none"));
    }

    #[test]
    fn those_concerned_are_told_but_not_the_one_who_did_it() {
        let (report, _) = send(&change("new", "open", "2026-03-04T10:00:00Z")).unwrap();
        let to: Vec<_> = report["messages"].as_array().unwrap().iter().map(|m| m["to"].as_str().unwrap()).collect();
        assert_eq!(to, ["Ada"]);
        assert_eq!(testing::take_outputs().len(), 2, "one message said, one line logged");
    }

    #[test]
    fn old_news_is_not_told_again() {
        send_as("exe_1", &change("open", "pending", "2026-03-04T10:00:00Z")).unwrap();
        let (data, text) = send_as("exe_2", &change("open", "pending", "2026-03-04T10:00:00Z")).unwrap();
        assert!(data.is_null() && text.contains("known already"));
    }

    #[test]
    fn another_attempt_tells_the_same_again() {
        let change = change("solved", "open", "2026-03-04T10:00:00Z");
        let first = send_as("exe_1", &change).unwrap();
        assert_eq!(send_as("exe_1", &change).unwrap(), first);
    }

    #[test]
    fn a_late_ticket_is_escalated_once() {
        let (report, _) = send(&change("open", "pending", "2026-03-05T20:00:00Z")).unwrap();
        assert_eq!((report["breached"].as_bool(), report["escalation"].is_string()), (Some(true), true));
        assert!(report["messages"].as_array().unwrap().iter().any(|message| message["to"] == "Eva"));
        let (report, _) = send(&change("pending", "open", "2026-03-05T21:00:00Z")).unwrap();
        assert!(report["escalation"].is_null());
    }

    #[test]
    fn a_ticket_that_comes_back_twice_is_escalated() {
        send(&change("solved", "open", "2026-03-04T10:00:00Z")).unwrap();
        let (report, _) = send(&change("solved", "open", "2026-03-04T11:00:00Z")).unwrap();
        assert_eq!(report["escalation"], "it was reopened 2 times");
    }

    #[test]
    fn the_saved_request_is_told() {
        let reply = testing::run(handle, testing::trigger().with_body(include_str!("../request.json"))).unwrap();
        assert_eq!(reply.text.unwrap(), "Ticket 48213 is solved now. 3 messages, of which 2 wait for the morning.");
    }
}
