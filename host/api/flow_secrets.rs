//! The secrets that a flow uses. Their values go in and do not come out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::Api;
use super::auth::Caller;
use super::page::{List, Paging};
use super::request::{At, JsonBody, Params};
use super::schemas::SecretName;
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::store;

/// A secret of a flow, without its value.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FlowSecret {
    #[schema(value_type = SecretName)]
    name: String,
    /// When its value was last set.
    updated_at: Timestamp,
}

impl From<store::FlowSecret> for FlowSecret {
    fn from(secret: store::FlowSecret) -> Self {
        Self { name: secret.name, updated_at: secret.updated_at }
    }
}

/// The value of a secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretValue {
    /// Neither its first nor its last character is white space, and none is NUL.
    #[schema(min_length = 8, max_length = 4096, pattern = r"^[^\x00-\x20\x7f][^\x00]*[^\x00-\x20\x7f]$")]
    value: String,
}

/// The flow's secrets by name, without their values.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/secrets", tag = "flows", params(("flow" = String, Path), Paging),
    responses((status = 200, body = List<FlowSecret>), (status = 404, description = "no such flow, or the cursor's secret is gone"))
)]
pub(super) async fn list_flow_secrets(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<FlowSecret>>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    let secrets = api.registry.secrets(&flow).await?;
    Ok(Json(paging.of_all(secrets, |secret| secret.name.clone())?.show(FlowSecret::from)))
}

/// Sets a secret, from the flow's next execution on.
///
/// A secret that is not there is made. Grants say to which hosts it may go.
#[utoipa::path(
    put, path = "/v1/flows/{flow}/secrets/{name}", tag = "flows",
    params(("flow" = String, Path), ("name" = SecretName, Path)), request_body = SecretValue,
    responses(
        (status = 200, body = FlowSecret),
        (status = 404, description = "no such flow"),
        (status = 409, description = "the flow has as many secrets as it may have"),
    )
)]
pub(super) async fn set_flow_secret(
    caller: Caller,
    State(api): State<Api>,
    At((flow, name)): At<(String, String)>,
    JsonBody(SecretValue { value }): JsonBody<SecretValue>,
) -> Result<Json<FlowSecret>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    Ok(Json(api.registry.set_secret(&flow, &name, Zeroizing::new(value)).await?.into()))
}

/// Removes a secret, from the flow's next execution on.
#[utoipa::path(
    delete, path = "/v1/flows/{flow}/secrets/{name}", tag = "flows",
    params(("flow" = String, Path), ("name" = String, Path)),
    responses((status = 204, description = "removed"), (status = 404, description = "no such flow or secret"))
)]
pub(super) async fn remove_flow_secret(
    caller: Caller,
    State(api): State<Api>,
    At((flow, name)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    api.registry.remove_secret(&flow, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
