//! Who calls: a bearer key, found by its hash.
//!
//! A key is 32 random bytes, so its sha-256 needs no salt, and looking the hash up compares nothing in variable time that
//! a caller could learn from. Found keys are kept for some seconds; revoking one forgets them at once.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::House;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::id::{KeyId, WorkspaceId};
use crate::problem::{Problem, kind};
use crate::store::{self, Key, Store};

/// Keys that are kept in memory, and for how long. Another process on the same store may revoke a key, so it is short.
const KEPT_MAX: u64 = 1_000;
const KEPT_FOR: Duration = Duration::from_secs(3);

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in its workspace.
    Admin,
    /// Look, and change nothing.
    Reader,
}

impl Role {
    /// The word that the store keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Reader => "reader",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        [Self::Admin, Self::Reader].into_iter().find(|role| role.as_str() == word)
    }

    fn may(self, method: &Method) -> bool {
        self == Self::Admin || method == Method::GET || method == Method::HEAD
    }
}

/// Who sent a request. As the first argument of a handler it lets nobody else in.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The tenant whose rows the caller may touch.
    pub workspace: WorkspaceId,
    /// What it may do.
    pub role: Role,
    /// The key that it used.
    pub key: KeyId,
}

impl FromRequestParts<House> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Problem> {
        let hash = presented(&parts.headers).map(hash).ok_or_else(refused)?;
        let caller = house.keys.find(hash).await?.ok_or_else(refused)?;
        if caller.role.may(&parts.method) {
            return Ok(caller);
        }
        let detail = format!("this key has the role `{}`, which cannot change anything", caller.role.as_str());
        Err(Problem::new(&kind::FORBIDDEN, detail))
    }
}

/// Missing, malformed, unknown, expired and revoked keys get the same answer.
fn refused() -> Problem {
    Problem::new(&kind::UNAUTHENTICATED, "send a valid API key: `Authorization: Bearer fgk_…`")
}

pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// What the store knows a key by.
pub(super) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The keys that were found lately.
#[derive(Clone)]
pub(super) struct Keys {
    store: Store,
    clock: Clock,
    found: Arc<Cache<[u8; 32], Key>>,
}

impl Keys {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, found: Arc::new(Cache::lasting(KEPT_MAX, KEPT_FOR)) }
    }

    /// Who has the key with this hash, if it is good now.
    async fn find(&self, hash: [u8; 32]) -> Result<Option<Caller>, store::Error> {
        let Some(key) = self.found.get(&hash, self.store.key_find(hash)).await? else { return Ok(None) };
        let now = self.clock.now();
        let ended = [key.expires_at, key.revoked_at].into_iter().flatten().any(|end| end <= now);
        let caller = |role| Caller { workspace: key.workspace, role, key: key.id };
        Ok(Role::named(&key.role).filter(|_| !ended).map(caller))
    }

    /// Looks every key up again.
    pub(super) fn forget(&self) {
        self.found.forget_if(|_| true);
    }
}
