//! Events of the flow's own making, for whoever subscribes to them.
//!
//! Subscribers hear of an event when the execution has ended, however it ended; an attempt that is followed by another
//! one emits nothing.
//!
//! ```
//! use flowgate::{Reply, Result, Trigger, events};
//! use serde_json::json;
//!
//! fn handle(trigger: Trigger) -> Result {
//!     events::emit("ticket.opened", &json!({ "subject": trigger.message()? }))?;
//!     Ok(Reply::text("opened"))
//! }
//! # flowgate::flow!(handle);
//! ```

use std::fmt;

use serde::Serialize;

use crate::host;

/// Emits an event of type `custom.<name>`. A name is 1 to 64 of `a-z 0-9 _ -` and dots between them.
pub fn emit(name: &str, data: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    let data = serde_json::to_string(data).map_err(|error| Error::Invalid(error.to_string()))?;
    host::emit(name, &data)
}

/// Why an event was not emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The execution emitted more than it may; the text names the limit.
    OverLimit(String),
    /// The name or the data is refused; the text says why.
    Invalid(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OverLimit(limit) => write!(f, "too many events: {limit}"),
            Self::Invalid(reason) => write!(f, "the event was refused: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
