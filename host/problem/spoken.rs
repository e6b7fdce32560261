//! A problem in the words of a product.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::Problem;
use crate::dialect::{self, Dialect};

impl Problem {
    /// The response to somebody who speaks `dialect`. What the response says beside its body (`Retry-After`,
    /// `WWW-Authenticate`) is the same in all of them.
    pub fn in_dialect(self, dialect: Dialect) -> Response {
        let wrong = self.errors.first();
        let fault = dialect::Fault {
            status: self.kind.status,
            code: self.kind.slug,
            message: &self.detail,
            field: wrong.map(|error| error.field.as_str()),
            expected: wrong.and_then(|error| error.expected.as_deref()),
            received: wrong.and_then(|error| error.received.as_deref()),
        };
        let Some(answer) = dialect.error(&fault) else { return self.into_response() };
        let mut response = self.into_response();
        *response.status_mut() = StatusCode::from_u16(answer.status).expect("dialects answer with possible statuses");
        response.headers_mut().remove(header::CONTENT_LENGTH);
        for field in answer.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).expect("dialects name possible headers");
            let value = HeaderValue::from_maybe_shared(field.value).expect("dialects give possible values");
            response.headers_mut().insert(name, value);
        }
        *response.body_mut() = Body::from(answer.body);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::kind;

    #[test]
    fn a_product_hears_its_own_words_and_the_same_headers() {
        let busy = || Problem::new(&kind::OVERLOADED, "later");
        let own = busy().in_dialect(Dialect::Agenticflow);
        assert_eq!(
            (own.status().as_u16(), &own.headers()["content-type"]),
            (503, &"application/json".parse().unwrap())
        );
        assert_eq!(own.headers()["retry-after"], "1");
        let wrong = Problem::field("message", "is wrong");
        assert_eq!(wrong.in_dialect(Dialect::Cognigy).status(), 400);
        assert_eq!(busy().in_dialect(Dialect::Autommate).headers()["content-type"], "application/problem+json");
    }
}
