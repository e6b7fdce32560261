//! What the tests of all dialects need.

use super::{Answer, Fault, View};
use crate::id::ExecutionId;
use crate::trigger::{Header, Request};

/// A request with a JSON body.
pub(super) fn request(body: &str) -> Request {
    let content_type = Header { name: "content-type".to_owned(), value: "application/json".into() };
    Request { headers: vec![content_type], body: body.to_owned().into(), ..Request::default() }
}

/// Status and body.
pub(super) fn text(answer: &Answer) -> (u16, String) {
    (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
}

/// A missing `message`.
pub(super) fn fault() -> Fault<'static> {
    Fault {
        status: 422,
        code: "invalid-request",
        message: "told",
        field: Some("message"),
        expected: Some("a string"),
        received: Some("null"),
    }
}

/// An execution that succeeded and said nothing.
pub(super) fn view() -> View<'static> {
    View::new(ExecutionId::from_bytes([1; 16]), "bot", "succeeded")
}
