//! The canonical trigger, reply and failure, and what a flow says on the way.
//!
//! Every dialect parses into a [`Trigger`] and renders from a [`Reply`] or a [`Failure`]; every WIT version converts to
//! and from the same types. They serialise to JSON, which is how executions are kept and shown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::HookId;

/// One JSON text, known to be well formed. Kept as it was written: numbers, key order and spacing survive.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Checks that `text` is one JSON text.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// The JSON form of `value`.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// `{}`.
    pub fn empty() -> Self {
        Self(RawValue::from_string("{}".to_owned()).expect("an empty object is JSON"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The text, for a guest.
    pub fn into_string(self) -> String {
        String::from(Box::<str>::from(self.0))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::empty()
    }
}

/// One HTTP header field: lowercase name, raw value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Lowercase.
    pub name: String,
    /// As received. In JSON each byte is the character of the same number (ISO 8859-1), which keeps any value whole and
    /// an ordinary one readable.
    #[serde(with = "latin1")]
    pub value: Bytes,
}

/// The HTTP request that a trigger came by, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Request {
    /// `POST`, …
    pub method: String,
    /// Percent-encoded, as received.
    pub path: String,
    /// Without the leading `?`.
    pub query: String,
    /// In order of arrival.
    pub headers: Vec<Header>,
    /// The bytes that were verified, decoded where they were encoded. Not part of the JSON form: the store keeps them in a column of their own.
    #[serde(skip)]
    pub body: Bytes,
    /// The caller's IP address.
    pub peer: String,
}

impl Request {
    /// The value of the first header called `name` (lowercase), if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|header| header.name == name)?;
        std::str::from_utf8(&field.value).ok()
    }
}

/// What happened and what is wanted of the flow.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trigger {
    /// The hook it came in by; none for one made by an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookId>,
    /// The wire format it was parsed from.
    pub dialect: Cow<'static, str>,
    /// Unix time in milliseconds.
    pub received_at_ms: u64,
    /// The text that a person or a system sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who sent it, in the caller's own terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The payload; `{}` when there is none.
    pub data: Json,
    /// What the caller said about the payload; `{}` when there is none.
    pub metadata: Json,
    /// Whether the content is forgotten as soon as the execution has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confidential: bool,
    /// The request behind it.
    pub request: Request,
}

impl Trigger {
    /// What stays of a confidential trigger: where it came from and whose it was, and nothing that was in it.
    pub fn without_content(&self) -> Self {
        let Self { hook, dialect, received_at_ms, user_id, session_id, confidential, request, .. } = self;
        let Request { method, path, peer, .. } = request;
        let (method, path, peer) = (method.clone(), path.clone(), peer.clone());
        Self {
            hook: *hook,
            dialect: dialect.clone(),
            received_at_ms: *received_at_ms,
            user_id: user_id.clone(),
            session_id: session_id.clone(),
            confidential: *confidential,
            request: Request { method, path, peer, ..Request::default() },
            ..Self::default()
        }
    }
}

/// What a flow answers. JSON: `{"text":…,"data":…,"raw":{"status":…,"headers":[…],"body":"base64"}}`, absent members left
/// out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reply {
    /// For a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// For a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// The whole HTTP response, where the dialect allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<HttpReply>,
}

/// A whole HTTP response made by a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpReply {
    /// 200 to 599.
    pub status: u16,
    /// In order.
    pub headers: Vec<Header>,
    /// Base64 in JSON.
    #[serde(with = "base64_bytes")]
    pub body: Bytes,
}

/// Why a flow gives no reply. JSON: `{"kind":"invalid_input","field":…}`, `{"kind":"failed","message":…}` or
/// `{"kind":"retry","after_ms":…,"message":…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// The caller's fault.
    InvalidInput(InputError),
    /// Final.
    Failed {
        /// The flow's own words.
        message: String,
    },
    /// Worth another attempt.
    Retry {
        /// Milliseconds to wait; the hook's schedule decides when absent.
        after_ms: Option<u64>,
        /// The flow's own words.
        message: String,
    },
}

/// Which part of the input a flow cannot use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputError {
    /// A dotted path such as `customer.email`.
    pub field: String,
    /// What would have been right.
    pub expected: String,
    /// What was there.
    pub received: String,
    /// One sentence for a person.
    pub message: String,
}

/// An event of a flow's own making.
#[derive(Debug, Clone, PartialEq)]
pub struct Emitted {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Words with dots between them.
    pub name: String,
    /// What it says.
    pub data: Json,
}

/// What a flow says before its reply. JSON: `{"kind":"say",…}`, `{"kind":"progress",…}` or `{"kind":"delta",…}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", from = "Flat")]
pub enum Output {
    /// A part of the answer.
    Say {
        /// For a person.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// For a program.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Json>,
    },
    /// How far the work has come.
    Progress {
        /// 0 to 100 where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        percent: Option<u8>,
        /// For a person.
        message: String,
    },
    /// A part of the reply's text, as it comes. The reply has the whole.
    Delta {
        /// The part.
        text: String,
    },
}

/// An [`Output`] as it is read: JSON that is kept as written cannot stand behind a tag.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Flat {
    kind: String,
    text: Option<String>,
    data: Option<Json>,
    percent: Option<u8>,
    message: Option<String>,
}

impl From<Flat> for Output {
    fn from(Flat { kind, text, data, percent, message }: Flat) -> Self {
        match kind.as_str() {
            "progress" => Self::Progress { percent, message: message.unwrap_or_default() },
            "delta" => Self::Delta { text: text.unwrap_or_default() },
            _ => Self::Say { text, data },
        }
    }
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Values of variables.
    Trace,
    /// For somebody who debugs.
    Debug,
    /// For somebody who watches.
    Info,
    /// A hazard.
    Warn,
    /// An error.
    Error,
    /// The end.
    Critical,
}

/// One line of an execution's log. JSON: `{"at_ms":…,"level":"info","source":"stdout","message":…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// `info` for stdout, `warn` for stderr.
    pub level: Level,
    /// `stdout`, `stderr`, `host`, or the context that the guest gave.
    pub source: String,
    /// At most as long as the log limits allow.
    pub message: String,
}

mod latin1 {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => serializer.serialize_str(text),
            _ => serializer.collect_str(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let byte = |c| u8::try_from(u32::from(c)).map_err(|_| serde::de::Error::custom("not ISO 8859-1"));
        text.chars().map(byte).collect()
    }
}

mod base64_bytes {
    use base64::prelude::{BASE64_STANDARD, Engine as _};

    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        BASE64_STANDARD.decode(&*text).map(Bytes::from).map_err(serde::de::Error::custom)
    }
}

/// Something that took time in an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The span that it stands in, by its place in the list; none for one that stands in the execution itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// What was done: `http.fetch`, `llm.chat`, or what the flow calls it.
    pub name: String,
    /// Microseconds from the start of the attempt.
    pub start_us: u64,
    /// Microseconds that it took; none when it had not ended when the attempt did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Details, for example the status of an HTTP answer. Never content, never secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_kept_as_written() {
        let text = r#"{ "b":1.50, "a":123456789012345678901234567890 }"#;
        let json = Json::parse(text.to_owned()).unwrap();
        assert_eq!(json.as_str(), text);
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
        assert!(Json::parse("{} {}".to_owned()).is_err());
    }

    #[test]
    fn what_was_said_is_read_again() {
        let data = Some(Json::parse("[1.0]".to_owned()).unwrap());
        let said = Output::Say { text: Some("hi".to_owned()), data };
        let progress = Output::Progress { percent: Some(5), message: "slowly".to_owned() };
        for output in [said, progress, Output::Delta { text: "h".to_owned() }] {
            let text = serde_json::to_string(&output).unwrap();
            assert_eq!(serde_json::from_str::<Output>(&text).unwrap(), output);
        }
    }

    #[test]
    fn a_header_value_survives_whatever_its_bytes() {
        let header = Header { name: "x".to_owned(), value: Bytes::from_static(&[b'a', 0xe9, 0xff]) };
        let text = serde_json::to_string(&header).unwrap();
        assert_eq!(serde_json::from_str::<Header>(&text).unwrap(), header);
    }

    #[test]
    fn failures_name_their_kind() {
        let failure = Failure::Retry { after_ms: Some(5), message: "busy".to_owned() };
        assert_eq!(serde_json::to_string(&failure).unwrap(), r#"{"kind":"retry","after_ms":5,"message":"busy"}"#);
    }
}

#[cfg(test)]
mod fuzz {
    use flowgate_fuzz::fuzz;
    use serde::de::DeserializeOwned;

    use super::*;

    /// What can be read is the same after it was kept and read again.
    fn survives<T: DeserializeOwned + Serialize + PartialEq + fmt::Debug>(text: &str) {
        let Ok(read) = serde_json::from_str::<T>(text) else { return };
        let kept = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<T>(&kept).unwrap(), read);
    }

    const TEXTS: &[&str] = &[
        r#"{"dialect":"native","received_at_ms":1,"message":"hi","data":{"a":[1.50]},"metadata":{},"confidential":true,"request":{"method":"POST","path":"/","query":"","headers":[{"name":"a","value":"\u00e9"}],"peer":"::1"}}"#,
        r#"{"text":"hi","data":[1e999],"raw":{"status":299,"headers":[],"body":"AAE="}}"#,
        r#"{"kind":"invalid_input","field":"a.b","expected":"a","received":"b","message":"c"}"#,
        r#"{"kind":"retry","after_ms":5,"message":"busy"}"#,
        r#"{"kind":"say","text":"hi","data":{"a":null}}"#,
        r#"{"kind":"progress","percent":5,"message":"half"}"#,
        r#"{"kind":"delta","text":"ha"}"#,
        r#"{"at_ms":1,"level":"info","source":"stdout","message":"hi"}"#,
    ];

    #[test]
    fn what_is_kept_is_read_again() {
        fuzz!(|grow| {
            let text = grow.text(TEXTS);
            survives::<Trigger>(&text);
            survives::<Reply>(&text);
            survives::<Failure>(&text);
            survives::<Output>(&text);
            survives::<LogLine>(&text);
        });
    }
}
