//! A hook's secrets: the next one, and the end of one.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::hooks::Secret as Shown;
use super::request::{At, JsonBody};
use crate::hook::{Hook, Use};
use crate::problem::Problem;
use crate::signature::{Scheme, Secret};

/// Secrets of one use that a hook may have.
const SECRETS_MAX: usize = 10;

/// The longest time that an old secret may live on.
const OVERLAP_S_MAX: u64 = 90 * 24 * 3_600;

/// A secret to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// `auth` proves callers, `callback` signs callbacks, `callback_password` is what their receiver asks for.
    #[serde(rename = "use")]
    for_use: Use,
    /// Its text; one is made when this is absent.
    #[serde(default)]
    #[schema(min_length = 1)]
    secret: Option<String>,
    /// Seconds that the secrets before it live on.
    #[serde(default = "a_day")]
    #[schema(default = 86400, maximum = 7_776_000)]
    overlap_s: u64,
}

fn a_day() -> u64 {
    24 * 3_600
}

/// Adds a secret and lets the others of its use live on for a while, so that each side changes over in its own time.
#[utoipa::path(
    post, path = "/v1/hooks/{hook}/secrets", tag = "hooks",
    params(("hook" = String, Path, description = "Its id or name.")), request_body = Rotation,
    responses(
        (status = 201, body = Shown, description = "the secret, with its text for the only time"),
        (status = 404, description = "no such hook"),
        (status = 409, description = "somebody else was faster"),
    )
)]
pub(super) async fn rotate_hook_secret(
    caller: Caller,
    State(api): State<Api>,
    At(hook): At<String>,
    JsonBody(Rotation { for_use, secret, overlap_s }): JsonBody<Rotation>,
) -> Result<impl IntoResponse, Problem> {
    if overlap_s > OVERLAP_S_MAX {
        return Err(Problem::field("overlap_s", format!("is {overlap_s}; allowed: 0 to {OVERLAP_S_MAX}")));
    }
    let secret = secret.map(Secret::new);
    let hook = api.hooks.get(caller.workspace, &hook).await?;
    if overlap_s > 0 && hook.secrets.all(for_use).count() >= SECRETS_MAX {
        return Err(Problem::field("use", format!("has {SECRETS_MAX} secrets already; remove one first")));
    }
    if let Some(secret) = &secret {
        check(&hook, for_use, secret)?;
    }
    let (_, held) = api.hooks.rotate(hook, for_use, secret, Duration::from_secs(overlap_s)).await?;
    Ok((StatusCode::CREATED, Json(Shown::shown(&held))))
}

/// Removes a secret at once.
#[utoipa::path(
    delete, path = "/v1/hooks/{hook}/secrets/{secret}", tag = "hooks",
    params(("hook" = String, Path, description = "Its id or name."), ("secret" = crate::id::SecretId, Path)),
    responses(
        (status = 204, description = "removed"),
        (status = 404, description = "no such hook or secret"),
        (status = 409, description = "somebody else was faster"),
    )
)]
pub(super) async fn revoke_hook_secret(
    caller: Caller,
    State(api): State<Api>,
    At((hook, secret)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    let hook = api.hooks.get(caller.workspace, &hook).await?;
    api.hooks.revoke(hook, &secret).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a secret that none of its uses could ever take.
fn check(hook: &Hook, for_use: Use, secret: &Secret) -> Result<(), Problem> {
    let wrong = |error: crate::signature::Error| Problem::field("secret", error.to_string());
    match for_use {
        Use::Auth => {
            let tried = hook.spec.auth.iter().map(|scheme| scheme.check_secret(secret)).collect::<Vec<_>>();
            let fits = tried.iter().any(Result::is_ok);
            tried.into_iter().find_map(|tried| tried.err().filter(|_| !fits)).map_or(Ok(()), |error| Err(wrong(error)))
        }
        Use::CallbackPassword if secret.is_empty() => Err(Problem::field("secret", "is empty")),
        Use::CallbackPassword => Ok(()),
        Use::Callback => {
            Scheme::named("standard-webhooks").and_then(|scheme| scheme.check_secret(secret)).map_err(wrong)
        }
    }
}
