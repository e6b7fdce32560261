//! Refreshes a client's record from a CRM's change notification: merges what is newer, puts phone and e-mail into one form,
//! lists what changed, what came too late and where the CRM's old value is not ours, and says how complete the record is.
//!
//! The record is the session's state, so the sender puts the client's id into `session_id`.

mod normal;

use std::collections::BTreeMap;

use flowgate::{Reply, Result, Trigger, log, session};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a complete record has, and how much each field is worth.
const WANTED: [(&str, u32); 7] = [
    ("LastName", 20),
    ("FirstName", 10),
    ("Email", 25),
    ("Phone", 15),
    ("AccountName", 15),
    ("MailingCity", 5),
    ("MailingCountry", 10),
];

#[derive(Deserialize)]
struct Input {
    object: Object,
    id: String,
    modified_at: Timestamp,
    modified_by: String,
    /// Fields by their API names, as they are now; `null` empties a field.
    new: BTreeMap<String, Value>,
    /// The same fields as the CRM had them before.
    #[serde(default)]
    old: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Object {
    Contact,
    Lead,
    Account,
}

/// The client's record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Client {
    fields: BTreeMap<String, Field>,
    updates: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Field {
    value: Value,
    modified_at: Timestamp,
    modified_by: String,
}

/// What one notification did.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Changes {
    changed: Vec<Change>,
    /// Fields for which the record holds something newer.
    stale: Vec<String>,
    /// Fields whose old value in the CRM was not the one in the record: an update was missed.
    drifted: Vec<String>,
    /// Fields whose value could not be put into its form and is kept as it came.
    suspect: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Change {
    field: String,
    from: Value,
    to: Value,
}

#[derive(Serialize)]
struct Report {
    id: String,
    object: Object,
    client: BTreeMap<String, Value>,
    #[serde(flatten)]
    changes: Changes,
    completeness_percent: u32,
    missing: Vec<&'static str>,
}

fn handle(trigger: Trigger) -> Result {
    trigger.session_id()?;
    let input: Input = trigger.data()?;
    let (client, changes) = session::update("client", |client: &mut Client| {
        let changes = merge(client, &input);
        Ok((client.clone(), changes))
    })?;
    log::info!("{}: {} changed, {} stale", input.id, changes.changed.len(), changes.stale.len());
    let text = summary(&client, &changes, &input);
    let missing = missing(&client);
    let report = Report {
        id: input.id,
        object: input.object,
        client: client.fields.into_iter().map(|(name, field)| (name, field.value)).collect(),
        changes,
        completeness_percent: 100 - missing.iter().map(|(_, worth)| worth).sum::<u32>(),
        missing: missing.into_iter().map(|(name, _)| name).collect(),
    };
    Ok(Reply::json(&report)?.with_text(text))
}

fn merge(client: &mut Client, input: &Input) -> Changes {
    let country = input.new.get("MailingCountry").or(client.fields.get("MailingCountry").map(|field| &field.value));
    let country = country.and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut changes = Changes::default();
    for (name, value) in &input.new {
        let known = client.fields.get(name);
        if known.is_some_and(|known| known.modified_at > input.modified_at) {
            changes.stale.push(name.clone());
            continue;
        }
        let (value, suspect) = match normal::field(name, value, &country) {
            Ok(value) => (value, false),
            Err(value) => (value, true),
        };
        let from = known.map_or(Value::Null, |known| known.value.clone());
        let before = input.old.get(name).map(|old| normal::field(name, old, &country).unwrap_or_else(|raw| raw));
        if known.is_some() && before.is_some_and(|before| before != from && from != value) {
            changes.drifted.push(name.clone());
        }
        if suspect {
            changes.suspect.push(name.clone());
        }
        if from != value {
            changes.changed.push(Change { field: name.clone(), from, to: value.clone() });
        }
        let field = Field { value, modified_at: input.modified_at, modified_by: input.modified_by.clone() };
        client.fields.insert(name.clone(), field);
    }
    client.updates += u64::from(!changes.changed.is_empty());
    changes
}

fn missing(client: &Client) -> Vec<(&'static str, u32)> {
    let has = |name: &str| client.fields.get(name).is_some_and(|field| !field.value.is_null());
    WANTED.into_iter().filter(|(name, _)| !has(name)).collect()
}

fn summary(client: &Client, changes: &Changes, input: &Input) -> String {
    let part = |name: &str| client.fields.get(name).and_then(|field| field.value.as_str());
    let names: Vec<_> = [part("FirstName"), part("LastName")].into_iter().flatten().collect();
    let name = if names.is_empty() { input.id.clone() } else { names.join(" ") };
    let listed: Vec<_> = changes.changed.iter().map(|change| change.field.as_str()).collect();
    let mut text = match listed.is_empty() {
        true => format!("{name}: nothing new."),
        false => format!("{name}: {} updated by {}.", listed.join(", "), input.modified_by),
    };
    if !changes.stale.is_empty() {
        text.push_str(&format!(" Out of date and left alone: {}.", changes.stale.join(", ")));
    }
    if !changes.drifted.is_empty() {
        text.push_str(&format!(" An earlier update seems to be lost: {}.", changes.drifted.join(", ")));
    }
    text
}

flowgate::flow!(handle);

#[cfg(test)]
mod tests {
    use flowgate::{Failure, testing};
    use serde_json::json;

    use super::*;

    fn send(at: &str, new: Value, old: Value) -> Result<Value> {
        let data = json!({ "object": "Contact", "id": "003xx", "modified_at": at, "modified_by": "eva", "new": new, "old": old });
        let body = json!({ "session_id": "003xx", "data": data });
        let reply = testing::run(handle, testing::trigger().with_body(&body.to_string()))?;
        Ok(serde_json::from_str(&reply.data.unwrap()).unwrap())
    }

    #[test]
    fn changes_are_merged_and_listed() {
        send("2026-03-01T10:00:00Z", json!({ "LastName": " Lovelace ", "Email": "Ada@Example.COM" }), json!({}))
            .unwrap();
        let report = send(
            "2026-03-02T10:00:00Z",
            json!({ "Email": "ada@engine.example" }),
            json!({ "Email": "ada@example.com" }),
        );
        let report = report.unwrap();
        assert_eq!(report["client"], json!({ "LastName": "Lovelace", "Email": "ada@engine.example" }));
        let change = json!([{ "field": "Email", "from": "ada@example.com", "to": "ada@engine.example" }]);
        assert_eq!((&report["changed"], &report["drifted"]), (&change, &json!([])));
        assert_eq!(report["completeness_percent"], 45);
    }

    #[test]
    fn an_older_write_does_not_overwrite_a_newer_one() {
        send("2026-03-02T10:00:00.000+0000", json!({ "Phone": "+49 30 1234567" }), json!({})).unwrap();
        let report =
            send("2026-03-01T10:00:00Z", json!({ "Phone": "+49 30 7654321", "LastName": "L" }), json!({})).unwrap();
        assert_eq!(report["stale"], json!(["Phone"]));
        assert_eq!(report["client"], json!({ "Phone": "+49301234567", "LastName": "L" }));
    }

    #[test]
    fn a_missed_update_is_noticed() {
        send("2026-03-01T10:00:00Z", json!({ "MailingCity": "Ulm" }), json!({})).unwrap();
        let report = send("2026-03-03T10:00:00Z", json!({ "MailingCity": "Bonn" }), json!({ "MailingCity": "Kiel" }));
        assert_eq!(report.unwrap()["drifted"], json!(["MailingCity"]));
    }

    #[test]
    fn the_same_notification_again_changes_nothing() {
        let new = json!({ "LastName": "Lovelace" });
        send("2026-03-01T10:00:00Z", new.clone(), json!({})).unwrap();
        assert_eq!(send("2026-03-01T10:00:00Z", new, json!({})).unwrap()["changed"], json!([]));
    }

    #[test]
    fn a_wrong_time_is_refused() {
        let Err(Failure::InvalidInput(error)) = send("yesterday", json!({}), json!({})) else { panic!("accepted") };
        assert_eq!(error.field, "modified_at");
    }

    #[test]
    fn the_saved_request_fills_the_record() {
        let reply = testing::run(handle, testing::trigger().with_body(include_str!("../request.json"))).unwrap();
        let report: Value = serde_json::from_str(&reply.data.unwrap()).unwrap();
        assert_eq!(report["client"]["Phone"], "+493012345678");
        assert_eq!(report["completeness_percent"], 100);
        assert_eq!(report["suspect"], json!([]));
    }
}
