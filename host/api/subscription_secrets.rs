//! A subscription's secrets: the next one, and the end of one.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::request::{At, JsonBody};
use super::subscriptions::SubscriptionSecret;
use crate::problem::Problem;
use crate::signature::Secret;
use crate::subscription::Use;

/// Secrets that a subscription may sign with.
const SECRETS_MAX: usize = 10;

/// The longest time that an old secret may live on.
const OVERLAP_S_MAX: u64 = 90 * 24 * 3_600;

/// A secret to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    /// Its text; one is made when this is absent.
    #[serde(default)]
    secret: Option<String>,
    /// Seconds that the secrets before it live on, 0 to 90 days.
    #[serde(default = "a_day")]
    #[schema(default = 86400)]
    overlap_s: u64,
}

fn a_day() -> u64 {
    24 * 3_600
}

/// Adds a secret that signs and lets the others live on for a while, so that the receiver changes over in its own time.
#[utoipa::path(
    post, path = "/v1/subscriptions/{subscription}/secrets", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name.")), request_body = NewSecret,
    responses(
        (status = 201, body = SubscriptionSecret, description = "the secret, with its text for the only time"),
        (status = 404, description = "no such subscription"),
        (status = 409, description = "somebody else was faster"),
    )
)]
pub(super) async fn rotate_subscription_secret(
    caller: Caller,
    State(api): State<Api>,
    At(subscription): At<String>,
    JsonBody(NewSecret { secret, overlap_s }): JsonBody<NewSecret>,
) -> Result<impl IntoResponse, Problem> {
    if overlap_s > OVERLAP_S_MAX {
        return Err(Problem::field("overlap_s", format!("is {overlap_s}; allowed: 0 to {OVERLAP_S_MAX}")));
    }
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    if overlap_s > 0 && found.secrets.all(Use::Signing).count() >= SECRETS_MAX {
        return Err(Problem::field("secret", format!("would be one of more than {SECRETS_MAX}; remove one first")));
    }
    let overlap = Duration::from_secs(overlap_s);
    let (_, held) = api.subscriptions.rotate(found, secret.map(Secret::new), overlap).await?;
    Ok((StatusCode::CREATED, Json(SubscriptionSecret::shown(&held))))
}

/// Removes a secret at once.
#[utoipa::path(
    delete, path = "/v1/subscriptions/{subscription}/secrets/{secret}", tag = "subscriptions",
    params(
        ("subscription" = String, Path, description = "Its id or name."),
        ("secret" = crate::id::SecretId, Path),
    ),
    responses(
        (status = 204, description = "removed"),
        (status = 404, description = "no such subscription or secret"),
        (status = 409, description = "it is the last one, or somebody else was faster"),
    )
)]
pub(super) async fn revoke_subscription_secret(
    caller: Caller,
    State(api): State<Api>,
    At((subscription, secret)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    api.subscriptions.revoke(found, &secret).await?;
    Ok(StatusCode::NO_CONTENT)
}
