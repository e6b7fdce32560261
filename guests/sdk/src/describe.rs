//! What a flow says about itself.

use serde::Serialize;
use serde_json::Value;

/// What a flow says about itself, for `flow!(handle, describe = …)`.
///
/// ```
/// use flowgate::{Description, Reply, Result, Trigger};
///
/// fn handle(trigger: Trigger) -> Result {
///     Ok(Reply::text(trigger.message()?))
/// }
///
/// flowgate::flow!(handle, describe = Description { title: Some("Parrot".into()), ..Description::default() });
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Description {
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the flow does, in a sentence or two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// A JSON Schema of the reply's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Hosts that the flow would like to reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Names of secrets that the flow would like to use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Models that the flow would like to use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
}
