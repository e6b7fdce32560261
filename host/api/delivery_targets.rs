//! What is delivered to one target, taken together: its numbers, and sending again what has failed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::page::bounded;
use super::request::{JsonBody, Params};
use crate::clock::Timestamp;
use crate::delivery::{self, Numbers};
use crate::problem::Problem;
use crate::store::{Standing, Target};

/// What to send again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Recover {
    /// `hok_…` for the callback of a hook, `sub_…` for a subscription.
    target: Target,
    /// The first moment at which a delivery may have failed.
    since: Timestamp,
    /// Only says how many deliveries it would be.
    #[serde(default)]
    dry_run: bool,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
pub(super) struct Recovery {
    target: Target,
    since: Timestamp,
    dry_run: bool,
    /// Deliveries that have failed since then, and whose content is still there.
    deliveries: u64,
}

/// Whose numbers, and of which time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `hok_…` for the callback of a hook, `sub_…` for a subscription.
    target: Target,
    /// The last so many hours.
    #[serde(default = "day", deserialize_with = "hours")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 720, default = 24)]
    hours: u32,
}

fn day() -> u32 {
    24
}

fn hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, 1, 720)
}

/// A target in numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct Stats {
    target: Target,
    standing: Standing,
    /// Failures since the last success; those of attempts that ran side by side count once.
    failures: u32,
    failing_since: Option<Timestamp>,
    /// Nothing is sent before.
    held_until: Option<Timestamp>,
    /// Since when the numbers count; later than asked for when there were more than 100,000 attempts.
    since: Timestamp,
    #[serde(flatten)]
    all: Figures,
    /// The full hours in which there was an attempt, the oldest first.
    hours: Vec<Hour>,
}

/// An hour in numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct Hour {
    /// Its beginning.
    at: Timestamp,
    #[serde(flatten)]
    figures: Figures,
}

/// Attempts in numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct Figures {
    attempts: u64,
    /// Answered by a 2xx.
    succeeded: u64,
    failed: u64,
    /// From 0 to 1.
    success_rate: Option<f64>,
    /// Milliseconds that half of the attempts took at most.
    p50_ms: Option<u64>,
    p95_ms: Option<u64>,
    p99_ms: Option<u64>,
}

impl From<Numbers> for Figures {
    fn from(numbers: Numbers) -> Self {
        let Numbers { attempts, succeeded, success_rate, p50_ms, p95_ms, p99_ms } = numbers;
        Self { attempts, succeeded, failed: attempts - succeeded, success_rate, p50_ms, p95_ms, p99_ms }
    }
}

/// Sends everything that has failed for a target since a time again, in the background.
///
/// What has failed is what is `exhausted` or `abandoned`. The schedule of each delivery begins anew.
#[utoipa::path(
    post, path = "/v1/deliveries/recover", tag = "deliveries", request_body = Recover,
    responses(
        (status = 200, body = Recovery, description = "how many it would be"),
        (status = 202, body = Recovery, description = "how many it will be"),
        (status = 404, description = "no such target"),
    )
)]
pub(super) async fn recover_deliveries(
    caller: Caller,
    State(api): State<Api>,
    JsonBody(Recover { target, since, dry_run }): JsonBody<Recover>,
) -> Result<(StatusCode, Json<Recovery>), Problem> {
    let (status, deliveries) = if dry_run {
        (StatusCode::OK, api.deliveries.recoverable(caller.workspace, target, since).await?)
    } else {
        (StatusCode::ACCEPTED, api.deliveries.recover(caller.workspace, target, since).await?)
    };
    Ok((status, Json(Recovery { target, since, dry_run, deliveries })))
}

/// How the attempts for a target have gone, and how it stands.
#[utoipa::path(
    get, path = "/v1/deliveries/stats", tag = "deliveries", params(Which),
    responses((status = 200, body = Stats), (status = 404, description = "no such target"))
)]
pub(super) async fn get_delivery_stats(
    caller: Caller,
    State(api): State<Api>,
    Params(Which { target, hours }): Params<Which>,
) -> Result<Json<Stats>, Problem> {
    let delivery::Stats { health, since, all, hours } = api.deliveries.stats(caller.workspace, target, hours).await?;
    Ok(Json(Stats {
        target,
        standing: health.standing(),
        failures: health.failures,
        failing_since: health.failing_since,
        held_until: health.held_until.filter(|until| *until > api.clock.now()),
        since,
        all: all.into(),
        hours: hours.into_iter().map(|(at, numbers)| Hour { at, figures: numbers.into() }).collect(),
    }))
}
