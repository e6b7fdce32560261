//! The conversation that this execution belongs to: the messages and the state that share the trigger's session id within
//! one flow.
//!
//! When an execution succeeds, the host itself keeps the trigger's message (as user) and the reply's text (as assistant),
//! so [`messages`] has a memory without a call to [`append`].
//!
//! ```
//! use flowgate::{Reply, Result, Trigger, session};
//!
//! fn handle(_: Trigger) -> Result {
//!     let visits = session::update("visits", |visits: &mut u32| {
//!         *visits += 1;
//!         Ok(*visits)
//!     })?;
//!     Ok(Reply::text(format!("visit {visits}, {} messages so far", session::messages(100)?.len())))
//! }
//! # flowgate::flow!(handle);
//! ```

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::host;

/// How often [`update`] tries again when others change the same key at the same time.
const UPDATE_ATTEMPTS: usize = 16;

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Role {
    User,
    Assistant,
    System,
    Tool,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Rises by one or more from message to message.
    pub seq: u64,
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// One JSON text.
    pub data: Option<String>,
}

/// A value of the session's state and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Raw bytes.
    pub value: Vec<u8>,
    /// 1 when first set; rises with every change.
    pub version: u64,
}

/// The last `limit` messages (at most 1,000) before this execution's own, oldest first.
pub fn messages(limit: u32) -> Result<Vec<Message>, Error> {
    host::messages(limit, None)
}

/// The last `limit` messages (at most 1,000) older than the one numbered `seq`, oldest first.
pub fn messages_before(seq: u64, limit: u32) -> Result<Vec<Message>, Error> {
    host::messages(limit, Some(seq))
}

/// Adds a message now and returns its number.
pub fn append(role: Role, text: &str) -> Result<u64, Error> {
    host::append(role, text, None)
}

/// Adds a message with a value now and returns its number.
pub fn append_json(role: Role, text: &str, value: &(impl Serialize + ?Sized)) -> Result<u64, Error> {
    let value = serde_json::to_string(value).map_err(|error| Error::Invalid(error.to_string()))?;
    host::append(role, text, Some(&value))
}

/// Reads bytes of the state.
pub fn get(key: &str) -> Result<Option<Entry>, Error> {
    host::get(key)
}

/// Writes bytes and returns their version.
pub fn set(key: &str, value: &[u8]) -> Result<u64, Error> {
    host::set(key, value, None)
}

/// Writes bytes when the key's version is still `expected` (0: only when there is no such key); else [`Error::Conflict`].
pub fn set_if(key: &str, value: &[u8], expected: u64) -> Result<u64, Error> {
    host::set(key, value, Some(expected))
}

/// Removes a key; no error when there was none.
pub fn delete(key: &str) -> Result<(), Error> {
    host::delete(key)
}

/// Reads a value that [`set_json`] or [`update`] wrote.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    host::get(key)?.map(|entry| decode(key, &entry.value)).transpose()
}

/// Writes a value as JSON and returns its version.
pub fn set_json(key: &str, value: &(impl Serialize + ?Sized)) -> Result<u64, Error> {
    host::set(key, &encode(value)?, None)
}

/// Reads a value (or its default), changes it and writes it back, so that no change of another execution is lost: when one
/// came between, `change` runs again on the newer value. Nothing is written when `change` fails.
pub fn update<T, R>(key: &str, mut change: impl FnMut(&mut T) -> crate::Result<R>) -> crate::Result<R>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut changing = Changing::default();
    loop {
        let (value, version, result) = changing.changed(key, host::get(key)?, &mut change)?;
        if changing.is_done(host::set(key, &value, Some(version)))? {
            return Ok(result);
        }
    }
}

/// How often a change was tried.
#[derive(Default)]
pub(crate) struct Changing(usize);

impl Changing {
    /// What is to be written in the place of `entry`, the version that it must still have, and what `change` gave.
    pub(crate) fn changed<T, R>(
        &self,
        key: &str,
        entry: Option<Entry>,
        change: &mut impl FnMut(&mut T) -> crate::Result<R>,
    ) -> crate::Result<(Vec<u8>, u64, R)>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let (mut value, version) = match entry {
            Some(entry) => (decode(key, &entry.value)?, entry.version),
            None => (T::default(), 0),
        };
        let result = change(&mut value)?;
        Ok((encode(&value)?, version, result))
    }

    /// Whether it was written. Not, when another execution came between and it may be tried again.
    pub(crate) fn is_done(&mut self, set: Result<u64, Error>) -> crate::Result<bool> {
        self.0 += 1;
        match set {
            Ok(_) => Ok(true),
            Err(Error::Conflict(_)) if self.0 < UPDATE_ATTEMPTS => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why the session could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The trigger carries no session id.
    NoSession,
    /// The state was changed by somebody else; its version now, or 0 when the key does not exist.
    Conflict(u64),
    /// A key, text or value is too long, or the session holds too much.
    OverLimit(String),
    /// A value is no JSON, or not the JSON that was asked for.
    Invalid(String),
    /// The host could not read or write; trying again later may help.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSession => f.write_str("the trigger carries no session id"),
            Self::Conflict(version) => write!(f, "the state was changed meanwhile and is at version {version}"),
            Self::OverLimit(limit) => write!(f, "too much for the session: {limit}"),
            Self::Invalid(reason) => write!(f, "the session's value is not usable: {reason}"),
            Self::Unavailable(reason) => write!(f, "the session is not available: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

fn encode(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Invalid(error.to_string()))
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|error| Error::Invalid(format!("`{key}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    #[test]
    fn an_update_begins_with_the_default_and_goes_on_from_what_was_written() {
        let add = |n: &mut u32| {
            *n += 1;
            Ok(*n)
        };
        assert_eq!(update("n", add), Ok(1));
        assert_eq!(update("n", add), Ok(2));
        assert_eq!(get("n").unwrap().unwrap(), Entry { value: b"2".to_vec(), version: 2 });
    }

    #[test]
    fn an_update_runs_again_when_another_came_between() {
        let mut runs = 0;
        let result = update("n", |n: &mut u32| {
            runs += 1;
            if runs == 1 {
                set("n", b"40").unwrap();
            }
            *n += 2;
            Ok(*n)
        });
        assert_eq!((result, runs), (Ok(42), 2));
    }

    #[test]
    fn an_update_that_never_wins_asks_for_a_retry() {
        let result = update("n", |n: &mut u32| {
            set("n", b"1").unwrap();
            *n += 1;
            Ok(())
        });
        assert!(matches!(result, Err(Failure::Retry { .. })));
    }

    #[test]
    fn a_failed_change_writes_nothing() {
        let result: crate::Result<()> = update("n", |n: &mut u32| {
            *n = 9;
            Err(Failure::failed("no"))
        });
        assert_eq!(result, Err(Failure::failed("no")));
        assert_eq!(get("n"), Ok(None));
    }

    #[test]
    fn a_value_of_another_type_names_its_key() {
        set("n", b"\"text\"").unwrap();
        assert!(matches!(get_json::<u32>("n"), Err(Error::Invalid(reason)) if reason.starts_with("`n`: ")));
    }
}
