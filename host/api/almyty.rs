//! What almyty's users do beside sending webhooks: switch an agent's webhook on and off, and poll executions. The agent is
//! the hook. `docs/dialects/almyty.md` describes it; the OpenAPI document does not, since the product owns it.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::page::{Limit, List, Paging};
use super::request::{At, JsonBody, Params};
use super::{Api, House};
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::execution::Outcome;
use crate::hook::{self, Hook};
use crate::id::ExecutionId;
use crate::problem::{Problem, kind};
use crate::store::{self, ExecutionFilter};
use crate::trigger::{Failure, Reply};

pub(super) fn routes() -> Router<House> {
    Router::new()
        .route("/agents/{hook}", get(get_agent).patch(change_agent))
        .route("/agents/{hook}/executions", get(list_executions))
        .route("/agents/{hook}/executions/{execution}", get(get_execution))
}

/// `{"success":true,"data":…}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Success<T> {
    success: bool,
    data: T,
    /// Of a list: what to send as `cursor` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    id: String,
    name: String,
    webhook_enabled: bool,
    webhook_url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    execution_id: ExecutionId,
    status: &'static str,
    trigger: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failed>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

/// Why an execution has no output.
#[derive(Serialize)]
struct Failed {
    code: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    webhook_enabled: bool,
}

/// Which executions of an agent.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Filter {
    trigger: Option<String>,
    limit: Limit,
    cursor: Option<String>,
}

type Asked<T> = Result<T, Problem>;

async fn get_agent(caller: Asked<Caller>, State(api): State<Api>, at: Asked<At<String>>) -> Response {
    let found = async {
        let (caller, At(agent)) = (caller?, at?);
        Ok(one(Agent::of(agent_of(&api, caller, &agent).await?)))
    };
    told(found.await)
}

async fn change_agent(
    caller: Asked<Caller>,
    State(api): State<Api>,
    at: Asked<At<String>>,
    body: Asked<JsonBody<Change>>,
) -> Response {
    let changed = async {
        let (caller, At(agent)) = (caller?, at?);
        let mut hook = agent_of(&api, caller, &agent).await?;
        hook.enabled = body?.0.webhook_enabled;
        Ok(one(Agent::of(api.hooks.update(hook).await?)))
    };
    told(changed.await)
}

async fn get_execution(
    caller: Asked<Caller>,
    State(api): State<Api>,
    at: Asked<At<(String, ExecutionId)>>,
) -> Response {
    let found = async {
        let (caller, At((agent, id))) = (caller?, at?);
        let hook = agent_of(&api, caller, &agent).await?;
        let row = api.executions.find(caller.workspace, id).await?;
        if row.hook != Some(hook.id) {
            return Err(Problem::new(&kind::NOT_FOUND, format!("the agent has no execution {id}")));
        }
        Ok(one(Execution::of(&row)))
    };
    told(found.await)
}

async fn list_executions(
    caller: Asked<Caller>,
    State(api): State<Api>,
    at: Asked<At<String>>,
    filter: Asked<Params<Filter>>,
) -> Response {
    let listed = async {
        let (caller, At(agent), Params(Filter { trigger, limit, cursor })) = (caller?, at?, filter?);
        let hook = agent_of(&api, caller, &agent).await?;
        // Whatever an agent executes here came in by its webhook.
        if trigger.is_some_and(|trigger| trigger != WEBHOOK) {
            return Ok(Success { success: true, data: Vec::new(), next_cursor: None });
        }
        let paging = Paging { limit, cursor };
        let filter = ExecutionFilter { hook: Some(hook.id), ..ExecutionFilter::default() };
        let rows = api.executions.list(caller.workspace, filter, paging.page()?).await?;
        let List { data, next_cursor } = paging.cut(rows, |row| row.id.to_string());
        Ok(Success { success: true, data: data.iter().map(Execution::of).collect(), next_cursor })
    };
    told(listed.await)
}

const WEBHOOK: &str = "webhook";

/// The hook that is an agent; hooks of other dialects are none.
async fn agent_of(api: &Api, caller: Caller, agent: &str) -> Result<Hook, Problem> {
    match api.hooks.get_at(Dialect::Almyty, caller.workspace, agent).await {
        Ok(hook) if hook.spec.dialect == Dialect::Almyty => Ok(hook),
        Ok(_) | Err(hook::Error::Unknown(_)) => {
            Err(Problem::new(&kind::NOT_FOUND, format!("there is no agent `{agent}`")))
        }
        Err(error) => Err(error.into()),
    }
}

fn one<T>(data: T) -> Success<T> {
    Success { success: true, data, next_cursor: None }
}

fn told<T: Serialize>(result: Result<T, Problem>) -> Response {
    match result {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => problem.in_dialect(Dialect::Almyty),
    }
}

impl Agent {
    fn of(hook: Hook) -> Self {
        let webhook_url = hook.spec.public_url.clone().unwrap_or_else(|| hook.url_path());
        Self { id: hook.public_id(), name: hook.name, webhook_enabled: hook.enabled, webhook_url }
    }
}

impl Execution {
    fn of(row: &store::Execution) -> Self {
        let outcome = row.outcome.as_deref().and_then(|json| serde_json::from_str::<Outcome>(json).ok());
        let code = || row.reason.clone().unwrap_or_default();
        let (output, error) = match outcome {
            Some(Outcome::Reply(reply)) => (Some(reply), None),
            Some(Outcome::Failure(failure)) => (None, Some(Failed { code: code(), message: words(failure) })),
            Some(Outcome::Stopped { message, .. }) => (None, Some(Failed { code: code(), message })),
            None => (None, None),
        };
        Self {
            execution_id: row.id,
            // What waits is running to a product that knows no queue.
            status: if row.status.is_final() { row.status.as_str() } else { "running" },
            trigger: WEBHOOK,
            output,
            error,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::InvalidInput(error) => error.message,
        Failure::Failed { message } | Failure::Retry { message, .. } => message,
    }
}
