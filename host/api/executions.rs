//! Executions: find, cancel, replay.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::execution_view::Execution;
use super::flows::Names;
use super::page::{Limit, List, Paging, words};
use super::request::{At, JsonBody, Params};
use crate::execution::Which;
use crate::id::{Digest, ExecutionId};
use crate::problem::Problem;
use crate::store::{self, ExecutionFilter, Status};
use crate::trigger::Json as RawJson;

/// Which executions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only of the flow with this name.
    flow: Option<String>,
    /// Only of the hook with this id or name.
    hook: Option<String>,
    /// Only with one of these statuses, separated by commas.
    #[serde(deserialize_with = "statuses")]
    #[param(value_type = Option<Vec<Status>>, style = Form, explode = false)]
    status: Vec<Status>,
    /// Only of this session.
    session: Option<String>,
    /// Only those that this execution called.
    parent: Option<ExecutionId>,
    /// Entries on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Status>, D::Error> {
    words(deserializer, Status::ALL, Status::as_str)
}

/// The log of one attempt.
#[derive(Serialize, ToSchema)]
pub(super) struct Logs {
    attempt: u32,
    /// Lines that were over the limit.
    dropped: u64,
    /// `[{"at_ms","level","source","message"}]`
    #[schema(value_type = RawJson)]
    lines: Option<RawJson>,
}

impl From<store::Logs> for Logs {
    fn from(logs: store::Logs) -> Self {
        Self { attempt: logs.attempt, dropped: logs.dropped, lines: RawJson::parse(logs.lines).ok() }
    }
}

/// How long the calls of one attempt took.
#[derive(Serialize, ToSchema)]
pub(super) struct Spans {
    attempt: u32,
    /// Spans that were over the limit.
    dropped: u64,
    /// `[{"parent","name","start_us","duration_us","error","attributes"}]`: `parent` is the place in this list of the span
    /// that a span stands in; without `duration_us` it had not ended when the attempt did.
    #[schema(value_type = RawJson)]
    spans: Option<RawJson>,
}

impl From<store::Spans> for Spans {
    fn from(spans: store::Spans) -> Self {
        Self { attempt: spans.attempt, dropped: spans.dropped, spans: RawJson::parse(spans.spans).ok() }
    }
}

/// What the calls of one attempt came to.
#[derive(Serialize, ToSchema)]
pub(super) struct Calls {
    attempt: u32,
    /// Answers that were to be kept and were over the limit, or were not heard to their end.
    dropped: u64,
    /// `[{"kind":"event","name","data"}]`; where the server keeps answers (`capability.record_answers`) besides
    /// `{"kind":"http","method","url","status","headers","body_text","body_base64","error"}` and
    /// `{"kind":"llm","model","forward","answer"}`, whose `answer` is a rule of a mock's script.
    #[schema(value_type = RawJson)]
    calls: Option<RawJson>,
}

impl From<store::Calls> for Calls {
    fn from(calls: store::Calls) -> Self {
        Self { attempt: calls.attempt, dropped: calls.dropped, calls: RawJson::parse(calls.calls).ok() }
    }
}

/// Where an execution stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Standing {
    execution_id: ExecutionId,
    status: Status,
}

/// Which version gets a trigger again; what the hook's alias stands for now when nothing is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// This one.
    #[serde(default)]
    version: Option<Digest>,
    /// The one that this alias of the flow stands for now.
    #[serde(default)]
    alias: Option<String>,
}

impl Replay {
    pub(super) fn which(self) -> Result<Which, Problem> {
        match (self.version, self.alias) {
            (Some(_), Some(_)) => Err(Problem::field("alias", "is there beside `version`; one of them says which")),
            (Some(version), None) => Ok(Which::Version(version)),
            (None, Some(alias)) => Ok(Which::Alias(alias)),
            (None, None) => Ok(Which::Current),
        }
    }
}

/// An execution that was started.
#[derive(Serialize, ToSchema)]
pub(super) struct Started {
    execution_id: ExecutionId,
}

/// The workspace's executions, without triggers and outcomes.
#[utoipa::path(
    get, path = "/v1/executions", tag = "executions", params(Filter),
    responses((status = 200, body = List<Execution>), (status = 404, description = "no such flow or hook"))
)]
pub(super) async fn list_executions(
    caller: Caller,
    State(api): State<Api>,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Execution>>, Problem> {
    let Filter { flow, hook, status: statuses, session, parent, limit, cursor } = filter;
    let flow = match flow {
        Some(name) => Some(api.registry.flow(caller.workspace, &name).await?.id),
        None => None,
    };
    let hook = match hook {
        Some(hook) => Some(api.hooks.get(caller.workspace, &hook).await?.id),
        None => None,
    };
    let paging = Paging { limit, cursor };
    let filter = ExecutionFilter { flow, hook, statuses, session, parent };
    let rows = api.executions.list(caller.workspace, filter, paging.page()?).await?;
    let List { data: rows, next_cursor } = paging.cut(rows, |row| row.id.to_string());
    let (mut names, mut data) = (Names::new(&api.registry), Vec::with_capacity(rows.len()));
    for row in rows {
        let flow = names.of(row.flow).await?;
        data.push(Execution::listed(row, flow));
    }
    Ok(Json(List { data, next_cursor }))
}

/// One execution, whole.
///
/// `retry-after` says when to ask again while it goes on.
#[utoipa::path(
    get, path = "/v1/executions/{id}", tag = "executions", params(("id" = ExecutionId, Path)),
    responses((status = 200, body = Execution, headers(("Retry-After" = u32))), (status = 404, description = "no such execution"))
)]
pub(super) async fn get_execution(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<ExecutionId>,
) -> Result<impl IntoResponse, Problem> {
    let row = api.executions.find(caller.workspace, id).await?;
    let flow = Names::new(&api.registry).of(row.flow).await?;
    let mut headers = HeaderMap::new();
    if !row.status.is_final() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok((headers, Json(Execution::whole(row, flow)?)))
}

/// The log of each attempt that logged.
///
/// A running attempt's log comes when it ends.
#[utoipa::path(
    get, path = "/v1/executions/{id}/logs", tag = "executions", params(("id" = ExecutionId, Path)),
    responses((status = 200, body = List<Logs>), (status = 404, description = "no such execution"))
)]
pub(super) async fn list_execution_logs(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<ExecutionId>,
) -> Result<Json<List<Logs>>, Problem> {
    let logs = api.executions.logs(caller.workspace, id).await?;
    Ok(Json(List { data: logs.into_iter().map(Logs::from).collect(), next_cursor: None }))
}

/// How long the calls of each attempt took, for those that made any.
///
/// Those of a running attempt come when it ends. A confidential execution has none.
#[utoipa::path(
    get, path = "/v1/executions/{id}/spans", tag = "executions", params(("id" = ExecutionId, Path)),
    responses((status = 200, body = List<Spans>), (status = 404, description = "no such execution"))
)]
pub(super) async fn list_execution_spans(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<ExecutionId>,
) -> Result<Json<List<Spans>>, Problem> {
    let spans = api.executions.spans(caller.workspace, id).await?;
    Ok(Json(List { data: spans.into_iter().map(Spans::from).collect(), next_cursor: None }))
}

/// What each attempt emitted, and what it was answered where the server keeps that.
///
/// Those of a running attempt come when it ends. A confidential execution has none.
#[utoipa::path(
    get, path = "/v1/executions/{id}/calls", tag = "executions", params(("id" = ExecutionId, Path)),
    responses((status = 200, body = List<Calls>), (status = 404, description = "no such execution"))
)]
pub(super) async fn list_execution_calls(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<ExecutionId>,
) -> Result<Json<List<Calls>>, Problem> {
    let calls = api.executions.calls(caller.workspace, id).await?;
    Ok(Json(List { data: calls.into_iter().map(Calls::from).collect(), next_cursor: None }))
}

/// Cancels an execution; one that has ended stays as it is.
#[utoipa::path(
    post, path = "/v1/executions/{id}/cancel", tag = "executions", params(("id" = ExecutionId, Path)),
    responses(
        (status = 200, body = Standing, description = "it has ended"),
        (status = 202, body = Standing, description = "it runs, and is about to be stopped"),
        (status = 404, description = "no such execution"),
    )
)]
pub(super) async fn cancel_execution(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<ExecutionId>,
) -> Result<impl IntoResponse, Problem> {
    let status = api.executions.cancel(caller.workspace, id).await?;
    let answer = if status.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((answer, Json(Standing { execution_id: id, status })))
}

/// Gives the trigger of an execution to a version again, as a new execution.
#[utoipa::path(
    post, path = "/v1/executions/{id}/replay", tag = "executions", params(("id" = ExecutionId, Path)),
    request_body = Replay,
    responses(
        (status = 202, body = Started, headers(("Location" = String))),
        (status = 404, description = "no such execution, version or alias"),
        (status = 409, description = "the version is not ready"),
    )
)]
pub(super) async fn replay_execution(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<ExecutionId>,
    JsonBody(replay): JsonBody<Replay>,
) -> Result<impl IntoResponse, Problem> {
    let execution_id = api.executions.replay(caller.workspace, id, &replay.which()?).await?;
    let location = [(header::LOCATION, format!("/v1/executions/{execution_id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(Started { execution_id })))
}
