//! Why a request got no answer, and who is to blame.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::trace::Trace;
use super::{ProxyFault, Refusal, Timings};

/// A request without an answer. Any status, also 500, is an answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.cause)]
pub struct Error(Box<Report>);

#[derive(Debug, Clone)]
struct Report {
    cause: Cause,
    phase: Phase,
    timings: Timings,
    remote: Option<SocketAddr>,
}

/// What went wrong. The texts are for people and hold no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The policy forbids it.
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
    /// Nobody listens.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The last address that was tried.
        address: String,
        /// The system's words, or the proxy's.
        reason: String,
    },
    /// Not a certificate to trust, no common version, or the other side does not trust ours.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The proxy of `egress.proxy_url` does not do its work.
    #[error("the proxy {proxy} {fault}")]
    Proxy {
        /// Its host and port.
        proxy: String,
        /// What is wrong with it.
        fault: ProxyFault,
    },
    /// There is no OAuth2 access token to send the request with.
    #[error("no access token from {host}: {reason}")]
    Token {
        /// The host of the token URL.
        host: String,
        /// The token server's error, or why it gave no answer.
        reason: String,
    },
    /// The time was over.
    #[error("no {phase} within {} ms", .after.as_millis())]
    Timeout {
        /// What was waited for.
        phase: Phase,
        /// How long.
        after: Duration,
    },
    /// The other side hung up, before the answer or in the middle of it.
    #[error("the connection broke: {0}")]
    Closed(String),
    /// What came is not HTTP, or longer than a head may be.
    #[error("the answer is not valid HTTP: {0}")]
    Protocol(String),
    /// The URL, a header or the body cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// This machine has no network, no address of `egress.bind`, or no file descriptor left.
    #[error("this host cannot send: {0}")]
    Local(String),
}

/// The kinds of failure, for counting and for records. In JSON a lowercase word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The name has no address.
    Dns,
    /// The policy forbids it.
    Refused,
    /// Nobody listens.
    Connect,
    /// No secure connection.
    Tls,
    /// The proxy is at fault.
    Proxy,
    /// No OAuth2 access token.
    Token,
    /// The time was over.
    Timeout,
    /// Not HTTP.
    Protocol,
    /// The connection broke before the answer.
    Closed,
    /// The connection broke in the middle of the answer's body.
    Body,
    /// The request cannot be sent.
    Request,
    /// This machine is at fault.
    Local,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Until the name is resolved.
    Resolve,
    /// Until the proxy is reached.
    Proxy,
    /// Until there is a connection.
    Connect,
    /// Until it is secure.
    Tls,
    /// Until the status and the headers are there.
    Answer,
    /// Until the end of the body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "address of the name",
            Self::Proxy => "connection to the proxy",
            Self::Connect => "connection",
            Self::Tls => "secure connection",
            Self::Answer => "answer",
            Self::Body => "complete answer",
        })
    }
}

impl Error {
    pub(super) fn new(cause: impl Into<Cause>, trace: &Trace) -> Self {
        let (phase, timings, remote) = (trace.phase(), trace.timings(), trace.remote());
        Self(Box::new(Report { cause: cause.into(), phase, timings, remote }))
    }

    /// What went wrong.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        match &self.0.cause {
            Cause::Refused(_) => Kind::Refused,
            Cause::Resolve { .. } => Kind::Dns,
            Cause::Connect { .. } => Kind::Connect,
            Cause::Tls(_) => Kind::Tls,
            Cause::Proxy { .. } => Kind::Proxy,
            Cause::Token { .. } => Kind::Token,
            Cause::Timeout { .. } => Kind::Timeout,
            Cause::Protocol(_) => Kind::Protocol,
            Cause::Closed(_) if self.0.phase == Phase::Body => Kind::Body,
            Cause::Closed(_) => Kind::Closed,
            Cause::Request(_) => Kind::Request,
            Cause::Local(_) => Kind::Local,
        }
    }

    /// How far the request had come.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// How long it took until then.
    pub fn timings(&self) -> Timings {
        self.0.timings
    }

    /// The address that was dialled last; behind a proxy the one that it was asked for.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.0.remote
    }

    /// Whether the same request could succeed later without anybody changing it or the policy.
    pub fn retryable(&self) -> bool {
        !matches!(self.0.cause, Cause::Refused(_) | Cause::Request(_))
    }

    /// Whether it is certain that the other side has seen nothing of the request.
    pub fn unsent(&self) -> bool {
        self.0.phase < Phase::Answer
    }

    /// Whether this machine is at fault and the other side is not, so that it must not be held against it. A proxy's
    /// faults are [`Kind::Proxy`].
    pub fn is_local(&self) -> bool {
        matches!(self.0.cause, Cause::Local(_))
    }
}

impl Kind {
    /// The lowercase word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Proxy => "proxy",
            Self::Token => "token",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Closed => "closed",
            Self::Body => "body",
            Self::Request => "request",
            Self::Local => "local",
        }
    }
}

impl Cause {
    /// What a connection says that failed with a request on it.
    pub(super) fn of_hyper(error: &hyper::Error) -> Self {
        let own = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
            .find_map(|error| error.downcast_ref::<Self>());
        if let Some(own) = own {
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

    /// What the system says about dialling, if this machine is at fault.
    pub(super) fn of_this_host(error: &io::Error) -> Option<Self> {
        use io::ErrorKind::{
            AddrInUse, AddrNotAvailable, NetworkDown, NetworkUnreachable, OutOfMemory, PermissionDenied, ResourceBusy,
        };
        // EMFILE and ENFILE, the same on every system that we run on, have no kind in the standard library.
        let files = matches!(error.raw_os_error(), Some(23 | 24));
        let local = matches!(
            error.kind(),
            AddrInUse
                | AddrNotAvailable
                | NetworkDown
                | NetworkUnreachable
                | OutOfMemory
                | PermissionDenied
                | ResourceBusy
        );
        (files || local).then(|| Self::Local(error.to_string()))
    }
}

/// The words of the last error in a chain, which is the one that knows.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}
