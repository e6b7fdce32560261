//! Values that the flow keeps for all its executions, as by [`keyvalue`](crate::keyvalue), beside other calls.

use super::bindings::flowgate::flow::keyvalue as wire;
pub use crate::keyvalue::Error;

/// A collection of values under keys.
#[derive(Debug, Clone)]
pub struct Bucket(String);

/// The bucket called `default`.
pub fn bucket() -> Bucket {
    open("")
}

/// The bucket of this name: letters, digits, `-`, `_` and `.`. It need not be made first.
pub fn open(name: &str) -> Bucket {
    Bucket(name.to_owned())
}

impl Bucket {
    /// The value under a key.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let values = wire::get(self.0.clone(), vec![key.to_owned()]).await?;
        Ok(values.into_iter().next().flatten())
    }

    /// Puts a value under a key.
    pub async fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        Ok(wire::set(self.0.clone(), vec![(key.to_owned(), value.to_vec())]).await?)
    }

    /// Removes a key; no error when there is none.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        Ok(wire::delete(self.0.clone(), vec![key.to_owned()]).await?)
    }

    /// Adds to the number under a key, and returns the sum. Without a value it begins at 0.
    pub async fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        Ok(wire::increment(self.0.clone(), key.to_owned(), delta).await?)
    }

    /// All keys, in their order.
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        let mut page = wire::keys(self.0.clone(), None).await?;
        let mut keys = page.keys;
        while page.cursor.is_some() {
            page = wire::keys(self.0.clone(), page.cursor).await?;
            keys.append(&mut page.keys);
        }
        Ok(keys)
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::NoSuchBucket => Self::NoSuchBucket,
            wire::Error::AccessDenied => Self::AccessDenied,
            wire::Error::Other(why) => Self::Other(why),
        }
    }
}
