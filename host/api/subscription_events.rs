//! The events of a subscription for whoever comes and asks, such as a receiver behind a firewall.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::{Caller, Role};
use super::page::{Limit, List, Paging};
use super::request::{At, JsonBody, Params};
use super::schemas::{Name, schema};
use crate::clock::Timestamp;
use crate::dispatch::{self, Beginning, PulledEvent, Stand};
use crate::id::{EventId, check_name};
use crate::problem::{Problem, kind};
use crate::store;
use crate::trigger::Json as RawJson;

/// Whose events, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Who reads; each consumer has a place of its own. It is made by its first read.
    #[param(value_type = Option<Name>, default = "default")]
    #[serde(deserialize_with = "consumer")]
    consumer: String,
    /// Events at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where a new consumer begins: `now`, `oldest`, or a time (RFC 3339). For others it means nothing.
    #[param(schema_with = beginning)]
    #[serde(deserialize_with = "from")]
    from: Beginning,
}

impl Default for Which {
    fn default() -> Self {
        Self { consumer: usual(), limit: Limit::default(), from: Beginning::Now }
    }
}

fn usual() -> String {
    "default".to_owned()
}

fn consumer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    check_name(&name).map_err(D::Error::custom).map(|()| name)
}

fn beginning() -> RefOr<Schema> {
    let time = json!({ "type": "string", "format": "date-time" });
    schema(json!({ "anyOf": [{ "type": "string", "enum": ["now", "oldest"] }, time], "default": "now" }))
}

fn from<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Beginning, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    match &*text {
        "now" => Ok(Beginning::Now),
        "oldest" => Ok(Beginning::Oldest),
        time => time.parse().map(Beginning::Time).map_err(|_| {
            D::Error::custom(format_args!("is `{text}`; allowed: now, oldest, or a time such as 2026-01-31T08:00:00Z"))
        }),
    }
}

/// The next events of a consumer.
#[derive(Serialize, ToSchema)]
pub(super) struct Events {
    /// In the order in which they happened.
    data: Vec<SubscriptionEvent>,
    /// What to commit when all of them are done with.
    cursor: String,
    /// Whether there is more to read after a commit.
    has_more: bool,
    /// Set when events up to this time were too old to be kept before the consumer came to them.
    gap_until: Option<Timestamp>,
}

/// One event.
#[derive(Serialize, ToSchema)]
pub(super) struct SubscriptionEvent {
    /// The same at every read.
    id: EventId,
    /// Its name, as the subscription has it.
    r#type: String,
    /// When it happened.
    timestamp: Timestamp,
    /// What to commit when it is done with.
    cursor: String,
    /// What a delivery of it would have as its body.
    payload: RawJson,
}

impl SubscriptionEvent {
    fn new(pulled: PulledEvent) -> Option<Self> {
        let PulledEvent { id, name, at, cursor, payload } = pulled;
        let payload = RawJson::parse(String::from_utf8(payload.into()).ok()?).ok()?;
        Some(Self { id, r#type: name, timestamp: at, cursor: cursor.to_string(), payload })
    }
}

/// How far a consumer has come.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit {
    /// Who has read.
    #[serde(default = "usual", deserialize_with = "consumer")]
    #[schema(value_type = Name, required = false, default = "default")]
    consumer: String,
    /// The `cursor` of the last event that is done with, or of a whole answer.
    cursor: String,
}

/// Who reads a subscription's events.
#[derive(Serialize, ToSchema)]
pub(super) struct Consumer {
    name: String,
    /// How far it has come.
    cursor: String,
    created_at: Timestamp,
    committed_at: Option<Timestamp>,
    /// Set when events up to this time were too old to be kept before the consumer came to them.
    gap_until: Option<Timestamp>,
}

impl From<Stand> for Consumer {
    fn from(Stand { consumer, cursor, gap_until }: Stand) -> Self {
        let store::Consumer { name, created_at, committed_at, .. } = consumer;
        Self { name, cursor: cursor.to_string(), created_at, committed_at, gap_until }
    }
}

/// The next events that a consumer has not committed, as the subscription would be told of them.
///
/// Reading moves nothing: the same comes again until it is committed.
#[utoipa::path(
    get, path = "/v1/subscriptions/{subscription}/events", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name."), Which),
    responses(
        (status = 200, body = Events),
        (status = 403, description = "the consumer is new, which only an `admin` key can make"),
        (status = 404, description = "no such subscription"),
    )
)]
pub(super) async fn list_subscription_events(
    caller: Caller,
    State(api): State<Api>,
    At(subscription): At<String>,
    Params(Which { consumer, limit, from }): Params<Which>,
) -> Result<Json<Events>, Problem> {
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    let may_begin = caller.role == Role::Admin;
    let pulled = match api.dispatch.pull(&found, &consumer, limit.get(), from, may_begin).await {
        Err(dispatch::Error::UnknownConsumer(name)) => {
            let detail = format!(
                "there is no consumer `{name}` yet; read once as it with a key that has the role `admin`, which makes it, \
                 and this key can read too"
            );
            return Err(Problem::new(&kind::FORBIDDEN, detail));
        }
        pulled => pulled?,
    };
    Ok(Json(Events {
        data: pulled.events.into_iter().filter_map(SubscriptionEvent::new).collect(),
        cursor: pulled.cursor.to_string(),
        has_more: pulled.has_more,
        gap_until: pulled.gap_until,
    }))
}

/// Says how far a consumer has come.
///
/// It never goes back: a cursor from before changes nothing.
#[utoipa::path(
    post, path = "/v1/subscriptions/{subscription}/events/commit", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name.")), request_body = Commit,
    responses((status = 200, body = Consumer), (status = 404, description = "no such subscription or consumer"))
)]
pub(super) async fn commit_subscription_events(
    caller: Caller,
    State(api): State<Api>,
    At(subscription): At<String>,
    JsonBody(Commit { consumer, cursor }): JsonBody<Commit>,
) -> Result<Json<Consumer>, Problem> {
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    Ok(Json(api.dispatch.commit(&found, &consumer, &cursor).await?.into()))
}

/// Who reads the subscription's events, by name.
#[utoipa::path(
    get, path = "/v1/subscriptions/{subscription}/consumers", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name."), Paging),
    responses(
        (status = 200, body = List<Consumer>),
        (status = 404, description = "no such subscription, or the cursor's consumer is gone"),
    )
)]
pub(super) async fn list_subscription_consumers(
    caller: Caller,
    State(api): State<Api>,
    At(subscription): At<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<List<Consumer>>, Problem> {
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    let all = api.dispatch.consumers(&found).await?;
    Ok(Json(paging.of_all(all, |one| one.consumer.name.clone())?.show(Consumer::from)))
}

/// Forgets a consumer. Whoever reads under its name begins anew.
#[utoipa::path(
    delete, path = "/v1/subscriptions/{subscription}/consumers/{consumer}", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name."), ("consumer" = String, Path)),
    responses((status = 204, description = "forgotten"), (status = 404, description = "no such subscription or consumer"))
)]
pub(super) async fn delete_subscription_consumer(
    caller: Caller,
    State(api): State<Api>,
    At((subscription, consumer)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    api.dispatch.forget_consumer(&found, &consumer).await?;
    Ok(StatusCode::NO_CONTENT)
}
