//! Aliases: which version runs.

use axum::Json;
use axum::extract::State;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::page::{List, Paging};
use super::request::{At, JsonBody, Params, whole};
use super::schemas::Name;
use crate::clock::Timestamp;
use crate::id::Digest;
use crate::problem::Problem;
use crate::{registry, store};

/// A movable name for a version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alias {
    /// `live` is the one that hooks use unless they say otherwise.
    name: String,
    /// What it stands for.
    version: Digest,
    /// What it stood for before, the latest first.
    history: Vec<Digest>,
    /// What is tried beside it.
    canary: Option<Canary>,
    updated_at: Timestamp,
}

/// A version that is tried with a part of an alias's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Canary {
    version: Digest,
    /// How many sessions of a hundred.
    percent: u8,
}

impl From<store::Alias> for Alias {
    fn from(alias: store::Alias) -> Self {
        let store::Alias { name, digest, mut history, canary, updated_at } = alias;
        history.reverse();
        let canary = canary.map(|one| Canary { version: one.digest, percent: one.percent });
        Self { name, version: digest, history, canary, updated_at }
    }
}

/// Where an alias moves.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Promotion {
    version: Digest,
    /// Tries it with so many of a hundred sessions, 1 to 99; the others stay with what the alias stands for. All go to it
    /// when absent.
    #[serde(default, deserialize_with = "percent")]
    #[schema(minimum = 1, maximum = 99)]
    percent: Option<u8>,
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let Some(percent) = whole(deserializer)? else { return Ok(None) };
    let percent = u8::try_from(percent).ok().filter(|percent| (1..=99).contains(percent));
    percent.map(Some).ok_or_else(|| D::Error::custom("allowed: 1 to 99"))
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
/// An alias that is not there is made. With `percent` the version is only tried, and a session stays with the version that
/// it got.
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
    let Promotion { version, percent } = promotion;
    let moved = match percent {
        Some(percent) => match api.registry.try_out(flow.id, &alias, version, percent).await {
            Err(registry::Error::UnknownAlias(_)) => {
                let alone = "the alias stands for no version that the other sessions could stay with";
                return Err(Problem::field("percent", alone));
            }
            tried => tried?,
        },
        None => api.registry.promote(flow.id, &alias, version).await?,
    };
    Ok(Json(moved.into()))
}

/// Moves an alias back to the version that it stood for before.
///
/// While a version is tried beside it, that ends instead.
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
