//! Conditions over a JSON value, and the choice of a part of one. Pure.
//!
//! A [`Filter`] is itself JSON, a superset of the syntax of Hookdeck's filters (<https://hookdeck.com/docs/filters>, read
//! 2026-08). A plain value wants equality, an object looks into an object, and where the checked value is a list, one of
//! its elements has to fit. A name may be a dotted path. Operators stand where a value would:
//! ```json
//! {"type":"order.paid", "data.total":{"$gt":100,"$lte":900}, "data.items":{"sku":{"$startsWith":"A-"}}}
//! {"$or":[{"tags":["new","paid"]},{"$not":{"customer.id":{"$in":[1,2]}}}], "note":{"$exist":false}}
//! {"updated_at":{"$neq":{"$ref":"created_at"}}, "lines":{"price":{"$lt":{"$ref":"lines[$index].list_price"}}}}
//! ```
//! What is absent passes `$exist: false` and negations by `$not`, and nothing else. Values of different types are never
//! equal, and neither less nor greater.

mod bare;
mod condition;
mod operator;
mod parse;
mod projection;
mod reference;
#[cfg(test)]
mod tests;
mod why;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use bare::bare;
pub use projection::Projection;
pub use why::Why;

use condition::{Condition, Scope};

/// A checked condition. Its JSON form is what it was parsed from. Clones are cheap.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Filter(Arc<Inner>);

struct Inner {
    source: Value,
    condition: Condition,
}

/// A filter or a projection that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(path))]
pub struct Invalid {
    /// Where in the filter, dotted; empty at its top.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("`{path}` ") }
}

impl Invalid {
    fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { path: path.into(), message: message.to_string() }
    }
}

impl Filter {
    /// Reads a filter with operators such as `$gt`.
    pub fn parse(source: &Value) -> Result<Self, Invalid> {
        let condition = parse::conditions(source, parse::Names::Dollar)?;
        Ok(Self(Arc::new(Inner { source: source.clone(), condition })))
    }

    /// Reads a filter whose operators may do without the dollar: `{"satisfaction_score":{"lt":3}}`, as in AgenticFlow's
    /// `conditions`. An object with an operator's name is read as operators; the outermost one never is.
    pub fn parse_bare(source: &Value) -> Result<Self, Invalid> {
        let condition = parse::conditions(source, parse::Names::Bare)?;
        Ok(Self(Arc::new(Inner { source: source.clone(), condition })))
    }

    /// Whether `value` fits, and why not. The work is bounded: a value on which it would take too long does not fit.
    pub fn check(&self, value: &Value) -> Result<(), Why> {
        let budget = condition::Budget::default();
        let scope = Scope::new(value, &budget);
        let holds = self.0.condition.holds(Some(value), scope);
        // A negation would turn an exhausted budget into a yes.
        if budget.is_exhausted() {
            return Err(Why::too_much());
        }
        if holds { Ok(()) } else { Err(why::of(&self.0.condition, value)) }
    }

    /// The JSON that it was parsed from.
    pub fn source(&self) -> &Value {
        &self.0.source
    }
}

impl TryFrom<Value> for Filter {
    type Error = Invalid;

    /// Of what a customer writes, only objects: what is filtered there always is one.
    fn try_from(source: Value) -> Result<Self, Invalid> {
        if source.is_object() { Self::parse(&source) } else { Err(Invalid::new("", "must be an object")) }
    }
}

impl From<Filter> for Value {
    fn from(filter: Filter) -> Self {
        filter.0.source.clone()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.source, f)
    }
}
