//! Why a request got no answer.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::Refusal;

/// A request without an answer. Any status, also 500, is an answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The policy forbids it. Nothing was sent.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The name has no address.
    #[error("`{host}` does not resolve: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// Nobody listens. Nothing was sent.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// The system's words.
        reason: String,
    },
    /// Not a certificate to trust, or no common version. Nothing was sent.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The time was over.
    #[error("no {phase} within {} ms", .after.as_millis())]
    Timeout {
        /// What was waited for.
        phase: Phase,
        /// How long.
        after: Duration,
    },
    /// The other side hung up. It may have acted on the request.
    #[error("the connection broke: {0}")]
    Closed(String),
    /// What came is not HTTP.
    #[error("the answer is not valid HTTP: {0}")]
    Protocol(String),
    /// The URL, a header or the body cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Request(String),
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Until there is a connection.
    Connect,
    /// Until the status and the headers are there.
    Answer,
    /// Until the end of the body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connection",
            Self::Answer => "answer",
            Self::Body => "complete answer",
        })
    }
}

impl Error {
    /// Whether the same request could succeed later without anybody changing it or the policy.
    pub fn retryable(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Request(_))
    }

    /// Whether it is certain that the other side has seen nothing of the request.
    pub fn unsent(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::Resolve { .. }
                | Self::Connect { .. }
                | Self::Tls(_)
                | Self::Request(_)
                | Self::Timeout { phase: Phase::Connect, .. }
        )
    }

    pub(super) fn of_client(error: &hyper_util::client::legacy::Error) -> Self {
        if let Some(own) = find::<Self>(error) {
            return own.clone();
        }
        if error.is_connect() {
            return Self::Tls(innermost(error));
        }
        find::<hyper::Error>(error).map_or_else(|| Self::Request(innermost(error)), Self::of_hyper)
    }

    pub(super) fn of_hyper(error: &hyper::Error) -> Self {
        if let Some(own) = find::<Self>(error) {
            return own.clone();
        }
        if error.is_user() {
            Self::Request(innermost(error))
        } else if error.is_parse() {
            Self::Protocol(innermost(error))
        } else {
            Self::Closed(innermost(error))
        }
    }
}

/// The first error of type `E` in a chain.
fn find<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// The words of the last error in a chain, which is the one that knows.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}
