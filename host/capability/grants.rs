//! What the operator permits a flow beyond what every flow has.
//!
//! As JSON, with every member optional:
//!
//! ```json
//! {
//!   "http": [{"host": "api.example.com", "methods": ["GET"], "paths": ["/v1/*"], "secrets": ["API_KEY"]}],
//!   "reveal": ["SIGNING_KEY"],
//!   "llm": {"models": ["fast"], "tokens_per_execution": 20000, "tokens_per_day": 1000000, "micro_usd_per_day": 5000000},
//!   "flows": ["translate"]
//! }
//! ```

use serde::{Deserialize, Serialize};

/// The grants of one flow. Nothing is granted by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// Where requests may go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpGrant>,
    /// Names of the secrets that the flow may see in clear.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reveal: Vec<String>,
    /// Language models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm: Option<LlmGrant>,
    /// Names of the flows that it may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<String>,
}

/// Where requests may go, how, and what they may carry. The operator's egress policy holds besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// A name, `*.` and a name for all below it, or an address; with `:port` where it is not the scheme's own.
    pub host: String,
    /// `https` unless it says `http`.
    #[serde(default, skip_serializing_if = "Scheme::is_https")]
    pub scheme: Scheme,
    /// `GET`, …; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Paths, where a `*` at the end stands for any rest; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Names of the secrets whose placeholders are filled in on the way there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// How a host is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// In clear.
    Http,
    /// By TLS.
    #[default]
    Https,
}

impl Scheme {
    fn is_https(&self) -> bool {
        *self == Self::Https
    }
}

/// Which models a flow may ask, and what it may spend on them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LlmGrant {
    /// Aliases of the operator's configuration.
    pub models: Vec<String>,
    /// Tokens, in and out, of one execution; without a limit of its own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_execution: Option<u64>,
    /// Tokens of one UTC day, of all executions of the flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Millionths of a US dollar of one UTC day. Needs prices in the configuration of the models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_usd_per_day: Option<u64>,
}
