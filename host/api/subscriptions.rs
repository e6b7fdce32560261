//! Subscriptions.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::page::{List, Paging};
use super::request::{At, JsonBody, Params};
use super::subscription_draft::{Draft, check_transform};
use super::subscription_schema::{NewSubscription, SubscriptionChange};
use crate::clock::Timestamp;
use crate::id::{SecretId, SubscriptionId};
use crate::problem::Problem;
use crate::signature::Secret;
use crate::subscription::{Held, NewSubscription as New, Spec, Subscription as Stored, Use};

/// A subscription: itself, and the members of its spec.
#[derive(Serialize, ToSchema)]
pub(super) struct Subscription {
    id: SubscriptionId,
    name: String,
    /// False: it is told of nothing.
    enabled: bool,
    /// Why it is not enabled, where the server has decided that.
    disabled_reason: Option<String>,
    #[serde(flatten)]
    spec: Spec,
    /// What a receiver verifies with, where that is not the secret itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// The newest first. A secret's text is only in the answer to the request that made it.
    secrets: Vec<SubscriptionSecret>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A secret of a subscription.
#[derive(Serialize, ToSchema)]
pub(super) struct SubscriptionSecret {
    id: SecretId,
    #[serde(rename = "use")]
    for_use: Use,
    /// The text, only in the answer to the request that made it, and never of a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    created_at: Timestamp,
    /// From when on it signs nothing.
    expires_at: Option<Timestamp>,
}

impl SubscriptionSecret {
    fn hidden(held: &Held) -> Self {
        let Held { id, for_use, created_at, expires_at, .. } = *held;
        Self { id, for_use, secret: None, created_at, expires_at }
    }

    pub(super) fn shown(held: &Held) -> Self {
        Self { secret: Some(held.secret.expose().to_owned()), ..Self::hidden(held) }
    }
}

impl Subscription {
    /// The subscription, with the texts of those secrets that `show` picks.
    fn new(stored: Stored, show: impl Fn(&Held) -> bool) -> Self {
        // A credential was given by whoever asks, who need not be told.
        let signing = stored.secrets.all(Use::Signing).map(|held| (held, show(held)));
        let all = signing.chain(stored.secrets.all(Use::Credential).map(|held| (held, false)));
        let told =
            |(held, shows)| if shows { SubscriptionSecret::shown(held) } else { SubscriptionSecret::hidden(held) };
        let newest = stored.secrets.all(Use::Signing).next();
        Self {
            public_key: newest.and_then(|held| stored.spec.scheme().public_key(&held.secret)),
            secrets: all.map(told).collect(),
            id: stored.id,
            name: stored.name,
            enabled: stored.enabled,
            disabled_reason: stored.disabled_reason,
            spec: stored.spec,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// The workspace's subscriptions.
#[utoipa::path(
    get, path = "/v1/subscriptions", tag = "subscriptions", params(Paging),
    responses((status = 200, body = List<Subscription>))
)]
pub(super) async fn list_subscriptions(
    caller: Caller,
    State(api): State<Api>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<Subscription>>, Problem> {
    let all = api.subscriptions.list(caller.workspace, paging.page()?).await?;
    Ok(Json(paging.cut(all, |one| one.id.to_string()).show(|one| Subscription::new(one, |_| false))))
}

/// Makes a subscription.
///
/// The text of the secret that signs is in this answer and in no later one.
#[utoipa::path(
    post, path = "/v1/subscriptions", tag = "subscriptions", request_body = NewSubscription,
    responses((status = 201, body = Subscription, headers(("Location" = String))))
)]
pub(super) async fn create_subscription(
    caller: Caller,
    State(api): State<Api>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<impl IntoResponse, Problem> {
    let mut draft = Draft::new(body)?;
    if draft.about.enabled.is_some() {
        return Err(Problem::field("enabled", "is for a change; a new subscription is enabled"));
    }
    let (name, secret) = (draft.about.name.take(), draft.about.secret.take().map(Secret::new));
    let credential = draft.credential.take();
    let spec = draft.spec(&api.deliveries)?;
    check_transform(&api.registry, caller.workspace, &spec).await?;
    let new = New { workspace: caller.workspace, name, spec, secret, credential };
    let made = api.subscriptions.create(new).await?;
    let location = [(header::LOCATION, format!("/v1/subscriptions/{}", made.id))];
    Ok((StatusCode::CREATED, location, Json(Subscription::new(made, |_| true))))
}

/// One subscription, by id or by a name that no other has.
#[utoipa::path(
    get, path = "/v1/subscriptions/{subscription}", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name.")),
    responses((status = 200, body = Subscription), (status = 404, description = "no such subscription"))
)]
pub(super) async fn get_subscription(
    caller: Caller,
    State(api): State<Api>,
    At(subscription): At<String>,
) -> Result<Json<Subscription>, Problem> {
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    Ok(Json(Subscription::new(found, |_| false)))
}

/// Changes a subscription: members of the body replace its own, whole; null stands for a member's default.
///
/// A secret that the change makes necessary is made, and shown here.
#[utoipa::path(
    patch, path = "/v1/subscriptions/{subscription}", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name.")), request_body = SubscriptionChange,
    responses(
        (status = 200, body = Subscription),
        (status = 404, description = "no such subscription"),
        (status = 409, description = "somebody else was faster"),
    )
)]
pub(super) async fn update_subscription(
    caller: Caller,
    State(api): State<Api>,
    At(subscription): At<String>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<Subscription>, Problem> {
    let mut draft = Draft::new(body)?;
    if draft.about.secret.is_some() {
        return Err(Problem::field("secret", "is changed by POST /v1/subscriptions/{subscription}/secrets"));
    }
    let mut changed = api.subscriptions.get(caller.workspace, &subscription).await?;
    let known = changed.secrets.clone();
    changed.name = draft.about.name.take().unwrap_or(changed.name);
    changed.enabled = draft.about.enabled.unwrap_or(changed.enabled);
    let credential = draft.credential.take();
    let spec = draft.spec_over(&changed.spec, &api.deliveries)?;
    if spec.transform != changed.spec.transform {
        check_transform(&api.registry, caller.workspace, &spec).await?;
    }
    api.subscriptions.set_spec(&mut changed, spec, credential);
    let changed = api.subscriptions.update(changed).await?;
    let known = |held: &Held| known.all(held.for_use).any(|before| before.id == held.id);
    Ok(Json(Subscription::new(changed, |held| !known(held))))
}

/// Removes a subscription and gives up its deliveries.
#[utoipa::path(
    delete, path = "/v1/subscriptions/{subscription}", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name.")),
    responses((status = 204, description = "removed"), (status = 404, description = "no such subscription"))
)]
pub(super) async fn delete_subscription(
    caller: Caller,
    State(api): State<Api>,
    At(subscription): At<String>,
) -> Result<StatusCode, Problem> {
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    api.subscriptions.delete(&found).await?;
    Ok(StatusCode::NO_CONTENT)
}
