//! The webhook management of AgenticFlow: its users make, list, change and delete outgoing webhooks, which are our
//! subscriptions in its words. `docs/dialects/agenticflow.md` describes it; the OpenAPI document does not, since the product
//! owns it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::auth::Caller;
use super::request::{At, JsonBody};
use super::subscription_draft::Draft;
use super::{Api, House, webhook_logs};
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::event::Patterns;
use crate::id::SubscriptionId;
use crate::problem::{FieldError, Problem};
use crate::signature::Secret;
use crate::store::{Page, Tally, Target};
use crate::subscription::{NewSubscription, Schedule, Subscription, Use};

/// As many as a workspace can have; the page knows no paging.
const LISTED_MAX: u32 = 10_000;

pub(super) fn routes() -> Router<House> {
    Router::new()
        .route("/api/v1/webhooks", get(list_webhooks).post(create_webhook))
        .route("/api/v1/webhooks/{webhook}", put(update_webhook).get(get_webhook).delete(delete_webhook))
        .route("/api/v1/webhooks/{webhook}/test", post(webhook_logs::test_webhook))
        .route("/api/v1/webhooks/{webhook}/logs", get(webhook_logs::list_webhook_logs))
        .route("/api/v1/webhooks/{webhook}/stats", get(webhook_logs::get_webhook_stats))
}

/// A webhook as the page shows it, and `secret` for the one time that it is shown.
#[derive(Serialize)]
struct Webhook {
    id: SubscriptionId,
    name: String,
    url: Option<Url>,
    events: Patterns,
    status: &'static str,
    created_at: String,
    last_delivery: Option<String>,
    delivery_stats: Stats,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Its deliveries, counted.
#[derive(Serialize)]
pub(super) struct Stats {
    total_deliveries: u64,
    successful_deliveries: u64,
    failed_deliveries: u64,
}

/// What a request says of a webhook, in the page's words.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Change {
    name: Option<String>,
    url: Option<Value>,
    events: Option<Value>,
    status: Option<Status>,
    secret: Option<String>,
    authentication: Option<Map<String, Value>>,
    conditions: Option<Value>,
    filters: Option<Filters>,
    batch_settings: Option<BatchSettings>,
    retry_policy: Option<RetryPolicy>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Active,
    Inactive,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filters {
    include_fields: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchSettings {
    max_events: u32,
    max_wait_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryPolicy {
    max_retries: u32,
    #[serde(default = "twice")]
    backoff_multiplier: f64,
}

fn twice() -> f64 {
    2.0
}

pub(super) type Asked<T> = Result<T, Problem>;

async fn list_webhooks(caller: Asked<Caller>, State(api): State<Api>) -> Response {
    let listed = async {
        let all = api.subscriptions.list(caller?.workspace, Page { limit: LISTED_MAX, before: None }).await?;
        Ok(Json(json!({ "webhooks": shown(&api, all, false).await? })))
    };
    told(listed.await)
}

async fn create_webhook(caller: Asked<Caller>, State(api): State<Api>, body: Asked<JsonBody<Change>>) -> Response {
    let made = async {
        let (caller, JsonBody(mut change)) = (caller?, body?);
        let (name, secret) = (change.name.take(), change.secret.take().map(Secret::new));
        require("url", "string", change.url.is_none())?;
        require("events", "array", change.events.is_none())?;
        let mut draft = Draft::new(change.members(true)?)?;
        let credential = draft.credential.take();
        let spec = draft.spec(&api.deliveries)?;
        let new = NewSubscription { workspace: caller.workspace, name, spec, secret, credential };
        let made = api.subscriptions.create(new).await?;
        Ok((StatusCode::CREATED, Json(one(&api, made, true).await?)))
    };
    told(made.await)
}

async fn get_webhook(caller: Asked<Caller>, State(api): State<Api>, at: Asked<At<String>>) -> Response {
    let found = async { Ok(Json(one(&api, find(&api, caller?, &at?.0).await?, false).await?)) };
    told(found.await)
}

/// Members that the body has replace those of the webhook.
async fn update_webhook(
    caller: Asked<Caller>,
    State(api): State<Api>,
    at: Asked<At<String>>,
    body: Asked<JsonBody<Change>>,
) -> Response {
    let changed = async {
        let (caller, At(webhook), JsonBody(mut change)) = (caller?, at?, body?);
        let mut changed = find(&api, caller, &webhook).await?;
        if change.secret.is_some() {
            return Err(Problem::field("secret", "is changed by POST /v1/subscriptions/{subscription}/secrets"));
        }
        changed.name = change.name.take().unwrap_or(changed.name);
        changed.enabled = change.status.map_or(changed.enabled, |status| status == Status::Active);
        let mut draft = Draft::new(change.members(false)?)?;
        let credential = draft.credential.take();
        let spec = draft.spec_over(&changed.spec, &api.deliveries)?;
        api.subscriptions.set_spec(&mut changed, spec, credential);
        let changed = api.subscriptions.update(changed).await?;
        Ok(Json(one(&api, changed, false).await?))
    };
    told(changed.await)
}

async fn delete_webhook(caller: Asked<Caller>, State(api): State<Api>, at: Asked<At<String>>) -> Response {
    let deleted = async {
        let found = find(&api, caller?, &at?.0).await?;
        api.subscriptions.delete(&found).await?;
        Ok(Json(json!({ "success": true, "message": "Webhook deleted successfully" })))
    };
    told(deleted.await)
}

/// Webhooks with what has been delivered to them.
async fn shown(api: &Api, all: Vec<Subscription>, shows_secret: bool) -> Result<Vec<Webhook>, Problem> {
    let targets = all.iter().map(|one| Target::Subscription(one.id)).collect();
    let tallies = api.deliveries.tallies(targets).await?;
    Ok(all.into_iter().zip(tallies).map(|(one, tally)| Webhook::new(one, &tally, shows_secret)).collect())
}

async fn one(api: &Api, one: Subscription, shows_secret: bool) -> Result<Option<Webhook>, Problem> {
    Ok(shown(api, vec![one], shows_secret).await?.pop())
}

/// By id; a name would do as well.
pub(super) async fn find(api: &Api, caller: Caller, id: &str) -> Result<Subscription, Problem> {
    Ok(api.subscriptions.get(caller.workspace, id).await?)
}

fn require(field: &str, expected: &str, is_missing: bool) -> Result<(), Problem> {
    if !is_missing {
        return Ok(());
    }
    let (field, expected, received) = (field.to_owned(), Some(expected.to_owned()), Some("null".to_owned()));
    let message = "is missing".to_owned();
    let problem = Problem::new(&crate::problem::kind::INVALID_REQUEST, format!("`{field}`: {message}"));
    Err(problem.with(FieldError { field, message, expected, received }))
}

pub(super) fn told(result: Result<impl IntoResponse, Problem>) -> Response {
    match result {
        Ok(answer) => answer.into_response(),
        Err(problem) => problem.in_dialect(Dialect::Agenticflow),
    }
}

impl Stats {
    pub(super) fn of(tally: &Tally) -> Self {
        Self { total_deliveries: tally.total, successful_deliveries: tally.succeeded, failed_deliveries: tally.failed }
    }
}

impl Webhook {
    fn new(one: Subscription, tally: &Tally, shows_secret: bool) -> Self {
        let secret = one.secrets.all(Use::Signing).next().filter(|_| shows_secret);
        Self {
            secret: secret.map(|held| held.secret.expose().to_owned()),
            id: one.id,
            name: one.name,
            url: one.spec.url,
            events: one.spec.events,
            status: if one.enabled { "active" } else { "inactive" },
            created_at: one.created_at.whole_seconds(),
            last_delivery: tally.last_at.map(Timestamp::whole_seconds),
            delivery_stats: Stats::of(tally),
        }
    }
}

impl Change {
    /// The same as members of a subscription. What is `new` has the product's format and schedule.
    fn members(self, new: bool) -> Result<Map<String, Value>, Problem> {
        let schedule = match self.retry_policy {
            Some(RetryPolicy { max_retries, backoff_multiplier }) => {
                let schedule = Schedule::growing(max_retries, backoff_multiplier);
                Some(schedule.map_err(|error| Problem::field("retry_policy", error.to_string()))?)
            }
            None => new.then_some(Schedule::AgenticFlow),
        };
        let batch = self.batch_settings.map(|BatchSettings { max_events, max_wait_seconds }| {
            json!({ "events_max": max_events, "wait_s": max_wait_seconds })
        });
        let members = [
            ("url", self.url),
            ("events", self.events),
            ("authentication", self.authentication.map(Value::Object)),
            ("conditions", self.conditions),
            ("include_fields", self.filters.map(|filters| filters.include_fields)),
            ("batch", batch),
            ("schedule", schedule.map(|schedule| json!(schedule))),
            ("format", new.then(|| json!("agenticflow"))),
        ];
        Ok(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }
}
