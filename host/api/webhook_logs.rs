//! What came of AgenticFlow's outgoing webhooks, as its page shows it: a test, the log, the statistics.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Api;
use super::auth::Caller;
use super::page::{Limit, List, Paging};
use super::request::{At, JsonBody, Params};
use super::subscription_test::{Trial, prepare, send};
use super::webhooks::{Asked, Stats, find, told};
use crate::id::DeliveryId;
use crate::problem::Problem;
use crate::store::{DeliveryFilter, DeliveryStatus, Target};

/// `{"event"?,"test_data"?}`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Test {
    event: Option<String>,
    test_data: Map<String, Value>,
}

/// Which part of the log.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Part {
    limit: Limit,
    cursor: Option<String>,
}

/// An entry of the log.
#[derive(Serialize)]
struct Entry {
    id: DeliveryId,
    timestamp: String,
    event: String,
    status: &'static str,
    response_code: Option<u16>,
    response_time_ms: Option<u64>,
    attempts: u32,
    payload_size: usize,
}

/// Sends a signed delivery like any other; the log has it at once.
pub(super) async fn test_webhook(
    caller: Asked<Caller>,
    State(api): State<Api>,
    at: Asked<At<String>>,
    body: Asked<JsonBody<Test>>,
) -> Response {
    let sent = async {
        let (caller, At(webhook), JsonBody(Test { event, test_data })) = (caller?, at?, body?);
        let found = find(&api, caller, &webhook).await?;
        let (id, message, _) = prepare(&api, &found, Trial { event, data: test_data, dry_run: false })?;
        send(&api, &found, id, message).await?;
        Ok(Json(json!({ "success": true, "message": "Test webhook sent", "log_id": id, "status": "queued" })))
    };
    told(sent.await)
}

/// `{"logs":[…]}`, newest first; `next_cursor` where there are more.
pub(super) async fn list_webhook_logs(
    caller: Asked<Caller>,
    State(api): State<Api>,
    at: Asked<At<String>>,
    part: Asked<Params<Part>>,
) -> Response {
    let listed = async {
        let (caller, At(webhook), Params(Part { limit, cursor })) = (caller?, at?, part?);
        let found = find(&api, caller, &webhook).await?;
        let paging = Paging { limit, cursor };
        let filter = DeliveryFilter { target: Some(Target::Subscription(found.id)), ..DeliveryFilter::default() };
        let rows = api.deliveries.list(caller.workspace, filter, paging.page()?).await?;
        let List { data: rows, next_cursor } = paging.cut(rows, |row| row.id.to_string());
        let tried = api.store.attempts_last(rows.iter().map(|row| row.id).collect()).await?;
        let entries = rows.into_iter().zip(tried).map(|(row, tried)| Entry {
            id: row.id,
            timestamp: tried.map_or(row.created_at, |tried| tried.at).whole_seconds(),
            event: row.event,
            status: word(row.status),
            response_code: tried.and_then(|tried| tried.status),
            response_time_ms: tried.map(|tried| tried.duration_ms),
            attempts: row.attempts,
            payload_size: row.body.len(),
        });
        let mut answer = json!({ "logs": entries.collect::<Vec<_>>() });
        if let Some(cursor) = next_cursor {
            answer["next_cursor"] = cursor.into();
        }
        Ok(Json(answer))
    };
    told(listed.await)
}

fn word(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Pending => "pending",
        DeliveryStatus::Succeeded => "success",
        DeliveryStatus::Exhausted | DeliveryStatus::Abandoned | DeliveryStatus::Discarded => "failed",
        DeliveryStatus::Filtered => "filtered",
    }
}

/// The same counts as in the list, and how the attempts of the last day went.
pub(super) async fn get_webhook_stats(
    caller: Asked<Caller>,
    State(api): State<Api>,
    at: Asked<At<String>>,
) -> Response {
    let counted = async {
        let (caller, At(webhook)) = (caller?, at?);
        let found = find(&api, caller, &webhook).await?;
        let target = Target::Subscription(found.id);
        let tally = api.deliveries.tallies(vec![target]).await?.pop().unwrap_or_default();
        let day = api.deliveries.stats(caller.workspace, target, 24).await?;
        let hours = day.hours.iter().map(|(at, numbers)| {
            json!({ "hour": at.whole_seconds(), "attempts": numbers.attempts, "successful": numbers.succeeded })
        });
        let mut answer = serde_json::to_value(Stats::of(&tally)).map_err(|error| Problem::internal(&error))?;
        answer["webhook_id"] = json!(found.id);
        answer["pending_deliveries"] = json!(tally.pending);
        answer["success_rate"] = json!(rate(tally.succeeded, tally.succeeded + tally.failed));
        answer["last_delivery"] = json!(tally.last_at.map(|at| at.whole_seconds()));
        answer["response_time_ms"] = json!({ "p50": day.all.p50_ms, "p95": day.all.p95_ms, "p99": day.all.p99_ms });
        answer["last_24_hours"] = hours.collect();
        Ok(Json(answer))
    };
    told(counted.await)
}

/// From 0 to 1; null when nothing has ended.
fn rate(succeeded: u64, ended: u64) -> Option<f64> {
    (ended > 0).then(|| succeeded as f64 / ended as f64)
}
