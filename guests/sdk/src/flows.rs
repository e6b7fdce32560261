//! Calls of other flows, each of which is an execution of its own. The operator grants them by name:
//! `flowgate flow grant FLOW call OTHER`.
//!
//! ```
//! use flowgate::{Reply, Result, Trigger, flows};
//!
//! fn handle(trigger: Trigger) -> Result {
//!     let english = flows::Call::to("translate").with_message(trigger.message()?).call()?;
//!     flows::Call::to("archive").with_data(&english.text)?.start()?;
//!     Ok(english)
//! }
//! # flowgate::flow!(handle);
//! ```

use std::fmt;

use serde::Serialize;

use crate::{Failure, Reply, host};

/// A call that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nothing happens before `call` or `start`"]
pub struct Call {
    /// The flow's name.
    pub flow: String,
    /// What is said to it.
    pub message: Option<String>,
    /// One JSON text.
    pub data: String,
    /// The conversation, which is the called flow's own.
    pub session_id: Option<String>,
}

impl Call {
    /// A call of a flow, with nothing to say.
    pub fn to(flow: &str) -> Self {
        Self { flow: flow.to_owned(), message: None, data: "{}".to_owned(), session_id: None }
    }

    /// The same call with a message.
    pub fn with_message(self, message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..self }
    }

    /// The same call with a payload.
    pub fn with_data(self, data: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let data = serde_json::to_string(data).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(Self { data, ..self })
    }

    /// The same call in a conversation.
    pub fn with_session(self, id: &str) -> Self {
        Self { session_id: Some(id.to_owned()), ..self }
    }

    /// Runs the flow and waits for its reply. What it uses counts against the budgets of the caller, and it is stopped with it.
    pub fn call(&self) -> Result<Reply, Error> {
        host::call(self)
    }

    /// Lets the flow run on its own. It will, whatever happens; returns the execution's id.
    pub fn start(&self) -> Result<String, Error> {
        host::start(self)
    }
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The flow was not granted calls of that one.
    NotGranted(String),
    /// There is no such flow, or no version of it that could run.
    Unknown(String),
    /// Flows call flows too deep, or this one too many.
    OverLimit(String),
    /// The call is not as it must be.
    Invalid(String),
    /// The called flow gave a failure.
    Failed(Failure),
    /// The host stopped the called flow, for this reason.
    Stopped(String),
    /// The host has no place for it now.
    Busy,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(why) | Self::Unknown(why) | Self::OverLimit(why) => f.write_str(why),
            Self::Invalid(why) => write!(f, "the call is refused: {why}"),
            Self::Failed(failure) => write!(f, "the called flow failed: {failure}"),
            Self::Stopped(reason) => write!(f, "the called flow was stopped: {reason}"),
            Self::Busy => f.write_str("the host has no place for another execution now"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_test_answers_calls() {
        let call = Call::to("upper").with_message("hi").with_session("s1").with_data(&[1]).unwrap();
        assert_eq!(call.call(), Err(Error::Unknown("there is no flow `upper`".to_owned())));
        testing::answer_calls(|call| {
            assert_eq!((call.data.as_str(), call.session_id.as_deref()), ("[1]", Some("s1")));
            Ok(Reply::text(call.message.clone().unwrap_or_default().to_uppercase()))
        });
        assert_eq!(call.call().unwrap().text.as_deref(), Some("HI"));
        assert_eq!(call.start().as_deref(), Ok("exe_test"));
    }
}
