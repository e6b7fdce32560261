//! The catalogue of events.

use axum::Json;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::Caller;
use super::page::{List, Paging};
use super::request::Params;
use crate::event::{CATALOGUE, Row};
use crate::id::SubscriptionId;
use crate::problem::Problem;

/// A kind of event that a subscription can be told of.
#[derive(Serialize, ToSchema)]
pub(super) struct EventType {
    /// What a subscription's `events` say; `custom.*` stands for all names that begin so.
    name: &'static str,
    /// When it is told of.
    description: &'static str,
    /// The native names that it is another name for.
    view_of: Vec<String>,
    /// The format of the example.
    format: &'static str,
    /// The JSON Schema (2020-12) of the payload in that format.
    schema: Value,
    /// A payload.
    example: Value,
}

impl EventType {
    fn new(row: &Row) -> Self {
        let event = row.example();
        let name = if row.view_of.is_empty() { event.kind.to_string() } else { row.name.to_owned() };
        let subscription = SubscriptionId::from_bytes(*event.id.as_bytes());
        let payload = event.payload(&name, row.format(), subscription, &event.data(&name));
        Self {
            name: row.name,
            description: row.doc,
            view_of: row.view_of.iter().map(ToString::to_string).collect(),
            format: row.format().as_str(),
            schema: row.schema(),
            example: serde_json::from_slice(&payload).unwrap_or_default(),
        }
    }
}

/// The kinds of events, each with a JSON Schema and an example: the native ones, then the views of them.
#[utoipa::path(
    get, path = "/v1/events", tag = "subscriptions", params(Paging),
    responses((status = 200, body = List<EventType>), (status = 404, description = "the cursor's event is gone"))
)]
pub(super) async fn list_event_types(
    _caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<List<EventType>>, Problem> {
    let rows = CATALOGUE.iter().collect::<Vec<_>>();
    Ok(Json(paging.of_all(rows, |row| row.name.to_owned())?.show(EventType::new)))
}
