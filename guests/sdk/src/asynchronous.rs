//! Flows of the asynchronous world, `flowgate:flow@0.2.0`, with the feature `async`: several calls under way at one time, and
//! replies that stream. For the target only; what can be tested elsewhere is what the flow is made of.
//!
//! ```ignore
//! use flowgate::asynchronous::{self, Streaming};
//! use flowgate::{Result, Trigger};
//!
//! async fn handle(trigger: Trigger) -> Result<Streaming> {
//!     let words = trigger.message()?.to_owned();
//!     let (reply, mut parts) = asynchronous::streaming("You said: ");
//!     asynchronous::spawn(async move {
//!         for word in words.split_inclusive(' ') {
//!             parts.write(word).await;
//!         }
//!     });
//!     Ok(reply)
//! }
//!
//! flowgate::flow_async!(handle);
//! ```
//!
//! Several calls are under way at one time by [`join`] and [`join_all`]:
//!
//! ```ignore
//! let chat = Chat::new("fast").user("Is this spam?");
//! let (verdict, profile) = asynchronous::join(asynchronous::chat(&chat), asynchronous::fetch(http::get(url))).await;
//! ```
//!
//! The rest of the SDK works here, too: secrets, events, spans, config and the log. Those of its calls that wait, such as
//! [`llm::Chat::send`](crate::llm::Chat::send), hold up the whole flow; those of this module do not.

mod flows;
pub mod keyvalue;
mod llm;
pub mod session;

use std::time::Duration;

use wit_bindgen::StreamWriter;

use crate::{Failure, Header, HttpReply, InputError, Reply, Request, Result, Trigger, http, output};

use bindings::flowgate::flow::{flow_types as wire, http as wire_http, output as wire_output};
use bindings::wasi::clocks::monotonic_clock;

/// The generated bindings.
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: [
            "wit/deps/wasi-clocks-0.3.0",
            "wit/deps/wasi-logging-0.1.0-draft",
            "wit/deps/wasi-config-0.2.0-rc.1",
            "wit/flow-0.2.0",
        ],
        with: { "flowgate:flow/llm-types@0.2.0": crate::bindings::flowgate::flow::llm },
        inline: "package flowgate:sdk;
            world asynchronous { include flowgate:flow/flow@0.2.0; import wasi:clocks/monotonic-clock@0.3.0; }",
        world: "flowgate:sdk/asynchronous",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_async_handler",
    });
}

#[doc(hidden)]
pub use bindings::exports::flowgate::flow::handler::Guest as Handler;
#[doc(hidden)]
pub use wire::{Failure as WireFailure, Reply as WireReply, Trigger as WireTrigger};

pub use self::flows::{call, start};
pub use self::llm::{Words, chat, embed, open};

/// Waits for two things at one time, and [`join_all`] for any number.
pub use futures_util::future::{join, join_all};

/// Runs `task` beside the rest of the flow. The execution does not wait for it, but for the stream of its reply.
pub use wit_bindgen::spawn_local as spawn;

/// Makes an asynchronous function the component's export, and so the crate a flow of the asynchronous world.
///
/// The function takes a [`Trigger`] and returns a [`Result`] of a [`Streaming`] reply, of a [`Reply`] or of what becomes
/// one. Once per crate.
#[macro_export]
macro_rules! flow_async {
    ($handle:expr $(,)?) => {
        const _: () = {
            struct __Flow;
            impl $crate::asynchronous::Handler for __Flow {
                async fn handle(
                    trigger: $crate::asynchronous::WireTrigger,
                ) -> ::std::result::Result<$crate::asynchronous::WireReply, $crate::asynchronous::WireFailure> {
                    $crate::asynchronous::handle($handle, trigger).await
                }
            }
            $crate::asynchronous::bindings::export_async_handler!(
                __Flow with_types_in $crate::asynchronous::bindings
            );
        };
    };
}

/// Calls the author's function.
#[doc(hidden)]
pub async fn handle<R: Into<Streaming>, F: Future<Output = Result<R>>>(
    handle: impl FnOnce(Trigger) -> F,
    trigger: WireTrigger,
) -> std::result::Result<WireReply, WireFailure> {
    match handle(trigger.into()).await {
        Ok(reply) => Ok(reply.into().into()),
        Err(failure) => Err(failure.into()),
    }
}

/// A reply whose text may still be coming.
pub struct Streaming {
    reply: Reply,
    stream: Option<wit_bindgen::StreamReader<String>>,
}

/// Takes the parts of a reply's text. The reply is whole when this is dropped.
pub struct Parts(StreamWriter<String>);

/// A reply that begins with `first`, and goes on with what is written to the [`Parts`].
pub fn streaming(first: impl Into<Reply>) -> (Streaming, Parts) {
    let (parts, stream) = bindings::wit_stream::new();
    (Streaming { reply: first.into(), stream: Some(stream) }, Parts(parts))
}

impl Parts {
    /// Adds a part, which goes to a streaming caller at once. Waits while the caller reads slowly.
    pub async fn write(&mut self, part: impl Into<String>) {
        // The host takes parts to the end, even when the caller has gone.
        self.0.write_one(part.into()).await;
    }
}

impl<R: Into<Reply>> From<R> for Streaming {
    fn from(reply: R) -> Self {
        Self { reply: reply.into(), stream: None }
    }
}

/// Waits for so long.
pub async fn sleep(time: Duration) {
    monotonic_clock::wait_for(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).await;
}

/// As [`output::say`], beside other calls.
pub async fn say(text: &str) -> Result<(), output::Error> {
    wire_output::say(Some(text.to_owned()), None).await.map_err(|error| match error {
        wire_output::Error::Gone => output::Error::Gone,
        wire_output::Error::OverLimit(limit) => output::Error::OverLimit(limit),
        wire_output::Error::Invalid(reason) => output::Error::Invalid(reason),
    })
}

/// As [`http::Request::send`], beside other calls.
pub async fn fetch(request: http::Request) -> Result<http::Response, http::Error> {
    let http::Request { method, url, headers, body, timeout } = request;
    let headers = headers.into_iter().map(|h| wire::Header { name: h.name, value: h.value }).collect();
    let timeout_ms = timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let body = body.map_err(http::Error::Invalid)?;
    let answer = wire_http::fetch(wire_http::Request { method, url, headers, body, timeout_ms }).await;
    let answer = answer.map_err(|error| match error {
        wire_http::Error::NotGranted(text) => http::Error::NotGranted(text),
        wire_http::Error::Invalid(text) => http::Error::Invalid(text),
        wire_http::Error::Unreachable(text) => http::Error::Unreachable(text),
        wire_http::Error::Timeout => http::Error::Timeout,
        wire_http::Error::OverLimit(text) => http::Error::OverLimit(text),
    })?;
    let headers = answer.headers.into_iter().map(|h| Header { name: h.name, value: h.value }).collect();
    Ok(http::Response { status: answer.status, headers, body: answer.body })
}

impl From<WireTrigger> for Trigger {
    fn from(t: WireTrigger) -> Self {
        let wire::Request { method, path, query, headers, body, peer } = t.request;
        let headers = headers.into_iter().map(|h| Header { name: h.name, value: h.value }).collect();
        Self {
            execution_id: t.execution_id,
            flow: t.flow,
            version: t.version,
            hook: t.hook,
            dialect: t.dialect,
            attempt: t.attempt,
            received_at_ms: t.received_at_ms,
            deadline_ms: t.deadline_ms,
            message: t.message,
            user_id: t.user_id,
            session_id: t.session_id,
            data: t.data,
            metadata: t.metadata,
            request: Request { method, path, query, headers, body, peer },
        }
    }
}

impl From<Streaming> for WireReply {
    fn from(Streaming { reply, stream }: Streaming) -> Self {
        let raw = reply.raw.map(|HttpReply { status, headers, body }| {
            let headers = headers.into_iter().map(|h| wire::Header { name: h.name, value: h.value }).collect();
            wire::HttpReply { status, headers, body }
        });
        Self { text: reply.text, stream, data: reply.data, raw }
    }
}

impl From<Failure> for WireFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InvalidInput(InputError { field, expected, received, message }) => {
                Self::InvalidInput(wire::InputError { field, expected, received, message })
            }
            Failure::Failed(message) => Self::Failed(message),
            Failure::Retry { after, message } => {
                let after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                Self::Retry(wire::RetryAfter { after_ms, message })
            }
        }
    }
}
