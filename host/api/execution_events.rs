//! What an execution says, as a stream or as a list: the same events, with the same ids.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::page::List;
use super::request::{At, Params};
use crate::execution;
use crate::id::ExecutionId;
use crate::problem::Problem;
use crate::sse;
use crate::trigger::Json as RawJson;

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// The id of the last event that the reader has; `Last-Event-ID` does the same.
    after: Option<String>,
}

/// One event.
#[derive(Serialize, ToSchema)]
pub(super) struct Event {
    /// Rising; what to resume after.
    id: String,
    /// `say`, `progress`, `delta` or `end`.
    event: &'static str,
    #[schema(value_type = RawJson)]
    data: Option<RawJson>,
}

impl From<execution::Event> for Event {
    fn from(event: execution::Event) -> Self {
        Self { id: event.id, event: event.name, data: RawJson::parse(event.data).ok() }
    }
}

/// What the execution says.
///
/// With `Accept: text/event-stream` as it says it, until its end; otherwise the list so far.
#[utoipa::path(
    get, path = "/v1/executions/{id}/events", tag = "executions",
    params(("id" = ExecutionId, Path), After, ("last-event-id" = Option<String>, Header)),
    responses(
        (status = 200, content((List<Event> = "application/json"), (String = "text/event-stream"))),
        (status = 404, description = "no such execution"),
    )
)]
pub(super) async fn list_execution_events(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<ExecutionId>,
    Params(After { after }): Params<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let resumed = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let mut follow = api.executions.follow(caller.workspace, id, resumed.or(after.as_deref())).await?;
    if wants_stream(&headers) {
        return Ok(sse::response(follow));
    }
    let data = follow.so_far().await?.into_iter().map(Event::from).collect();
    Ok(Json(List { data, next_cursor: None }).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|text| text.split(',')).any(|one| one.trim().starts_with("text/event-stream"))
}
