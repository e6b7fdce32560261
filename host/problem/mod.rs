//! Every room's `Error` as an HTTP answer: `application/problem+json` (RFC 9457).
//!
//! Beside the members of the RFC a problem has `code` (its slug), `fault` (`caller`, `flow`, `provider` or `host`: who has
//! to act), `retryable` (whether the same request may succeed later), and where they apply `execution_id` and `errors` (one
//! entry for each wrong field). `type` is the page that explains it, which this server serves.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};

use crate::id::ExecutionId;

mod done;
mod from;
pub mod kind;
mod pages;
mod spoken;

pub use done::of_done;
pub use kind::{Fault, KINDS, Kind};
pub use pages::page;

/// An answer that says what went wrong. JSON:
/// `{"type","title","status","detail","code","fault","retryable","execution_id"?,"errors"?}`.
#[derive(Debug)]
pub struct Problem {
    kind: &'static Kind,
    detail: String,
    errors: Vec<FieldError>,
    execution: Option<ExecutionId>,
    retry_after_s: Option<u64>,
}

/// One wrong field of a request. JSON: `{"field","message","expected"?,"received"?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Its dotted path.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// What would be right, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was there, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
}

impl Problem {
    /// A problem of a kind, with one sentence for the person who reads it.
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        let retry_after_s = (kind.status == 503 || kind.status == 429).then_some(1);
        Self { kind, detail: detail.into(), errors: Vec::new(), execution: None, retry_after_s }
    }

    /// A value that cannot be as it is.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let detail = format!("`{field}`: {message}");
        Self::new(&kind::INVALID_REQUEST, detail).with(FieldError { field, message, expected: None, received: None })
    }

    /// A fault of ours. The error goes to the log; the caller learns only that there was one.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed through the host's fault");
        Self::new(&kind::INTERNAL, "the server failed; its log says more")
    }

    /// Says how many seconds to wait before the next try.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds a wrong field.
    pub fn with(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// Says which execution it is about.
    pub fn about(mut self, execution: ExecutionId) -> Self {
        self.execution = Some(execution);
        self
    }

    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Its sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            code: &'a str,
            fault: Fault,
            retryable: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            execution_id: Option<ExecutionId>,
            #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
            errors: &'a [FieldError],
        }
        let Kind { slug, status, title, fault, retryable } = *self.kind;
        Body {
            r#type: format!("/errors/{slug}"),
            title,
            status,
            detail: &self.detail,
            code: slug,
            fault,
            retryable,
            execution_id: self.execution,
            errors: &self.errors,
        }
        .serialize(serializer)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind.status).expect("the table has valid statuses");
        let body = serde_json::to_vec(&self).expect("a problem has a JSON form");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
