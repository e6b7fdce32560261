//! A product's wire format: bytes ↔ trigger, reply, callback.
//!
//! Each dialect is one file with the same functions: `parse` makes the payload of a request into the fields of a
//! trigger, `request` is its counterpart for those who send, `answer`, `accepted` and `filtered` make the HTTP response, `error` makes
//! that of a refused request, `said` and `callback` make what is delivered later. All are pure. The pages in `docs/dialects/` say what
//! each product documents.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{ExecutionId, HookId};
use crate::trigger::{Failure, Header, Json, Output, Reply, Request};

mod agenticflow;
mod almyty;
mod autommate;
mod body;
mod cognigy;
mod form;
#[cfg(test)]
mod fuzz;
mod malformed;
mod multipart;
mod native;
mod object;
#[cfg(test)]
mod testing;
mod uptiq;

pub use malformed::Malformed;
pub use object::{Object, first_object};

/// The wire formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Flowgate's own.
    #[default]
    Native,
    /// Autom Mate's webhook channel.
    Autommate,
    /// UPTIQ's agent webhooks.
    Uptiq,
    /// Cognigy.AI's webhook endpoint.
    Cognigy,
    /// almyty's agent webhooks.
    Almyty,
    /// AgenticFlow's incoming webhooks.
    Agenticflow,
}

/// All dialects with the words that name them, in the order of the documentation.
pub const DIALECTS: &[(&str, Dialect)] = &[
    ("native", Dialect::Native),
    ("autommate", Dialect::Autommate),
    ("uptiq", Dialect::Uptiq),
    ("cognigy", Dialect::Cognigy),
    ("almyty", Dialect::Almyty),
    ("agenticflow", Dialect::Agenticflow),
];

/// What a request says, in the terms of a trigger.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Payload {
    /// The text that was sent.
    pub message: Option<String>,
    /// Who sent it.
    pub user_id: Option<String>,
    /// The conversation.
    pub session_id: Option<String>,
    /// What it is about.
    pub data: Json,
    /// What the caller says about that.
    pub metadata: Json,
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 100 to 599.
    pub status: u16,
    /// In order.
    pub headers: Vec<Header>,
    /// The bytes.
    pub body: Bytes,
}

/// An execution, as callers and receivers see it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Its id.
    pub execution: ExecutionId,
    /// The hook it came in by.
    pub hook: Option<HookId>,
    /// The flow's name.
    pub flow: &'a str,
    /// Where it stands, as the API says it.
    pub status: &'a str,
    /// The slug of the detail.
    pub reason: Option<&'a str>,
    /// When it ended, RFC 3339.
    pub finished_at: Option<&'a str>,
    /// The conversation.
    pub session_id: Option<&'a str>,
    /// Who sent the trigger.
    pub user_id: Option<&'a str>,
    /// What the flow answered.
    pub reply: Option<&'a Reply>,
    /// Why it answered nothing.
    pub failure: Option<&'a Failure>,
    /// What it has just said.
    pub output: Option<&'a Output>,
    /// When it will probably have ended, RFC 3339.
    pub estimated_at: Option<&'a str>,
    /// Whether its content is kept out of every record.
    pub confidential: bool,
}

impl<'a> View<'a> {
    /// An execution of which nothing else is known.
    pub fn new(execution: ExecutionId, flow: &'a str, status: &'a str) -> Self {
        Self {
            execution,
            hook: None,
            flow,
            status,
            reason: None,
            finished_at: None,
            session_id: None,
            user_id: None,
            reply: None,
            failure: None,
            output: None,
            estimated_at: None,
            confidential: false,
        }
    }
}

/// Why a request gets no other answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault<'a> {
    /// The status of the house's own answer.
    pub status: u16,
    /// The slug of the problem.
    pub code: &'a str,
    /// One sentence for a person.
    pub message: &'a str,
    /// The dotted path of the member that is wrong.
    pub field: Option<&'a str>,
    /// What would have been right, in a word such as `a string`.
    pub expected: Option<&'a str>,
    /// What was there; `null` when nothing was.
    pub received: Option<&'a str>,
}

impl Fault<'_> {
    /// The status for products that know no finer word than 400 for a body that cannot be used.
    fn simple_status(&self) -> u16 {
        if self.status == 422 { 400 } else { self.status }
    }
}

/// What is delivered when an execution says something or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// What it tells, for example `execution.succeeded`.
    pub event: String,
    /// The bytes, sent with `content-type: application/json`.
    pub body: Bytes,
}

/// How many requests a product takes by its documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// In a minute.
    pub requests_per_minute: u32,
    /// Executions at one time.
    pub concurrent: u32,
}

/// Calls the function of the dialect's file.
macro_rules! spoken {
    ($dialect:expr, $function:ident($($argument:expr)?)) => {
        match $dialect {
            Dialect::Native => native::$function($($argument)?),
            Dialect::Autommate => autommate::$function($($argument)?),
            Dialect::Uptiq => uptiq::$function($($argument)?),
            Dialect::Cognigy => cognigy::$function($($argument)?),
            Dialect::Almyty => almyty::$function($($argument)?),
            Dialect::Agenticflow => agenticflow::$function($($argument)?),
        }
    };
}

impl Dialect {
    /// The word that names it.
    pub fn name(self) -> Cow<'static, str> {
        let (name, _) = DIALECTS.iter().find(|(_, dialect)| *dialect == self).expect("the table has every dialect");
        Cow::Borrowed(name)
    }

    /// The product's own paths to a hook, where `{hook}` stands for its id. `/hooks/{hook}` leads to it too.
    pub fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Native | Self::Uptiq | Self::Cognigy => &[],
            Self::Autommate => &["/api/v1/automs/run/{hook}"],
            Self::Almyty => &["/agents/{hook}/webhook"],
            Self::Agenticflow => &["/webhooks/agents/{hook}", "/webhooks/workflows/{hook}"],
        }
    }

    /// The dialect whose paths lead to hooks of this one: products without a path of their own share `/hooks/{hook}`.
    pub fn path_dialect(self) -> Self {
        if self.paths().is_empty() { Self::Native } else { self }
    }

    /// The dialect in which a path is answered when no hook is behind it.
    pub fn of_path(path: &str) -> Self {
        let prefixes = [
            ("/api/v1/automs/", Self::Autommate),
            ("/agents/", Self::Almyty),
            ("/webhooks/", Self::Agenticflow),
            ("/api/v1/webhooks", Self::Agenticflow),
        ];
        let found = prefixes.into_iter().find(|(prefix, _)| path.starts_with(prefix));
        found.map_or(Self::Native, |(_, dialect)| dialect)
    }

    /// The `auth` of a hook that says none, as JSON: what the product's callers send. Flowgate's own has to be told.
    pub fn auth(self) -> Option<&'static str> {
        match self {
            Self::Native => None,
            Self::Autommate => Some(r#"[{"scheme":"api-key","query":"apiKey"}]"#),
            Self::Uptiq => Some(r#"[{"scheme":"hmac-sha256","header":"x-signature","accept_compact_json":true}]"#),
            Self::Cognigy => Some(r#"[{"scheme":"none"}]"#),
            Self::Almyty => Some(
                r#"[{"scheme":"bearer"},{"scheme":"hmac-sha256","header":"x-webhook-signature","prefix":"sha256="}]"#,
            ),
            Self::Agenticflow => {
                Some(r#"[{"scheme":"api-key","query":"token"},{"scheme":"bearer"},{"scheme":"basic","user":"*"}]"#)
            }
        }
    }

    /// Whether every caller is answered at once, and none waits for the reply.
    pub fn answers_at_once(self) -> bool {
        matches!(self, Self::Cognigy | Self::Almyty | Self::Agenticflow)
    }

    /// Whether a message without a session is a conversation of its own, which ends with its execution.
    pub fn converses(self) -> bool {
        self == Self::Agenticflow
    }

    /// Whether an accepted caller is told when the execution will probably have ended.
    pub fn estimates(self) -> bool {
        self == Self::Agenticflow
    }

    /// How many requests a hook takes when it says nothing else; none where there is no bound.
    pub fn pace(self) -> Option<Pace> {
        (self == Self::Almyty).then_some(Pace { requests_per_minute: 100, concurrent: 10 })
    }

    /// Reads the payload of a request.
    pub fn parse(self, request: &Request) -> Result<Payload, Malformed> {
        spoken!(self, parse(request))
    }

    /// The body by which a caller says `payload`. What the dialect has no place for is left out; what it cannot do without
    /// is there.
    pub fn request(self, payload: &Payload) -> Bytes {
        spoken!(self, request(payload))
    }

    /// The response to a caller who waited for an execution that succeeded.
    pub fn answer(self, view: &View<'_>) -> Answer {
        spoken!(self, answer(view))
    }

    /// The response to a caller who does not wait, or has waited long enough.
    pub fn accepted(self, view: &View<'_>) -> Answer {
        spoken!(self, accepted(view))
    }

    /// The response to a request that is genuine and that its hook does not want: a success without an execution.
    pub fn filtered(self) -> Answer {
        spoken!(self, filtered())
    }

    /// What is delivered of an output as soon as the flow gives it; none in dialects whose receivers hear of the end only.
    pub fn said(self, view: &View<'_>) -> Option<Callback> {
        spoken!(self, said(view))
    }

    /// What is delivered when an execution has ended; none where there is nothing to say.
    pub fn callback(self, view: &View<'_>) -> Option<Callback> {
        spoken!(self, callback(view))
    }

    /// The response to a request that is refused; none where the house's own form is the right one.
    pub fn error(self, fault: &Fault<'_>) -> Option<Answer> {
        spoken!(self, error(fault))
    }
}

/// A payload's data or metadata, where there is any.
fn given(json: &Json) -> Option<&Json> {
    (*json != Json::empty()).then_some(json)
}

fn json(status: u16, value: &impl Serialize) -> Answer {
    let content_type = Header { name: "content-type".to_owned(), value: Bytes::from_static(b"application/json") };
    Answer { status, headers: vec![content_type], body: bytes(value) }
}

fn bytes(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("these values have a JSON form").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_requested_is_what_is_parsed() {
        let data = Json::parse(r#"{"order":1.0}"#.to_owned()).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let whole =
            Payload { message: text("Hi"), user_id: text("u"), session_id: text("s"), data, ..Payload::default() };
        for (name, dialect) in DIALECTS {
            let path = dialect.paths().first().unwrap_or(&"/hooks/{hook}").replace("{hook}", "x");
            let parsed = |payload: &Payload| {
                let body = String::from_utf8(dialect.request(payload).to_vec()).unwrap();
                dialect.parse(&Request { path: path.clone(), ..testing::request(&body) }).unwrap()
            };
            let said = parsed(&whole);
            assert_eq!(said.message, whole.message, "{name}");
            assert!([&whole.user_id, &None].contains(&&said.user_id), "{name}");
            assert!([&whole.session_id, &None].contains(&&said.session_id), "{name}");
            assert!(said.data.as_str().contains(r#""order":1.0"#), "{name}: {:?}", said.data);
            parsed(&Payload::default());
        }
    }

    #[test]
    fn a_products_path_is_answered_in_its_dialect() {
        for (name, dialect) in DIALECTS {
            assert_eq!(dialect.name(), *name);
            assert!(dialect.paths().iter().all(|path| Dialect::of_path(path) == *dialect), "{name}");
        }
        assert_eq!(Dialect::of_path("/hooks/x"), Dialect::Native);
    }

    #[test]
    fn what_is_filtered_is_a_success_that_names_no_execution() {
        for (name, dialect) in DIALECTS {
            let (status, body) = testing::text(&dialect.filtered());
            assert_eq!(status, 200, "{name}");
            assert!(body.contains("filtered") && !body.to_ascii_lowercase().contains("execution"), "{name}: {body}");
        }
    }
}
