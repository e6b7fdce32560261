//! An execution that ended without a reply, as a problem for the caller who waited for it.

use super::kind::*;
use super::{FieldError, Problem};
use crate::execution::{Done, Outcome};
use crate::id::ExecutionId;
use crate::trigger::Failure;

/// The problem behind an execution's end; none when it has a reply.
pub fn of_done(execution: ExecutionId, done: &Done) -> Option<Problem> {
    let problem = match &done.outcome {
        Outcome::Reply(_) => return None,
        Outcome::Failure(Failure::InvalidInput(error)) => {
            Problem::new(&INVALID_INPUT, error.message.clone()).with(FieldError {
                field: error.field.clone(),
                message: error.message.clone(),
                expected: Some(error.expected.clone()),
                received: Some(error.received.clone()),
            })
        }
        Outcome::Failure(Failure::Failed { message } | Failure::Retry { message, .. }) => {
            Problem::new(&FLOW_FAILED, message.clone())
        }
        Outcome::Stopped { reason, message } => Problem::new(of_reason(reason), message.clone()),
    };
    Some(problem.about(execution))
}

fn of_reason(reason: &str) -> &'static super::Kind {
    match reason {
        "trap" => &FLOW_TRAPPED,
        "out_of_memory" => &FLOW_OUT_OF_MEMORY,
        "host_memory" => &HOST_OUT_OF_MEMORY,
        "cpu_budget" => &FLOW_CPU_BUDGET,
        "over_limit" => &FLOW_OVER_LIMIT,
        "deadline" => &FLOW_TIMED_OUT,
        "canceled" | "superseded" => &EXECUTION_CANCELED,
        "busy" | "host_busy" => &OVERLOADED,
        "not_recorded" => &STORE_UNAVAILABLE,
        _ => &INTERNAL,
    }
}
