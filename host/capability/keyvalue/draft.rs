//! `wasi:keyvalue@0.2.0-draft`: cursors and numbers are unsigned.

use wasmtime::component::Resource;

use crate::bindings::keyvalue::draft::store::{Bucket, Error, HostBucket, KeyResponse};
use crate::bindings::keyvalue::draft::{atomics, batch, store};
use crate::store::{After, Value};

use super::View;

impl From<super::Error> for Error {
    fn from(error: super::Error) -> Self {
        match error {
            super::Error::NoSuchStore => Self::NoSuchStore,
            super::Error::AccessDenied => Self::AccessDenied,
            super::Error::Other(why) => Self::Other(why),
        }
    }
}

impl store::Host for View<'_> {
    async fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        Ok(View::open(self, identifier)?.map_err(Error::from))
    }
}

impl HostBucket for View<'_> {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let value = self.keyvalue.get_one(self.bucket(&bucket)?, key).await;
        Ok(value.map(|value| value.map(|value| value.bytes)).map_err(Error::from))
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.keyvalue.set(self.bucket(&bucket)?, vec![(key, value)]).await.map_err(Error::from))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.keyvalue.delete(self.bucket(&bucket)?, vec![key]).await.map_err(Error::from))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<bool, Error>> {
        let value = self.keyvalue.get_one(self.bucket(&bucket)?, key).await;
        Ok(value.map(|value| value.is_some()).map_err(Error::from))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let part = self.keyvalue.keys(self.bucket(&bucket)?, After::Seq(cursor.unwrap_or(0))).await;
        let response = part.map(|(keys, more)| KeyResponse {
            cursor: keys.last().map(|last| last.seq).filter(|_| more),
            keys: keys.into_iter().map(|listed| listed.key).collect(),
        });
        Ok(response.map_err(Error::from))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.close(&bucket)
    }
}

impl atomics::Host for View<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let range = 0..=i128::from(u64::MAX);
        let sum = self.keyvalue.increment(self.bucket(&bucket)?, key, delta.into(), range).await;
        Ok(sum.map(|sum| u64::try_from(sum).unwrap_or(u64::MAX)).map_err(Error::from))
    }
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<(String, Vec<u8>)>>, Error>> {
        let values = self.keyvalue.get(self.bucket(&bucket)?, keys.clone()).await;
        let pair = |(key, value): (String, Option<Value>)| value.map(|value| (key, value.bytes));
        Ok(values.map(|values| keys.into_iter().zip(values).map(pair).collect()).map_err(Error::from))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.keyvalue.set(self.bucket(&bucket)?, key_values).await.map_err(Error::from))
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.keyvalue.delete(self.bucket(&bucket)?, keys).await.map_err(Error::from))
    }
}
