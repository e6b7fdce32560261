//! Deliveries: what was told to whom, and telling it again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::page::{Limit, List, Paging};
use super::request::{At, Params};
use crate::clock::Timestamp;
use crate::id::{AttemptId, DeliveryId, ExecutionId, HookId};
use crate::problem::Problem;
use crate::store::{self, DeliveryStatus};

/// Which deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only of this execution.
    execution: Option<ExecutionId>,
    /// Entries on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A message for a receiver. Lists have neither body nor attempts.
#[derive(Serialize, ToSchema)]
pub(super) struct Delivery {
    /// The receiver sees it as `webhook-id`.
    id: DeliveryId,
    hook: HookId,
    execution_id: ExecutionId,
    status: DeliveryStatus,
    /// What it tells, for example `execution.succeeded`.
    event: String,
    /// The receiver.
    url: String,
    created_at: Timestamp,
    /// When the next attempt is due.
    next_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    attempts_made: u32,
    /// First to last.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<Attempt>>,
    /// What is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

/// One HTTP request of a delivery.
#[derive(Serialize, ToSchema)]
pub(super) struct Attempt {
    id: AttemptId,
    /// Counts from 1.
    n: u32,
    at: Timestamp,
    duration_ms: u64,
    /// The status that the receiver answered with.
    status: Option<u16>,
    /// Why there was no answer, or why the answer is a failure.
    error: Option<String>,
    /// The beginning of the receiver's answer.
    answer: String,
}

impl From<store::Delivery> for Delivery {
    fn from(row: store::Delivery) -> Self {
        Self {
            id: row.id,
            hook: row.hook,
            execution_id: row.execution,
            status: row.status,
            event: row.event,
            url: row.url,
            created_at: row.created_at,
            next_at: row.next_at,
            finished_at: row.finished_at,
            attempts_made: row.attempts,
            attempts: None,
            body: None,
        }
    }
}

impl From<store::Attempt> for Attempt {
    fn from(row: store::Attempt) -> Self {
        let store::Attempt { id, n, at, status, error, duration_ms, answer } = row;
        Self { id, n, at, duration_ms, status, error, answer: String::from_utf8_lossy(&answer).into_owned() }
    }
}

/// The workspace's deliveries, of one execution or of all.
#[utoipa::path(
    get, path = "/v1/deliveries", tag = "deliveries", params(Filter), responses((status = 200, body = List<Delivery>))
)]
pub(super) async fn list_deliveries(
    caller: Caller,
    State(api): State<Api>,
    Params(Filter { execution, limit, cursor }): Params<Filter>,
) -> Result<Json<List<Delivery>>, Problem> {
    let paging = Paging { limit, cursor };
    let rows = api.deliveries.list(caller.workspace, execution, paging.page()?).await?;
    Ok(Json(paging.cut(rows, |row| row.id.to_string()).show(Delivery::from)))
}

/// One delivery, with its attempts.
#[utoipa::path(
    get, path = "/v1/deliveries/{id}", tag = "deliveries", params(("id" = DeliveryId, Path)),
    responses((status = 200, body = Delivery), (status = 404, description = "no such delivery"))
)]
pub(super) async fn get_delivery(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<DeliveryId>,
) -> Result<Json<Delivery>, Problem> {
    let (row, attempts) = api.deliveries.find(caller.workspace, id).await?;
    let body = Some(String::from_utf8_lossy(&row.body).into_owned());
    let attempts = Some(attempts.into_iter().map(Attempt::from).collect());
    Ok(Json(Delivery { body, attempts, ..row.into() }))
}

/// Sends a delivery again now, whether it waits, has succeeded or has failed.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/redeliver", tag = "deliveries", params(("id" = DeliveryId, Path)),
    responses((status = 202, body = Delivery), (status = 404, description = "no such delivery"))
)]
pub(super) async fn redeliver_delivery(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<DeliveryId>,
) -> Result<(StatusCode, Json<Delivery>), Problem> {
    api.deliveries.redeliver(caller.workspace, id).await?;
    let (row, _) = api.deliveries.find(caller.workspace, id).await?;
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}
