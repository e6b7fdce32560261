//! The native types of events.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares the types with their names.
macro_rules! types {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// What an event is. Its text and JSON form is its native name.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Type {
            $($(#[$doc])* $variant,)*
            /// Whatever a flow says: `custom.` and a name.
            Custom(CustomName),
        }

        impl Type {
            /// All but the custom ones, in the order in which they are told of.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The native name, without the own part of a custom one.
            fn fixed(&self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Custom(_) => "custom",
                }
            }
        }
    };
}

types! {
    /// A flow begins to run.
    ExecutionStarted "execution.started";
    /// A flow has answered.
    ExecutionSucceeded "execution.succeeded";
    /// A flow has failed, or was stopped for breaking a limit.
    ExecutionFailed "execution.failed";
    /// An execution was canceled.
    ExecutionCanceled "execution.canceled";
    /// An execution was not done in time.
    ExecutionTimedOut "execution.timed_out";
    /// A flow says something before its reply.
    ExecutionOutput "execution.output";
    /// A conversation begins.
    SessionStarted "session.started";
    /// A person or a system says something in a conversation.
    SessionMessageReceived "session.message.received";
    /// A flow answers in a conversation.
    SessionMessageSent "session.message.sent";
    /// A conversation has ended.
    SessionCompleted "session.completed";
    /// A component was uploaded.
    VersionCreated "flow.version.created";
    /// A version is compiled and can run.
    VersionReady "flow.version.ready";
    /// A version cannot run.
    VersionFailed "flow.version.failed";
    /// An alias points to another version.
    FlowPromoted "flow.promoted";
    /// A receiver has failed several times in a row.
    DeliveryFailing "delivery.failing";
    /// A receiver that failed answers again.
    DeliveryRecovered "delivery.recovered";
    /// A delivery was given up.
    DeliveryExhausted "delivery.exhausted";
    /// A subscription was disabled by its receiver, or for failing too long.
    SubscriptionDisabled "subscription.disabled";
}

/// The own part of a custom event's name: 1 to 64 of `a-z 0-9 _ - .`, with no dot at an end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CustomName(Arc<str>);

impl CustomName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, BadType> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
        let ends = name.starts_with('.') || name.ends_with('.');
        let fits = (1..=64).contains(&name.len()) && name.bytes().all(plain) && !ends;
        if fits { Ok(Self(name.into())) } else { Err(BadType(format!("custom.{name}"))) }
    }

    /// Without `custom.`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text names no native event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the type of an event")]
pub struct BadType(pub String);

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fixed())?;
        match self {
            Self::Custom(name) => write!(f, ".{}", name.as_str()),
            _ => Ok(()),
        }
    }
}

impl FromStr for Type {
    type Err = BadType;

    fn from_str(text: &str) -> Result<Self, BadType> {
        if let Some(name) = text.strip_prefix("custom.") {
            return CustomName::parse(name).map(Self::Custom);
        }
        Self::ALL.iter().find(|one| one.fixed() == text).cloned().ok_or_else(|| BadType(text.to_owned()))
    }
}

impl Serialize for Type {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
