//! Hooks.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::flows::Names;
use super::hook_draft::Draft;
use super::page::{List, Paging};
use super::request::{At, JsonBody, Params};
use super::schemas::{HookChange, NewHook};
use crate::clock::Timestamp;
use crate::hook::{Held, Hook as Stored, NewHook as New, Spec, Use};
use crate::id::{HookId, SecretId, WorkspaceId};
use crate::problem::Problem;
use crate::store::Flow;

/// A hook: itself, and the members of its spec.
#[derive(Serialize, ToSchema)]
pub(super) struct Hook {
    id: HookId,
    /// Unique in the workspace.
    name: String,
    /// The id by which senders know it in the paths of its dialect; there its own leads to it as well.
    path_id: Option<String>,
    /// The flow that it triggers.
    flow: Option<String>,
    /// False: every request is refused.
    enabled: bool,
    /// Where senders send to, on this server.
    url_path: String,
    #[serde(flatten)]
    spec: Spec,
    /// The newest first. A secret's text is only in the answer to the request that made it.
    secrets: Vec<Secret>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A secret of a hook.
#[derive(Serialize, ToSchema)]
pub(super) struct Secret {
    id: SecretId,
    #[serde(rename = "use")]
    for_use: Use,
    /// The text, only in the answer to the request that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    created_at: Timestamp,
    /// From when on it is refused.
    expires_at: Option<Timestamp>,
}

impl Secret {
    pub(super) fn hidden(held: &Held) -> Self {
        let Held { id, for_use, created_at, expires_at, .. } = *held;
        Self { id, for_use, secret: None, created_at, expires_at }
    }

    pub(super) fn shown(held: &Held) -> Self {
        Self { secret: Some(held.secret.expose().to_owned()), ..Self::hidden(held) }
    }
}

impl Hook {
    /// The hook, with the texts of those secrets that `show` picks.
    fn new(hook: Stored, flow: Option<String>, show: impl Fn(&Held) -> bool) -> Self {
        let all = [Use::Auth, Use::Callback, Use::CallbackPassword].into_iter();
        let all = all.flat_map(|for_use| hook.secrets.all(for_use));
        // A password was given by whoever asks, who need not be told.
        let shows = |held: &Held| show(held) && held.for_use != Use::CallbackPassword;
        let secrets = all.map(|held| if shows(held) { Secret::shown(held) } else { Secret::hidden(held) }).collect();
        Self {
            id: hook.id,
            url_path: hook.url_path(),
            path_id: hook.path_id.clone(),
            name: hook.name,
            flow,
            enabled: hook.enabled,
            spec: hook.spec,
            secrets,
            created_at: hook.created_at,
            updated_at: hook.updated_at,
        }
    }
}

/// The workspace's hooks.
#[utoipa::path(get, path = "/v1/hooks", tag = "hooks", params(Paging), responses((status = 200, body = List<Hook>)))]
pub(super) async fn list_hooks(
    caller: Caller,
    State(api): State<Api>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<Hook>>, Problem> {
    let hooks = api.hooks.list(caller.workspace, paging.page()?).await?;
    let List { data: hooks, next_cursor } = paging.cut(hooks, |hook| hook.id.to_string());
    let (mut names, mut data) = (Names::new(&api.registry), Vec::with_capacity(hooks.len()));
    for hook in hooks {
        let flow = names.of(hook.flow).await?;
        data.push(Hook::new(hook, flow, |_| false));
    }
    Ok(Json(List { data, next_cursor }))
}

/// Makes a hook.
///
/// The texts of its secrets are in this answer and in no later one.
#[utoipa::path(
    post, path = "/v1/hooks", tag = "hooks", request_body = NewHook,
    responses(
        (status = 201, body = Hook, headers(("Location" = String))),
        (status = 404, description = "no such flow"),
        (status = 409, description = "the name or the path id is taken"),
    )
)]
pub(super) async fn create_hook(
    caller: Caller,
    State(api): State<Api>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<impl IntoResponse, Problem> {
    let mut draft = Draft::new(body)?;
    if draft.about.enabled.is_some() {
        return Err(Problem::field("enabled", "is for a change; a new hook is enabled"));
    }
    let name = draft.about.name.take().ok_or_else(|| Problem::field("name", "is missing"))?;
    let path_id = draft.about.path_id.take().flatten();
    let flow = draft.about.flow.take().ok_or_else(|| Problem::field("flow", "is missing"))?;
    let secret = draft.about.take_secret();
    let callback_password = draft.callback_password.take();
    let spec = draft.spec(&api.deliveries)?;
    let flow = triggered(&api, caller.workspace, &flow).await?;
    let new = New { workspace: caller.workspace, flow: flow.id, name, path_id, spec, secret, callback_password };
    let hook = api.hooks.create(new).await?;
    let location = [(header::LOCATION, format!("/v1/hooks/{}", hook.id))];
    Ok((StatusCode::CREATED, location, Json(Hook::new(hook, Some(flow.name), |_| true))))
}

/// The flow that a hook is to trigger.
async fn triggered(api: &Api, workspace: WorkspaceId, name: &str) -> Result<Flow, Problem> {
    let flow = api.registry.flow(workspace, name).await?;
    if api.registry.is_transform(flow.id).await? == Some(true) {
        let message =
            format!("`{name}` is a transform, which handles no triggers; subscriptions name it in `transform`");
        return Err(Problem::field("flow", message));
    }
    Ok(flow)
}

/// One hook, by id or name.
#[utoipa::path(
    get, path = "/v1/hooks/{hook}", tag = "hooks", params(("hook" = String, Path, description = "Its id or name.")),
    responses((status = 200, body = Hook), (status = 404, description = "no such hook"))
)]
pub(super) async fn get_hook(
    caller: Caller,
    State(api): State<Api>,
    At(hook): At<String>,
) -> Result<Json<Hook>, Problem> {
    let hook = api.hooks.get(caller.workspace, &hook).await?;
    let flow = Names::new(&api.registry).of(hook.flow).await?;
    Ok(Json(Hook::new(hook, flow, |_| false)))
}

/// Changes a hook: members of the body replace those of the hook, whole; null stands for a member's default.
///
/// A secret that the change makes necessary is made, and shown here.
#[utoipa::path(
    patch, path = "/v1/hooks/{hook}", tag = "hooks", params(("hook" = String, Path, description = "Its id or name.")),
    request_body = HookChange,
    responses(
        (status = 200, body = Hook),
        (status = 404, description = "no such hook or flow"),
        (status = 409, description = "the name or the path id is taken, or somebody else was faster"),
    )
)]
pub(super) async fn update_hook(
    caller: Caller,
    State(api): State<Api>,
    At(hook): At<String>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<Hook>, Problem> {
    let mut draft = Draft::new(body)?;
    if draft.about.secret.is_some() {
        return Err(Problem::field("secret", "is changed by POST /v1/hooks/{hook}/secrets"));
    }
    let mut hook = api.hooks.get(caller.workspace, &hook).await?;
    if let Some(flow) = &draft.about.flow {
        hook.flow = triggered(&api, caller.workspace, flow).await?.id;
    }
    hook.name = draft.about.name.take().unwrap_or(hook.name);
    hook.path_id = draft.about.path_id.take().unwrap_or(hook.path_id);
    hook.enabled = draft.about.enabled.unwrap_or(hook.enabled);
    let known = hook.secrets.clone();
    if let Some(password) = draft.callback_password.take() {
        api.hooks.set_callback_password(&mut hook, password);
    }
    hook.spec = draft.spec_over(&hook.spec, &api.deliveries)?;
    let known = |held: &Held| known.all(held.for_use).any(|before| before.id == held.id);
    let hook = api.hooks.update(hook).await?;
    let flow = Names::new(&api.registry).of(hook.flow).await?;
    Ok(Json(Hook::new(hook, flow, |held| !known(held))))
}

/// Removes a hook and gives up its deliveries.
#[utoipa::path(
    delete, path = "/v1/hooks/{hook}", tag = "hooks", params(("hook" = String, Path, description = "Its id or name.")),
    responses((status = 204, description = "removed"), (status = 404, description = "no such hook"))
)]
pub(super) async fn delete_hook(
    caller: Caller,
    State(api): State<Api>,
    At(hook): At<String>,
) -> Result<StatusCode, Problem> {
    let hook = api.hooks.get(caller.workspace, &hook).await?;
    api.hooks.delete(&hook).await?;
    Ok(StatusCode::NO_CONTENT)
}
