//! What a flow answers.

use serde::Serialize;

use crate::{Header, Result};

/// What a flow answers: a text for a person, data for a program, both, or a whole HTTP response.
///
/// A `String`, a `&str` and an [`HttpReply`] become replies by themselves, so a flow may return `Result<String>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// For a person.
    pub text: Option<String>,
    /// For a program: one JSON text.
    pub data: Option<String>,
    /// The whole HTTP response, where the hook's dialect allows it.
    pub raw: Option<HttpReply>,
}

impl Reply {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// A value. Fails as `serde_json` does, for example on a map whose keys are no strings.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        Ok(Self { data: Some(serde_json::to_string(value)?), ..Self::default() })
    }

    /// A whole HTTP response.
    pub fn http(response: HttpReply) -> Self {
        Self { raw: Some(response), ..Self::default() }
    }

    /// The same reply with a text.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// The same reply with a value.
    pub fn with_json(self, value: &(impl Serialize + ?Sized)) -> Result<Self> {
        Ok(Self { data: Some(serde_json::to_string(value)?), ..self })
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<HttpReply> for Reply {
    fn from(response: HttpReply) -> Self {
        Self::http(response)
    }
}

/// A whole HTTP response.
///
/// ```
/// use flowgate::{HttpReply, Reply};
///
/// let reply = Reply::http(HttpReply::new(201).header("location", "/orders/7").body("created"));
/// # assert_eq!(reply.raw.unwrap().status, 201);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// 200 to 599.
    pub status: u16,
    /// In order.
    pub headers: Vec<Header>,
    /// Raw bytes.
    pub body: Vec<u8>,
}

impl HttpReply {
    /// A response without headers and body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The same response with one header field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header { name: name.to_ascii_lowercase(), value: value.into() });
        self
    }

    /// The same response with this body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }
}
