//! Calls of other flows, beside other calls.

use std::time::Duration;

use super::bindings::flowgate::flow::flows as wire;
use super::wire as types;
use crate::flows::{Call, Error};
use crate::{Failure, Header, HttpReply, InputError, Reply, Result};

/// As [`Call::call`], beside other calls.
pub async fn call(call: &Call) -> Result<Reply, Error> {
    Ok(wire::call(call.into()).await?.into())
}

/// As [`Call::start`], beside other calls.
pub async fn start(call: &Call) -> Result<String, Error> {
    Ok(wire::start(call.into()).await?)
}

impl From<&Call> for wire::Invocation {
    fn from(call: &Call) -> Self {
        let Call { flow, message, data, session_id } = call.clone();
        Self { flow, message, data, session_id }
    }
}

impl From<wire::Reply> for Reply {
    fn from(reply: wire::Reply) -> Self {
        let raw = reply.raw.map(|raw| HttpReply {
            status: raw.status,
            headers: raw.headers.into_iter().map(|h| Header { name: h.name, value: h.value }).collect(),
            body: raw.body,
        });
        Self { text: reply.text, data: reply.data, raw }
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::NotGranted(why) => Self::NotGranted(why),
            wire::Error::Unknown(why) => Self::Unknown(why),
            wire::Error::OverLimit(why) => Self::OverLimit(why),
            wire::Error::Invalid(why) => Self::Invalid(why),
            wire::Error::Failed(failed) => Self::Failed(failure(failed)),
            wire::Error::Stopped(reason) => Self::Stopped(reason),
            wire::Error::Busy => Self::Busy,
        }
    }
}

/// Not a `From`, since whatever is an error becomes a failure by its words.
fn failure(failure: types::Failure) -> Failure {
    match failure {
        types::Failure::InvalidInput(types::InputError { field, expected, received, message }) => {
            Failure::InvalidInput(InputError { field, expected, received, message })
        }
        types::Failure::Failed(message) => Failure::Failed(message),
        types::Failure::Retry(types::RetryAfter { after_ms, message }) => {
            Failure::Retry { after: after_ms.map(Duration::from_millis), message }
        }
    }
}
