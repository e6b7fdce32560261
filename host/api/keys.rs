//! API keys.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::{Caller, Keys, Role, hash};
use super::page::{List, Paging};
use super::request::{At, JsonBody, Params};
use crate::clock::Timestamp;
use crate::id::KeyId;
use crate::problem::{Problem, kind};
use crate::signature::Secret;
use crate::store;

/// Characters of a key's name.
const NAME_CHARS_MAX: usize = 100;

/// A new key made of 32 random bytes: its text, `fgk_` and 64 hex digits, which is shown once, and the hash by which
/// [`store::Store::key_create`] knows it.
pub fn mint(random: &[u8; 32]) -> (Secret, [u8; 32]) {
    let text = Secret::new(format!("fgk_{}", hex::encode(random)));
    let hash = hash(text.expose());
    (text, hash)
}

/// An API key, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Key {
    id: KeyId,
    /// For a person.
    name: String,
    role: Option<Role>,
    created_at: Timestamp,
    /// From when on it is refused.
    expires_at: Option<Timestamp>,
    /// Since when it is refused.
    revoked_at: Option<Timestamp>,
}

impl From<store::Key> for Key {
    fn from(key: store::Key) -> Self {
        let store::Key { id, name, role, created_at, expires_at, revoked_at, .. } = key;
        Self { id, name, role: Role::named(&role), created_at, expires_at, revoked_at }
    }
}

/// A new API key with its text, which is shown only here.
#[derive(Serialize, ToSchema)]
pub(super) struct MintedKey {
    #[serde(flatten)]
    shown: Key,
    /// `fgk_…`.
    key: String,
}

/// An API key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// For a person.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    role: Role,
    /// From when on it is refused; never when absent.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// The workspace's keys, revoked ones included, without their texts.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", params(Paging), responses((status = 200, body = List<Key>), (status = 404, description = "the cursor's key is gone")))]
pub(super) async fn list_keys(
    caller: Caller,
    State(api): State<Api>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<Key>>, Problem> {
    let keys = api.store.keys(caller.workspace).await?;
    Ok(Json(paging.of_all(keys, |key| key.id)?.show(Key::from)))
}

/// Makes a key.
///
/// Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = NewKey, responses((status = 201, body = MintedKey)))]
pub(super) async fn create_key(
    caller: Caller,
    State(api): State<Api>,
    JsonBody(new): JsonBody<NewKey>,
) -> Result<impl IntoResponse, Problem> {
    let now = api.clock.now();
    if !(1..=NAME_CHARS_MAX).contains(&new.name.chars().count()) {
        return Err(Problem::field("name", "has 1 to 100 characters"));
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::field("expires_at", "has passed already"));
    }
    let (text, hash) = mint(&rand::random());
    let key = store::Key {
        id: KeyId::at(now.unix_ms_unsigned()),
        workspace: caller.workspace,
        name: new.name,
        role: new.role.as_str().to_owned(),
        created_at: now,
        expires_at: new.expires_at,
        revoked_at: None,
    };
    api.store.key_create(key.clone(), hash).await?;
    Ok((StatusCode::CREATED, Json(MintedKey { shown: key.into(), key: text.expose().to_owned() })))
}

/// Revokes a key: it is refused from now on.
///
/// The key that makes this request can revoke itself.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "keys", params(("id" = KeyId, Path)),
    responses((status = 204, description = "revoked"), (status = 404, description = "no such key"))
)]
pub(super) async fn revoke_key(
    caller: Caller,
    State(api): State<Api>,
    State(keys): State<Keys>,
    At(id): At<KeyId>,
) -> Result<StatusCode, Problem> {
    let found = api.store.key_revoke(caller.workspace, id, api.clock.now()).await?;
    keys.forget();
    if found {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(&kind::NOT_FOUND, format!("there is no key {id}")))
    }
}
