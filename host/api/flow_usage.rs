//! What a flow spent on language models.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::page::bounded;
use super::request::{At, Params};
use crate::clock::Timestamp;
use crate::llm;
use crate::problem::Problem;
use crate::store::LlmDay;

/// Rows of an answer at most: days times aliases.
const ROWS_MAX: u32 = 10_000;

/// Which days.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// How many UTC days back, today included.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 366, default = 30)]
    days: Days,
}

#[derive(Debug)]
struct Days(u32);

impl Default for Days {
    fn default() -> Self {
        Self(30)
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 366).map(Self)
    }
}

/// What a flow spent, the newest day first.
#[derive(Serialize, ToSchema)]
pub(super) struct FlowUsage {
    data: Vec<UsageDay>,
}

/// What a flow spent on one model in one UTC day.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageDay {
    /// For example `2026-11-21`.
    day: String,
    /// The alias.
    model: String,
    calls: u64,
    /// Tokens in, those cached included.
    input_tokens: u64,
    output_tokens: u64,
    /// Tokens in that the provider had cached.
    cached_tokens: u64,
    /// Millionths of a US dollar, where the models have prices.
    micro_usd: u64,
}

impl From<LlmDay> for UsageDay {
    fn from(one: LlmDay) -> Self {
        let at = Timestamp::from_unix_ms(one.day.saturating_mul(24 * 3_600 * 1_000));
        let day = at.to_string().chars().take_while(|c| *c != 'T').collect();
        let usage = one.usage;
        Self {
            day,
            model: one.model,
            calls: usage.calls,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            micro_usd: usage.micro_usd,
        }
    }
}

/// What the flow spent on language models, by day and model.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/usage", tag = "flows", params(("flow" = String, Path), Span),
    responses((status = 200, body = FlowUsage), (status = 404, description = "no such flow"))
)]
pub(super) async fn get_flow_usage(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    Params(span): Params<Span>,
) -> Result<Json<FlowUsage>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    let since = llm::day(api.clock.now()) + 1 - i64::from(span.days.0);
    let days = api.store.llm_days(flow.id, since, ROWS_MAX).await?;
    Ok(Json(FlowUsage { data: days.into_iter().map(UsageDay::from).collect() }))
}
