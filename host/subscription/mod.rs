//! What an outgoing webhook is made of: its spec, its secrets, what it is told of, and the handle that finds and changes
//! subscriptions.
//!
//! The spec is the JSON that a customer writes; every field but `events` has a default. What is done with it is
//! pure: [`Subscription::message`] turns an event into bytes, [`Subscription::request`] signs them.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::cache::Cache;
use crate::clock::{Clock, Timestamp};
use crate::id::{self, SubscriptionId, WorkspaceId};
use crate::secrets;
use crate::signature::Secret;
use crate::store::{self, Page, Store};

mod authentication;
mod headers;
mod message;
mod reshaped;
mod schedule;
mod spec;
#[cfg(test)]
mod tests;

pub use authentication::{Authentication, ClientAuth};
pub use headers::Headers;
pub use message::{Message, Passed, Signed};
pub use reshaped::Reshaped;
pub use schedule::{Invalid as BadSchedule, Schedule};
pub use spec::{Batch, Invalid, Order, Spec, Transform};

/// Subscriptions of one workspace.
const PER_WORKSPACE_MAX: u32 = 10_000;

/// Subscriptions and workspaces that are kept in memory.
const CACHED_MAX: u64 = 20_000;
const WORKSPACES_MAX: u64 = 1_000;

/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// The secrets of a subscription.
pub type Secrets = secrets::Secrets<Use>;

/// One secret of a subscription.
pub type Held = secrets::Held<Use>;

/// What a secret of a subscription is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Signs deliveries.
    Signing,
    /// What is secret in the authentication.
    Credential,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec or a secret says what cannot be.
    #[error("the subscription is not valid: {}", spec::told(.0))]
    Invalid(Vec<Invalid>),
    /// There is no such subscription.
    #[error("there is no subscription `{0}`")]
    Unknown(String),
    /// There are several of this name.
    #[error("there are several subscriptions `{0}`; use an id")]
    Ambiguous(String),
    /// There is no such secret.
    #[error("the subscription has no secret `{0}`")]
    UnknownSecret(String),
    /// Without the secret nothing could be signed, or sent.
    #[error("`{0}` is the last secret of its use; rotate it instead")]
    LastSecret(String),
    /// The workspace has as many as it may have.
    #[error("a workspace has at most {PER_WORKSPACE_MAX} subscriptions")]
    Full,
    /// Somebody else has changed the subscription meanwhile.
    #[error("the subscription was changed by somebody else meanwhile; read it again")]
    Changed,
    /// The store fails.
    #[error("the store fails")]
    Store(#[from] store::Error),
}

/// An outgoing webhook, ready to use.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// For people; need not be unique.
    pub name: String,
    /// False: it is told of nothing.
    pub enabled: bool,
    /// Why it is not enabled, where the host has decided that.
    pub disabled_reason: Option<String>,
    /// What it does.
    pub spec: Spec,
    /// What signs its deliveries, and what its receiver asks for.
    pub secrets: Secrets,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A subscription to be made.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// Whose it will be.
    pub workspace: WorkspaceId,
    /// For people; its id when absent.
    pub name: Option<String>,
    /// What it does.
    pub spec: Spec,
    /// What signs its deliveries; one is made when there is none.
    pub secret: Option<Secret>,
    /// What is secret in its authentication.
    pub credential: Option<Secret>,
}

impl Subscription {
    /// What is secret in its authentication, the newest.
    pub fn credential(&self, now: Timestamp) -> Option<Secret> {
        self.secrets.live(Use::Credential, now).into_iter().next()
    }

    /// The header that is the authentication, where one is all of it.
    fn credential_field(&self, now: Timestamp) -> Option<(HeaderName, HeaderValue)> {
        let secret = self.credential(now)?;
        let (name, value) = match self.spec.authentication.as_ref()? {
            Authentication::Bearer {} => (header::AUTHORIZATION, format!("Bearer {}", secret.expose())),
            Authentication::Basic { user } => {
                let pair = Zeroizing::new(format!("{user}:{}", secret.expose()));
                (header::AUTHORIZATION, format!("Basic {}", BASE64_STANDARD.encode(&*pair)))
            }
            Authentication::Header { name } => (name.parse().ok()?, secret.expose().to_owned()),
            Authentication::OAuth2 { .. } | Authentication::MTls { .. } => return None,
        };
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

/// A handle to the subscriptions. Clones share it.
#[derive(Clone)]
pub struct Subscriptions(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    found: Cache<SubscriptionId, Option<Arc<Subscription>>>,
    enabled: Cache<WorkspaceId, Arc<[Arc<Subscription>]>>,
}

impl Subscriptions {
    /// The subscriptions of `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        let (found, enabled) = (Cache::new(CACHED_MAX), Cache::new(WORKSPACES_MAX));
        Self(Arc::new(Inner { store, clock, found, enabled }))
    }

    /// The subscription with this id, of whatever workspace. Cached; every change through this handle is seen at once.
    pub async fn find(&self, id: SubscriptionId) -> Result<Option<Arc<Subscription>>, Error> {
        let found = self.0.found.get(&id, async {
            let row = self.0.store.subscription_find(id).await?;
            Ok::<_, Error>(Some(row.map(from_row).transpose()?.map(Arc::new)))
        });
        Ok(found.await?.flatten())
    }

    /// The enabled subscriptions of a workspace, the oldest first. Cached like the above.
    pub async fn of(&self, workspace: WorkspaceId) -> Result<Arc<[Arc<Subscription>]>, Error> {
        let found = self.0.enabled.get(&workspace, async {
            let rows = self.0.store.subscriptions_enabled(workspace).await?;
            let all = rows.into_iter().map(|row| from_row(row).map(Arc::new)).collect::<Result<Arc<[_]>, Error>>();
            all.map(Some)
        });
        Ok(found.await?.unwrap_or_default())
    }

    /// The subscription with this id or name in a workspace, as it is stored.
    pub async fn get(&self, workspace: WorkspaceId, id_or_name: &str) -> Result<Subscription, Error> {
        let unknown = || Error::Unknown(id_or_name.to_owned());
        if let Ok(id) = id_or_name.parse::<SubscriptionId>() {
            let row = self.0.store.subscription_find(id).await?.filter(|row| row.workspace == workspace);
            return from_row(row.ok_or_else(unknown)?);
        }
        let mut rows = self.0.store.subscriptions_by_name(workspace, id_or_name).await?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => from_row(row),
            (Some(_), false) => Err(Error::Ambiguous(id_or_name.to_owned())),
            (None, _) => Err(unknown()),
        }
    }

    /// A part of a workspace's subscriptions, newest first.
    pub async fn list(&self, workspace: WorkspaceId, page: Page<id::Subscription>) -> Result<Vec<Subscription>, Error> {
        self.0.store.subscriptions(workspace, page).await?.into_iter().map(from_row).collect()
    }

    /// Makes a subscription. Its secrets, the made one included, are in what comes back, for the one time that they are
    /// shown.
    pub async fn create(&self, new: NewSubscription) -> Result<Subscription, Error> {
        let now = self.0.clock.now();
        let id = SubscriptionId::at(now.unix_ms_unsigned());
        let mut secrets = Secrets::default();
        if let Some(credential) = new.credential {
            secrets.add(Use::Credential, credential, now);
        }
        if let Some(secret) = new.secret {
            fits(&new.spec, &secret)?;
            secrets.add(Use::Signing, secret, now);
        }
        let mut subscription = Subscription {
            id,
            workspace: new.workspace,
            name: new.name.unwrap_or_else(|| id.to_string()),
            enabled: true,
            disabled_reason: None,
            spec: new.spec,
            secrets,
            created_at: now,
            updated_at: now,
        };
        complete(&mut subscription, now);
        check(&subscription, now)?;
        let made = self.0.store.subscription_create(to_row(&subscription), PER_WORKSPACE_MAX).await;
        self.forget(&subscription);
        if made? { Ok(subscription) } else { Err(Error::Full) }
    }

    /// Replaces a subscription by `changed`, which came from [`Subscriptions::get`] and was changed in whatever but its id,
    /// workspace and times. A secret that the change makes necessary is made. [`Error::Changed`] when somebody else was
    /// faster.
    pub async fn update(&self, mut changed: Subscription) -> Result<Subscription, Error> {
        let (before, now) = (changed.updated_at, self.0.clock.now());
        complete(&mut changed, now);
        if changed.enabled {
            changed.disabled_reason = None;
        }
        // Two changes in one millisecond must still be told apart.
        changed.updated_at = now.max(before.after(Duration::from_millis(1)));
        check(&changed, now)?;
        let done = self.0.store.subscription_update(to_row(&changed), before).await;
        self.forget(&changed);
        if done? { Ok(changed) } else { Err(Error::Changed) }
    }

    /// Gives `subscription` another spec, to be stored by [`Subscriptions::update`], with what is secret in its
    /// authentication. Without that, the credential stays while the type of authentication does.
    pub fn set_spec(&self, subscription: &mut Subscription, spec: Spec, credential: Option<Secret>) {
        let now = self.0.clock.now();
        let kind = |spec: &Spec| spec.authentication.as_ref().map(Authentication::kind);
        if let Some(credential) = credential {
            subscription.secrets.replace(Use::Credential, credential, now);
        } else if kind(&spec) != kind(&subscription.spec) {
            subscription.secrets.expire(Use::Credential, now, now);
        }
        subscription.spec = spec;
    }

    /// Adds a secret that signs and lets the others live only for `overlap` longer. Returns the subscription and the new
    /// secret.
    pub async fn rotate(
        &self,
        mut subscription: Subscription,
        secret: Option<Secret>,
        overlap: Duration,
    ) -> Result<(Subscription, Held), Error> {
        let now = self.0.clock.now();
        let secret = secret.unwrap_or_else(|| subscription.spec.scheme().make_secret(&rand::random()));
        fits(&subscription.spec, &secret)?;
        subscription.secrets.expire(Use::Signing, now, now.after(overlap));
        let held = subscription.secrets.add(Use::Signing, secret, now);
        Ok((self.update(subscription).await?, held))
    }

    /// Removes a secret at once. [`Error::UnknownSecret`] when the subscription has none with this id,
    /// [`Error::LastSecret`] when it cannot do without.
    pub async fn revoke(&self, mut subscription: Subscription, secret: &str) -> Result<Subscription, Error> {
        if !subscription.secrets.remove(secret) {
            return Err(Error::UnknownSecret(secret.to_owned()));
        }
        let needs = !subscription.spec.scheme().is_none() && !subscription.secrets.has(Use::Signing);
        if needs || subscription.spec.authentication.is_some() && !subscription.secrets.has(Use::Credential) {
            return Err(Error::LastSecret(secret.to_owned()));
        }
        self.update(subscription).await
    }

    /// Disables a subscription because its receiver asks for it or has failed too long. False when it is not enabled.
    pub async fn disable(&self, subscription: &Subscription, reason: impl Into<String>) -> Result<bool, Error> {
        let done = self.0.store.subscription_disable(subscription.id, reason.into(), self.0.clock.now()).await;
        self.forget(subscription);
        Ok(done?)
    }

    /// Removes a subscription.
    pub async fn delete(&self, subscription: &Subscription) -> Result<(), Error> {
        let found = self.0.store.subscription_delete(subscription.workspace, subscription.id).await;
        self.forget(subscription);
        if found? { Ok(()) } else { Err(Error::Unknown(subscription.id.to_string())) }
    }

    /// Forgets what is cached of a subscription, which has changed.
    pub fn forget(&self, subscription: &Subscription) {
        self.0.found.forget(&subscription.id);
        self.0.enabled.forget(&subscription.workspace);
    }
}

/// Says why a secret that was given could not sign.
fn fits(spec: &Spec, secret: &Secret) -> Result<(), Error> {
    spec.scheme().check_secret(secret).map_err(|error| Error::Invalid(vec![Invalid::new("secret", error)]))
}

/// Makes the secret that the scheme needs, after a change of scheme too, and drops what is not needed any more.
fn complete(subscription: &mut Subscription, now: Timestamp) {
    let scheme = subscription.spec.scheme();
    let misfits = subscription.secrets.all(Use::Signing).filter(|held| scheme.check_secret(&held.secret).is_err());
    for id in misfits.map(|held| held.id.to_string()).collect::<Vec<_>>() {
        subscription.secrets.remove(&id);
    }
    if !scheme.is_none() && subscription.secrets.live(Use::Signing, now).is_empty() {
        subscription.secrets.add(Use::Signing, scheme.make_secret(&rand::random()), now);
    }
    if subscription.spec.authentication.is_none() {
        subscription.secrets.expire(Use::Credential, now, now);
    }
}

fn check(subscription: &Subscription, now: Timestamp) -> Result<(), Error> {
    let mut problems = subscription.spec.check();
    let name = &subscription.name;
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        problems.push(Invalid::new("name", format_args!("must be 1 to {NAME_CHARS_MAX} characters on one line")));
    }
    if let Some(authentication) = &subscription.spec.authentication {
        let member = Authentication::secret_member(authentication.kind()).unwrap_or_default();
        let secret = subscription.credential(now);
        let fits = secret.as_ref().map_or(Err("is missing"), |secret| authentication.check_secret(secret.expose()));
        problems.extend(fits.err().map(|why| Invalid::new(format!("authentication.{member}"), why)));
    }
    // Whatever cannot sign an empty object can sign nothing.
    if problems.is_empty()
        && let Some(url) = &subscription.spec.url
        && let Err(error) = subscription.request(url, "check", b"{}", None, 1, now)
    {
        problems.push(Invalid::new("signature", error));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

fn from_row(row: store::Subscription) -> Result<Subscription, Error> {
    let spec = serde_json::from_str(&row.spec).map_err(|_| store::Error::Corrupt("subscription"))?;
    let secrets = serde_json::from_slice(&row.secrets).map_err(|_| store::Error::Corrupt("secret"))?;
    Ok(Subscription {
        id: row.id,
        workspace: row.workspace,
        name: row.name,
        enabled: row.enabled,
        disabled_reason: row.disabled_reason,
        spec,
        secrets,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn to_row(subscription: &Subscription) -> store::Subscription {
    store::Subscription {
        id: subscription.id,
        workspace: subscription.workspace,
        name: subscription.name.clone(),
        enabled: subscription.enabled,
        disabled_reason: subscription.disabled_reason.clone(),
        spec: serde_json::to_string(&subscription.spec).expect("a spec has a JSON form"),
        secrets: serde_json::to_vec(&subscription.secrets).expect("secrets have a JSON form").into(),
        created_at: subscription.created_at,
        updated_at: subscription.updated_at,
    }
}
