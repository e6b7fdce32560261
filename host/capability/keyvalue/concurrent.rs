//! `flowgate:flow/keyvalue`: many calls under way at one time, each with the name of its bucket.

use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::v0_2::flow::keyvalue::{Error, Host, HostWithStore, Page};
use crate::store::{After, Bucket};

use super::KeyValue;

impl From<super::Error> for Error {
    fn from(error: super::Error) -> Self {
        match error {
            super::Error::NoSuchStore => Self::NoSuchBucket,
            super::Error::AccessDenied => Self::AccessDenied,
            super::Error::Other(why) => Self::Other(why),
        }
    }
}

impl Host for KeyValue {}

/// A copy for a call that others do not wait for, and the bucket that it is about.
fn opened<T: Send>(store: &Accessor<T, HasSelf<KeyValue>>, bucket: String) -> Result<(KeyValue, Bucket), super::Error> {
    let keyvalue = store.with(|mut store| store.get().clone());
    let bucket = keyvalue.open(bucket)?;
    Ok((keyvalue, bucket))
}

impl<T: Send> HostWithStore<T> for HasSelf<KeyValue> {
    async fn get(
        store: &Accessor<T, Self>,
        bucket: String,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<Vec<u8>>>, Error>> {
        let values = async {
            let (keyvalue, bucket) = opened(store, bucket)?;
            let values = keyvalue.get(bucket, keys).await?;
            Ok::<_, super::Error>(values.into_iter().map(|value| value.map(|value| value.bytes)).collect())
        };
        Ok(values.await.map_err(Error::from))
    }

    async fn set(
        store: &Accessor<T, Self>,
        bucket: String,
        values: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(match opened(store, bucket) {
            Ok((keyvalue, bucket)) => keyvalue.set(bucket, values).await.map_err(Error::from),
            Err(error) => Err(error.into()),
        })
    }

    async fn delete(
        store: &Accessor<T, Self>,
        bucket: String,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(match opened(store, bucket) {
            Ok((keyvalue, bucket)) => keyvalue.delete(bucket, keys).await.map_err(Error::from),
            Err(error) => Err(error.into()),
        })
    }

    async fn keys(
        store: &Accessor<T, Self>,
        bucket: String,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<Page, Error>> {
        let page = async {
            let (keyvalue, bucket) = opened(store, bucket)?;
            let (keys, more) = keyvalue.keys(bucket, After::Key(cursor.unwrap_or_default())).await?;
            let keys: Vec<_> = keys.into_iter().map(|listed| listed.key).collect();
            Ok::<_, super::Error>(Page { cursor: keys.last().cloned().filter(|_| more), keys })
        };
        Ok(page.await.map_err(Error::from))
    }

    async fn increment(
        store: &Accessor<T, Self>,
        bucket: String,
        key: String,
        delta: i64,
    ) -> wasmtime::Result<Result<i64, Error>> {
        let sum = async {
            let (keyvalue, bucket) = opened(store, bucket)?;
            let range = i64::MIN.into()..=i64::MAX.into();
            keyvalue.increment(bucket, key, delta.into(), range).await
        };
        Ok(sum.await.map(|sum| i64::try_from(sum).unwrap_or(i64::MAX)).map_err(Error::from))
    }
}
