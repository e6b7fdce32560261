//! The choice of a part of a value.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Invalid;

/// Paths of a projection at most.
const PATHS_MAX: usize = 64;
/// Characters of a path.
const PATH_CHARS_MAX: usize = 256;

/// Dotted paths of what is kept. In a list, the path goes on in each element. Its JSON form is the list of the paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Projection(Vec<String>);

impl Projection {
    /// Checks the paths, for example `output_data.order_id`.
    pub fn parse(paths: Vec<String>) -> Result<Self, Invalid> {
        if paths.is_empty() || paths.len() > PATHS_MAX {
            return Err(Invalid::new("", format_args!("has {} paths; allowed: 1 to {PATHS_MAX}", paths.len())));
        }
        for (index, path) in paths.iter().enumerate() {
            if path.split('.').any(str::is_empty) || path.chars().count() > PATH_CHARS_MAX {
                let allowed = "names with a dot between them, 256 characters at most";
                return Err(Invalid::new(format!("[{index}]"), format_args!("is `{path}`; allowed: {allowed}")));
            }
        }
        Ok(Self(paths))
    }

    /// The part of `value` that the paths lead to, nested as it was. What is absent is left out.
    pub fn of(&self, value: &Value) -> Value {
        let paths = self.0.iter().map(String::as_str).collect::<Vec<_>>();
        part(value, &paths).unwrap_or_else(|| Value::Object(Map::new()))
    }
}

impl TryFrom<Vec<String>> for Projection {
    type Error = Invalid;

    fn try_from(paths: Vec<String>) -> Result<Self, Invalid> {
        Self::parse(paths)
    }
}

impl From<Projection> for Vec<String> {
    fn from(projection: Projection) -> Self {
        projection.0
    }
}

/// What the paths lead to; `None` when that is nothing.
fn part(value: &Value, paths: &[&str]) -> Option<Value> {
    match value {
        Value::Array(list) => {
            let parts = list.iter().filter_map(|element| part(element, paths)).collect::<Vec<_>>();
            (!parts.is_empty()).then_some(Value::Array(parts))
        }
        Value::Object(object) => {
            let member = |(name, value): (&String, &Value)| Some((name.clone(), member(name, value, paths)?));
            let kept = object.iter().filter_map(member).collect::<Map<_, _>>();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => None,
    }
}

/// What is kept of the member called `name`: all of it, or what the paths that begin with it lead to.
fn member(name: &str, value: &Value, paths: &[&str]) -> Option<Value> {
    if paths.contains(&name) {
        return Some(value.clone());
    }
    let inner = paths.iter().filter_map(|path| path.strip_prefix(name)?.strip_prefix('.')).collect::<Vec<_>>();
    if inner.is_empty() { None } else { part(value, &inner) }
}
