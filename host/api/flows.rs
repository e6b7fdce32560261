//! Flows and their config.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::page::{List, Paging};
use super::request::{At, JsonBody, Params, whole};
use super::schemas::Name;
use crate::clock::Timestamp;
use crate::id::FlowId;
use crate::problem::Problem;
use crate::registry::{self, Registry};
use crate::store;

/// The most executions that an instance may run.
const REUSE_MAX: u32 = 10_000;

/// A flow.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Flow {
    id: FlowId,
    /// Unique in the workspace; names the flow in URLs.
    name: String,
    /// Executions that one instance may run, one after the other; 1 gives each a fresh instance.
    reuse_max: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<store::Flow> for Flow {
    fn from(flow: store::Flow) -> Self {
        let store::Flow { id, name, reuse_max, created_at, updated_at, .. } = flow;
        Self { id, name, reuse_max, created_at, updated_at }
    }
}

/// A flow to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFlow {
    #[schema(value_type = Name)]
    name: String,
}

/// The workspace's flows.
#[utoipa::path(get, path = "/v1/flows", tag = "flows", params(Paging), responses((status = 200, body = List<Flow>)))]
pub(super) async fn list_flows(
    caller: Caller,
    State(api): State<Api>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<Flow>>, Problem> {
    let flows = api.registry.flows(caller.workspace, paging.page()?).await?;
    Ok(Json(paging.cut(flows, |flow| flow.id.to_string()).show(Flow::from)))
}

/// Makes a flow without versions.
#[utoipa::path(
    post, path = "/v1/flows", tag = "flows", request_body = NewFlow,
    responses((status = 201, body = Flow, headers(("Location" = String))), (status = 409, description = "the name is taken"))
)]
pub(super) async fn create_flow(
    caller: Caller,
    State(api): State<Api>,
    JsonBody(new): JsonBody<NewFlow>,
) -> Result<impl IntoResponse, Problem> {
    let flow = api.registry.create(caller.workspace, &new.name).await?;
    let location = [(header::LOCATION, format!("/v1/flows/{}", flow.name))];
    Ok((StatusCode::CREATED, location, Json(Flow::from(flow))))
}

/// One flow.
#[utoipa::path(
    get, path = "/v1/flows/{flow}", tag = "flows", params(("flow" = String, Path)),
    responses((status = 200, body = Flow), (status = 404, description = "no such flow"))
)]
pub(super) async fn get_flow(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
) -> Result<Json<Flow>, Problem> {
    Ok(Json(api.registry.flow(caller.workspace, &flow).await?.into()))
}

/// A change of a flow. What is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowChange {
    /// Executions that one instance may run, one after the other; 1 gives each a fresh instance. What a guest leaves in its
    /// memory its next execution finds.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 10_000)]
    reuse_max: Option<u32>,
}

/// Changes a flow, from its next execution on.
#[utoipa::path(
    patch, path = "/v1/flows/{flow}", tag = "flows", params(("flow" = String, Path)), request_body = FlowChange,
    responses((status = 200, body = Flow), (status = 404, description = "no such flow"))
)]
pub(super) async fn change_flow(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    JsonBody(change): JsonBody<FlowChange>,
) -> Result<Json<Flow>, Problem> {
    let mut flow = api.registry.flow(caller.workspace, &flow).await?;
    if let Some(reuse_max) = change.reuse_max {
        if !(1..=REUSE_MAX).contains(&reuse_max) {
            return Err(Problem::field("reuse_max", format!("is a number from 1 to {REUSE_MAX}")));
        }
        flow = api.registry.reuse(&flow, reuse_max).await?;
    }
    Ok(Json(flow.into()))
}

/// Removes a flow with its versions, aliases and sessions.
///
/// Its finished executions stay until they are too old.
#[utoipa::path(
    delete, path = "/v1/flows/{flow}", tag = "flows", params(("flow" = String, Path)),
    responses(
        (status = 204, description = "removed"),
        (status = 404, description = "no such flow"),
        (status = 409, description = "a hook or an unfinished execution needs it"),
    )
)]
pub(super) async fn delete_flow(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
) -> Result<StatusCode, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    api.registry.delete(&flow).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What `wasi:config` gives to the flow's guests.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/config", tag = "flows", params(("flow" = String, Path)),
    responses((status = 200, body = BTreeMap<String, String>), (status = 404, description = "no such flow"))
)]
pub(super) async fn get_flow_config(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
) -> Result<Json<BTreeMap<String, String>>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    let config = serde_json::from_str(&flow.config);
    Ok(Json(config.map_err(|error| Problem::internal(&error))?))
}

/// Replaces what `wasi:config` gives to the flow's guests, from their next execution on.
#[utoipa::path(
    put, path = "/v1/flows/{flow}/config", tag = "flows", params(("flow" = String, Path)),
    request_body = BTreeMap<String, String>,
    responses((status = 200, body = BTreeMap<String, String>), (status = 404, description = "no such flow"))
)]
pub(super) async fn replace_flow_config(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    JsonBody(config): JsonBody<BTreeMap<String, String>>,
) -> Result<Json<BTreeMap<String, String>>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    api.registry.configure(&flow, &config).await?;
    Ok(Json(config))
}

/// Finds the names of flows, each once.
pub(super) struct Names<'a> {
    registry: &'a Registry,
    known: HashMap<FlowId, Option<String>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self { registry, known: HashMap::new() }
    }

    /// The name of a flow; none when it is gone.
    pub(super) async fn of(&mut self, flow: FlowId) -> Result<Option<String>, Problem> {
        if let Some(name) = self.known.get(&flow) {
            return Ok(name.clone());
        }
        let name = match self.registry.flow_by_id(flow).await {
            Ok(flow) => Some(flow.name),
            Err(registry::Error::UnknownFlow(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.known.insert(flow, name.clone());
        Ok(name)
    }
}
