//! What everybody may ask: the description of the API, the pages behind the problems, and whether the server is well.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::auth::Caller;
use super::request::At;
use super::{Api, openapi};
use crate::problem::{self, Problem, kind};

/// What a server says that is well.
const OK: &str = "ok\n";

/// How long the store may take to answer a server that calls itself ready.
const STORE_WITHIN: Duration = Duration::from_secs(5);

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, body = Object, description = "OpenAPI 3.1")))]
pub(super) async fn get_openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document())
}

/// The page behind a problem's `type`, as Markdown.
#[utoipa::path(
    get, path = "/errors/{slug}", tag = "server", params(("slug" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "text/markdown"),
        (status = 404, description = "no such problem"),
    )
)]
pub(super) async fn get_error_page(At(slug): At<String>) -> Result<impl IntoResponse, Problem> {
    let page = problem::page(&slug);
    let page = page.ok_or_else(|| Problem::new(&kind::NOT_FOUND, format!("there is no problem `{slug}`")))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page))
}

/// What has happened since the start, in the OpenMetrics text format. It speaks of all workspaces, so it takes a key.
#[utoipa::path(
    get, path = "/metrics", tag = "server",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn get_metrics(_: Caller, State(api): State<Api>) -> impl IntoResponse {
    let text = api.metrics.render(api.executions.running(), api.executions.queued());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, body = String, description = "`ok`")))]
pub(super) async fn get_health() -> &'static str {
    OK
}

/// Whether the server takes work: it can write, and is not about to stop.
#[utoipa::path(
    get, path = "/readyz", tag = "server",
    responses((status = 200, body = String, description = "`ok`"), (status = 503, description = "it is not"))
)]
pub(super) async fn get_readiness(State(api): State<Api>) -> Result<&'static str, Problem> {
    if api.stopping.is_cancelled() {
        return Err(Problem::new(&kind::STOPPING, "the server is stopping"));
    }
    let flushed = tokio::time::timeout(STORE_WITHIN, api.store.flush()).await;
    flushed.map_err(|_| Problem::new(&kind::STORE_UNAVAILABLE, "the store does not answer"))??;
    Ok(OK)
}
