//! An execution as Server-Sent Events (WHATWG HTML §9.2): what it says, as it says it, then how it ended.
//!
//! Events are `say`, `progress`, `delta` (a part of the reply's text) and `end`, each with an id to resume from (`Last-Event-ID`). A comment every 15 seconds
//! keeps proxies from closing a quiet stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::execution::Follow;

/// The response that follows an execution to its end. When the store fails on the way, the stream just ends: the reader
/// resumes from the last id it got.
pub fn response(follow: Follow) -> Response {
    let id = follow.id();
    let events = stream::unfold(follow, |mut follow| async {
        match follow.next().await {
            Ok(event) => event.map(|event| {
                let event = Event::default().id(event.id).event(event.name).data(event.data);
                (Ok::<_, Infallible>(event), follow)
            }),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a stream was cut");
                None
            }
        }
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    // Proxies that would gather the events into one answer are told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let id = HeaderValue::from_str(&id.to_string()).expect("an id is plain text");
    headers.insert("flowgate-execution-id", id);
    response
}
