//! The flow's configuration, as its operator set it.

use std::fmt;

use crate::{Failure, Result, host};

/// A value; none when it is not set.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    host::config(key)
}

/// A value that must be set; the execution fails with its name when it is not.
pub fn require(key: &str) -> Result<String> {
    get(key)?.ok_or_else(|| Failure::failed(format!("the configuration value `{key}` is not set")))
}

/// Why a value could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is not readable: {}", self.0)
    }
}

impl std::error::Error for Error {}
