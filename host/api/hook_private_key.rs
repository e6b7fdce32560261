//! The private key of an UPTIQ hook as a file, which that product's users download when they need it again.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::auth::{Caller, Role};
use super::request::At;
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::hook::Use;
use crate::id::HookId;
use crate::problem::{Problem, kind};

/// The key that senders sign with.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PrivateKey {
    webhook_id: HookId,
    /// Where senders send to, on this server.
    webhook_path: String,
    /// Of the signature.
    algorithm: &'static str,
    /// Where the signature belongs.
    header: &'static str,
    private_key: String,
    created_at: Timestamp,
}

/// The newest private key of a hook of the dialect `uptiq`, as a file. Only for admins.
#[utoipa::path(
    get, path = "/v1/hooks/{hook}/private-key", tag = "hooks",
    params(("hook" = String, Path, description = "Its id or name.")),
    responses(
        (status = 200, body = PrivateKey),
        (status = 403, description = "the key may not see secrets"),
        (status = 404, description = "no such hook, or none of this dialect"),
    )
)]
pub(super) async fn get_hook_private_key(
    caller: Caller,
    State(api): State<Api>,
    At(hook): At<String>,
) -> Result<impl IntoResponse, Problem> {
    if caller.role != Role::Admin {
        return Err(Problem::new(&kind::FORBIDDEN, "only an admin may download a private key"));
    }
    let hook = api.hooks.get(caller.workspace, &hook).await?;
    let now = api.clock.now();
    let lives = |end: Option<Timestamp>| end.is_none_or(|end| now < end);
    let held = hook.secrets.all(Use::Auth).find(|held| lives(held.expires_at));
    let Some(held) = held.filter(|_| hook.spec.dialect == Dialect::Uptiq) else {
        let detail = format!("hook `{}` has no private key that can be downloaded", hook.name);
        return Err(Problem::new(&kind::NOT_FOUND, detail));
    };
    let key = PrivateKey {
        webhook_id: hook.id,
        webhook_path: hook.url_path(),
        algorithm: "HMAC-SHA256",
        header: "x-signature",
        private_key: held.secret.expose().to_owned(),
        created_at: held.created_at,
    };
    let file = format!("attachment; filename=\"{}-private-key.json\"", hook.name);
    Ok(([(header::CONTENT_DISPOSITION, file), (header::CACHE_CONTROL, "no-store".to_owned())], Json(key)))
}
