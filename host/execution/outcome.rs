//! How an execution ends.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::engine::{End, Stop};
use crate::store::{Execution, Status};
use crate::trigger::{Failure, Reply};

/// The reason of an execution for which the host had no place.
pub(super) const HOST_BUSY: &str = "host_busy";

/// What came of an execution. JSON: `{"reply":{…}}`, `{"failure":{…}}` or `{"stopped":{"reason":…,"message":…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What the flow answered.
    Reply(Reply),
    /// What the flow said instead of an answer.
    Failure(Failure),
    /// Why the host stopped it.
    Stopped {
        /// A slug.
        reason: String,
        /// One sentence.
        message: String,
    },
}

impl Outcome {
    pub(super) fn stopped(reason: &str, message: impl Into<String>) -> Self {
        Self::Stopped { reason: reason.to_owned(), message: message.into() }
    }

    /// What stays of a confidential one: how it ended, and nothing that was said.
    pub(super) fn without_content(&self) -> Self {
        const KEPT_OUT: &str = "not recorded";
        match self {
            Self::Reply(_) => Self::Reply(Reply::default()),
            Self::Failure(_) => Self::Failure(Failure::Failed { message: KEPT_OUT.to_owned() }),
            Self::Stopped { reason, .. } => Self::stopped(reason, KEPT_OUT),
        }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("an outcome has a JSON form")
    }
}

/// The end of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// A final status.
    pub status: Status,
    /// The slug of the detail; none when it succeeded.
    pub reason: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// The attempt that brought it.
    pub attempt: u32,
}

impl Done {
    /// How a stored execution ended; none when it has not.
    pub fn of(execution: &Execution) -> Option<Self> {
        Some(Self {
            status: execution.status,
            reason: execution.reason.clone(),
            outcome: serde_json::from_str(execution.outcome.as_deref()?).ok()?,
            at: execution.finished_at?,
            attempt: execution.attempt,
        })
    }

    pub(super) fn canceled(at: Timestamp, reason: &str) -> Self {
        let outcome = Outcome::stopped(reason, "the execution was canceled before it ran");
        Self { status: Status::Canceled, reason: Some(reason.to_owned()), outcome, at, attempt: 0 }
    }

    /// The end of an execution that ran, and of which the store took nothing.
    pub(super) fn not_recorded(at: Timestamp, attempt: u32) -> Self {
        let (status, reason) = (Status::Failed, "not_recorded");
        let outcome = Outcome::stopped(reason, "the execution has ended, and its end could not be recorded");
        Self { status, reason: Some(reason.to_owned()), outcome, at, attempt }
    }

    /// The reply, if there is one.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.outcome {
            Outcome::Reply(reply) => Some(reply),
            _ => None,
        }
    }

    /// The flow's own failure, if that is how it ended.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failure(failure) => Some(failure),
            _ => None,
        }
    }
}

/// What an attempt means for its execution.
#[derive(Debug)]
pub(super) enum Verdict {
    Final {
        status: Status,
        reason: Option<&'static str>,
        outcome: Outcome,
    },
    /// The flow wants another attempt.
    Retry {
        after_ms: Option<u64>,
        failure: Failure,
    },
    /// The host could not run it now, or not to its end.
    NotNow,
}

pub(super) fn verdict(end: End, interrupted: bool) -> Verdict {
    let (status, reason, outcome) = match end {
        End::Reply(reply) => (Status::Succeeded, None, Outcome::Reply(reply)),
        End::Failure(Failure::Retry { after_ms, message }) => {
            return Verdict::Retry { after_ms, failure: Failure::Retry { after_ms, message } };
        }
        End::Failure(failure @ Failure::InvalidInput(_)) => {
            (Status::Failed, Some("invalid_input"), Outcome::Failure(failure))
        }
        End::Failure(failure) => (Status::Failed, Some("flow_error"), Outcome::Failure(failure)),
        End::Stopped(Stop::Busy) => return Verdict::NotNow,
        End::Stopped(Stop::Canceled) if interrupted => return Verdict::NotNow,
        End::Stopped(stop) => {
            let status = match stop {
                Stop::Deadline => Status::TimedOut,
                Stop::Canceled => Status::Canceled,
                _ => Status::Failed,
            };
            (status, Some(stop.reason()), Outcome::stopped(stop.reason(), stop.to_string()))
        }
    };
    Verdict::Final { status, reason, outcome }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_readable_json() {
        let outcome = Outcome::stopped("trap", "the guest trapped");
        assert_eq!(outcome.json(), r#"{"stopped":{"reason":"trap","message":"the guest trapped"}}"#);
        let reply = Outcome::Reply(Reply { text: Some("hi".into()), ..Reply::default() });
        assert_eq!(serde_json::from_str::<Outcome>(&reply.json()).unwrap(), reply);
    }

    #[test]
    fn only_an_interrupted_execution_goes_back_to_the_queue() {
        let canceled = || End::Stopped(Stop::Canceled);
        assert!(matches!(verdict(canceled(), true), Verdict::NotNow));
        assert!(matches!(verdict(canceled(), false), Verdict::Final { status: Status::Canceled, .. }));
        let deadline = verdict(End::Stopped(Stop::Deadline), true);
        assert!(matches!(deadline, Verdict::Final { status: Status::TimedOut, reason: Some("deadline"), .. }));
    }
}
