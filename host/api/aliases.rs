//! Aliases: which version runs.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::page::{List, Paging};
use super::request::{At, JsonBody, Params};
use super::schemas::Name;
use crate::clock::Timestamp;
use crate::id::Digest;
use crate::problem::Problem;
use crate::store;

/// A movable name for a version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alias {
    /// `live` is the one that hooks use unless they say otherwise.
    name: String,
    /// What it stands for.
    version: Digest,
    /// What it stood for before, the latest first.
    history: Vec<Digest>,
    updated_at: Timestamp,
}

impl From<store::Alias> for Alias {
    fn from(alias: store::Alias) -> Self {
        let store::Alias { name, digest, mut history, updated_at } = alias;
        history.reverse();
        Self { name, version: digest, history, updated_at }
    }
}

/// Where an alias moves.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Promotion {
    version: Digest,
}

/// The flow's aliases, by name.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/aliases", tag = "versions", params(("flow" = String, Path), Paging),
    responses((status = 200, body = List<Alias>), (status = 404, description = "no such flow, or the cursor's alias is gone"))
)]
pub(super) async fn list_aliases(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<Alias>>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    let aliases = api.registry.aliases(flow.id).await?;
    Ok(Json(paging.of_all(aliases, |alias| alias.name.clone())?.show(Alias::from)))
}

/// Lets an alias stand for a version from the next trigger on.
///
/// An alias that is not there is made.
#[utoipa::path(
    put, path = "/v1/flows/{flow}/aliases/{alias}", tag = "versions",
    params(("flow" = String, Path), ("alias" = Name, Path)), request_body = Promotion,
    responses(
        (status = 200, body = Alias),
        (status = 404, description = "no such flow or version"),
        (status = 409, description = "the version is not ready"),
    )
)]
pub(super) async fn promote_alias(
    caller: Caller,
    State(api): State<Api>,
    At((flow, alias)): At<(String, String)>,
    JsonBody(promotion): JsonBody<Promotion>,
) -> Result<Json<Alias>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    Ok(Json(api.registry.promote(flow.id, &alias, promotion.version).await?.into()))
}

/// Moves an alias back to the version that it stood for before.
#[utoipa::path(
    post, path = "/v1/flows/{flow}/aliases/{alias}/rollback", tag = "versions",
    params(("flow" = String, Path), ("alias" = String, Path)),
    responses(
        (status = 200, body = Alias),
        (status = 404, description = "no such flow"),
        (status = 409, description = "there is no earlier version"),
    )
)]
pub(super) async fn rollback_alias(
    caller: Caller,
    State(api): State<Api>,
    At((flow, alias)): At<(String, String)>,
) -> Result<Json<Alias>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    Ok(Json(api.registry.rollback(flow.id, &alias).await?.into()))
}
