//! A product's wire format: bytes ↔ trigger, reply, callback.
//!
//! Each dialect is one file with the same functions: `parse` makes the payload of a request into the fields of a
//! trigger, `answer` and `accepted` make the HTTP response, `callback` makes what is delivered later. All are pure.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{ExecutionId, HookId};
use crate::trigger::{Failure, Header, Json, Reply, Request};

mod native;
mod object;

pub use object::{Object, first_object};

/// The wire formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Flowgate's own.
    #[default]
    Native,
}

/// All dialects with the words that name them, in the order of the documentation.
pub const DIALECTS: &[(&str, Dialect)] = &[("native", Dialect::Native)];

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

/// Why a body is not what the dialect says it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The body is called JSON and is not.
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// A member has the wrong type.
    #[error("`{field}` must be {expected}, not {received}")]
    Type {
        /// Its dotted path.
        field: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was there.
        received: &'static str,
    },
    /// A member comes twice; readers would disagree about which one counts.
    #[error("the member `{0}` comes twice")]
    Twice(String),
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
}

/// What is delivered when an execution has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// What it tells, for example `execution.succeeded`.
    pub event: String,
    /// The bytes, sent with `content-type: application/json`.
    pub body: Bytes,
}

impl Dialect {
    /// The word that names it.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Native => Cow::Borrowed("native"),
        }
    }

    /// Reads the payload of a request.
    pub fn parse(self, request: &Request) -> Result<Payload, Malformed> {
        match self {
            Self::Native => native::parse(request),
        }
    }

    /// The response to a caller who waited for an execution that succeeded.
    pub fn answer(self, view: &View<'_>) -> Answer {
        match self {
            Self::Native => native::answer(view),
        }
    }

    /// The response to a caller who does not wait, or has waited long enough.
    pub fn accepted(self, view: &View<'_>) -> Answer {
        match self {
            Self::Native => native::accepted(view),
        }
    }

    /// What is delivered when an execution has ended.
    pub fn callback(self, view: &View<'_>) -> Callback {
        match self {
            Self::Native => native::callback(view),
        }
    }
}
