//! What can happen, and how it is told to others.
//!
//! An [`Event`] is a [`Type`], a time and [`Facts`]. Each event has a native name, such as `execution.succeeded`, and some
//! have AgenticFlow's name for the same besides, such as `workflow.execution.completed`: a *view*, whose `data` has the
//! fields that its page shows. The name decides what is in `data`, a [`Format`] what is around it. [`CATALOGUE`] is the
//! table of all names. The room is pure.

mod agenticflow;
mod catalogue;
mod example;
mod facts;
#[cfg(test)]
mod page;
mod pattern;
mod payload;
#[cfg(test)]
mod tests;
mod types;

pub use catalogue::{CATALOGUE, Row};
pub use example::example;
pub use facts::{
    Custom, Delivery, Error, Execution, Facts, Flow, Input, Message, Output, Promotion, Said, Session, Subscription,
    Version,
};
pub use pattern::{Invalid, Patterns};
pub use payload::Format;
pub use types::{BadType, CustomName, Type};

use crate::clock::Timestamp;
use crate::id::EventId;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// What it is.
    pub kind: Type,
    /// When it happened.
    pub at: Timestamp,
    /// What is known of it.
    pub facts: Facts,
}

impl Event {
    /// The conversation that it belongs to, in the caller's own terms.
    pub fn session(&self) -> Option<&str> {
        match &self.facts {
            Facts::Execution(facts) => facts.session_id.as_deref(),
            Facts::Output(facts) => facts.session_id.as_deref(),
            Facts::Session(facts) => Some(&facts.session_id),
            Facts::Message(facts) => Some(&facts.session_id),
            Facts::Custom(facts) => facts.session_id.as_deref(),
            Facts::Version(_) | Facts::Promotion(_) | Facts::Delivery(_) | Facts::Subscription(_) => None,
        }
    }
}
