//! A trial of a subscription: a delivery like any other, or only a look at what it would be.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use super::Api;
use super::auth::Caller;
use super::request::{At, JsonBody};
use crate::event::{Event, Format, Patterns, Row, example};
use crate::id::{DeliveryId, EventId};
use crate::problem::Problem;
use crate::subscription::{Message, Signed, Subscription};
use crate::trigger::Json as RawJson;

/// What to try.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Trial {
    /// The event; the first one that the subscription names when absent.
    pub(super) event: Option<String>,
    /// Members of the event's `data` that take the place of the example's.
    pub(super) data: Map<String, Value>,
    /// Sends nothing, and shows the request.
    pub(super) dry_run: bool,
}

/// What was sent.
#[derive(Serialize, ToSchema)]
pub(super) struct Sent {
    /// What comes of it is at `/v1/deliveries/{id}`.
    delivery_id: DeliveryId,
    event: String,
    /// Why the subscription's filter would have kept a real event like this one back.
    #[serde(skip_serializing_if = "Option::is_none")]
    filtered: Option<String>,
}

/// What would be sent.
#[derive(Serialize, ToSchema)]
pub(super) struct Preview {
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    filtered: Option<String>,
    method: &'static str,
    url: String,
    /// In order, with credentials blanked out. The connection adds `host` and `content-length`.
    headers: Vec<PreviewHeader>,
    /// The exact bytes, which are signed.
    body: String,
    /// What the subscription's transform did: version, logs, and why it failed. Then nothing is sent, and `headers` and
    /// `body` are empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    transform: Option<RawJson>,
}

/// A header of a request.
#[derive(Serialize, ToSchema)]
pub(super) struct PreviewHeader {
    name: String,
    value: String,
}

/// Sends an example of an event to a subscription, or shows the request that would.
///
/// The filter is not applied; `filtered` says whether it would have kept the event back.
#[utoipa::path(
    post, path = "/v1/subscriptions/{subscription}/test", tag = "subscriptions",
    params(("subscription" = String, Path, description = "Its id or name.")), request_body = Trial,
    responses(
        (status = 200, body = Preview, description = "what would be sent"),
        (status = 202, body = Sent, description = "what is on its way"),
        (status = 404, description = "no such subscription"),
    )
)]
pub(super) async fn test_subscription(
    caller: Caller,
    State(api): State<Api>,
    At(subscription): At<String>,
    JsonBody(trial): JsonBody<Trial>,
) -> Result<Response, Problem> {
    let found = api.subscriptions.get(caller.workspace, &subscription).await?;
    let dry_run = trial.dry_run;
    let (id, message, filtered) = prepare(&api, &found, trial)?;
    let event = message.name.clone();
    if dry_run {
        return Ok(Json(preview(&api, &found, id, &message, filtered).await?).into_response());
    }
    send(&api, &found, id, message).await?;
    Ok((StatusCode::ACCEPTED, Json(Sent { delivery_id: id, event, filtered })).into_response())
}

/// Sends what was prepared. A subscription that is told of nothing is not told of this either.
pub(super) async fn send(
    api: &Api,
    subscription: &Subscription,
    id: DeliveryId,
    message: Message,
) -> Result<(), Problem> {
    if !subscription.enabled {
        return Err(Problem::field("enabled", "is false; enable the subscription first, or ask for a `dry_run`"));
    }
    Ok(api.deliveries.send_trial(subscription, receiver(subscription)?, id, message).await?)
}

/// Where it would go.
fn receiver(subscription: &Subscription) -> Result<&Url, Problem> {
    let url = subscription.spec.url.as_ref();
    url.ok_or_else(|| {
        Problem::field("url", "is missing: nothing is sent to this subscription, whose events are pulled")
    })
}

/// The delivery's id, what is in it, and why a filter would have kept it back.
pub(super) fn prepare(
    api: &Api,
    subscription: &Subscription,
    trial: Trial,
) -> Result<(DeliveryId, Message, Option<String>), Problem> {
    let name = trial.event.unwrap_or_else(|| usual(subscription));
    let row = Row::find(&name).filter(|_| !name.contains('*'));
    let row = row.ok_or_else(|| Problem::field("event", format!("is `{name}`; GET /v1/events lists what there is")))?;
    let custom =
        |name: &str| name.parse().map_err(|_| Problem::field("event", format!("is `{name}`, which cannot be")));
    let kind = if name.starts_with("custom.") { custom(&name)? } else { row.example().kind };
    let now = api.clock.now();
    let event = Event { id: EventId::at(now.unix_ms_unsigned()), at: now, ..example(&kind) };
    let (message, why) = subscription.trial(&event, name, trial.data);
    Ok((DeliveryId::at(now.unix_ms_unsigned()), message, why.map(|why| why.to_string())))
}

/// The first event that a subscription names without a wildcard.
fn usual(subscription: &Subscription) -> String {
    let patterns: &Patterns = &subscription.spec.events;
    let named = patterns.as_slice().iter().find(|pattern| !pattern.ends_with('*'));
    named.cloned().unwrap_or_else(|| match subscription.spec.format {
        Format::Native => "execution.succeeded".to_owned(),
        Format::AgenticFlow => "workflow.execution.completed".to_owned(),
    })
}

async fn preview(
    api: &Api,
    subscription: &Subscription,
    id: DeliveryId,
    message: &Message,
    filtered: Option<String>,
) -> Result<Preview, Problem> {
    let receiver = receiver(subscription)?;
    let preview = api.deliveries.preview(subscription, receiver, id, message).await;
    let preview = preview.map_err(|error| Problem::field("signature", error.to_string()))?;
    let unwanted = preview.request.is_none() && preview.transform.as_ref().is_some_and(|ran| ran.error.is_none());
    let (signed, body) = preview.request.unwrap_or_else(|| {
        let (url, headers) = (receiver.clone(), Default::default());
        (Signed { url, headers }, Default::default())
    });
    let shown = |value: &axum::http::HeaderValue| match value.is_sensitive() {
        true => "[redacted]".to_owned(),
        false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    let headers = signed.headers.iter();
    Ok(Preview {
        event: message.name.clone(),
        filtered: filtered.or_else(|| unwanted.then(|| "the transform wants it not sent".to_owned())),
        method: "POST",
        url: signed.url.to_string(),
        headers: headers.map(|(name, value)| PreviewHeader { name: name.to_string(), value: shown(value) }).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        transform: preview.transform.and_then(|ran| RawJson::of(&ran).ok()),
    })
}
