//! Whom a target stands for: where its deliveries go, what proves them, how fast it takes them.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::hook::{self, Hook, Hooks, Use};
use crate::id::{HookId, WorkspaceId};
use crate::signature::{Scheme, Secret};
use crate::store::{self, Target};

/// Where a target's deliveries go, as it is now.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    /// Where.
    pub(super) url: Url,
    /// What it wants beside the signature. Credentials are marked sensitive, and are not recorded.
    pub(super) headers: HeaderMap,
    /// How its deliveries are signed.
    pub(super) scheme: Scheme,
    /// By what: the secrets that live now, the newest first.
    pub(super) secrets: Vec<Secret>,
    /// Seconds to wait before each further attempt; the server's schedule when absent.
    pub(super) schedule_s: Option<Vec<u64>>,
    /// Attempts under way at one time; the server's number when absent.
    pub(super) in_flight_max: Option<u32>,
    /// Attempts in a second; any number when absent.
    pub(super) rate_per_s: Option<u32>,
    /// Whether nothing of what is sent may stay once it is there, nor of what is answered.
    pub(super) confidential: bool,
}

/// Finds receivers. Whoever knows them keeps them in memory, so a look costs no read.
#[derive(Clone)]
pub(super) struct Receivers {
    pub(super) hooks: Hooks,
}

impl Receivers {
    /// The receiver of a target; none when it is gone.
    pub(super) async fn find(&self, target: Target, now: Timestamp) -> Result<Option<Receiver>, store::Error> {
        match target {
            Target::Hook(id) => Ok(self.hook(id).await?.and_then(|hook| callback(&hook, now))),
            // Nothing makes deliveries for subscriptions yet.
            Target::Subscription(_) => Ok(None),
        }
    }

    /// A receiver wants no more, for the reason given. A callback has no switch of its own: what comes later tries anew.
    pub(super) async fn disable(&self, target: Target, reason: &str) -> Result<(), store::Error> {
        tracing::warn!(%target, reason, "a receiver wants no more");
        Ok(())
    }

    /// Whose a target is; none when it is gone.
    pub(super) async fn owner(&self, target: Target) -> Result<Option<WorkspaceId>, store::Error> {
        match target {
            Target::Hook(id) => Ok(self.hook(id).await?.map(|hook| hook.workspace)),
            Target::Subscription(_) => Ok(None),
        }
    }

    async fn hook(&self, id: HookId) -> Result<Option<Arc<Hook>>, store::Error> {
        match self.hooks.find(id).await {
            Ok(hook) => Ok(hook),
            Err(hook::Error::Store(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

fn callback(hook: &Hook, now: Timestamp) -> Option<Receiver> {
    let callback = hook.spec.callback.as_ref()?;
    Some(Receiver {
        url: callback.url.clone(),
        headers: basic(hook, now).map(|value| (AUTHORIZATION, value)).into_iter().collect(),
        scheme: Scheme::named("standard-webhooks").expect("the row is in the table"),
        secrets: hook.secrets.live(Use::Callback, now),
        schedule_s: callback.schedule_s.clone(),
        in_flight_max: None,
        rate_per_s: None,
        confidential: hook.spec.disable_sensitive_logging,
    })
}

/// The credentials of a callback that asks for them, with the newest password.
fn basic(hook: &Hook, now: Timestamp) -> Option<HeaderValue> {
    let basic = hook.spec.callback.as_ref()?.basic.as_ref()?;
    let passwords = hook.secrets.live(Use::CallbackPassword, now);
    let pair = Zeroizing::new(format!("{}:{}", basic.user, passwords.first()?.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(&*pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
