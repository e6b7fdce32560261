//! `wasi:keyvalue`: what a flow keeps for all its executions. Both drafts are views of the same values, and so is
//! `flowgate:flow/keyvalue`, for calls that others do not wait for.
//!
//! A bucket is there when it is opened; `""` is the one called `default`. Its values belong to the flow and live as long as
//! the flow does. A write has reached the disk when it returns.

mod concurrent;
mod draft;
mod draft2;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};

use crate::bindings::keyvalue;
use crate::bindings::v0_2::flow::keyvalue as v0_2;
use crate::clock::Clock;
use crate::id::FlowId;
use crate::store::{self, After, Bucket, Listed, Mark, Quota, Refusal, Store, Value};

use super::spans::{Open, Spans};
use super::{Ctx, Options};

/// The bucket that has no name.
const DEFAULT: &str = "default";

/// Bytes of a bucket's name.
const NAME_BYTES_MAX: usize = 64;

/// Keys of one batch.
const BATCH_MAX: usize = 1_000;

/// Keys of one part of a list.
const PART: u32 = 500;

/// Bytes of the values that wait to be swapped. A single one may be as long as values may be.
const HELD_BYTES_MAX: usize = 1 << 20;

/// What the key-value stores of one execution stand on.
#[derive(Clone)]
pub(super) struct KeyValue {
    store: Store,
    flow: Option<FlowId>,
    clock: Clock,
    spans: Spans,
    quota: Quota,
    held_bytes: usize,
}

/// The stores, and the table that holds the guest's buckets.
pub(super) struct View<'a> {
    pub(super) keyvalue: &'a mut KeyValue,
    pub(super) table: &'a mut ResourceTable,
}

/// Stands for [`View`] where wasmtime wants a type without a lifetime.
struct HasKeyValue;

impl HasData for HasKeyValue {
    type Data<'a> = View<'a>;
}

/// Makes both drafts callable.
pub(super) fn add_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    fn view(ctx: &mut Ctx) -> View<'_> {
        View { keyvalue: &mut ctx.keyvalue, table: &mut ctx.table }
    }
    keyvalue::draft::store::add_to_linker::<Ctx, HasKeyValue>(linker, view)?;
    keyvalue::draft::atomics::add_to_linker::<Ctx, HasKeyValue>(linker, view)?;
    keyvalue::draft::batch::add_to_linker::<Ctx, HasKeyValue>(linker, view)?;
    keyvalue::draft2::store::add_to_linker::<Ctx, HasKeyValue>(linker, view)?;
    keyvalue::draft2::atomics::add_to_linker::<Ctx, HasKeyValue>(linker, view)?;
    keyvalue::draft2::batch::add_to_linker::<Ctx, HasKeyValue>(linker, view)
}

/// Makes callable what only asynchronous guests can call.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    v0_2::add_to_linker::<Ctx, HasSelf<KeyValue>>(linker, |ctx| &mut ctx.keyvalue)
}

/// What a guest is told.
#[derive(Debug, PartialEq, Eq)]
enum Error {
    NoSuchStore,
    AccessDenied,
    Other(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal.to_string())
    }
}

/// A value that is to be replaced only if it stays as it is.
struct Cas {
    bucket: Bucket,
    key: String,
    current: Option<Value>,
}

impl Cas {
    fn bytes(&self) -> usize {
        self.current.as_ref().map_or(0, |value| value.bytes.len())
    }

    fn mark(&self) -> Option<Mark> {
        self.current.as_ref().map(|value| value.mark)
    }
}

impl KeyValue {
    pub(super) fn new(options: &Options, store: Store, flow: Option<FlowId>, clock: Clock, spans: Spans) -> Self {
        Self { store, flow, clock, spans, quota: options.keyvalue_quota(), held_bytes: 0 }
    }

    /// What the guest still holds counts on in its next execution.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.held_bytes = old.held_bytes;
    }

    fn open(&self, name: String) -> Result<Bucket, Error> {
        let name = if name.is_empty() { DEFAULT.to_owned() } else { name };
        if !is_bucket(&name) {
            return Err(Error::NoSuchStore);
        }
        Ok(Bucket { flow: self.flow.ok_or(Error::AccessDenied)?, name })
    }

    fn span(&self, call: &str, bucket: &Bucket) -> Open {
        let span = self.spans.open(call);
        span.set("bucket", &bucket.name);
        span
    }

    async fn get(&self, bucket: Bucket, keys: Vec<String>) -> Result<Vec<Option<Value>>, Error> {
        batch(keys.len())?;
        let span = self.span("keyvalue.get", &bucket);
        recorded(&span, self.store.keyvalue_get(bucket, keys).await)
    }

    async fn get_one(&self, bucket: Bucket, key: String) -> Result<Option<Value>, Error> {
        Ok(self.get(bucket, vec![key]).await?.pop().flatten())
    }

    async fn set(&self, bucket: Bucket, pairs: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        batch(pairs.len())?;
        let span = self.span("keyvalue.set", &bucket);
        let pairs = pairs.into_iter().collect::<BTreeMap<_, _>>();
        recorded(&span, self.store.keyvalue_set(bucket, pairs, self.quota, self.clock.now()).await)
    }

    async fn delete(&self, bucket: Bucket, keys: Vec<String>) -> Result<(), Error> {
        batch(keys.len())?;
        let span = self.span("keyvalue.delete", &bucket);
        recorded(&span, self.store.keyvalue_delete(bucket, keys).await.map(Ok)).map(drop)
    }

    /// A part of the keys, and whether there are more.
    async fn keys(&self, bucket: Bucket, after: After) -> Result<(Vec<Listed>, bool), Error> {
        let span = self.span("keyvalue.list", &bucket);
        let keys = recorded(&span, self.store.keyvalue_keys(bucket, after, PART).await.map(Ok))?;
        let more = keys.len() == PART as usize;
        Ok((keys, more))
    }

    async fn increment(
        &self,
        bucket: Bucket,
        key: String,
        delta: i128,
        range: RangeInclusive<i128>,
    ) -> Result<i128, Error> {
        let span = self.span("keyvalue.increment", &bucket);
        let now = self.clock.now();
        recorded(&span, self.store.keyvalue_increment(bucket, key, delta, range, self.quota, now).await)
    }

    /// Begins a swap; what it holds counts until [`KeyValue::let_go`].
    async fn begin(&mut self, bucket: Bucket, key: String) -> Result<Cas, Error> {
        let current = self.get_one(bucket.clone(), key.clone()).await?;
        let cas = Cas { bucket, key, current };
        if self.held_bytes > 0 && self.held_bytes + cas.bytes() > HELD_BYTES_MAX {
            return Err(Error::Other(format!("values waiting to be swapped have at most {HELD_BYTES_MAX} bytes")));
        }
        self.held_bytes += cas.bytes();
        Ok(cas)
    }

    fn let_go(&mut self, cas: &Cas) {
        self.held_bytes -= cas.bytes();
    }

    /// Swaps, or gives the value that has come in between.
    async fn swap(&mut self, mut cas: Cas, value: Vec<u8>) -> Result<Result<(), Cas>, Error> {
        self.let_go(&cas);
        let span = self.span("keyvalue.swap", &cas.bucket);
        let (bucket, key, now) = (cas.bucket.clone(), cas.key.clone(), self.clock.now());
        match self.store.keyvalue_swap(bucket, key, cas.mark(), value, self.quota, now).await {
            Ok(Err(Refusal::Changed(current))) => {
                span.fail("changed");
                cas.current = current;
                self.held_bytes += cas.bytes();
                Ok(Err(cas))
            }
            other => recorded(&span, other).map(Ok),
        }
    }
}

/// Whether a bucket can have this name: letters, digits, `-`, `_` and `.`, the first one a letter or digit.
pub fn is_bucket(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed)
}

fn batch(keys: usize) -> Result<(), Error> {
    if keys <= BATCH_MAX { Ok(()) } else { Err(Error::Other(format!("a batch has at most {BATCH_MAX} keys"))) }
}

/// A guest is told why it is refused, and that the store failed; only the operator learns how.
fn recorded<T>(span: &Open, result: Result<Result<T, Refusal>, store::Error>) -> Result<T, Error> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(refusal)) => {
            span.fail("refused");
            Err(refusal.into())
        }
        Err(error) => {
            tracing::warn!(%error, "key-value store not available to a flow");
            span.fail("unavailable");
            Err(Error::Other("the host could not reach the store".to_owned()))
        }
    }
}

impl View<'_> {
    fn open<T: 'static>(&mut self, name: String) -> wasmtime::Result<Result<Resource<T>, Error>> {
        Ok(match self.keyvalue.open(name) {
            Ok(bucket) => Ok(Resource::new_own(self.table.push(bucket)?.rep())),
            Err(error) => Err(error),
        })
    }

    fn bucket<T: 'static>(&self, bucket: &Resource<T>) -> wasmtime::Result<Bucket> {
        Ok(self.table.get(&Resource::<Bucket>::new_borrow(bucket.rep()))?.clone())
    }

    fn close<T: 'static>(&mut self, bucket: &Resource<T>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Bucket>::new_own(bucket.rep()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buckets_are_plain() {
        for good in ["default", "a", "Users_2.v-1", &"x".repeat(64)] {
            assert!(is_bucket(good), "{good}");
        }
        for bad in ["", "a/b", "ä", "a b", "..", &"x".repeat(65)] {
            assert!(!is_bucket(bad), "{bad}");
        }
    }
}
