//! A component on its way in.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{COMPILE, Detail, Error, Registry};
use crate::engine::{self, Kind};
use crate::id::Digest;
use crate::store::{self, Flow, NewVersion, Version};

/// Bytes that arrive. Dropped before [`Registry::finish`], they leave nothing behind.
#[derive(Debug)]
pub struct Upload {
    // Taken while a chunk is written on a blocking thread.
    inner: Option<store::Upload>,
    bytes_max: usize,
    places: Arc<Semaphore>,
}

impl Registry {
    /// Begins an upload.
    pub async fn begin(&self) -> Result<Upload, Error> {
        let (store, bytes_max) = (self.0.store.clone(), self.0.engine.options().component_bytes_max);
        let inner = blocking(move || store.upload()).await?;
        Ok(Upload { inner: Some(inner), bytes_max, places: self.0.uploading.clone() })
    }

    /// Ends an upload: checks the digest if the sender gave one, inspects the bytes, keeps them and adds the version.
    /// Returns the version and whether it is new to the flow. Refused bytes leave nothing behind.
    pub async fn finish(
        &self,
        flow: &Flow,
        mut upload: Upload,
        expected: Option<Digest>,
    ) -> Result<(Version, bool), Error> {
        let inner = upload.inner.take().ok_or(Error::Store(store::Error::Closed))?;
        let actual = inner.digest();
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            return Err(Error::DigestMismatch { expected, actual });
        }
        let bytes_max = upload.bytes_max;
        let place = upload.places.acquire().await.map_err(|_| store::Error::Closed)?;
        let (inner, inspection) = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(inner.path()).map_err(|error| engine::Error::Files {
                what: "an upload cannot be read back",
                reason: error.to_string(),
            })?;
            Ok::<_, Error>((inner, engine::inspect(&bytes, bytes_max)?))
        })
        .await
        .unwrap_or(Err(Error::Store(store::Error::Closed)))?;
        drop(place);
        self.check_sort(flow, inspection.kind).await?;
        let new = NewVersion {
            flow: flow.id,
            workspace: flow.workspace,
            detail: Detail { inspection: Some(inspection), ..Detail::default() }.json(),
            created_at: self.0.clock.now(),
            job: COMPILE,
        };
        let (version, new) = self.0.store.version_create(inner, new).await?;
        self.0.queue.wake(COMPILE);
        Ok((version, new))
    }
}

impl Registry {
    /// A flow's versions are all transforms or all none: whoever has put it to one use would find it useless for that.
    async fn check_sort(&self, flow: &Flow, kind: Kind) -> Result<(), Error> {
        let (name, is_transform) = (&flow.name, kind.is_transform());
        let why = match self.is_transform(flow.id).await? {
            Some(before) if before == is_transform => return Ok(()),
            Some(true) => "its versions are transforms, and this component handles triggers".to_owned(),
            Some(false) => "its versions handle triggers, and this component is a transform".to_owned(),
            None if !is_transform => return Ok(()),
            None => match self.0.store.flow_hook(flow.id).await? {
                Some(hook) => format!("hook `{hook}` triggers it, and this component is a transform"),
                None => return Ok(()),
            },
        };
        Err(Error::OtherSort(format!(
            "the component does not belong to flow `{name}`: {why}; give it a flow of its own"
        )))
    }
}

impl Upload {
    /// Adds bytes. [`Error::TooLarge`] as soon as there are too many; the upload is then of no more use.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        let mut inner = self.inner.take().ok_or(Error::Store(store::Error::Closed))?;
        if inner.size_bytes() + bytes.len() as u64 > self.bytes_max as u64 {
            return Err(Error::TooLarge { bytes_max: self.bytes_max });
        }
        let _place = self.places.acquire().await.map_err(|_| store::Error::Closed)?;
        let pushed = blocking(move || inner.push(&bytes).map(|()| inner)).await?;
        self.inner = Some(pushed);
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::Error> + Send + 'static,
) -> Result<T, Error> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or(Err(store::Error::Closed)).map_err(Error::from)
}
