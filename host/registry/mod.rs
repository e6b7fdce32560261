//! Uploads, validates, versions and resolves flows.
//!
//! A version is what it is: the sha-256 of its bytes. Uploading the same bytes again gives the same version. An upload is
//! inspected while its sender waits, so that bad bytes leave nothing behind; compiling is a job, which a crash does not
//! lose. A version runs when an alias stands for it, and moving an alias is one call, forward and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::cache::Cache;
use crate::capability::{BadGrant, Grants, Secrets};
use crate::clock::Clock;
use crate::engine::{self, Engine, Loaded};
use crate::id::{self, BadName, Digest, FlowId, WorkspaceId};
use crate::queue::Queue;
use crate::store::{self, Alias, Canary, Flow, Page, Store, Version};

mod compile;
mod secrets;
mod split;
mod upload;

pub use compile::Detail;
use split::Split;
pub use upload::Upload;

/// The alias that hooks use unless they say otherwise.
pub const LIVE: &str = "live";

/// The kind of the job that compiles a version.
const COMPILE: &str = "compile";

/// Uploads that are hashed or inspected at one time.
const UPLOADING_MAX: usize = 1;

/// Names that are kept resolved.
const RESOLVED_MAX: u64 = 10_000;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name is not one.
    #[error("`{name}` is no name: {source}")]
    BadName {
        /// The text.
        name: String,
        /// The rule.
        source: BadName,
    },
    /// The config is not an object of strings.
    #[error("the config is a JSON object whose values are strings: {0}")]
    BadConfig(String),
    /// There is no such flow.
    #[error("there is no flow `{0}`")]
    UnknownFlow(String),
    /// The flow has no such version.
    #[error("the flow has no version {0}")]
    UnknownVersion(Digest),
    /// The flow has no such alias.
    #[error("no version is behind the alias `{0}`; upload one and promote it")]
    UnknownAlias(String),
    /// The alias has no earlier version that is still there.
    #[error("the alias `{0}` has no earlier version to go back to")]
    NoEarlier(String),
    /// The name of a new flow is taken.
    #[error("there is a flow `{0}` already")]
    Taken(String),
    /// Something else needs what is to be removed.
    #[error("{0}")]
    InUse(String),
    /// The version cannot run yet, or never will.
    #[error("version {digest} is {state}{}", because(.why))]
    NotReady {
        /// The version.
        digest: Digest,
        /// How far it is.
        state: &'static str,
        /// Why it failed.
        why: Option<String>,
    },
    /// The upload has more bytes than it may.
    #[error("the component has more than {bytes_max} bytes")]
    TooLarge {
        /// As many as there may be.
        bytes_max: usize,
    },
    /// The upload is not what its sender says.
    #[error("the upload has the digest {actual}, not {expected}: it was changed on its way")]
    DigestMismatch {
        /// What the sender says.
        expected: Digest,
        /// What arrived.
        actual: Digest,
    },
    /// The upload is not a component that could run here.
    #[error(transparent)]
    Refused(#[from] engine::Refusal),
    /// The component is of another sort than the flow: one handles triggers, the other reshapes deliveries.
    #[error("{0}")]
    OtherSort(String),
    /// The component cannot be made ready.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// What is to be granted cannot be as it is.
    #[error("{}", told(.0))]
    BadGrants(Vec<BadGrant>),
    /// What is granted cannot be read; only a row that was changed by hand is so.
    #[error("the grants of the flow cannot be read: {0}")]
    UnreadableGrants(String),
    /// The secret cannot be as it is.
    #[error("`{field}`: {message}")]
    BadSecret {
        /// `name` or `value`.
        field: &'static str,
        /// What would be right.
        message: String,
    },
    /// The flow has no such secret.
    #[error("the flow has no secret `{0}`")]
    UnknownSecret(String),
    /// The store fails.
    #[error("the store fails")]
    Store(#[source] store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::InUse(why) => Self::InUse(why),
            other => Self::Store(other),
        }
    }
}

fn told(faults: &[BadGrant]) -> String {
    faults.iter().map(|fault| format!("`{}`: {}", fault.field, fault.message)).collect::<Vec<_>>().join("; ")
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}

/// A handle to the registry. Clones share it.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    store: Store,
    engine: Engine,
    queue: Queue,
    clock: Clock,
    resolved: Cache<(FlowId, Arc<str>), Arc<Split>>,
    versions: Cache<(FlowId, Digest), Arc<Target>>,
    /// Counts the versions that were settled, so that those who wait for one can look again.
    settled: watch::Sender<u64>,
    /// Places of those who hash and inspect what is uploaded: the processors are for executions.
    uploading: Arc<Semaphore>,
}

/// What an alias stands for, with what every execution of it needs.
#[derive(Debug)]
pub struct Target {
    /// The flow.
    pub flow: FlowId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The flow's name.
    pub name: Arc<str>,
    /// What `wasi:config` gives to the guest.
    pub config: Arc<BTreeMap<String, String>>,
    /// What the operator permits it.
    pub grants: Arc<Grants>,
    /// The secrets that it may use.
    pub secrets: Secrets,
    /// Executions that one instance may run, one after the other.
    pub reuse_max: u32,
    /// The version.
    pub version: Digest,
}

impl Registry {
    /// A registry over `store` that makes versions ready with `engine`.
    pub fn new(store: Store, engine: Engine, queue: Queue, clock: Clock) -> Self {
        let (resolved, versions) = (Cache::new(RESOLVED_MAX), Cache::new(RESOLVED_MAX));
        let (settled, uploading) = (watch::Sender::new(0), Arc::new(Semaphore::new(UPLOADING_MAX)));
        Self(Arc::new(Inner { store, engine, queue, clock, resolved, versions, settled, uploading }))
    }

    /// Makes a flow without versions.
    pub async fn create(&self, workspace: WorkspaceId, name: &str) -> Result<Flow, Error> {
        id::check_name(name).map_err(|source| Error::BadName { name: name.to_owned(), source })?;
        let now = self.0.clock.now();
        let flow = Flow {
            id: FlowId::at(now.unix_ms_unsigned()),
            workspace,
            name: name.to_owned(),
            config: "{}".to_owned(),
            grants: "{}".to_owned(),
            reuse_max: 1,
            created_at: now,
            updated_at: now,
        };
        match self.0.store.flow_create(flow.clone()).await {
            Err(store::Error::Taken) => Err(Error::Taken(name.to_owned())),
            other => Ok(other.map(|()| flow)?),
        }
    }

    /// The flow with this name.
    pub async fn flow(&self, workspace: WorkspaceId, name: &str) -> Result<Flow, Error> {
        let found = self.0.store.flow_find(workspace, name).await?;
        found.ok_or_else(|| Error::UnknownFlow(name.to_owned()))
    }

    /// The flow with this id.
    pub async fn flow_by_id(&self, id: FlowId) -> Result<Flow, Error> {
        self.0.store.flow_by_id(id).await?.ok_or_else(|| Error::UnknownFlow(id.to_string()))
    }

    /// A part of a workspace's flows, newest first.
    pub async fn flows(&self, workspace: WorkspaceId, page: Page<id::Flow>) -> Result<Vec<Flow>, Error> {
        Ok(self.0.store.flows(workspace, page).await?)
    }

    /// Replaces what `wasi:config` gives to the flow's guests, from their next execution on.
    pub async fn configure(&self, flow: &Flow, config: &BTreeMap<String, String>) -> Result<(), Error> {
        let json = serde_json::to_string(config).map_err(|error| Error::BadConfig(error.to_string()))?;
        self.0.store.flow_configure(flow.id, json, self.0.clock.now()).await?;
        self.forget(flow.id);
        Ok(())
    }

    /// What the flow is permitted.
    pub fn grants(&self, flow: &Flow) -> Result<Grants, Error> {
        serde_json::from_str(&flow.grants).map_err(|error| Error::UnreadableGrants(error.to_string()))
    }

    /// Replaces what the flow is permitted, from its next execution on.
    pub async fn grant(&self, flow: &Flow, grants: &Grants) -> Result<(), Error> {
        let faults = grants.faults();
        if !faults.is_empty() {
            return Err(Error::BadGrants(faults));
        }
        let json = serde_json::to_string(grants).map_err(|error| Error::UnreadableGrants(error.to_string()))?;
        self.0.store.flow_grant(flow.id, json, self.0.clock.now()).await?;
        self.forget(flow.id);
        Ok(())
    }

    /// Says how many executions one instance of the flow may run, one after the other: 1 for a fresh instance each.
    pub async fn reuse(&self, flow: &Flow, reuse_max: u32) -> Result<Flow, Error> {
        self.0.store.flow_reuse(flow.id, reuse_max, self.0.clock.now()).await?;
        self.forget(flow.id);
        self.flow_by_id(flow.id).await
    }

    /// Removes a flow and its versions. [`Error::InUse`] while a hook or an unfinished execution needs it.
    pub async fn delete(&self, flow: &Flow) -> Result<(), Error> {
        self.0.store.flow_delete(flow.id, self.0.clock.now()).await?;
        self.forget(flow.id);
        Ok(())
    }

    /// All versions of a flow, newest first.
    pub async fn versions(&self, flow: FlowId) -> Result<Vec<Version>, Error> {
        Ok(self.0.store.versions(flow).await?)
    }

    /// Whether a flow's versions are transforms, which reshape deliveries and handle no triggers; none while it has no
    /// version.
    pub async fn is_transform(&self, flow: FlowId) -> Result<Option<bool>, Error> {
        let versions = self.versions(flow).await?;
        let kind = versions.iter().find_map(|version| Some(Detail::of(version).inspection?.kind));
        Ok(kind.map(engine::Kind::is_transform))
    }

    /// One version of a flow.
    pub async fn version(&self, flow: FlowId, digest: Digest) -> Result<Version, Error> {
        self.0.store.version_find(flow, digest).await?.ok_or(Error::UnknownVersion(digest))
    }

    /// Removes a version. [`Error::InUse`] while an alias or an unfinished execution needs it.
    pub async fn delete_version(&self, flow: FlowId, digest: Digest) -> Result<(), Error> {
        let found = self.0.store.version_delete(flow, digest).await?;
        self.0.versions.forget(&(flow, digest));
        if !self.0.store.component_path(&digest).exists() {
            self.0.engine.forget(digest).await;
        }
        if found { Ok(()) } else { Err(Error::UnknownVersion(digest)) }
    }

    /// All aliases of a flow, by name.
    pub async fn aliases(&self, flow: FlowId) -> Result<Vec<Alias>, Error> {
        Ok(self.0.store.aliases(flow).await?)
    }

    /// Lets an alias stand for a version from the next trigger on. The version must be ready.
    pub async fn promote(&self, flow: FlowId, alias: &str, digest: Digest) -> Result<Alias, Error> {
        id::check_name(alias).map_err(|source| Error::BadName { name: alias.to_owned(), source })?;
        let moved = self.0.store.alias_promote(flow, alias, digest, self.0.clock.now()).await?;
        self.forget(flow);
        match moved {
            Some(alias) => Ok(alias),
            None => Err(not_ready(&self.version(flow, digest).await?)),
        }
    }

    /// Moves an alias back to the version that it stood for before.
    pub async fn rollback(&self, flow: FlowId, alias: &str) -> Result<Alias, Error> {
        let moved = self.0.store.alias_rollback(flow, alias, self.0.clock.now()).await?;
        self.forget(flow);
        moved.ok_or_else(|| Error::NoEarlier(alias.to_owned()))
    }

    /// Tries a version with so many of a hundred sessions of an alias; the others stay with what it stands for.
    pub async fn try_out(&self, flow: FlowId, alias: &str, digest: Digest, percent: u8) -> Result<Alias, Error> {
        let canary = Canary { digest, percent };
        let tried = self.0.store.alias_try(flow, alias, canary, self.0.clock.now()).await?;
        self.forget(flow);
        match tried {
            Some(alias) => Ok(alias),
            None => match self.version(flow, digest).await? {
                version if version.state == store::VersionState::Ready => Err(Error::UnknownAlias(alias.to_owned())),
                version => Err(not_ready(&version)),
            },
        }
    }

    /// What an alias stands for, in a conversation if there is one: a session stays with one version as long as the alias
    /// is not moved, and stays with the one that is tried when more sessions come to it. Cached; every change through this
    /// registry is seen at once.
    pub async fn resolve(&self, flow: FlowId, alias: &Arc<str>, session: Option<&str>) -> Result<Arc<Target>, Error> {
        let key = (flow, alias.clone());
        let found = self.0.resolved.get(&key, async {
            match self.0.store.alias_find(flow, alias).await? {
                Some(alias) => self.split(flow, &alias).await.map(Some),
                None => Ok(None),
            }
        });
        let split = found.await?.ok_or_else(|| Error::UnknownAlias(alias.to_string()))?;
        Ok(split.choose(flow, session).clone())
    }

    /// A given version of a flow, which must be ready. Cached like [`Registry::resolve`].
    pub async fn resolve_version(&self, flow: FlowId, version: Digest) -> Result<Arc<Target>, Error> {
        let key = (flow, version);
        let found = self.0.versions.get(&key, async {
            let found = self.version(flow, version).await?;
            match found.state {
                store::VersionState::Ready => self.target(flow, version).await.map(Some),
                _ => Err(not_ready(&found)),
            }
        });
        found.await?.ok_or(Error::UnknownVersion(version))
    }

    /// The compiled form of a version. Cached; compiles again when the cache has lost it.
    pub async fn load(&self, version: Digest) -> Result<Arc<Loaded>, Error> {
        if let Some(loaded) = self.0.engine.loaded(version).await {
            return Ok(loaded);
        }
        Ok(Box::pin(self.0.engine.load(version, &self.0.store.component_path(&version))).await?)
    }

    /// Waits until a version is compiled or has failed, at most for `patience`, and returns it as it then is.
    pub async fn settled(&self, flow: FlowId, digest: Digest, patience: Duration) -> Result<Version, Error> {
        let mut settled = self.0.settled.subscribe();
        let deadline = self.0.clock.now().after(patience);
        loop {
            let version = self.version(flow, digest).await?;
            if version.state != store::VersionState::Compiling {
                return Ok(version);
            }
            tokio::select! {
                _ = settled.changed() => {}
                () = self.0.clock.sleep_until(deadline) => return Ok(version),
            }
        }
    }

    async fn split(&self, flow: FlowId, alias: &Alias) -> Result<Arc<Split>, Error> {
        let canary = match alias.canary {
            Some(canary) => Some((canary.percent, self.target(flow, canary.digest).await?)),
            None => None,
        };
        Ok(Arc::new(Split { main: self.target(flow, alias.digest).await?, canary }))
    }

    async fn target(&self, flow: FlowId, version: Digest) -> Result<Arc<Target>, Error> {
        let flow = self.flow_by_id(flow).await?;
        let config = serde_json::from_str(&flow.config).map_err(|error| Error::BadConfig(error.to_string()))?;
        let grants = self.grants(&flow)?;
        let (config, grants) = (Arc::new(config), Arc::new(grants));
        let secrets = self.open_secrets(flow.id).await?;
        Ok(Arc::new(Target {
            flow: flow.id,
            workspace: flow.workspace,
            name: flow.name.into(),
            config,
            grants,
            secrets,
            reuse_max: flow.reuse_max,
            version,
        }))
    }

    /// Forgets what the flow's aliases stand for, and the config that its versions get.
    fn forget(&self, flow: FlowId) {
        self.0.resolved.forget_if(|(own, _)| *own == flow);
        self.0.versions.forget_if(|(own, _)| *own == flow);
    }
}

fn not_ready(version: &Version) -> Error {
    let why = Detail::of(version).failure;
    Error::NotReady { digest: version.digest, state: version.state.as_str(), why }
}
