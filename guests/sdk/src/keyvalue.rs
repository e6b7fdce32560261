//! Values that the flow keeps for all its executions, in buckets, by `wasi:keyvalue@0.2.0-draft2`.
//!
//! A write is on the disk when it returns. What belongs to one conversation is better kept by [`session`](crate::session).
//!
//! ```
//! use flowgate::{Reply, Result, Trigger, keyvalue};
//!
//! fn handle(trigger: Trigger) -> Result {
//!     let seen = keyvalue::bucket()?.increment("seen", 1)?;
//!     keyvalue::open("messages")?.set(&seen.to_string(), trigger.message()?.as_bytes())?;
//!     Ok(Reply::text(format!("message {seen} is kept")))
//! }
//! # flowgate::flow!(handle);
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host;

/// How often [`Bucket::update`] tries again when others change the same key at the same time.
const UPDATE_ATTEMPTS: usize = 16;

/// A collection of values under keys.
#[derive(Debug)]
pub struct Bucket(host::Bucket);

/// The bucket called `default`.
pub fn bucket() -> Result<Bucket, Error> {
    open("")
}

/// The bucket of this name: letters, digits, `-`, `_` and `.`. It need not be made first.
pub fn open(name: &str) -> Result<Bucket, Error> {
    host::Bucket::open(name).map(Bucket)
}

impl Bucket {
    /// The value under a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    /// Puts a value under a key.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.0.set(key, value)
    }

    /// Removes a key; no error when there is none.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.delete(key)
    }

    /// Adds to the number under a key, and returns the sum. Without a value it begins at 0.
    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        self.0.increment(key, delta)
    }

    /// All keys, in no particular order.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let (mut keys, mut cursor) = self.0.keys(None)?;
        while cursor.is_some() {
            let (more, next) = self.0.keys(cursor.as_deref())?;
            keys.extend(more);
            cursor = next;
        }
        Ok(keys)
    }

    /// The value that [`Bucket::set_json`] or [`Bucket::update`] wrote.
    pub fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.get(key)?.map(|value| decode(key, &value)).transpose()
    }

    /// Puts a value as JSON under a key.
    pub fn set_json(&self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.set(key, &encode(key, value)?)
    }

    /// Reads a value (or its default), changes it and writes it back, so that no change of another execution is lost: when one
    /// came between, `change` runs again on the newer value. Nothing is written when `change` fails.
    pub fn update<T, R>(&self, key: &str, mut change: impl FnMut(&mut T) -> crate::Result<R>) -> crate::Result<R>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let mut cas = self.0.begin(key)?;
        for _ in 0..UPDATE_ATTEMPTS {
            let mut value = match cas.current()? {
                Some(value) => decode(key, &value)?,
                None => T::default(),
            };
            let result = change(&mut value)?;
            match cas.swap(&encode(key, &value)?)? {
                None => return Ok(result),
                Some(newer) => cas = newer,
            }
        }
        Err(crate::Failure::retry(format!("others go on changing `{key}`")))
    }
}

/// Why a value could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No bucket can have that name.
    NoSuchBucket,
    /// The flow may not use it.
    AccessDenied,
    /// Whatever else went wrong, such as a quota that is used up.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchBucket => f.write_str("no bucket can have that name"),
            Self::AccessDenied => f.write_str("the flow may not use that bucket"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

fn encode(key: &str, value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Other(format!("`{key}`: {error}")))
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|error| Error::Other(format!("`{key}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_apart_and_numbers_are_text() {
        let (one, other) = (bucket().unwrap(), open("other").unwrap());
        assert_eq!((one.increment("n", 5), one.increment("n", -7)), (Ok(5), Ok(-2)));
        assert_eq!((one.get("n").unwrap().as_deref(), other.get("n")), (Some(&b"-2"[..]), Ok(None)));
        assert_eq!(open("default").unwrap().keys().unwrap(), ["n"]);
        one.delete("n").unwrap();
        assert_eq!(one.keys().unwrap(), [""; 0]);
    }

    #[test]
    fn an_update_runs_again_when_another_came_between() {
        let bucket = bucket().unwrap();
        let mut runs = 0;
        let result = bucket.update("n", |n: &mut u32| {
            runs += 1;
            if runs == 1 {
                bucket.set("n", b"40").unwrap();
            }
            *n += 2;
            Ok(*n)
        });
        assert_eq!((result, runs), (Ok(42), 2));
        assert_eq!(bucket.get_json("n"), Ok(Some(42)));
    }
}
