//! Write Flowgate flows in Rust.
//!
//! A flow is a function from a [`Trigger`] to a [`Reply`]. [`flow!`] makes it the component's export:
//!
//! ```
//! use flowgate::{Reply, Result, Trigger};
//!
//! flowgate::flow!(|trigger: Trigger| -> Result { Ok(Reply::text(format!("hello, {}", trigger.message()?))) });
//! ```
//!
//! The crate is a `cdylib` and is built by `cargo build --release --target wasm32-wasip2`; no other tool is needed.
//!
//! # Input
//!
//! [`Trigger::data`] parses the payload into a type of yours. What does not fit becomes a 422 that names the field, what
//! was expected there and what was received, with no code on your side:
//!
//! ```
//! use flowgate::{Reply, Result, Trigger};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     lines: Vec<Line>,
//! }
//!
//! #[derive(Deserialize)]
//! struct Line {
//!     quantity: u32,
//!     cents: u64,
//! }
//!
//! #[derive(Serialize)]
//! struct Total {
//!     cents: u64,
//! }
//!
//! fn handle(trigger: Trigger) -> Result {
//!     let order: Order = trigger.data()?;
//!     let cents = order.lines.iter().map(|line| u64::from(line.quantity) * line.cents).sum();
//!     Reply::json(&Total { cents })
//! }
//!
//! flowgate::flow!(handle);
//! ```
//!
//! # Failure
//!
//! `?` works on any [`std::error::Error`] and makes the execution fail with its text. [`Failure::retry`] asks for another
//! attempt, [`Failure::invalid`] blames the caller. A panic ends the execution too, and its message is in the log.
//!
//! # The host
//!
//! [`output`] says something before the reply, [`events`] tells subscribers, [`session`] remembers a conversation, [`keyvalue`]
//! whatever the flow keeps, [`http`] asks others, with [`secrets`] that the flow does not see, [`flows`] calls other flows,
//! [`spans`] names what takes time, [`log`] logs and [`config`] reads settings.
//! A component imports only those that it uses.
//!
//! # Language models
//!
//! [`llm`] asks models that the operator granted; [`Agent`] lets one call functions of yours until it has an answer.
//!
//! # Tests
//!
//! On your own machine the host is a small one in memory, so `cargo test` runs whole flows; see `flowgate::testing`.

pub mod agent;
#[cfg(all(target_family = "wasm", feature = "async"))]
pub mod asynchronous;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
pub mod config;
mod describe;
pub mod events;
mod failure;
mod flow;
pub mod flows;
#[cfg(target_family = "wasm")]
mod host;
pub mod http;
mod input;
pub mod keyvalue;
pub mod llm;
pub mod log;
pub mod output;
mod reply;
pub mod secrets;
pub mod session;
pub mod spans;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod trigger;

pub use agent::Agent;
pub use describe::Description;
pub use failure::{Failure, InputError, Result};
pub use reply::{HttpReply, Reply};
/// What the arguments of a tool derive their JSON Schema by. The derive needs `#[schemars(crate = "flowgate::schemars")]`
/// unless the crate depends on `schemars` itself.
pub use schemars::{self, JsonSchema};
pub use trigger::{Header, Request, Trigger};

#[cfg(not(target_family = "wasm"))]
use testing::host;

/// What the macros expand to. Not for authors; it may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::flow::*;
}
