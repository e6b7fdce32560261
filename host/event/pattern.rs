//! Which events a subscription wants.

use serde::{Deserialize, Serialize};

use super::{CATALOGUE, CustomName, Event, Format};

/// Patterns of one subscription at most.
const PATTERNS_MAX: usize = 64;

/// Names of events, and wildcards: `*`, or `execution.*` for all names that begin so. JSON: a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Patterns(Vec<String>);

/// A pattern that no event could ever have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// None, or too many.
    #[error("has {0} entries; allowed: 1 to {PATTERNS_MAX}")]
    Number(usize),
    /// No event is called like this.
    #[error("has `{pattern}`, which is no event{}", nearest(.near.as_deref()))]
    Unknown {
        /// What was written.
        pattern: String,
        /// What may have been meant.
        near: Option<String>,
    },
}

fn nearest(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("; did you mean `{near}`?"),
        None => "; GET /v1/events lists them".to_owned(),
    }
}

impl Patterns {
    /// Checks that each pattern names an event that there is. Custom events can be named before a flow tells of one.
    pub fn parse(patterns: Vec<String>) -> Result<Self, Invalid> {
        if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
            return Err(Invalid::Number(patterns.len()));
        }
        match patterns.iter().find(|pattern| !is_known(pattern)) {
            Some(pattern) => Err(Invalid::Unknown { pattern: pattern.clone(), near: near(pattern) }),
            None => Ok(Self(patterns)),
        }
    }

    /// As they were written.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The name under which an event is wanted; none when it is not. An event with two names is told once: under the one
    /// that is native to the format, where both are wanted.
    pub fn name_of(&self, event: &Event, format: Format) -> Option<String> {
        let native = Some(event.kind.to_string());
        let view = event.view().map(str::to_owned);
        let names = match format {
            Format::Native => [native, view],
            Format::AgenticFlow => [view, native],
        };
        names.into_iter().flatten().find(|name| self.0.iter().any(|pattern| fits(pattern, name)))
    }
}

impl TryFrom<Vec<String>> for Patterns {
    type Error = Invalid;

    fn try_from(patterns: Vec<String>) -> Result<Self, Invalid> {
        Self::parse(patterns)
    }
}

impl From<Patterns> for Vec<String> {
    fn from(patterns: Patterns) -> Self {
        patterns.0
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(beginning) => beginning.ends_with('.') && name.starts_with(beginning),
        None => pattern == name,
    }
}

fn is_known(pattern: &str) -> bool {
    let custom = pattern.strip_prefix("custom.").map(|name| name.strip_suffix(".*").unwrap_or(name));
    custom.is_some_and(|name| CustomName::parse(name).is_ok()) || CATALOGUE.iter().any(|row| fits(pattern, row.name))
}

/// The name of the catalogue that is most like the pattern, if any is: by the words that both have, then by how far they
/// begin alike.
fn near(pattern: &str) -> Option<String> {
    let words = |name: &str| pattern.split('.').filter(|word| name.split('.').any(|other| other == *word)).count();
    let alike = |name: &str| name.bytes().zip(pattern.bytes()).take_while(|(one, other)| one == other).count();
    let best = CATALOGUE.iter().map(|row| row.name).max_by_key(|name| (words(name), alike(name)))?;
    (words(best) > 0 || alike(best) > 3).then(|| best.to_owned())
}
