//! Cases: conversations with a flow, and what has to come of them. A file each, in TOML for people or in JSON:
//!
//! ```toml
//! [[turns]]
//! message = "Where is my order?"
//! session = "s1"
//!
//! [turns.expect]
//! reply = { text = "It is on its way." }                    # exactly this
//!
//! [turns.expect.where]                                      # or conditions, as a hook's filter has them
//! "reply.data.carrier" = { "$in" = ["dhl", "ups"] }
//!
//! [[turns.expect.events]]                                   # an event that it emits
//! name = "order.asked"
//! data = { number = "48213" }                               # or `where`, with conditions
//!
//! [[http]]                                                  # a request that the flow sends, and the answer it gets
//! method = "GET"
//! url = "https://api.example.com/orders/*"
//! response = { json = { state = "shipped" } }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Error, file, nearest};
use crate::dialect::Dialect;
use crate::filter::Filter;
use crate::llm::Spec;

/// A conversation with a new flow, which remembers nothing of the cases before.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Why it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The wire format of its triggers.
    #[serde(default)]
    pub dialect: Dialect,
    /// What the flow reads by `wasi:config`, beside and before what the project says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// Names of secrets that the flow has. Their values are made up: `secret-` and the name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What stands for the models, beside and before what the project says; a mock that echoes unless it says more. Paths
    /// begin in the project's folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Spec>,
    /// Requests that the flow sends, each once, and the answers that it gets. Any other request fails the case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<Exchange>,
    /// What is said to the flow, one after the other.
    pub turns: Vec<Turn>,
}

/// One trigger and what has to come of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Who says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// What the caller adds about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The whole body instead of the above, as it is on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The query of the request's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Headers of the request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What has to come of it; that it succeeds, if nothing is said.
    pub expect: Expect,
}

/// What has to come of a turn. What is not named may be anything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// How the execution ends; `succeeded` unless it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The slug of the detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The reply, exactly; members that are null need not be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// What the flow says instead of a reply, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Value>,
    /// What it says on the way, all of it and in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<Value>>,
    /// What it emits, all of it and in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Event>>,
    /// Parts of messages that it logs, in any order, among others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<String>,
    /// Milliseconds of CPU at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms_max: Option<u64>,
    /// Bytes of memory at most, at its peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
    /// Conditions on all of it: `{status, reason, reply, failure, stopped, outputs, events, logs, usage}`.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Filter>,
}

/// An event that the flow emits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// As the flow says it: `ticket.opened`.
    pub name: String,
    /// What it says about it, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Conditions on `{name, data}`.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Filter>,
}

/// A request that the flow sends, and the answer to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// `GET`, …; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The URL, where a `*` at the end stands for any rest.
    pub url: String,
    /// Conditions on `{method, url, headers, body}`, where the body is JSON if it can be, else text.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Filter>,
    /// The answer.
    #[serde(default)]
    pub response: Response,
}

/// The answer to a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside the content type, which follows from the body.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The body, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The body in base64, where it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

impl Default for Response {
    /// 200 without a body.
    fn default() -> Self {
        Self { status: 200, headers: BTreeMap::new(), text: None, json: None, base64: None }
    }
}

impl Case {
    /// Reads a file that ends in `.toml` or `.json`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(file("read", path))?;
        let invalid = |reason: String| Error::Invalid { path: path.to_owned(), reason };
        let case: Self = if path.extension().is_some_and(|end| end == "json") {
            serde_json::from_str(&text)
                .map_err(|error| invalid(nearest::named(&error.to_string(), &error.to_string())))?
        } else {
            let told = |error: toml::de::Error| nearest::named(error.message(), error.to_string().trim_end());
            toml::from_str(&text).map_err(|error| invalid(told(error)))?
        };
        case.check().map_err(|reason| invalid(reason.to_owned()))?;
        Ok(case)
    }

    fn check(&self) -> Result<(), &'static str> {
        let both = |turn: &Turn| {
            let parts = [turn.message.is_some(), turn.session.is_some(), turn.user.is_some(), turn.data.is_some()];
            turn.body.is_some() && (parts.contains(&true) || turn.metadata.is_some())
        };
        if self.turns.is_empty() {
            return Err("a case has at least one of `[[turns]]`");
        }
        if self.turns.iter().any(both) {
            return Err("`body` is the whole body, so `message`, `session`, `user`, `data` and `metadata` go into it");
        }
        Ok(())
    }
}

/// The files of cases in a folder and below, by name.
pub fn find(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(file("read", folder))? {
        let path = entry.map_err(file("read", folder))?.path();
        if path.is_dir() {
            found.extend(find(&path)?);
        } else if path.extension().is_some_and(|end| end == "toml" || end == "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Came {
    /// How the execution ended.
    pub status: String,
    /// The slug of the detail.
    pub reason: Option<String>,
    /// The reply.
    pub reply: Option<Value>,
    /// What the flow said instead.
    pub failure: Option<Value>,
    /// Why the host stopped it.
    pub stopped: Option<Value>,
    /// What it said on the way: `{"event","data"}` each.
    pub outputs: Vec<Value>,
    /// What it emitted: `{"name","data"}` each.
    pub events: Vec<Value>,
    /// What it logged: `{"level","source","message"}` each.
    pub logs: Vec<Value>,
    /// `{"cpu_us","memory_bytes"}`.
    pub usage: Value,
}

impl Expect {
    /// All that is not as it has to be, each in a few lines.
    pub fn faults(&self, came: &Came) -> Vec<String> {
        let mut faults = Vec::new();
        let status = self.status.as_deref().unwrap_or("succeeded");
        let mut wrong = |fault: String| faults.push(fault);
        if came.status != status {
            let why = came.failure.as_ref().or(came.stopped.as_ref()).map(|why| format!(": {why}")).unwrap_or_default();
            wrong(format!("the execution {}{why}, and had to be {status}", came.status));
        }
        if let Some(reason) = self.reason.as_ref().filter(|reason| came.reason.as_ref() != Some(reason)) {
            wrong(format!("the reason is {:?}, not {reason:?}", came.reason.as_deref().unwrap_or("none")));
        }
        let null = Value::Null;
        for (what, expected, came) in [("reply", &self.reply, &came.reply), ("failure", &self.failure, &came.failure)] {
            let came = came.as_ref().unwrap_or(&null);
            if let Some(expected) = expected.as_ref().filter(|expected| bare(expected) != bare(came)) {
                wrong(format!("the {what} is another:\n{}", difference(&bare(expected), &bare(came))));
            }
        }
        if let Some(expected) = self.outputs.as_ref().filter(|expected| **expected != came.outputs) {
            let (expected, came) = (Value::from(expected.clone()), Value::from(came.outputs.clone()));
            wrong(format!("the outputs are others:\n{}", difference(&expected, &came)));
        }
        if let Some(expected) = &self.events {
            event_faults(expected, &came.events).into_iter().for_each(&mut wrong);
        }
        let logged =
            |part: &str| came.logs.iter().any(|line| line["message"].as_str().is_some_and(|m| m.contains(part)));
        for part in self.logs.iter().filter(|part| !logged(part)) {
            wrong(format!("nothing logged has {part:?}"));
        }
        let used = |what: &str| came.usage[what].as_u64().unwrap_or_default();
        if let Some(max) = self.cpu_ms_max.filter(|max| used("cpu_us") > max.saturating_mul(1_000)) {
            wrong(format!("it took {} µs of CPU, more than {max} ms", used("cpu_us")));
        }
        if let Some(max) = self.memory_bytes_max.filter(|max| used("memory_bytes") > *max) {
            wrong(format!("it took {} bytes of memory, more than {max}", used("memory_bytes")));
        }
        let whole = serde_json::to_value(came).expect("it is JSON");
        if let Some(Err(why)) = self.conditions.as_ref().map(|conditions| conditions.check(&whole)) {
            wrong(why.to_string());
        }
        faults
    }
}

/// What is not as it has to be with the events. Other names, or as many others, say all that there is to say.
fn event_faults(expected: &[Event], came: &[Value]) -> Vec<String> {
    let names = expected.iter().map(|event| json!(event.name)).collect::<Vec<_>>();
    let emitted = came.iter().map(|event| event["name"].clone()).collect::<Vec<_>>();
    if names != emitted {
        return vec![format!("the events are others:\n{}", difference(&names.into(), &emitted.into()))];
    }
    let faults = expected.iter().zip(came).zip(1..).flat_map(|((expected, came), n)| {
        let which = format!("event {n}, `{}`,", expected.name);
        let data = expected.data.as_ref().filter(|data| **data != came["data"]);
        let data = data.map(|data| format!("{which} says something else:\n{}", difference(data, &came["data"])));
        let conditions = expected.conditions.as_ref().and_then(|conditions| conditions.check(came).err());
        data.into_iter().chain(conditions.map(|why| format!("{which} does not fit: {why}")))
    });
    faults.collect()
}

/// The same without members that are null, on the outermost level, where absent and null mean the same.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Two values line by line: `-` was expected, `+` came.
fn difference(expected: &Value, came: &Value) -> String {
    let texts = [format!("{expected:#}"), format!("{came:#}")];
    let [a, b] = texts.each_ref().map(|text| text.lines().collect::<Vec<_>>());
    // The longest common subsequence of the rests that begin at each pair of lines; cases are short.
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut told) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            told += &format!("    {}\n", a[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            told += &format!("  - {}\n", a[i]);
            i += 1;
        } else {
            told += &format!("  + {}\n", b[j]);
            j += 1;
        }
    }
    told.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came() -> Came {
        Came {
            status: "succeeded".to_owned(),
            reason: None,
            reply: Some(json!({"text": "Hello", "data": {"n": 1, "m": 2}, "raw": null})),
            failure: None,
            stopped: None,
            outputs: vec![json!({"event": "say", "data": {"text": "…"}})],
            events: vec![
                json!({"name": "ticket.opened", "data": {"id": 1, "at": "now"}}),
                json!({"name": "mailed", "data": null}),
            ],
            logs: vec![json!({"level": "info", "source": "flow", "message": "visit 1"})],
            usage: json!({"cpu_us": 1_500, "memory_bytes": 2_000}),
        }
    }

    fn faults(expect: Value) -> Vec<String> {
        serde_json::from_value::<Expect>(expect).unwrap().faults(&came())
    }

    #[test]
    fn what_is_as_expected_has_no_faults() {
        assert_eq!(faults(json!({})), [""; 0]);
        let all = json!({
            "status": "succeeded", "reply": {"text": "Hello", "data": {"m": 2, "n": 1}},
            "outputs": [{"event": "say", "data": {"text": "…"}}], "logs": ["visit"], "cpu_ms_max": 2,
            "events": [{"name": "ticket.opened", "where": {"data.id": {"$gt": 0}}}, {"name": "mailed", "data": null}],
            "memory_bytes_max": 2_000, "where": {
                "reply.data.n": {"$gte": 1}, "usage.cpu_us": {"$lt": 2_000}, "events": {"name": "mailed"},
            },
        });
        assert_eq!(faults(all), [""; 0]);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let all = json!({
            "status": "failed", "reason": "trap", "reply": {"text": "Bye"}, "failure": {"kind": "failed"}, "outputs": [],
            "logs": ["visit 2"], "cpu_ms_max": 1, "memory_bytes_max": 1, "where": {"reply.data.n": 2},
        });
        let faults = faults(all);
        assert_eq!(faults.len(), 9, "{faults:#?}");
        assert_eq!(faults[8], "`reply.data.n` is 1, not 2");
    }

    #[test]
    fn each_event_is_held_against_the_one_at_its_place() {
        let none = faults(json!({"events": []}));
        assert_eq!(none, ["the events are others:\n  - []\n  + [\n  +   \"ticket.opened\",\n  +   \"mailed\"\n  + ]"]);
        let opened = json!({"name": "ticket.opened", "data": {"id": 2, "at": "now"}, "where": {"data.at": "then"}});
        let wrong = faults(json!({"events": [opened, {"name": "mailed"}]}));
        assert_eq!(wrong.len(), 2, "{wrong:#?}");
        let first = "event 1, `ticket.opened`, says something else:";
        assert!(wrong[0].starts_with(first) && wrong[0].contains("-   \"id\": 2"), "{}", wrong[0]);
        assert_eq!(wrong[1], "event 1, `ticket.opened`, does not fit: `data.at` is \"now\", not \"then\"");
        let swapped = faults(json!({"events": [{"name": "mailed"}, {"name": "ticket.opened"}]}));
        assert_eq!(swapped.len(), 1, "{swapped:#?}");
    }

    #[test]
    fn a_difference_shows_what_is_common() {
        let told = difference(&json!({"a": 1, "b": 2}), &json!({"a": 1, "b": 3}));
        assert_eq!(told, "    {\n      \"a\": 1,\n  -   \"b\": 2\n  +   \"b\": 3\n    }");
    }

    #[test]
    fn a_case_says_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Case::read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("a.toml", "[[turns]]\nmessage = \"a\"").unwrap().turns[0].message.as_deref(), Some("a"));
        assert!(read("b.toml", "[[turns]]\nmesage = \"a\"").unwrap_err().ends_with("did you mean `message`?"));
        assert!(read("c.json", r#"{"turns":[{"expct":{}}]}"#).unwrap_err().ends_with("did you mean `expect`?"));
        assert!(read("d.json", r#"{"turns":[]}"#).unwrap_err().contains("at least one"));
        assert!(read("e.json", r#"{"turns":[{"message":"a","body":"b"}]}"#).unwrap_err().contains("the whole body"));
        assert!(read("f.toml", "[[turns]]\n[turns.expect.where]\na = { \"$gtt\" = 1 }").is_err());
        assert_eq!(find(folder.path()).unwrap().len(), 6);
    }
}
