//! What a customer writes about a hook.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::admission::{ContentType, Encoding, Range};
use super::deduplicate::Deduplicate;
use crate::dialect::Dialect;
use crate::filter::Filter;
use crate::signature::Scheme;

/// A hook's behaviour. JSON with a member for each field; all but `auth` may be left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The wire format.
    #[serde(default)]
    pub dialect: Dialect,
    /// How a caller proves itself; one of these is enough. `[{"scheme":"none"}]` lets everybody in.
    pub auth: Vec<Scheme>,
    /// The alias of the flow that runs.
    #[serde(default = "live")]
    pub alias: Arc<str>,
    /// How a caller gets the answer when it does not say.
    #[serde(default)]
    pub mode: Mode,
    /// Milliseconds that a caller waits for the reply. Then it gets a 202 and the execution goes on.
    #[serde(default = "sync_wait_ms")]
    pub sync_wait_ms: u64,
    /// Bytes of a request's body.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: usize,
    /// The addresses that may send; empty for all.
    #[serde(default)]
    pub allow_from: Vec<Range>,
    /// The types of bodies that are taken; empty for all.
    #[serde(default)]
    pub content_types: Vec<ContentType>,
    /// The encodings of bodies that are undone; a body in another one is refused. Signatures cover the encoded bytes, and
    /// `body_bytes_max` holds for these and for the decoded ones.
    #[serde(default)]
    pub content_encodings: Vec<Encoding>,
    /// Whether an execution is durable before its reply is sent. An asynchronous one always is.
    #[serde(default)]
    pub record: Record,
    /// What happens to a trigger whose session has an execution under way.
    #[serde(default)]
    pub on_busy: OnBusy,
    /// Milliseconds that the first message of a session waits for further ones, where they are merged.
    #[serde(default = "merge_ms")]
    pub merge_ms: u64,
    /// What a flow that asks for another attempt gets.
    #[serde(default)]
    pub retry: Retry,
    /// Bounds that are tighter than the server's.
    #[serde(default)]
    pub limits: Limits,
    /// What a genuine request must be for its flow to run. A condition over `{"headers","query","body","message","user_id",
    /// "session_id","data","metadata"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// How a request is known that came before.
    #[serde(default)]
    pub deduplicate: Deduplicate,
    /// Whether requests are only recorded, genuine or not, and nothing runs.
    #[serde(default)]
    pub capture: bool,
    /// Where outcomes are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// The URL that senders were told, for the schemes that sign it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Whether what a trigger says and what its flow answers is kept out of every record once the execution has ended.
    #[serde(default)]
    pub disable_sensitive_logging: bool,
}

fn live() -> Arc<str> {
    "live".into()
}

fn sync_wait_ms() -> u64 {
    25_000
}

fn merge_ms() -> u64 {
    1_000
}

fn body_bytes_max() -> usize {
    1 << 20
}

/// How a caller gets the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In the response, if it comes in time.
    #[default]
    Sync,
    /// A 202 at once; later by polling, and by callback if there is one.
    Async,
    /// As Server-Sent Events.
    Stream,
}

/// What happens to a trigger whose session has an execution under way. Without a session nobody waits for anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBusy {
    /// It waits until those before it have ended.
    #[default]
    Queue,
    /// It is refused.
    Reject,
    /// Those before it are canceled.
    Interrupt,
    /// Its message is added to that of the one that waits to begin.
    Merge,
}

/// When a synchronous execution is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// Shortly after the reply.
    #[default]
    Relaxed,
    /// Before the flow runs.
    Strict,
}

/// How often a flow may ask for another attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Attempts of an execution, the first included.
    pub attempts_max: u32,
    /// Seconds to wait before the second, third, … attempt where the flow does not say; the last one counts on.
    pub schedule_s: Vec<u64>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts_max: 5, schedule_s: vec![1, 5, 30, 120] }
    }
}

/// Bounds of a hook's executions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Milliseconds that the guest may really run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms_max: Option<u64>,
    /// Bytes of the guest's memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<usize>,
    /// Milliseconds from the start of an attempt to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms_max: Option<u64>,
    /// Requests in a minute; the product's own number when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Executions that have not ended; the product's own number when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
}

/// Where outcomes are delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// The receiver.
    pub url: Url,
    /// Seconds to wait before each further attempt; the server's schedule when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_s: Option<Vec<u64>>,
    /// Basic authentication, where the receiver asks for it. The password is one of the hook's secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
}

/// Who a callback comes from, for its receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// Without a colon.
    pub user: String,
}

/// A field that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its dotted path.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Invalid {
    pub(super) fn new(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

pub(super) fn told(problems: &[Invalid]) -> String {
    problems.iter().map(|one| format!("`{}`: {}", one.field, one.message)).collect::<Vec<_>>().join("; ")
}

/// The longest that a caller may wait: what an asynchronous execution may take by default.
pub const WAIT_MS_MAX: u64 = 15 * 60 * 1_000;

/// The longest that messages may be merged for.
pub const MERGE_MS_MAX: u64 = 60_000;

/// The largest body that a hook may allow.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// Entries of a schedule.
pub const SCHEDULE_MAX: usize = 50;

/// The longest wait in a schedule: 30 days.
pub const SCHEDULE_S_MAX: u64 = 30 * 24 * 3_600;

/// The longest list of addresses or types, since it is gone through for every request.
pub const LIST_MAX: usize = 1_000;

impl Spec {
    /// A spec with the defaults and these ways to prove a caller.
    pub fn new(auth: Vec<Scheme>) -> Self {
        Self {
            dialect: Dialect::default(),
            auth,
            alias: live(),
            mode: Mode::default(),
            sync_wait_ms: sync_wait_ms(),
            body_bytes_max: body_bytes_max(),
            allow_from: Vec::new(),
            content_types: Vec::new(),
            content_encodings: Vec::new(),
            record: Record::default(),
            on_busy: OnBusy::default(),
            merge_ms: merge_ms(),
            retry: Retry::default(),
            limits: Limits::default(),
            filter: None,
            deduplicate: Deduplicate::default(),
            capture: false,
            callback: None,
            public_url: None,
            disable_sensitive_logging: false,
        }
    }

    /// True when one of the ways to prove a caller takes a secret.
    pub fn needs_secret(&self) -> bool {
        self.auth.iter().any(|scheme| !scheme.is_none())
    }

    /// Requests in a minute, if they are bounded.
    pub fn requests_per_minute(&self) -> Option<u32> {
        self.limits.requests_per_minute.or(self.dialect.pace().map(|pace| pace.requests_per_minute))
    }

    /// Executions at one time, if they are bounded.
    pub fn concurrent(&self) -> Option<u32> {
        self.limits.concurrent.or(self.dialect.pace().map(|pace| pace.concurrent))
    }

    /// Everything that cannot be as it is.
    pub(super) fn check(&self) -> Vec<Invalid> {
        let mut problems = Vec::new();
        let mut wrong = |bad: bool, field: &str, message: String| {
            if bad {
                problems.push(Invalid::new(field, message));
            }
        };
        let open = self.auth.iter().any(Scheme::is_none);
        wrong(
            self.auth.is_empty(),
            "auth",
            "must name at least one scheme; `{\"scheme\":\"none\"}` lets everybody in".into(),
        );
        wrong(open && self.auth.len() > 1, "auth", "`none` beside another scheme makes the other one useless".into());
        wrong(crate::id::check_name(&self.alias).is_err(), "alias", crate::id::BadName.to_string());
        let (wait, body) = (self.sync_wait_ms, self.body_bytes_max);
        wrong(wait > WAIT_MS_MAX, "sync_wait_ms", format!("is {wait}; allowed: 0 to {WAIT_MS_MAX}"));
        wrong(body > BODY_BYTES_MAX, "body_bytes_max", format!("is {body}; allowed: 0 to {BODY_BYTES_MAX}"));
        let merge = self.merge_ms;
        wrong(merge > MERGE_MS_MAX, "merge_ms", format!("is {merge}; allowed: 0 to {MERGE_MS_MAX}"));
        let merged = self.on_busy == OnBusy::Merge && self.disable_sensitive_logging;
        wrong(merged, "on_busy", "is `merge`; what `disable_sensitive_logging` seals cannot be added to".into());
        for (field, length) in [
            ("allow_from", self.allow_from.len()),
            ("content_types", self.content_types.len()),
            ("content_encodings", self.content_encodings.len()),
        ] {
            wrong(length > LIST_MAX, field, format!("has {length} entries; allowed: {LIST_MAX}"));
        }
        let attempts = self.retry.attempts_max;
        wrong(!(1..=100).contains(&attempts), "retry.attempts_max", format!("is {attempts}; allowed: 1 to 100"));
        let callback_schedule = self.callback.as_ref().and_then(|callback| callback.schedule_s.as_deref());
        for (field, schedule) in [
            ("retry.schedule_s", &self.retry.schedule_s[..]),
            ("callback.schedule_s", callback_schedule.unwrap_or(&[])),
        ] {
            let fits = schedule.len() <= SCHEDULE_MAX && schedule.iter().all(|wait| *wait <= SCHEDULE_S_MAX);
            wrong(!fits, field, format!("has at most {SCHEDULE_MAX} entries, each of at most {SCHEDULE_S_MAX}"));
        }
        let wall = self.limits.wall_ms_max;
        wrong(wall == Some(0), "limits.wall_ms_max", "is 0; an execution needs time".into());
        wrong(self.limits.cpu_ms_max == Some(0), "limits.cpu_ms_max", "is 0; an execution needs time".into());
        let (rate, concurrent) = (self.limits.requests_per_minute, self.limits.concurrent);
        wrong(rate == Some(0), "limits.requests_per_minute", "is 0; disable the hook to refuse all".into());
        wrong(concurrent == Some(0), "limits.concurrent", "is 0; disable the hook to refuse all".into());
        let conditions = self.filter.as_ref().is_none_or(|filter| filter.source().is_object());
        wrong(!conditions, "filter", "must be an object: a request is one".into());
        if let Some(why) = self.deduplicate.wrong() {
            wrong(true, "deduplicate", why);
        }
        if let Some(url) = &self.public_url {
            wrong(Url::parse(url).is_err(), "public_url", format!("is `{url}`; allowed: an absolute URL"));
        }
        if let Some(callback) = &self.callback {
            let user = callback.basic.as_ref().map_or("", |basic| basic.user.as_str());
            let bad = user.contains(':') || user.chars().any(char::is_control);
            wrong(bad, "callback.basic.user", "has a colon or a control character".into());
        }
        problems
    }
}
