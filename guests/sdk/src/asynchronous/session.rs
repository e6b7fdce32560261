//! The conversation that this execution belongs to, as by [`session`](crate::session), beside other calls.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bindings::flowgate::flow::session as wire;
use crate::session::{Changing, Role};
pub use crate::session::{Entry, Error, Message};

/// The last `limit` messages (at most 1,000) before this execution's own, oldest first.
pub async fn messages(limit: u32) -> Result<Vec<Message>, Error> {
    Ok(wire::messages(limit, None).await?.into_iter().map(Message::from).collect())
}

/// Adds a message now and returns its number.
pub async fn append(role: Role, text: &str) -> Result<u64, Error> {
    let role = match role {
        Role::User => wire::Role::User,
        Role::Assistant => wire::Role::Assistant,
        Role::System => wire::Role::System,
        Role::Tool => wire::Role::Tool,
    };
    Ok(wire::append(role, text.to_owned(), None).await?)
}

/// Reads bytes of the state.
pub async fn get(key: &str) -> Result<Option<Entry>, Error> {
    Ok(wire::get(key.to_owned()).await?.map(|entry| Entry { value: entry.value, version: entry.version }))
}

/// Writes bytes and returns their version.
pub async fn set(key: &str, value: &[u8]) -> Result<u64, Error> {
    Ok(wire::set(key.to_owned(), value.to_vec(), None).await?)
}

/// Removes a key; no error when there was none.
pub async fn delete(key: &str) -> Result<(), Error> {
    Ok(wire::delete(key.to_owned()).await?)
}

/// As [`session::update`](crate::session::update): no change of another execution is lost.
pub async fn update<T, R>(key: &str, mut change: impl FnMut(&mut T) -> crate::Result<R>) -> crate::Result<R>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut changing = Changing::default();
    loop {
        let (value, version, result) = changing.changed(key, get(key).await?, &mut change)?;
        let set = wire::set(key.to_owned(), value, Some(version)).await;
        if changing.is_done(set.map_err(Error::from))? {
            return Ok(result);
        }
    }
}

impl From<wire::Message> for Message {
    fn from(m: wire::Message) -> Self {
        let role = match m.role {
            wire::Role::User => Role::User,
            wire::Role::Assistant => Role::Assistant,
            wire::Role::System => Role::System,
            wire::Role::Tool => Role::Tool,
        };
        Self { seq: m.seq, at_ms: m.at_ms, role, text: m.text, data: m.data }
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::NoSession => Self::NoSession,
            wire::Error::Conflict(version) => Self::Conflict(version),
            wire::Error::OverLimit(limit) => Self::OverLimit(limit),
            wire::Error::Invalid(reason) => Self::Invalid(reason),
            wire::Error::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}
