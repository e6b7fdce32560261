//! What flows keep by `wasi:keyvalue`, for operators to look at and to mend.
//!
//! A value is bytes that only its flow understands, so it is the body itself, in both directions.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::page::{List, Paging};
use super::request::{self, At, Params};
use super::schemas::Bytes;
use crate::capability::is_bucket;
use crate::clock::Timestamp;
use crate::problem::{Problem, kind};
use crate::store::{After, Bucket, Listed, Refusal};

/// A bucket that holds something.
#[derive(Serialize, ToSchema)]
pub(super) struct BucketView {
    name: String,
    /// How many keys it holds.
    keys: u64,
}

/// A key of a bucket.
#[derive(Serialize, ToSchema)]
pub(super) struct KeptKey {
    key: String,
    /// Bytes of its value.
    bytes: u64,
    updated_at: Timestamp,
}

impl From<Listed> for KeptKey {
    fn from(Listed { key, bytes, updated_at, .. }: Listed) -> Self {
        Self { key, bytes, updated_at }
    }
}

/// The buckets in which the flow keeps something, by name.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/keyvalue", tag = "keyvalue", params(("flow" = String, Path), Paging),
    responses((status = 200, body = List<BucketView>), (status = 404, description = "no such flow"))
)]
pub(super) async fn list_buckets(
    caller: Caller,
    State(api): State<Api>,
    At(flow): At<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<BucketView>>, Problem> {
    let flow = api.registry.flow(caller.workspace, &flow).await?;
    let after = paging.cursor.clone().unwrap_or_default();
    let buckets = api.store.keyvalue_buckets(flow.id, after, paging.rows()).await?;
    Ok(Json(paging.cut(buckets, |(name, _)| name.clone()).show(|(name, keys)| BucketView { name, keys })))
}

/// The keys of a bucket, in their order. One that was never used has none.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/keyvalue/{bucket}", tag = "keyvalue",
    params(("flow" = String, Path), ("bucket" = String, Path, pattern = "^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"), Paging),
    responses((status = 200, body = List<KeptKey>), (status = 404, description = "no such flow, or no name of a bucket"))
)]
pub(super) async fn list_keyvalue_keys(
    caller: Caller,
    State(api): State<Api>,
    At((flow, bucket)): At<(String, String)>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<KeptKey>>, Problem> {
    let bucket = find(&api, &caller, &flow, bucket).await?;
    let after = After::Key(paging.cursor.clone().unwrap_or_default());
    let keys = api.store.keyvalue_keys(bucket, after, paging.rows()).await?;
    Ok(Json(paging.cut(keys, |listed| listed.key.clone()).show(KeptKey::from)))
}

/// The value under a key.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/keyvalue/{bucket}/{key}", tag = "keyvalue",
    params(("flow" = String, Path), ("bucket" = String, Path, pattern = "^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"), ("key" = String, Path, min_length = 1)),
    responses(
        (status = 200, body = Bytes, content_type = "application/octet-stream"),
        (status = 404, description = "no such flow, bucket or key"),
    )
)]
pub(super) async fn get_keyvalue(
    caller: Caller,
    State(api): State<Api>,
    At((flow, bucket, key)): At<(String, String, String)>,
) -> Result<impl IntoResponse, Problem> {
    let bucket = find(&api, &caller, &flow, bucket).await?;
    let values = api.store.keyvalue_get(bucket, vec![key.clone()]).await?;
    let value = values.ok().and_then(|mut values| values.pop().flatten()).ok_or_else(|| unknown(&key))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], value.bytes))
}

/// Puts the body under a key, in place of the value that is there.
#[utoipa::path(
    put, path = "/v1/flows/{flow}/keyvalue/{bucket}/{key}", tag = "keyvalue",
    params(("flow" = String, Path), ("bucket" = String, Path, pattern = "^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"), ("key" = String, Path, min_length = 1)),
    request_body(content = Bytes, content_type = "application/octet-stream"),
    responses(
        (status = 204, description = "it is there"),
        (status = 404, description = "no such flow, or no name of a bucket"),
        (status = 408, description = "the body stopped arriving"),
        (status = 413, description = "the value is too long"),
        (status = 422, description = "the key is too long, or the flow keeps as much as it may"),
    )
)]
pub(super) async fn put_keyvalue(
    caller: Caller,
    State(api): State<Api>,
    At((flow, bucket, key)): At<(String, String, String)>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<StatusCode, Problem> {
    let bucket = find(&api, &caller, &flow, bucket).await?;
    request::refuse_encoded(&headers)?;
    let mut value = Vec::new();
    while let Some(bytes) = request::next(&mut body).await? {
        value.extend_from_slice(&bytes);
        if value.len() > api.quota.value_bytes_max {
            let message = format!("a value has at most {} bytes", api.quota.value_bytes_max);
            return Err(Problem::new(&kind::BODY_TOO_LARGE, message));
        }
    }
    let pairs = [(key, value)].into();
    let refused = |refusal: Refusal| match refusal {
        Refusal::Key(_) => Problem::field("key", refusal.to_string()),
        other => Problem::new(&kind::INVALID_REQUEST, other.to_string()),
    };
    api.store.keyvalue_set(bucket, pairs, api.quota, api.clock.now()).await?.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a key.
#[utoipa::path(
    delete, path = "/v1/flows/{flow}/keyvalue/{bucket}/{key}", tag = "keyvalue",
    params(("flow" = String, Path), ("bucket" = String, Path, pattern = "^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"), ("key" = String, Path, min_length = 1)),
    responses((status = 204, description = "removed"), (status = 404, description = "no such flow, bucket or key"))
)]
pub(super) async fn delete_keyvalue(
    caller: Caller,
    State(api): State<Api>,
    At((flow, bucket, key)): At<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let bucket = find(&api, &caller, &flow, bucket).await?;
    match api.store.keyvalue_delete(bucket, vec![key.clone()]).await? {
        0 => Err(unknown(&key)),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

async fn find(api: &Api, caller: &Caller, flow: &str, name: String) -> Result<Bucket, Problem> {
    let flow = api.registry.flow(caller.workspace, flow).await?.id;
    if !is_bucket(&name) {
        return Err(Problem::new(&kind::NOT_FOUND, format!("`{name}` is no name of a bucket")));
    }
    Ok(Bucket { flow, name })
}

fn unknown(key: &str) -> Problem {
    Problem::new(&kind::NOT_FOUND, format!("the bucket has no key `{key}`"))
}
