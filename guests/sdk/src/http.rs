//! Requests to hosts that the operator granted.
//!
//! ```
//! use flowgate::{Reply, Result, Trigger, http, secrets};
//!
//! fn handle(trigger: Trigger) -> Result {
//!     let answer = http::get(format!("https://api.example.com/orders/{}", trigger.message()?))
//!         .bearer(secrets::placeholder("API_KEY")?)
//!         .send()?
//!         .ok()?;
//!     Ok(Reply::text(answer.text()))
//! }
//! # flowgate::flow!(handle);
//! ```
//!
//! Redirects are answers like any other: whoever wants to follow one asks again, and needs a grant for where it leads.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Header, host};

/// A request to be sent.
#[derive(Debug, Clone)]
#[must_use = "a request is sent by `send`"]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Result<Vec<u8>, String>,
    pub(crate) timeout: Option<Duration>,
}

/// A `GET` of an absolute URL.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// A `POST` to an absolute URL.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// A request with any method.
pub fn request(method: impl Into<String>, url: impl Into<String>) -> Request {
    Request { method: method.into(), url: url.into(), headers: Vec::new(), body: Ok(Vec::new()), timeout: None }
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// Adds `authorization: Bearer …`, for example with the placeholder of a secret.
    pub fn bearer(self, token: impl fmt::Display) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// What is sent.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Ok(body.into()), ..self }
    }

    /// Sends JSON, and says so in `content-type`.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        let body = serde_json::to_vec(value).map_err(|error| error.to_string());
        Self { body, ..self.header("content-type", "application/json") }
    }

    /// The time for everything, the answer's body included. The host has a limit of its own.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Sends it and waits for the whole answer.
    pub fn send(self) -> Result<Response, Error> {
        host::fetch(self)
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// 200, …
    pub status: u16,
    /// In order.
    pub headers: Vec<Header>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first header called `name`, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(&field.value).ok()
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Unexpected(format!("the answer's body: {error}")))
    }

    /// The answer itself if its status is 2xx, an error with its status if not.
    pub fn ok(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(Error::Unexpected(format!("the answer has the status {}", self.status)))
    }
}

/// Why there is no answer, or not the wanted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The flow was not granted this request; the text names the grant that is missing.
    NotGranted(String),
    /// The request is no HTTP request; the text names the member.
    Invalid(String),
    /// Nobody answered: no such name, no connection, no TLS.
    Unreachable(String),
    /// The answer did not come in time.
    Timeout,
    /// A limit; the text names it.
    OverLimit(String),
    /// There is an answer, and it is another one than was wanted: by [`Response::ok`] or [`Response::json`].
    Unexpected(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(text)
            | Self::Invalid(text)
            | Self::Unreachable(text)
            | Self::OverLimit(text)
            | Self::Unexpected(text) => f.write_str(text),
            Self::Timeout => f.write_str("no answer in time"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{secrets, testing};

    #[test]
    fn a_test_answers_in_place_of_the_host() {
        testing::set_secret("API_KEY", "hidden");
        let answer = Response { status: 200, body: br#"{"n":1}"#.to_vec(), ..Response::default() };
        testing::set_answer("GET", "https://api.example.com/n", Ok(answer));
        let token = secrets::placeholder("API_KEY").unwrap();
        let answer = get("https://api.example.com/n").bearer(&token).send().unwrap().ok().unwrap();
        assert_eq!(answer.json::<serde_json::Value>().unwrap()["n"], 1);
        let sent = testing::take_requests();
        assert_eq!(sent[0].header("authorization"), Some("Bearer hidden"));
        assert!(matches!(post("https://api.example.com/n").send(), Err(Error::NotGranted(_))));
        testing::set_answer("POST", "https://api.example.com/n", Err(Error::Timeout));
        assert_eq!(post("https://api.example.com/n").json(&[1]).send(), Err(Error::Timeout));
        let sent = testing::take_requests();
        assert_eq!((sent.len(), &sent[1].body[..]), (2, &b"[1]"[..]));
    }

    #[test]
    fn secrets_are_there_or_not() {
        testing::set_secret("KEY", "hidden");
        assert_eq!((secrets::exists("KEY"), secrets::exists("NONE")), (Ok(true), Ok(false)));
        assert_eq!(secrets::placeholder("NONE"), Err(secrets::Error::Unknown("NONE".to_owned())));
        assert_eq!(secrets::reveal("KEY"), Ok("hidden".to_owned()));
    }
}
