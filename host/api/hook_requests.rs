//! What came to a hook, whatever became of it: each request with the exact reason, which its sender is not told.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::{Caller, Role};
use super::executions::Replay;
use super::page::{Limit, List, Paging};
use super::request::{At, JsonBody, Params};
use super::request_view::HookRequest;
use crate::execution::{Came, Error};
use crate::id::{ExecutionId, RequestId};
use crate::problem::{Problem, kind};
use crate::store::Verdict;

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only with one of these verdicts, separated by commas.
    #[serde(deserialize_with = "verdicts")]
    #[param(value_type = Option<Vec<Verdict>>, style = Form, explode = false, min_items = 1)]
    verdict: Vec<Verdict>,
    /// Entries on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { verdict: Verdict::ALL.to_vec(), limit: Limit::default(), cursor: None }
    }
}

fn verdicts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Verdict>, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let found: Option<Vec<_>> =
        words.map(|word| Verdict::ALL.iter().copied().find(|verdict| verdict.as_str() == word)).collect();
    found.filter(|found| !found.is_empty()).ok_or_else(|| {
        let allowed = Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect::<Vec<_>>().join(", ");
        D::Error::custom(format_args!("is `{text}`; allowed, separated by commas: {allowed}"))
    })
}

/// An execution that was started with a request that is on record.
#[derive(Serialize, ToSchema)]
pub(super) struct Replayed {
    execution_id: ExecutionId,
    /// False: nobody has proven who sent that request.
    genuine: bool,
}

/// What came to the hook.
///
/// Of requests without an execution the newest 1,000 of each verdict are kept, of captured ones the newest 100.
#[utoipa::path(
    get, path = "/v1/hooks/{hook}/requests", tag = "hooks",
    params(("hook" = String, Path, description = "Its id or name."), Filter),
    responses((status = 200, body = List<HookRequest>), (status = 404, description = "no such hook"))
)]
pub(super) async fn list_hook_requests(
    caller: Caller,
    State(api): State<Api>,
    At(hook): At<String>,
    Params(Filter { verdict, limit, cursor }): Params<Filter>,
) -> Result<Json<List<HookRequest>>, Problem> {
    let hook = api.hooks.get(caller.workspace, &hook).await?;
    let paging = Paging { limit, cursor };
    let came = api.executions.requests(Some(hook.id), &verdict, paging.page()?).await?;
    Ok(Json(paging.cut(came, |one| one.id().to_string()).show(HookRequest::from)))
}

/// The requests that were for no hook that there is; the newest 1,000 are kept.
///
/// They are those of the whole server and may be another workspace's slips, so only an admin reads them.
#[utoipa::path(
    get, path = "/v1/requests", tag = "hooks", params(Paging),
    responses((status = 200, body = List<HookRequest>), (status = 403, description = "the key is not an admin's"))
)]
pub(super) async fn list_stray_requests(
    caller: Caller,
    State(api): State<Api>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<HookRequest>>, Problem> {
    if caller.role != Role::Admin {
        return Err(Problem::new(&kind::FORBIDDEN, "only an admin reads the requests that were for no hook"));
    }
    let came = api.executions.requests(None, &[Verdict::Refused], paging.page()?).await?;
    Ok(Json(paging.cut(came, |one| one.id().to_string()).show(HookRequest::from)))
}

/// One request to a hook, with its body where that is kept.
///
/// A request that made an execution has the same id as that, but for the prefix.
#[utoipa::path(
    get, path = "/v1/requests/{id}", tag = "hooks", params(("id" = RequestId, Path)),
    responses((status = 200, body = HookRequest), (status = 404, description = "no such request"))
)]
pub(super) async fn get_request(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<RequestId>,
) -> Result<Json<HookRequest>, Problem> {
    Ok(Json(find(&api, caller, id).await?.into()))
}

async fn find(api: &Api, caller: Caller, id: RequestId) -> Result<Came, Problem> {
    match api.executions.request(caller.workspace, id).await {
        Err(Error::UnknownRequest(_)) if caller.role == Role::Admin => Ok(api.executions.stray_request(id).await?),
        found => Ok(found?),
    }
}

/// Gives a request that was filtered, captured or accepted to a version, as a new execution.
///
/// No filter keeps it out. One that was captured need not be genuine; the answer says whether it is.
#[utoipa::path(
    post, path = "/v1/requests/{id}/replay", tag = "hooks", params(("id" = RequestId, Path)), request_body = Replay,
    responses(
        (status = 202, body = Replayed, headers(("Location" = String))),
        (status = 404, description = "no such request, version or alias"),
        (status = 409, description = "the body was not kept, or the version is not ready"),
    )
)]
pub(super) async fn replay_request(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<RequestId>,
    JsonBody(replay): JsonBody<Replay>,
) -> Result<impl IntoResponse, Problem> {
    let which = replay.which()?;
    let (execution_id, genuine) = api.executions.replay_request(caller.workspace, id, &which).await?;
    let location = [(header::LOCATION, format!("/v1/executions/{execution_id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(Replayed { execution_id, genuine })))
}
