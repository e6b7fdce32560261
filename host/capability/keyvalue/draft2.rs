//! `wasi:keyvalue@0.2.0-draft2`: cursors are texts, numbers have a sign, and values can be compared and swapped.

use wasmtime::component::Resource;

use crate::bindings::keyvalue::draft2::atomics::{Cas, CasError, HostCas};
use crate::bindings::keyvalue::draft2::store::{Bucket, Error, HostBucket, KeyResponse};
use crate::bindings::keyvalue::draft2::{atomics, batch, store};
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
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let part = self.keyvalue.keys(self.bucket(&bucket)?, After::Key(cursor.unwrap_or_default())).await;
        let response = part.map(|(keys, more)| KeyResponse {
            cursor: keys.last().map(|last| last.key.clone()).filter(|_| more),
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
        delta: i64,
    ) -> wasmtime::Result<Result<i64, Error>> {
        let range = i64::MIN.into()..=i64::MAX.into();
        let sum = self.keyvalue.increment(self.bucket(&bucket)?, key, delta.into(), range).await;
        Ok(sum.map(|sum| i64::try_from(sum).unwrap_or(i64::MAX)).map_err(Error::from))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> wasmtime::Result<Result<(), CasError>> {
        let cas = self.take(&cas)?;
        match self.keyvalue.swap(cas, value).await {
            Ok(Ok(())) => Ok(Ok(())),
            Ok(Err(changed)) => Ok(Err(CasError::CasFailed(self.hold(changed)?))),
            Err(error) => Ok(Err(CasError::StoreError(error.into()))),
        }
    }
}

impl View<'_> {
    fn hold(&mut self, cas: super::Cas) -> wasmtime::Result<Resource<Cas>> {
        Ok(Resource::new_own(self.table.push(cas)?.rep()))
    }

    fn take(&mut self, cas: &Resource<Cas>) -> wasmtime::Result<super::Cas> {
        Ok(self.table.delete(Resource::<super::Cas>::new_own(cas.rep()))?)
    }
}

impl HostCas for View<'_> {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<Resource<Cas>, Error>> {
        match self.keyvalue.begin(self.bucket(&bucket)?, key).await {
            Ok(cas) => self.hold(cas).map(Ok),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn current(&mut self, cas: Resource<Cas>) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let cas = self.table.get(&Resource::<super::Cas>::new_borrow(cas.rep()))?;
        Ok(Ok(cas.current.as_ref().map(|value| value.bytes.clone())))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        let cas = self.take(&cas)?;
        self.keyvalue.let_go(&cas);
        Ok(())
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
