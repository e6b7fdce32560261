//! The management API, `/v1`, and what every server of its kind answers beside it.
//!
//! The table of endpoints below is the router and, with what stands at each handler, the OpenAPI document. The rules are
//! the same everywhere: JSON in and out, unknown members refused; a list is `{"data":[…],"next_cursor":…}`, newest first;
//! an error is a [`Problem`] that names the field. Every row is looked up together with the workspace of the caller's
//! key, so what belongs to another tenant is not there.

use axum::Router;
use axum::extract::FromRef;
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::{delete, get, patch, post, put};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::delivery::Deliveries;
use crate::dialect::Dialect;
use crate::dispatch::Dispatch;
use crate::execution::Executions;
use crate::hook::Hooks;
use crate::metrics::Metrics;
use crate::problem::{Problem, kind};
use crate::registry::Registry;
use crate::store::{Quota, Store};
use crate::subscription::Subscriptions;

mod aliases;
mod almyty;
mod auth;
mod deliveries;
mod delivery_targets;
mod event_types;
mod execution_events;
mod execution_view;
mod executions;
mod flow_grants;
mod flow_secrets;
mod flow_usage;
mod flows;
#[cfg(test)]
mod fuzz;
mod grants_schema;
mod hook_draft;
mod hook_private_key;
mod hook_requests;
mod hook_schema;
mod hook_secrets;
mod hooks;
mod keys;
mod keyvalue;
mod links;
mod open;
mod openapi;
mod page;
mod request;
mod request_view;
mod schemas;
mod subscription_draft;
mod subscription_events;
mod subscription_schema;
mod subscription_secrets;
mod subscription_test;
mod subscriptions;
#[cfg(test)]
mod tests;
mod versions;
mod webhook_logs;
mod webhooks;

pub use auth::{Caller, Role};
pub use keys::mint;

/// What the API works on.
#[derive(Clone)]
pub struct Api {
    /// Keys.
    pub store: Store,
    /// Tells the time.
    pub clock: Clock,
    /// Flows, versions, aliases.
    pub registry: Registry,
    /// Hooks.
    pub hooks: Hooks,
    /// Outgoing webhooks.
    pub subscriptions: Subscriptions,
    /// Tells subscriptions of events.
    pub dispatch: Dispatch,
    /// Executions.
    pub executions: Executions,
    /// Deliveries.
    pub deliveries: Deliveries,
    /// How much a flow may keep under keys.
    pub quota: Quota,
    /// What has happened so far, in numbers.
    pub metrics: Metrics,
    /// Cancelled when the server begins to stop; from then on it is not ready.
    pub stopping: CancellationToken,
}

/// The API and `others` as one router, which answers what nobody knows with a problem.
pub fn router(api: Api, others: Router) -> Router {
    let keys = auth::Keys::new(api.store.clone(), api.clock.clone());
    let all = routes().merge(almyty::routes()).merge(webhooks::routes()).with_state(House { api, keys }).merge(others);
    all.method_not_allowed_fallback(not_allowed).fallback(not_found)
}

/// What the handlers take their parts from.
#[derive(Clone)]
struct House {
    api: Api,
    keys: auth::Keys,
}

impl FromRef<House> for Api {
    fn from_ref(house: &House) -> Self {
        house.api.clone()
    }
}

impl FromRef<House> for auth::Keys {
    fn from_ref(house: &House) -> Self {
        house.keys.clone()
    }
}

macro_rules! endpoints {
    ($($method:ident $path:literal $room:ident::$handler:ident;)*) => {
        fn routes() -> Router<House> {
            Router::new()$(.route($path, $method($room::$handler)))*
        }

        /// The endpoints as their handlers describe them.
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($room::$handler),*))]
        struct Described;

        #[cfg(test)]
        const ENDPOINTS: &[(&str, &str, &str)] = &[$((stringify!($method), $path, stringify!($handler)),)*];
    };
}

endpoints! {
    get "/v1/flows" flows::list_flows;
    post "/v1/flows" flows::create_flow;
    get "/v1/flows/{flow}" flows::get_flow;
    patch "/v1/flows/{flow}" flows::change_flow;
    delete "/v1/flows/{flow}" flows::delete_flow;
    get "/v1/flows/{flow}/config" flows::get_flow_config;
    put "/v1/flows/{flow}/config" flows::replace_flow_config;
    get "/v1/flows/{flow}/usage" flow_usage::get_flow_usage;
    get "/v1/flows/{flow}/grants" flow_grants::get_flow_grants;
    put "/v1/flows/{flow}/grants" flow_grants::replace_flow_grants;
    get "/v1/flows/{flow}/secrets" flow_secrets::list_flow_secrets;
    put "/v1/flows/{flow}/secrets/{name}" flow_secrets::set_flow_secret;
    delete "/v1/flows/{flow}/secrets/{name}" flow_secrets::remove_flow_secret;

    get "/v1/flows/{flow}/versions" versions::list_versions;
    post "/v1/flows/{flow}/versions" versions::upload_version;
    get "/v1/flows/{flow}/versions/{digest}" versions::get_version;
    delete "/v1/flows/{flow}/versions/{digest}" versions::delete_version;

    get "/v1/flows/{flow}/aliases" aliases::list_aliases;
    put "/v1/flows/{flow}/aliases/{alias}" aliases::promote_alias;
    post "/v1/flows/{flow}/aliases/{alias}/rollback" aliases::rollback_alias;

    get "/v1/flows/{flow}/keyvalue" keyvalue::list_buckets;
    get "/v1/flows/{flow}/keyvalue/{bucket}" keyvalue::list_keyvalue_keys;
    get "/v1/flows/{flow}/keyvalue/{bucket}/{key}" keyvalue::get_keyvalue;
    put "/v1/flows/{flow}/keyvalue/{bucket}/{key}" keyvalue::put_keyvalue;
    delete "/v1/flows/{flow}/keyvalue/{bucket}/{key}" keyvalue::delete_keyvalue;

    get "/v1/hooks" hooks::list_hooks;
    post "/v1/hooks" hooks::create_hook;
    get "/v1/hooks/{hook}" hooks::get_hook;
    patch "/v1/hooks/{hook}" hooks::update_hook;
    delete "/v1/hooks/{hook}" hooks::delete_hook;
    post "/v1/hooks/{hook}/secrets" hook_secrets::rotate_hook_secret;
    delete "/v1/hooks/{hook}/secrets/{secret}" hook_secrets::revoke_hook_secret;
    get "/v1/hooks/{hook}/private-key" hook_private_key::get_hook_private_key;
    get "/v1/hooks/{hook}/requests" hook_requests::list_hook_requests;
    get "/v1/requests" hook_requests::list_stray_requests;
    get "/v1/requests/{id}" hook_requests::get_request;
    post "/v1/requests/{id}/replay" hook_requests::replay_request;

    get "/v1/events" event_types::list_event_types;

    get "/v1/subscriptions" subscriptions::list_subscriptions;
    post "/v1/subscriptions" subscriptions::create_subscription;
    get "/v1/subscriptions/{subscription}" subscriptions::get_subscription;
    patch "/v1/subscriptions/{subscription}" subscriptions::update_subscription;
    delete "/v1/subscriptions/{subscription}" subscriptions::delete_subscription;
    post "/v1/subscriptions/{subscription}/test" subscription_test::test_subscription;
    get "/v1/subscriptions/{subscription}/events" subscription_events::list_subscription_events;
    post "/v1/subscriptions/{subscription}/events/commit" subscription_events::commit_subscription_events;
    get "/v1/subscriptions/{subscription}/consumers" subscription_events::list_subscription_consumers;
    delete "/v1/subscriptions/{subscription}/consumers/{consumer}" subscription_events::delete_subscription_consumer;
    post "/v1/subscriptions/{subscription}/secrets" subscription_secrets::rotate_subscription_secret;
    delete "/v1/subscriptions/{subscription}/secrets/{secret}" subscription_secrets::revoke_subscription_secret;

    get "/v1/executions" executions::list_executions;
    get "/v1/executions/{id}" executions::get_execution;
    get "/v1/executions/{id}/logs" executions::list_execution_logs;
    get "/v1/executions/{id}/spans" executions::list_execution_spans;
    get "/v1/executions/{id}/calls" executions::list_execution_calls;
    get "/v1/executions/{id}/events" execution_events::list_execution_events;
    post "/v1/executions/{id}/cancel" executions::cancel_execution;
    post "/v1/executions/{id}/replay" executions::replay_execution;

    get "/v1/deliveries" deliveries::list_deliveries;
    get "/v1/deliveries/{id}" deliveries::get_delivery;
    post "/v1/deliveries/{id}/redeliver" deliveries::redeliver_delivery;
    post "/v1/deliveries/{id}/discard" deliveries::discard_delivery;
    post "/v1/deliveries/recover" delivery_targets::recover_deliveries;
    get "/v1/deliveries/stats" delivery_targets::get_delivery_stats;

    get "/v1/keys" keys::list_keys;
    post "/v1/keys" keys::create_key;
    delete "/v1/keys/{id}" keys::revoke_key;

    get "/openapi.json" open::get_openapi;
    get "/errors/{slug}" open::get_error_page;
    get "/metrics" open::get_metrics;
    get "/healthz" open::get_health;
    get "/readyz" open::get_readiness;
}

async fn not_found(uri: Uri) -> Response {
    let problem = Problem::new(&kind::NOT_FOUND, format!("there is nothing at `{}`", uri.path()));
    problem.in_dialect(Dialect::of_path(uri.path()))
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let detail = format!("`{}` does not take {method}; `allow` says what it takes", uri.path());
    Problem::new(&kind::METHOD_NOT_ALLOWED, detail).in_dialect(Dialect::of_path(uri.path()))
}
