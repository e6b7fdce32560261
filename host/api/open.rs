//! What everybody may ask: the description of the API, the pages behind the problems, and whether the server is well.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::request::At;
use super::{Api, openapi};
use crate::problem::{self, Problem, kind};

/// How long the store may take to answer a server that calls itself ready.
const STORE_WITHIN: Duration = Duration::from_secs(5);

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, description = "OpenAPI 3.1")))]
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

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 204, description = "it lives")))]
pub(super) async fn get_health() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether the server takes work: it can write, and is not about to stop.
#[utoipa::path(
    get, path = "/readyz", tag = "server",
    responses((status = 204, description = "it is ready"), (status = 503, description = "it is not"))
)]
pub(super) async fn get_readiness(State(api): State<Api>) -> Result<StatusCode, Problem> {
    if api.stopping.is_cancelled() {
        return Err(Problem::new(&kind::STOPPING, "the server is stopping"));
    }
    let flushed = tokio::time::timeout(STORE_WITHIN, api.store.flush()).await;
    flushed.map_err(|_| Problem::new(&kind::STORE_UNAVAILABLE, "the store does not answer"))??;
    Ok(StatusCode::NO_CONTENT)
}
