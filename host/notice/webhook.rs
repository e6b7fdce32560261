//! Notices by a webhook of the server's own: `{"type":"notice","timestamp":…,"data":{"events":[…]}}`, signed by Standard
//! Webhooks v1.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use url::Url;

use super::Error;
use crate::clock::Clock;
use crate::egress::{Client, Request};
use crate::signature::{Secret, standard};
use crate::store::Event;

/// The time for one request.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Webhook {
    url: Url,
    secret: Secret,
    client: Client,
    clock: Clock,
}

impl Webhook {
    pub(super) fn new(url: &str, secret: Secret, client: Client, clock: Clock) -> Result<Self, Error> {
        let invalid = |field, message: String| Error::Invalid { field, message };
        let url = url.parse::<Url>().map_err(|error| invalid("webhook_url", error.to_string()))?;
        client.policy().check_url(&url).map_err(|error| invalid("webhook_url", error.to_string()))?;
        standard::sign("check", 0, b"", std::slice::from_ref(&secret))
            .map_err(|error| invalid("webhook_secret", error.to_string()))?;
        Ok(Self { url, secret, client, clock })
    }

    pub(super) async fn send(&self, events: &[Event]) -> Result<(), Error> {
        let not_sent = |why: String| Error::NotSent(format!("the receiver did not take the notice: {why}"));
        let now = self.clock.now();
        let data = json!({"events": events.iter().map(shown).collect::<Vec<_>>()});
        let body = json!({"type": "notice", "timestamp": now.to_string(), "data": data}).to_string();
        // The same id for the same events, whatever attempt this is.
        let id = events.first().map_or_else(String::new, |event| event.id.to_string());
        let secrets = std::slice::from_ref(&self.secret);
        let signed = standard::sign(&id, now.unix_seconds(), body.as_bytes(), secrets);
        let mut headers: HeaderMap = signed.map_err(|error| not_sent(error.to_string()))?.into_iter().collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (url, body) = (self.url.clone(), body.into_bytes().into());
        let request = Request { method: Method::POST, url, headers, body, deadline: PATIENCE, identity: None };
        let answer = self.client.send(request).await.map_err(|error| not_sent(error.to_string()))?;
        if answer.status.is_success() { Ok(()) } else { Err(not_sent(format!("it answered {}", answer.status))) }
    }
}

fn shown(event: &Event) -> Value {
    let facts: Value = serde_json::from_str(&event.facts).unwrap_or_default();
    json!({"id": event.id, "type": event.r#type, "timestamp": event.at.to_string(), "data": facts})
}
