//! Why a flow gives no reply, and the way there from any error.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{llm, session};

/// What a flow returns: a [`Reply`](crate::Reply) unless said otherwise, or a [`Failure`].
pub type Result<T = crate::Reply, E = Failure> = std::result::Result<T, E>;

/// Why a flow gives no reply.
///
/// `?` makes one of any [`std::error::Error`]: [`Failure::Failed`] with the texts of the error and its sources, but
/// [`Failure::Retry`] where the host itself says that trying again may help ([`session::Error::Unavailable`]) or where
/// another execution was faster ([`session::Error::Conflict`]), or a model's provider is busy, slow or broken
/// ([`llm::Error::RateLimited`], [`llm::Error::Timeout`], [`llm::Error::Provider`]). Therefore it is no `std::error::Error` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The caller's fault; becomes a 422 that names the field.
    InvalidInput(InputError),
    /// Final: the execution fails with this message.
    Failed(String),
    /// Try the execution again, as the hook's retry policy allows.
    Retry {
        /// How long to wait; the hook's schedule decides when absent.
        after: Option<Duration>,
        /// Why.
        message: String,
    },
}

/// Which part of the input a flow cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// A dotted path such as `customer.email` or `lines.2.quantity`.
    pub field: String,
    /// What would have been right, for example `string`.
    pub expected: String,
    /// What was there, for example `null`.
    pub received: String,
    /// One sentence for a person.
    pub message: String,
}

impl Failure {
    /// The end of this execution.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// Another attempt, when the hook's schedule says.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry { after: None, message: message.into() }
    }

    /// Another attempt after a time.
    pub fn retry_after(after: Duration, message: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), message: message.into() }
    }

    /// A field that the flow cannot use.
    ///
    /// ```
    /// # use flowgate::Failure;
    /// let failure = Failure::invalid("currency", "an ISO 4217 code", "\"Euros\"");
    /// assert_eq!(failure.to_string(), "Field 'currency' is wrong: expected an ISO 4217 code, received \"Euros\"");
    /// ```
    pub fn invalid(field: impl Into<String>, expected: impl Into<String>, received: impl Into<String>) -> Self {
        let (field, expected, received) = (field.into(), expected.into(), received.into());
        let message = format!("Field '{field}' is wrong: expected {expected}, received {received}");
        Self::InvalidInput(InputError { field, expected, received, message })
    }

    /// A required field that is not there.
    pub fn missing(field: impl Into<String>, expected: impl Into<String>) -> Self {
        let field = field.into();
        let message = format!("Required field '{field}' is missing");
        Self::InvalidInput(InputError { field, expected: expected.into(), received: "null".to_owned(), message })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidInput(error) => &error.message,
            Self::Failed(message) | Self::Retry { message, .. } => message,
        })
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let message = chain(&error);
        match (&error as &dyn Error).downcast_ref::<session::Error>() {
            Some(session::Error::Unavailable(_) | session::Error::Conflict(_)) => Self::retry(message),
            Some(session::Error::NoSession) => Self::missing("session_id", "string"),
            _ => match (&error as &dyn Error).downcast_ref::<llm::Error>() {
                Some(llm::Error::RateLimited(after)) => Self::Retry { after: *after, message },
                Some(llm::Error::Provider(_) | llm::Error::Timeout) => Self::retry(message),
                _ => Self::failed(message),
            },
        }
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output;

    fn failure(error: impl Error + 'static) -> Failure {
        error.into()
    }

    #[test]
    fn an_error_fails_with_its_sources() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the count is wrong")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = Outer("x".parse::<u8>().unwrap_err());
        assert_eq!(failure(error), Failure::failed("the count is wrong: invalid digit found in string"));
    }

    #[test]
    fn a_session_that_is_unavailable_or_changed_is_tried_again() {
        assert!(matches!(failure(session::Error::Unavailable("disk".into())), Failure::Retry { after: None, .. }));
        assert!(matches!(failure(session::Error::Conflict(3)), Failure::Retry { .. }));
    }

    #[test]
    fn a_session_that_is_not_there_is_the_callers_fault() {
        assert_eq!(failure(session::Error::NoSession), Failure::missing("session_id", "string"));
    }

    #[test]
    fn an_output_error_is_final() {
        assert!(matches!(failure(output::Error::OverLimit("1 MiB".into())), Failure::Failed(_)));
    }
}
