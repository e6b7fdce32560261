//! Reading conditions whose operators do without the dollar, with serde.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::Filter;

/// For `#[serde(default, deserialize_with = "filter::bare")]` at a field that holds [`Filter::parse_bare`]'s JSON; null and
/// absence are no filter, and it is an object.
pub fn bare<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Filter>, D::Error> {
    let source = Option::<Map<String, Value>>::deserialize(deserializer)?;
    source.map(|source| Filter::parse_bare(&source.into()).map_err(D::Error::custom)).transpose()
}
