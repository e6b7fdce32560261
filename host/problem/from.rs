//! Which problem each error is.

use super::kind::*;
use super::{FieldError, Problem};
use crate::{delivery, dialect, dispatch, egress, engine, execution, hook, registry, signature, store, subscription};

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match &error {
            store::Error::Busy => Self::new(&OVERLOADED, error.to_string()),
            store::Error::Taken => Self::new(&NAME_TAKEN, error.to_string()),
            store::Error::InUse(why) => Self::new(&IN_USE, why.clone()),
            store::Error::Closed => Self::new(&STOPPING, "the server is stopping"),
            store::Error::Database(_) | store::Error::Io { .. } | store::Error::RolledBack => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store fails");
                Self::new(&STORE_UNAVAILABLE, "the store cannot be read or written now; the server's log says why")
            }
            _ => Self::internal(&error),
        }
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        use registry::Error as E;
        let text = error.to_string();
        match error {
            E::BadName { .. } => Self::field("name", text),
            E::BadConfig(_) => Self::field("config", text),
            E::BadGrants(faults) => faults.into_iter().fold(Self::new(&INVALID_REQUEST, text), |problem, one| {
                problem.with(FieldError { field: one.field, message: one.message, expected: None, received: None })
            }),
            E::BadSecret { field, message } => Self::field(field, message),
            E::UnreadableGrants(_) => Self::internal(&error),
            E::UnknownFlow(_) | E::UnknownVersion(_) | E::UnknownSecret(_) => Self::new(&NOT_FOUND, text),
            E::UnknownAlias(_) => Self::new(&NO_LIVE_VERSION, text),
            E::NoEarlier(_) => Self::new(&NOTHING_TO_ROLL_BACK, text),
            E::Taken(_) => Self::new(&NAME_TAKEN, text),
            E::InUse(_) => Self::new(&IN_USE, text),
            E::NotReady { .. } => Self::new(&VERSION_NOT_READY, text),
            E::TooLarge { .. } | E::Refused(engine::Refusal::TooLarge { .. }) => Self::new(&BODY_TOO_LARGE, text),
            E::DigestMismatch { .. } => Self::new(&DIGEST_MISMATCH, text),
            E::Refused(engine::Refusal::Mismatch(mismatches)) => {
                let problem = Self::new(&INVALID_COMPONENT, text);
                mismatches.into_iter().fold(problem, |problem, one| problem.with(field_of(one)))
            }
            E::Refused(_) | E::OtherSort(_) => Self::new(&INVALID_COMPONENT, text),
            E::Engine(error) => Self::internal(&error),
            E::Store(error) => error.into(),
        }
    }
}

fn field_of(mismatch: engine::Mismatch) -> FieldError {
    FieldError { field: mismatch.name, message: mismatch.detail, expected: mismatch.nearest, received: None }
}

impl From<hook::Error> for Problem {
    fn from(error: hook::Error) -> Self {
        use hook::Error as E;
        let text = error.to_string();
        match error {
            E::Invalid(fields) => fields.into_iter().fold(Self::new(&INVALID_REQUEST, text), |problem, one| {
                problem.with(FieldError { field: one.field, message: one.message, expected: None, received: None })
            }),
            E::Unknown(_) | E::UnknownSecret(_) => Self::new(&NOT_FOUND, text),
            E::Taken(_) => of_name("name", text),
            E::PathTaken(_) => of_name("path_id", text),
            E::Changed => Self::new(&CHANGED, text),
            E::Store(error) => error.into(),
        }
    }
}

fn of_name(field: &str, message: String) -> Problem {
    let field = FieldError { field: field.to_owned(), message: message.clone(), expected: None, received: None };
    Problem::new(&NAME_TAKEN, message).with(field)
}

impl From<subscription::Error> for Problem {
    fn from(error: subscription::Error) -> Self {
        use subscription::Error as E;
        let text = error.to_string();
        match error {
            E::Invalid(fields) => fields.into_iter().fold(Self::new(&INVALID_REQUEST, text), |problem, one| {
                problem.with(FieldError { field: one.field, message: one.message, expected: None, received: None })
            }),
            E::Unknown(_) | E::Ambiguous(_) | E::UnknownSecret(_) => Self::new(&NOT_FOUND, text),
            E::LastSecret(_) => Self::new(&IN_USE, text),
            E::Full => Self::new(&INVALID_REQUEST, text),
            E::Changed => Self::new(&CHANGED, text),
            E::Store(error) => error.into(),
        }
    }
}

impl From<execution::Error> for Problem {
    fn from(error: execution::Error) -> Self {
        use execution::Error as E;
        let text = error.to_string();
        match error {
            E::Full => Self::new(&OVERLOADED, text),
            E::Stopping => Self::new(&STOPPING, text),
            E::TooMany(_) | E::SessionFull(..) => Self::new(&RATE_LIMITED, text),
            E::SessionBusy(_) => Self::new(&SESSION_BUSY, text),
            E::Unknown(_) | E::Forgotten(_) | E::UnknownRequest(_) | E::UnknownAlias(_) => Self::new(&NOT_FOUND, text),
            E::NotReplayable(..) => Self::new(&NOT_REPLAYABLE, text),
            E::Malformed(error) => error.into(),
            E::Registry(error) => error.into(),
            E::Store(error) => error.into(),
        }
    }
}

impl From<delivery::Error> for Problem {
    fn from(error: delivery::Error) -> Self {
        match error {
            delivery::Error::Unknown(_) | delivery::Error::UnknownTarget(_) => Self::new(&NOT_FOUND, error.to_string()),
            delivery::Error::Ended { .. } => Self::new(&DELIVERY_ENDED, error.to_string()),
            delivery::Error::Store(error) => error.into(),
        }
    }
}

impl From<dispatch::Error> for Problem {
    fn from(error: dispatch::Error) -> Self {
        use dispatch::Error as E;
        match error {
            E::UnknownConsumer(_) => Self::new(&NOT_FOUND, error.to_string()),
            E::Full => Self::field("consumer", error.to_string()),
            E::BadCursor => Self::field("cursor", error.to_string()),
            E::Store(error) => error.into(),
        }
    }
}

impl From<egress::Refusal> for Problem {
    fn from(error: egress::Refusal) -> Self {
        Self::field("callback.url", error.to_string())
    }
}

impl From<signature::Error> for Problem {
    fn from(error: signature::Error) -> Self {
        Self::field("auth", error.to_string())
    }
}

impl From<dialect::Malformed> for Problem {
    fn from(error: dialect::Malformed) -> Self {
        let text = error.to_string();
        match error {
            dialect::Malformed::Type { field, expected, received } => of_member(text, field, expected, received),
            dialect::Malformed::Missing { field, expected } => of_member(text, field, expected, "null"),
            dialect::Malformed::Incomplete(_) => Self::new(&INVALID_REQUEST, text),
            dialect::Malformed::Json(_)
            | dialect::Malformed::Line { .. }
            | dialect::Malformed::Form(_)
            | dialect::Malformed::Twice(_) => Self::new(&MALFORMED_BODY, text),
        }
    }
}

fn of_member(message: String, field: &str, expected: &str, received: &str) -> Problem {
    Problem::new(&INVALID_REQUEST, message.clone()).with(FieldError {
        field: field.to_owned(),
        message,
        expected: Some(expected.to_owned()),
        received: Some(received.to_owned()),
    })
}
