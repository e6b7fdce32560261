//! The requests that a hook refused, each with the exact reason, which its sender is not told.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::auth::{Caller, Role};
use super::page::{List, Paging};
use super::request::{At, Params};
use crate::clock::Timestamp;
use crate::id::RequestId;
use crate::problem::{Problem, kind};
use crate::store::Refused;
use crate::trigger::Json as RawJson;

/// A request that made no execution.
#[derive(Serialize, ToSchema)]
pub(super) struct RefusedRequest {
    id: RequestId,
    at: Timestamp,
    /// The HTTP status that it was answered with.
    status: u16,
    /// The slug of the problem that it was answered with.
    code: String,
    /// Exactly why.
    reason: String,
    /// Method, path, peer and headers, without credentials.
    request: Option<RawJson>,
}

impl From<Refused> for RefusedRequest {
    fn from(refused: Refused) -> Self {
        let Refused { id, at, status, verdict: code, reason, detail, .. } = refused;
        Self { id, at, status, code, reason, request: RawJson::parse(detail).ok() }
    }
}

/// The requests that the hook refused; the newest 1,000 are kept.
#[utoipa::path(
    get, path = "/v1/hooks/{hook}/requests", tag = "hooks",
    params(("hook" = String, Path, description = "Its id or name."), Paging),
    responses((status = 200, body = List<RefusedRequest>), (status = 404, description = "no such hook"))
)]
pub(super) async fn list_hook_requests(
    caller: Caller,
    State(api): State<Api>,
    At(hook): At<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<RefusedRequest>>, Problem> {
    let hook = api.hooks.get(caller.workspace, &hook).await?;
    let refused = api.store.requests(Some(hook.id), paging.page()?).await?;
    Ok(Json(paging.cut(refused, |refused| refused.id.to_string()).show(RefusedRequest::from)))
}

/// The requests that were for no hook that there is; the newest 1,000 are kept.
///
/// They are those of the whole server and may be another workspace's slips, so only an admin reads them.
#[utoipa::path(
    get, path = "/v1/requests", tag = "hooks", params(Paging),
    responses((status = 200, body = List<RefusedRequest>), (status = 403, description = "the key is not an admin's"))
)]
pub(super) async fn list_stray_requests(
    caller: Caller,
    State(api): State<Api>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<RefusedRequest>>, Problem> {
    if caller.role != Role::Admin {
        return Err(Problem::new(&kind::FORBIDDEN, "only an admin reads the requests that were for no hook"));
    }
    let refused = api.store.requests(None, paging.page()?).await?;
    Ok(Json(paging.cut(refused, |refused| refused.id.to_string()).show(RefusedRequest::from)))
}
