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

use super::http_grant::HttpGrant;
use super::secrets::check_secret_name;
use crate::id;
use crate::llm::Limits;

/// Entries of each list of grants, and of each list in one.
pub const GRANTS_MAX: usize = 100;

/// Characters of the alias of a model.
pub const MODEL_CHARS_MAX: usize = 100;

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

/// A member that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadGrant {
    /// Its dotted path.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl BadGrant {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Grants {
    /// What the flow may spend on language models.
    pub fn llm_limits(&self) -> Limits {
        self.llm.as_ref().map_or(Limits::default(), |llm| Limits {
            tokens_per_execution: llm.tokens_per_execution,
            tokens_per_day: llm.tokens_per_day,
            micro_usd_per_day: llm.micro_usd_per_day,
        })
    }

    /// Everything that cannot be as it is; empty when the grants can be kept.
    pub fn faults(&self) -> Vec<BadGrant> {
        let mut faults = Vec::new();
        long("http", &self.http, &mut faults);
        for (at, grant) in self.http.iter().enumerate() {
            grant.check(&format!("http[{at}]"), &mut faults);
        }
        names("reveal", &self.reveal, check_secret_name, &mut faults);
        if let Some(llm) = &self.llm {
            names("llm.models", &llm.models, model, &mut faults);
        }
        names("flows", &self.flows, |name| id::check_name(name).map_err(|rule| rule.to_string()), &mut faults);
        faults
    }
}

fn model(name: &str) -> Result<(), String> {
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
    if (1..=MODEL_CHARS_MAX).contains(&name.len()) && printable {
        return Ok(());
    }
    Err(format!("has 1 to {MODEL_CHARS_MAX} printable characters of ASCII, none of them a space"))
}

/// Checks each entry of a list of names.
pub(super) fn names(
    field: &str,
    list: &[String],
    check: impl Fn(&str) -> Result<(), String>,
    faults: &mut Vec<BadGrant>,
) {
    long(field, list, faults);
    for (at, name) in list.iter().enumerate() {
        if let Err(rule) = check(name) {
            faults.push(BadGrant::new(format!("{field}[{at}]"), format!("is `{name}`; {rule}")));
        }
    }
}

pub(super) fn long<T>(field: &str, list: &[T], faults: &mut Vec<BadGrant>) {
    if list.len() > GRANTS_MAX {
        faults.push(BadGrant::new(field, format!("has {} entries; allowed: {GRANTS_MAX}", list.len())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        let grants: Grants = serde_json::from_value(serde_json::json!({
            "http": [
                {"host": "Example.com", "methods": ["get"], "paths": ["v1"], "secrets": ["key"]},
                {"host": "api.example.com", "paths": ["/v1/*"]},
            ],
            "reveal": ["OK", "no"],
            "llm": {"models": ["", "fast"]},
            "flows": ["Bad"],
        }))
        .unwrap();
        let fields = grants.faults().into_iter().map(|fault| fault.field).collect::<Vec<_>>();
        let named = ["http[0].host", "http[0].methods[0]", "http[0].paths[0]", "http[0].secrets[0]"];
        assert_eq!(fields, [&named[..], &["reveal[1]", "llm.models[0]", "flows[0]"]].concat());
        assert_eq!(Grants::default().faults(), []);
        let many = Grants { flows: vec!["a".to_owned(); GRANTS_MAX + 1], ..Grants::default() };
        assert_eq!(many.faults()[0].field, "flows");
    }
}
