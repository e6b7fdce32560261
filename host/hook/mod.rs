//! What a hook is made of: its spec, its secrets, and the handle that finds and changes hooks.
//!
//! The spec is the JSON that a customer writes; every field but `auth` has a default. A hook without authentication must
//! say so: `{"scheme":"none"}`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::clock::{Clock, Timestamp};
use crate::id::{self, FlowId, HookId, WorkspaceId};
use crate::secrets;
use crate::signature::Secret;
use crate::store::{self, Page, Store};

mod admission;
mod deduplicate;
mod path;
mod spec;

pub use admission::{ContentType, ENCODINGS, Encoding, Range};
pub use deduplicate::Deduplicate;
pub use spec::{
    BODY_BYTES_MAX, Basic, Callback, Invalid, LIST_MAX, Limits, MERGE_MS_MAX, Mode, OnBusy, Record, Retry,
    SCHEDULE_MAX, SCHEDULE_S_MAX, Spec, WAIT_MS_MAX,
};

/// The secrets of a hook.
pub type Secrets = secrets::Secrets<Use>;

/// One secret of a hook.
pub type Held = secrets::Held<Use>;

/// What a secret of a hook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Proves callers.
    Auth,
    /// Signs callbacks.
    Callback,
    /// The password that a callback's receiver asks for.
    CallbackPassword,
}

/// Hooks that are kept in memory.
const CACHED_MAX: u64 = 10_000;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec or a secret says what cannot be.
    #[error("the hook is not valid: {}", spec::told(.0))]
    Invalid(Vec<Invalid>),
    /// There is no such hook.
    #[error("there is no hook `{0}`")]
    Unknown(String),
    /// There is no such secret.
    #[error("the hook has no secret `{0}`")]
    UnknownSecret(String),
    /// The name of a new hook is taken.
    #[error("there is a hook `{0}` already")]
    Taken(String),
    /// Another hook is known by this path id.
    #[error("the path id `{0}` is taken")]
    PathTaken(String),
    /// Somebody else has changed the hook meanwhile.
    #[error("the hook was changed by somebody else meanwhile; read it again")]
    Changed,
    /// The store fails.
    #[error("the store fails")]
    Store(#[source] store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// An inbound webhook URL, ready to use.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its id, which is part of its URL.
    pub id: HookId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// What it triggers.
    pub flow: FlowId,
    /// Unique in the workspace.
    pub name: String,
    /// The id by which senders know it in the paths of its dialect, beside its own; unique there, on the whole server.
    pub path_id: Option<String>,
    /// False: every request is refused.
    pub enabled: bool,
    /// What it does.
    pub spec: Spec,
    /// What proves its callers, and what signs its callbacks.
    pub secrets: Secrets,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Hook {
    /// Where senders send to, on this server: the product's own path where it has one.
    pub fn url_path(&self) -> String {
        let path = self.spec.dialect.paths().first().unwrap_or(&"/hooks/{hook}");
        path.replace("{hook}", &self.public_id())
    }

    /// What stands for it in a product's paths and answers: its path id where it has one, else its id.
    pub fn public_id(&self) -> String {
        self.path_id.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// A hook to be made.
#[derive(Debug, Clone)]
pub struct NewHook {
    /// Whose it will be.
    pub workspace: WorkspaceId,
    /// What it triggers.
    pub flow: FlowId,
    /// Unique in the workspace.
    pub name: String,
    /// The id by which senders know it in the paths of its dialect.
    pub path_id: Option<String>,
    /// What it does.
    pub spec: Spec,
    /// The secret that callers prove; one is made when there is none.
    pub secret: Option<Secret>,
    /// The password for the receiver of callbacks.
    pub callback_password: Option<Secret>,
}

/// A handle to the hooks. Clones share it.
#[derive(Clone)]
pub struct Hooks(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    /// The absence of a hook is remembered too, so that guessing ids does not cost a read each.
    found: Cache<HookId, Option<Arc<Hook>>>,
    paths: path::Paths,
}

impl Hooks {
    /// The hooks of `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self(Arc::new(Inner { store, clock, found: Cache::new(CACHED_MAX), paths: path::Paths::new() }))
    }

    /// The hook with this id, of whatever workspace. Cached; every change through this handle is seen at once.
    pub async fn find(&self, id: HookId) -> Result<Option<Arc<Hook>>, Error> {
        let found = self.0.found.get(&id, async {
            let row = self.0.store.hook_find(id).await?;
            Ok::<_, Error>(Some(row.map(from_row).transpose()?.map(Arc::new)))
        });
        Ok(found.await?.flatten())
    }

    /// The hook with this id or name in a workspace, as it is stored.
    pub async fn get(&self, workspace: WorkspaceId, id_or_name: &str) -> Result<Hook, Error> {
        let row = match id_or_name.parse::<HookId>() {
            Ok(id) => self.0.store.hook_find(id).await?.filter(|row| row.workspace == workspace),
            Err(_) => self.0.store.hook_by_name(workspace, id_or_name).await?,
        };
        from_row(row.ok_or_else(|| Error::Unknown(id_or_name.to_owned()))?)
    }

    /// A part of a workspace's hooks, newest first.
    pub async fn list(&self, workspace: WorkspaceId, page: Page<id::Hook>) -> Result<Vec<Hook>, Error> {
        self.0.store.hooks(workspace, page).await?.into_iter().map(from_row).collect()
    }

    /// Makes a hook. Its secrets, the made ones included, are in what comes back, for the one time that they are shown.
    pub async fn create(&self, new: NewHook) -> Result<Hook, Error> {
        let now = self.0.clock.now();
        let mut secrets = Secrets::default();
        if new.spec.needs_secret() {
            secrets.add(Use::Auth, new.secret.unwrap_or_else(|| make_secret(&new.spec)), now);
        }
        if new.spec.callback.is_some() {
            secrets.add(Use::Callback, whsec(), now);
        }
        if let Some(password) = new.callback_password {
            secrets.add(Use::CallbackPassword, password, now);
        }
        let hook = Hook {
            id: HookId::at(now.unix_ms_unsigned()),
            workspace: new.workspace,
            flow: new.flow,
            name: new.name,
            path_id: new.path_id,
            enabled: true,
            spec: new.spec,
            secrets,
            created_at: now,
            updated_at: now,
        };
        check(&hook)?;
        let made = self.0.store.hook_create(to_row(&hook)).await;
        self.forget(&hook);
        match made {
            Err(store::Error::Taken) => Err(self.taken(hook).await),
            other => Ok(other.map(|()| hook)?),
        }
    }

    /// Replaces a hook by `changed`, which came from [`Hooks::get`] and was changed in whatever but its id, workspace and
    /// times. [`Error::Changed`] when somebody else was faster.
    pub async fn update(&self, mut changed: Hook) -> Result<Hook, Error> {
        let (before, now) = (changed.updated_at, self.0.clock.now());
        if changed.spec.callback.is_some() && !changed.secrets.has(Use::Callback) {
            changed.secrets.add(Use::Callback, whsec(), now);
        }
        // Two changes in one millisecond must still be told apart.
        changed.updated_at = now.max(before.after(Duration::from_millis(1)));
        check(&changed)?;
        let done = self.0.store.hook_update(to_row(&changed), before).await;
        self.forget(&changed);
        match done {
            Ok(true) => Ok(changed),
            Ok(false) => Err(Error::Changed),
            Err(store::Error::Taken) => Err(self.taken(changed).await),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives `hook` another password for the receiver of its callbacks, to be stored by [`Hooks::update`].
    pub fn set_callback_password(&self, hook: &mut Hook, password: Secret) {
        let now = self.0.clock.now();
        hook.secrets.replace(Use::CallbackPassword, password, now);
    }

    /// Adds a secret and lets the others of the same use live only for `overlap` longer. Returns the hook and the new
    /// secret.
    pub async fn rotate(
        &self,
        mut hook: Hook,
        for_use: Use,
        secret: Option<Secret>,
        overlap: Duration,
    ) -> Result<(Hook, Held), Error> {
        let now = self.0.clock.now();
        hook.secrets.expire(for_use, now, now.after(overlap));
        let made = || if for_use == Use::Auth { make_secret(&hook.spec) } else { whsec() };
        let secret = secret.unwrap_or_else(made);
        let held = hook.secrets.add(for_use, secret, now);
        Ok((self.update(hook).await?, held))
    }

    /// Removes a secret at once. [`Error::UnknownSecret`] when the hook has none with this id.
    pub async fn revoke(&self, mut hook: Hook, secret: &str) -> Result<Hook, Error> {
        if !hook.secrets.remove(secret) {
            return Err(Error::UnknownSecret(secret.to_owned()));
        }
        self.update(hook).await
    }

    /// Forgets what the cache has of a hook, and that there was none by its path id.
    fn forget(&self, hook: &Hook) {
        self.0.found.forget(&hook.id);
        self.0.paths.forget(hook);
    }

    /// Which of a hook's names another hook has.
    async fn taken(&self, hook: Hook) -> Error {
        if let Some(path_id) = hook.path_id {
            let dialect = hook.spec.dialect.path_dialect().name().into_owned();
            let found = self.0.store.hook_by_path(dialect, path_id.clone()).await;
            if found.is_ok_and(|found| found.is_some_and(|id| id != hook.id)) {
                return Error::PathTaken(path_id);
            }
        }
        Error::Taken(hook.name)
    }

    /// Removes a hook and gives up its deliveries.
    pub async fn delete(&self, hook: &Hook) -> Result<(), Error> {
        let found = self.0.store.hook_delete(hook.workspace, hook.id, self.0.clock.now()).await?;
        self.forget(hook);
        if found { Ok(()) } else { Err(Error::Unknown(hook.name.clone())) }
    }
}

/// A secret that fits the schemes of a hook. One that stands in a URL has only characters that mean nothing there.
fn make_secret(spec: &Spec) -> Secret {
    let in_url = spec.auth.iter().any(|scheme| !scheme.redacts().query_params.is_empty());
    if in_url { Secret::new(format!("wh_{}", hex::encode(rand::random::<[u8; 32]>()))) } else { whsec() }
}

fn whsec() -> Secret {
    Secret::generate(&rand::random())
}

fn check(hook: &Hook) -> Result<(), Error> {
    let mut problems = hook.spec.check();
    if let Err(rule) = id::check_name(&hook.name) {
        problems.push(Invalid::new("name", rule));
    }
    if let Some(path_id) = hook.path_id.as_deref().filter(|path_id| !path::is_path_id(path_id)) {
        problems.push(Invalid::new("path_id", format_args!("is `{path_id}`; allowed: {}", path::ALLOWED)));
    }
    let basic = hook.spec.callback.as_ref().and_then(|callback| callback.basic.as_ref());
    if basic.is_some() && !hook.secrets.has(Use::CallbackPassword) {
        problems.push(Invalid::new("callback.basic.password", "is missing"));
    }
    for (place, scheme) in hook.spec.auth.iter().enumerate() {
        let fits = hook.secrets.all(Use::Auth).any(|held| scheme.check_secret(&held.secret).is_ok());
        if !scheme.is_none() && !fits {
            let told = hook.secrets.all(Use::Auth).find_map(|held| scheme.check_secret(&held.secret).err());
            let why = told.map_or_else(|| "needs a secret".to_owned(), |error| error.to_string());
            problems.push(Invalid::new(format!("auth[{place}]"), why));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

fn from_row(row: store::Hook) -> Result<Hook, Error> {
    let spec = serde_json::from_str(&row.spec).map_err(|_| store::Error::Corrupt("hook"))?;
    let secrets = serde_json::from_slice(&row.secrets).map_err(|_| store::Error::Corrupt("secret"))?;
    Ok(Hook {
        id: row.id,
        workspace: row.workspace,
        flow: row.flow,
        name: row.name,
        path_id: row.path_id,
        enabled: row.enabled,
        spec,
        secrets,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn to_row(hook: &Hook) -> store::Hook {
    store::Hook {
        id: hook.id,
        workspace: hook.workspace,
        flow: hook.flow,
        name: hook.name.clone(),
        path_dialect: hook.spec.dialect.path_dialect().name().into_owned(),
        path_id: hook.path_id.clone(),
        enabled: hook.enabled,
        spec: serde_json::to_string(&hook.spec).expect("a spec has a JSON form"),
        secrets: serde_json::to_vec(&hook.secrets).expect("secrets have a JSON form").into(),
        created_at: hook.created_at,
        updated_at: hook.updated_at,
    }
}
