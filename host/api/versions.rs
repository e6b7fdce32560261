//! Versions: uploaded components.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::page::{List, Paging, bounded};
use super::request::{self, At, Params};
use super::schemas::Component;
use crate::clock::Timestamp;
use crate::id::Digest;
use crate::problem::Problem;
use crate::registry::Detail;
use crate::store::{self, VersionState};
use crate::trigger::Json as RawJson;

/// One uploaded component.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Version {
    /// Names it: the sha-256 of its bytes.
    digest: Digest,
    state: VersionState,
    /// Why it cannot run.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    size_bytes: u64,
    created_at: Timestamp,
    /// What its bytes say: `{"kind","imports","exports","describes"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    inspection: Option<RawJson>,
    /// What it says about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    describe: Option<RawJson>,
}

impl From<store::Version> for Version {
    fn from(version: store::Version) -> Self {
        let Detail { inspection, describe, failure } = Detail::of(&version);
        let inspection = inspection.and_then(|inspection| RawJson::of(&inspection).ok());
        let store::Version { digest, state, size_bytes, created_at, .. } = version;
        Self { digest, state, failure, size_bytes, created_at, inspection, describe }
    }
}

/// How to upload.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Uploading {
    /// Seconds to wait until the version is compiled, 0 to 300.
    #[serde(deserialize_with = "seconds")]
    #[param(value_type = Option<u32>, maximum = 300, default = 0)]
    wait: Duration,
    /// What the bytes must have.
    digest: Option<Digest>,
}

/// How to look.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Looking {
    /// Seconds to wait until the version is compiled, 0 to 300.
    #[serde(deserialize_with = "seconds")]
    #[param(value_type = Option<u32>, maximum = 300, default = 0)]
    wait: Duration,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Ok(Duration::from_secs(bounded(deserializer, 0, 300)?.into()))
}

/// The flow's versions.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/versions", tag = "versions", params(("flow" = String, Path), Paging),
    responses((status = 200, body = List<Version>), (status = 404, description = "no such flow, or the cursor's version is gone"))
)]
pub(super) async fn list_versions(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<Version>>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    let versions = api.registry.versions(flow.id).await?;
    Ok(Json(paging.of_all(versions, |version| version.digest)?.show(Version::from)))
}

/// Uploads a component: the body is its bytes.
///
/// The same bytes are the same version. With `content-digest` (RFC 9530, `sha-256=:<base64>:`) or `digest`, bytes that
/// were changed on their way are refused.
#[utoipa::path(
    post, path = "/v1/flows/{flow}/versions", tag = "versions",
    params(("flow" = String, Path), Uploading, ("content-digest" = Option<String>, Header)),
    request_body(content = Component, content_type = "application/wasm"),
    responses(
        (status = 201, body = Version, description = "new", headers(("Location" = String))),
        (status = 200, body = Version, description = "known already", headers(("Location" = String))),
        (status = 404, description = "no such flow"),
        (status = 408, description = "the body stopped arriving"),
        (status = 413, description = "the component is too large"),
        (status = 422, description = "the bytes are no component that can run here, or were changed on their way"),
    )
)]
pub(super) async fn upload_version(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    Params(uploading): Params<Uploading>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<impl IntoResponse, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    request::refuse_encoded(&headers)?;
    let expected = content_digest(&headers)?.or(uploading.digest);
    let mut upload = api.registry.begin().await?;
    while let Some(bytes) = request::next(&mut body).await? {
        upload.push(bytes).await?;
    }
    let (mut version, new) = api.registry.finish(&flow, upload, expected).await?;
    if !uploading.wait.is_zero() {
        version = api.registry.settled(flow.id, version.digest, uploading.wait).await?;
    }
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = [(header::LOCATION, format!("/v1/flows/{}/versions/{}", flow.name, version.digest))];
    Ok((status, location, Json(Version::from(version))))
}

/// One version.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/versions/{digest}", tag = "versions",
    params(("flow" = String, Path), ("digest" = Digest, Path), Looking),
    responses((status = 200, body = Version), (status = 404, description = "no such flow or version"))
)]
pub(super) async fn get_version(
    caller: Caller,
    State(api): State<Api>,
    At((flow, digest)): At<(String, Digest)>,
    Params(looking): Params<Looking>,
) -> Result<Json<Version>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    Ok(Json(api.registry.settled(flow.id, digest, looking.wait).await?.into()))
}

/// Removes a version.
#[utoipa::path(
    delete, path = "/v1/flows/{flow}/versions/{digest}", tag = "versions",
    params(("flow" = String, Path), ("digest" = Digest, Path)),
    responses(
        (status = 204, description = "removed"),
        (status = 404, description = "no such flow or version"),
        (status = 409, description = "an alias or an unfinished execution needs it"),
    )
)]
pub(super) async fn delete_version(
    caller: Caller,
    State(api): State<Api>,
    At((flow, digest)): At<(String, Digest)>,
) -> Result<StatusCode, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    api.registry.delete_version(flow.id, digest).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The sha-256 in a `content-digest`; other algorithms beside it are passed over.
pub(super) fn content_digest(headers: &HeaderMap) -> Result<Option<Digest>, Problem> {
    let Some(value) = headers.get("content-digest") else { return Ok(None) };
    let digest = value.to_str().ok().and_then(|text| {
        let item = text.split(',').find_map(|item| item.trim().strip_prefix("sha-256="))?;
        let bytes = BASE64_STANDARD.decode(item.strip_prefix(':')?.strip_suffix(':')?).ok()?;
        Some(Digest::from_bytes(bytes.try_into().ok()?))
    });
    let wrong = || Problem::field("content-digest", "has no `sha-256=:<base64 of 32 bytes>:` (RFC 9530)");
    digest.ok_or_else(wrong).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_digest_is_found_among_others_and_a_broken_one_refused() {
        let of = |text: &str| {
            content_digest(&HeaderMap::from_iter([("content-digest".parse().unwrap(), text.parse().unwrap())]))
        };
        let zeros = BASE64_STANDARD.encode([0; 32]);
        assert_eq!(of(&format!("sha-512=:AA==:, sha-256=:{zeros}:")).unwrap(), Some(Digest::from_bytes([0; 32])));
        for wrong in ["sha-512=:AA==:", "sha-256=:AA==:", &format!("sha-256={zeros}"), ""] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
