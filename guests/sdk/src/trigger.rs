//! What a flow receives.

use serde::de::DeserializeOwned;

use crate::input::{self, Place};
use crate::{Failure, Result};

/// What happened and what is wanted of the flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The execution that this call is an attempt of.
    pub execution_id: String,
    /// The flow's name.
    pub flow: String,
    /// The digest of the running version: `sha256:` and 64 hex digits.
    pub version: String,
    /// The id of the hook that the trigger came in by.
    pub hook: String,
    /// The wire format of that hook, for example `native`.
    pub dialect: String,
    /// 1 for the first attempt. There may be more, so effects should be idempotent.
    pub attempt: u32,
    /// Unix time in milliseconds.
    pub received_at_ms: u64,
    /// Unix time in milliseconds at which the host stops this execution.
    pub deadline_ms: u64,
    /// The text that a person or a system sent.
    pub message: Option<String>,
    /// Who sent it, in the caller's own terms.
    pub user_id: Option<String>,
    /// The conversation it belongs to.
    pub session_id: Option<String>,
    /// The payload as a JSON text; `{}` when there is none.
    pub data: String,
    /// What the caller said about the payload, as a JSON text; `{}` when there is none.
    pub metadata: String,
    /// The request behind it.
    pub request: Request,
}

impl Trigger {
    /// The message, which the caller must have sent.
    pub fn message(&self) -> Result<&str> {
        required("message", self.message.as_deref())
    }

    /// The user's id, which the caller must have sent.
    pub fn user_id(&self) -> Result<&str> {
        required("user_id", self.user_id.as_deref())
    }

    /// The session's id, which the caller must have sent.
    pub fn session_id(&self) -> Result<&str> {
        required("session_id", self.session_id.as_deref())
    }

    /// The payload as a `T`. What does not fit is [`Failure::InvalidInput`], with the path of the field within the payload.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        input::parse(&self.data, Place { root: "data", prefix: "" })
    }

    /// The metadata as a `T`, as [`Trigger::data`] does it; paths begin with `metadata.`.
    pub fn metadata<T: DeserializeOwned>(&self) -> Result<T> {
        input::parse(&self.metadata, Place { root: "metadata", prefix: "metadata." })
    }
}

/// The HTTP request as it arrived, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// `POST`, …
    pub method: String,
    /// Percent-encoded, as received.
    pub path: String,
    /// Without the leading `?`; empty when there was none.
    pub query: String,
    /// In order of arrival.
    pub headers: Vec<Header>,
    /// The exact bytes that were received and verified; where the hook undoes a content encoding, what they were before it.
    pub body: Vec<u8>,
    /// The caller's IP address.
    pub peer: String,
}

impl Request {
    /// The value of the first header called `name`, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(&field.value).ok()
    }

    /// The body as a `T`, as [`Trigger::data`] does it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let text = std::str::from_utf8(&self.body).map_err(|_| Failure::invalid("body", "UTF-8", "other bytes"))?;
        input::parse(text, Place { root: "body", prefix: "" })
    }
}

/// One HTTP header field: lowercase name, raw value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Lowercase.
    pub name: String,
    /// Raw bytes.
    pub value: Vec<u8>,
}

fn required<'a>(field: &str, value: Option<&'a str>) -> Result<&'a str> {
    value.ok_or_else(|| Failure::missing(field, "string"))
}
