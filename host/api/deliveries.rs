//! Deliveries: what was told to whom, telling it again, and letting it be.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::page::{Limit, List, Paging, words};
use super::request::{At, Params};
use crate::clock::Timestamp;
use crate::id::{AttemptId, DeliveryId, ExecutionId};
use crate::problem::Problem;
use crate::store::{self, Blame, DeliveryFilter, DeliveryStatus, Target};
use crate::trigger::Json as RawJson;

/// Which deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only of this execution.
    execution: Option<ExecutionId>,
    /// Only for the callback of this hook, or for this subscription.
    target: Option<Target>,
    /// Only of this event, for example `execution.failed`.
    event: Option<String>,
    /// Only with one of these statuses, separated by commas. The dead letters are `exhausted,abandoned`.
    #[serde(deserialize_with = "statuses")]
    #[param(value_type = Option<Vec<DeliveryStatus>>, style = Form, explode = false)]
    status: Vec<DeliveryStatus>,
    /// Only those made then or later.
    since: Option<Timestamp>,
    /// Only those made before.
    until: Option<Timestamp>,
    /// Entries on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DeliveryStatus>, D::Error> {
    words(deserializer, DeliveryStatus::ALL, DeliveryStatus::as_str)
}

/// A message for a receiver. Lists have neither body nor attempts, nor what a transform did.
#[derive(Serialize, ToSchema)]
pub(super) struct Delivery {
    /// The receiver sees it as `webhook-id`.
    id: DeliveryId,
    /// Who it is for.
    target: Target,
    /// Deliveries of one target in one lane are sent in order.
    lane: Option<String>,
    execution_id: Option<ExecutionId>,
    status: DeliveryStatus,
    /// What it tells, for example `execution.succeeded`.
    event: String,
    /// The receiver, as it was at the last attempt.
    url: String,
    created_at: Timestamp,
    /// When the next attempt is due. A pending delivery without waits for its turn in the lane.
    next_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    attempts_made: u32,
    /// Why it is not there, in words.
    error: Option<String>,
    /// First to last; the newest 100 are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<Attempt>>,
    /// What is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// What the subscription's transform did when it last ran: version, headers, logs, and why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    transform: Option<RawJson>,
}

/// One HTTP request of a delivery.
#[derive(Serialize, ToSchema)]
pub(super) struct Attempt {
    id: AttemptId,
    /// Counts from 1.
    n: u32,
    at: Timestamp,
    /// Where it went.
    url: String,
    /// `[[name, value], …]` as sent, without credentials.
    #[schema(value_type = RawJson)]
    request_headers: Option<RawJson>,
    /// The status that the receiver answered with.
    status: Option<u16>,
    /// `[[name, value], …]` as received.
    #[schema(value_type = RawJson)]
    response_headers: Option<RawJson>,
    /// The beginning of the receiver's answer, when it is text.
    answer: Option<String>,
    /// The beginning of the receiver's answer, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_base64: Option<String>,
    /// Why there was no answer, or why the answer is a failure.
    error: Option<String>,
    /// Who has to act on that.
    blame: Option<Blame>,
    duration_ms: u64,
    /// What the time was spent on, in milliseconds.
    #[schema(value_type = RawJson)]
    timings: Option<RawJson>,
}

impl From<store::Delivery> for Delivery {
    fn from(row: store::Delivery) -> Self {
        Self {
            id: row.id,
            target: row.target,
            lane: row.lane,
            execution_id: row.execution,
            status: row.status,
            event: row.event,
            url: row.url,
            created_at: row.created_at,
            next_at: row.next_at,
            finished_at: row.finished_at,
            attempts_made: row.attempts,
            error: row.error,
            attempts: None,
            body: None,
            transform: None,
        }
    }
}

impl From<store::Attempt> for Attempt {
    fn from(row: store::Attempt) -> Self {
        let text = text(&row.answer).map(Cow::into_owned);
        Self {
            id: row.id,
            n: row.n,
            at: row.at,
            url: row.url,
            request_headers: RawJson::parse(row.request).ok(),
            status: row.status,
            response_headers: row.response.and_then(|pairs| RawJson::parse(pairs).ok()),
            answer_base64: text.is_none().then(|| BASE64_STANDARD.encode(&row.answer)),
            answer: text,
            error: row.error,
            blame: row.blame,
            duration_ms: row.duration_ms,
            timings: row.timings.and_then(|timings| RawJson::parse(timings).ok()),
        }
    }
}

/// The text of an answer that is text; its last character may have been cut.
fn text(answer: &[u8]) -> Option<Cow<'_, str>> {
    match std::str::from_utf8(answer) {
        Ok(text) => Some(text.into()),
        Err(error) if error.error_len().is_none() => Some(String::from_utf8_lossy(&answer[..error.valid_up_to()])),
        Err(_) => None,
    }
}

/// The workspace's deliveries, newest first.
#[utoipa::path(
    get, path = "/v1/deliveries", tag = "deliveries", params(Filter), responses((status = 200, body = List<Delivery>))
)]
pub(super) async fn list_deliveries(
    caller: Caller,
    State(api): State<Api>,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Delivery>>, Problem> {
    let Filter { execution, target, event, status: statuses, since, until, limit, cursor } = filter;
    let paging = Paging { limit, cursor };
    let filter = DeliveryFilter { execution, target, event, statuses, since, until };
    let rows = api.deliveries.list(caller.workspace, filter, paging.page()?).await?;
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
    let transform = row.transform.clone().and_then(|record| RawJson::parse(record).ok());
    Ok(Json(Delivery { body, attempts, transform, ..row.into() }))
}

/// Sends a delivery again now, whether it waits, has succeeded or has failed; its schedule begins anew.
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

/// Ends a delivery that waits or has failed, for good; its body is forgotten.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/discard", tag = "deliveries", params(("id" = DeliveryId, Path)),
    responses(
        (status = 200, body = Delivery), (status = 404, description = "no such delivery"),
        (status = 409, description = "it has succeeded, or was discarded before"),
    )
)]
pub(super) async fn discard_delivery(
    caller: Caller,
    State(api): State<Api>,
    At(id): At<DeliveryId>,
) -> Result<Json<Delivery>, Problem> {
    api.deliveries.discard(caller.workspace, id).await?;
    let (row, _) = api.deliveries.find(caller.workspace, id).await?;
    Ok(Json(row.into()))
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn an_answer_that_was_cut_in_a_character_is_still_text() {
        let snow = "snow ☃".as_bytes();
        assert_eq!(text(snow).as_deref(), Some("snow ☃"));
        assert_eq!(text(&snow[..snow.len() - 1]).as_deref(), Some("snow "));
        assert_eq!(text(b"\xff\xfe binary"), None);
    }
}
