//! Secrets that a flow can use and does not see.
//!
//! A flow puts a placeholder into a header of a request, see [`http`](crate::http), and the host fills in the secret when the
//! request leaves for a host that it was granted for.

use std::fmt;

use crate::host;

/// Whether the flow has a secret of this name.
pub fn exists(name: &str) -> Result<bool, Error> {
    host::secret_exists(name)
}

/// What stands for a secret in the headers of a request: alone, after `Bearer `, or as the password of `Basic` credentials
/// that are encoded with it. It means nothing outside of this execution.
pub fn placeholder(name: &str) -> Result<String, Error> {
    host::secret_placeholder(name)
}

/// A secret in clear, for what cannot be done by a placeholder, such as signing. Needs a grant of its own.
pub fn reveal(name: &str) -> Result<String, Error> {
    host::secret_reveal(name)
}

/// Why there is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The flow has none of this name.
    Unknown(String),
    /// The operator did not grant that the flow sees it.
    NotGranted(String),
    /// The host could not read it.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "the flow has no secret `{name}`"),
            Self::NotGranted(name) => write!(f, "the flow was not granted to see the secret `{name}`"),
            Self::Unavailable(reason) => write!(f, "the secret is not available: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
