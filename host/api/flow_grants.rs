//! What a flow is permitted.

use axum::Json;
use axum::extract::State;

use super::Api;
use super::auth::Caller;
use super::request::{At, JsonBody};
use crate::capability::Grants;
use crate::problem::Problem;

/// What the flow is permitted beyond what every flow has.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/grants", tag = "flows", params(("flow" = String, Path)),
    responses((status = 200, body = Grants), (status = 404, description = "no such flow"))
)]
pub(super) async fn get_flow_grants(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
) -> Result<Json<Grants>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    Ok(Json(api.registry.grants(&flow)?))
}

/// Replaces what the flow is permitted, from its next execution on.
///
/// What is not named is not granted. A secret may be named before it is set.
#[utoipa::path(
    put, path = "/v1/flows/{flow}/grants", tag = "flows", params(("flow" = String, Path)), request_body = Grants,
    responses((status = 200, body = Grants), (status = 404, description = "no such flow"))
)]
pub(super) async fn replace_flow_grants(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    JsonBody(grants): JsonBody<Grants>,
) -> Result<Json<Grants>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    api.registry.grant(&flow, &grants).await?;
    Ok(Json(grants))
}
