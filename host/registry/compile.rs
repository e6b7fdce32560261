//! Makes versions ready, as jobs.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{COMPILE, Error, Registry};
use crate::engine::{self, Inspection};
use crate::id::{Digest, FlowId};
use crate::store::{self, Job, Version, VersionState};
use crate::trigger::Json;

/// What is known about a version. JSON: `{"inspection":{…},"describe":{…},"failure":"…"}`, unknown members absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// What its bytes say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspection: Option<Inspection>,
    /// What it says about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub describe: Option<Json>,
    /// Why it cannot run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Detail {
    /// The detail of a version.
    pub fn of(version: &Version) -> Self {
        serde_json::from_str(&version.detail).unwrap_or_default()
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("a detail has a JSON form")
    }
}

impl Registry {
    /// Compiles versions as they come, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let this = self.clone();
        let work = move |job: Job| {
            let this = this.clone();
            async move { this.settle(job).await }
        };
        // The engine has a bound of its own on compilations at one time.
        self.0.queue.run(COMPILE, 4, stop, work).await;
    }

    async fn settle(&self, job: Job) -> Result<(), store::Error> {
        let (flow, digest) = subject(&job.subject)?;
        let Some(version) = self.0.store.version_find(flow, digest).await? else {
            return self.0.store.job_done(job.lease).await;
        };
        let mut detail = Detail::of(&version);
        let state = match self.ready(digest).await {
            Ok(describe) => {
                detail.describe = describe;
                VersionState::Ready
            }
            Err(Error::Engine(engine::Error::Files { what, reason })) => {
                // The host's own fault says nothing about the version; the job is tried again.
                tracing::error!(%digest, what, reason, "a version was not compiled");
                let again = self.0.clock.now().after(std::time::Duration::from_secs(30));
                return self.0.store.job_again(job.lease, again).await;
            }
            Err(error) => {
                detail.failure = Some(error.to_string());
                VersionState::Failed
            }
        };
        self.0.store.version_settle(job.lease, flow, digest, state, detail.json(), self.0.clock.now()).await?;
        self.0.settled.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn ready(&self, digest: Digest) -> Result<Option<Json>, Error> {
        let loaded = self.load(digest).await?;
        Ok(self.0.engine.probe(&loaded).await?.describe)
    }
}

fn subject(bytes: &[u8]) -> Result<(FlowId, Digest), store::Error> {
    let split = bytes.split_first_chunk::<16>().and_then(|(flow, rest)| Some((flow, <[u8; 32]>::try_from(rest).ok()?)));
    let (flow, digest) = split.ok_or(store::Error::Corrupt("job"))?;
    Ok((FlowId::from_bytes(*flow), Digest::from_bytes(digest)))
}
