//! Whom a target stands for: where its deliveries go, what proves them, how fast it takes them.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::egress::{self, BadIdentity, Credentials, Identity};
use crate::hook::{self, Callback, Hook, Hooks};
use crate::id::{HookId, SubscriptionId, WorkspaceId};
use crate::signature::{self, standard};
use crate::store::{self, Delivery, Target};
use crate::subscription::{self, Authentication, Signed, Subscription, Subscriptions, Transform};
use crate::transform::Record;

/// Where a target's deliveries go, as it is now.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    who: Who,
    /// Where.
    pub(super) url: Url,
    /// What an access token is asked for with, where the receiver wants one.
    pub(super) credentials: Option<Credentials>,
    /// The client certificate, where the receiver wants one; or why it is none.
    pub(super) identity: Option<Result<Identity, BadIdentity>>,
    /// Seconds to wait before each further attempt; the server's schedule when absent.
    pub(super) schedule_s: Option<Vec<u64>>,
    /// Attempts under way at one time; the server's number when absent.
    pub(super) in_flight_max: Option<u32>,
    /// Attempts in a second; any number when absent.
    pub(super) rate_per_s: Option<u32>,
    /// Whether nothing of what is sent may stay once it is there, nor of what is answered.
    pub(super) confidential: bool,
}

#[derive(Debug, Clone)]
enum Who {
    Callback(Arc<Hook>),
    Subscription(Arc<Subscription>),
}

impl Receiver {
    /// What reshapes its deliveries, and for whom.
    pub(super) fn transform(&self) -> Option<(&Subscription, &Transform)> {
        let Who::Subscription(subscription) = &self.who else { return None };
        Some((subscription, subscription.spec.transform.as_ref()?))
    }

    /// The request that sends a delivery, signed as of `now` with the live secrets. Credentials are marked sensitive.
    pub(super) fn request(&self, delivery: &Delivery, now: Timestamp) -> Result<Signed, signature::Error> {
        let id = delivery.id.to_string();
        match &self.who {
            Who::Subscription(subscription) => {
                let record = delivery.transform.as_deref().and_then(Record::parse);
                let reshaped = record.and_then(|record| record.message);
                let attempt = delivery.attempts.saturating_add(1);
                subscription.request(&self.url, &id, &delivery.body, reshaped.as_ref(), attempt, now)
            }
            Who::Callback(hook) => {
                let secrets = hook.secrets.live(hook::Use::Callback, now);
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.extend(standard::sign(&id, now.unix_seconds(), &delivery.body, &secrets)?);
                headers.extend(basic(hook, now).map(|value| (AUTHORIZATION, value)));
                Ok(Signed { url: self.url.clone(), headers })
            }
        }
    }
}

/// Finds receivers. Whoever knows them keeps them in memory, so a look costs no read.
#[derive(Clone)]
pub(super) struct Receivers {
    pub(super) hooks: Hooks,
    pub(super) subscriptions: Subscriptions,
}

impl Receivers {
    /// The receiver of a target; none when it is gone, or wants nothing.
    pub(super) async fn find(&self, target: Target, now: Timestamp) -> Result<Option<Receiver>, store::Error> {
        match target {
            Target::Hook(id) => Ok(self.hook(id).await?.and_then(callback)),
            Target::Subscription(id) => {
                let enabled = self.subscription(id).await?.filter(|subscription| subscription.enabled);
                Ok(enabled.and_then(|subscription| subscribed(subscription, now)))
            }
        }
    }

    /// Whose a target is; none when it is gone.
    pub(super) async fn owner(&self, target: Target) -> Result<Option<WorkspaceId>, store::Error> {
        match target {
            Target::Hook(id) => Ok(self.hook(id).await?.map(|hook| hook.workspace)),
            Target::Subscription(id) => Ok(self.subscription(id).await?.map(|subscription| subscription.workspace)),
        }
    }

    /// A receiver wants no more, for the reason given. A callback has no switch of its own: what comes later tries anew.
    pub(super) async fn disable(&self, target: Target, reason: &str) -> Result<(), store::Error> {
        tracing::warn!(%target, reason, "a receiver wants no more");
        let Target::Subscription(id) = target else { return Ok(()) };
        // One that has no receiver any more goes on without: its events are pulled.
        let found = self.subscription(id).await?.filter(|subscription| subscription.spec.url.is_some());
        let Some(subscription) = found else { return Ok(()) };
        match self.subscriptions.disable(&subscription, reason).await {
            Err(subscription::Error::Store(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn hook(&self, id: HookId) -> Result<Option<Arc<Hook>>, store::Error> {
        match self.hooks.find(id).await {
            Err(hook::Error::Store(error)) => Err(error),
            found => Ok(found.ok().flatten()),
        }
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Arc<Subscription>>, store::Error> {
        match self.subscriptions.find(id).await {
            Err(subscription::Error::Store(error)) => Err(error),
            found => Ok(found.ok().flatten()),
        }
    }
}

fn callback(hook: Arc<Hook>) -> Option<Receiver> {
    let Callback { url, schedule_s, .. } = hook.spec.callback.clone()?;
    Some(Receiver {
        url,
        credentials: None,
        identity: None,
        schedule_s,
        in_flight_max: None,
        rate_per_s: None,
        confidential: hook.spec.disable_sensitive_logging,
        who: Who::Callback(hook),
    })
}

/// The credentials of a callback that asks for them, with the newest password.
fn basic(hook: &Hook, now: Timestamp) -> Option<HeaderValue> {
    let basic = hook.spec.callback.as_ref()?.basic.as_ref()?;
    let passwords = hook.secrets.live(hook::Use::CallbackPassword, now);
    let pair = Zeroizing::new(format!("{}:{}", basic.user, passwords.first()?.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(&*pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn subscribed(subscription: Arc<Subscription>, now: Timestamp) -> Option<Receiver> {
    let spec = &subscription.spec;
    let (mut credentials, mut identity) = (None, None);
    let secret = subscription.credential(now);
    let secret = secret.as_ref().map_or("", |secret| secret.expose());
    match &spec.authentication {
        Some(Authentication::OAuth2 { token_url, client_id, scope, client_auth }) => {
            credentials = Some(Credentials {
                token_url: token_url.clone(),
                client_id: client_id.clone(),
                client_secret: Zeroizing::new(secret.to_owned()),
                scope: scope.clone(),
                client_auth: match client_auth {
                    subscription::ClientAuth::Basic => egress::ClientAuth::Basic,
                    subscription::ClientAuth::Body => egress::ClientAuth::Body,
                },
                parameters: Vec::new(),
            });
        }
        Some(Authentication::MTls { certificate }) => identity = Some(Identity::from_pem(certificate, secret)),
        _ => {}
    }
    Some(Receiver {
        url: spec.url.clone()?,
        credentials,
        identity,
        schedule_s: spec.schedule.waits_s().map(<[u64]>::to_vec),
        in_flight_max: Some(spec.in_flight_max),
        rate_per_s: spec.rate_per_s,
        confidential: false,
        who: Who::Subscription(subscription),
    })
}
