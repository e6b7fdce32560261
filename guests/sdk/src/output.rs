//! Output before the reply.
//!
//! A caller that streams gets each output as a Server-Sent Event; each is kept with the execution. A call waits while the
//! reader is slow.
//!
//! ```
//! use flowgate::{Reply, Result, Trigger, output};
//!
//! fn handle(trigger: Trigger) -> Result {
//!     output::progress(Some(10), "reading")?;
//!     for word in trigger.message()?.split(' ') {
//!         output::say(word)?;
//!     }
//!     Ok(Reply::text("done"))
//! }
//! # flowgate::flow!(handle);
//! ```

use std::fmt;

use serde::Serialize;

use crate::host;

/// Says a text.
pub fn say(text: &str) -> Result<(), Error> {
    host::say(Some(text), None)
}

/// Says a value.
pub fn say_json(value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    host::say(None, Some(&json(value)?))
}

/// Says a text and a value as one output.
pub fn say_both(text: &str, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    host::say(Some(text), Some(&json(value)?))
}

/// Tells how far the work has come; `percent` is 0 to 100 where it is known.
pub fn progress(percent: Option<u8>, message: &str) -> Result<(), Error> {
    host::progress(percent, message)
}

/// Why an output was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Nobody reads any more. What was said is still recorded; a flow that only talks to its caller may stop here.
    Gone,
    /// The execution said more than it may; the text names the limit.
    OverLimit(String),
    /// The value is refused; the text says why.
    Invalid(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("nobody reads the output any more"),
            Self::OverLimit(limit) => write!(f, "too much output: {limit}"),
            Self::Invalid(reason) => write!(f, "the output was refused: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

fn json(value: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Invalid(error.to_string()))
}
