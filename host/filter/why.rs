//! Why a value does not fit.

use std::fmt;
use std::slice;

use serde_json::Value;

use super::condition::{Budget, Condition, Scope, hold, hold_each, member};
use super::operator::Operator;

/// Characters of a value that are shown.
const SHOWN_CHARS: usize = 80;

/// The first thing that did not fit. As text: "`data.total` is 3, not greater than 10".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Where in the value, for example `data.items[0].sku`; empty for the value itself.
    pub path: String,
    /// What is there, as JSON, shortened; or "absent".
    pub found: String,
    /// What had to be there, such as "greater than 10".
    pub wanted: String,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, found, wanted } = self;
        match path.as_str() {
            "" => write!(f, "the value is {found}, not {wanted}"),
            path => write!(f, "`{path}` is {found}, not {wanted}"),
        }
    }
}

impl Why {
    /// The same without what was found, for records that must not hold content.
    pub fn without_content(&self) -> Self {
        Self { found: "otherwise".to_owned(), ..self.clone() }
    }

    pub(super) fn too_much() -> Self {
        let found = "too large for this filter".to_owned();
        Self { path: String::new(), found, wanted: "checkable in bounded time".to_owned() }
    }
}

/// Why `condition` does not hold for `root`, after it was found not to.
pub(super) fn of(condition: &Condition, root: &Value) -> Why {
    let budget = Budget::default();
    explain(condition, Some(root), String::new(), Scope::new(root, &budget))
}

/// Follows the first branch that does not hold down to its end. Each level checks its branches again, which the depth of a
/// filter bounds.
fn explain(condition: &Condition, value: Option<&Value>, path: String, scope: Scope<'_>) -> Why {
    let wanted = match condition {
        Condition::All(all) => match all.iter().find(|one| !one.holds(value, scope)) {
            Some(one) => return explain(one, value, path, scope),
            None => "as wanted".to_owned(),
        },
        Condition::Any(any) => match any.as_slice() {
            [only] => return explain(only, value, path, scope),
            any => format!("as any of the {} conditions of `$or` want it", any.len()),
        },
        Condition::Members(members) => return explain_members(members, value, path, scope),
        Condition::Not(_) => "what `$not` lets pass".to_owned(),
        Condition::Is(wanted) => short(wanted),
        Condition::Same(reference) => reference.to_string(),
        Condition::Each(each) => match each.iter().find(|one| !hold_each(slice::from_ref(one), value, scope)) {
            Some(Condition::Is(wanted)) => format!("with {} in it", short(wanted)),
            Some(_) => "with an element for each that is wanted".to_owned(),
            None => "a list".to_owned(),
        },
        Condition::Operators(all) => match all.iter().find(|one| !hold(slice::from_ref(one), value, scope)) {
            Some(one) => one.wanted(),
            None => all.iter().map(Operator::wanted).collect::<Vec<_>>().join(" and "),
        },
    };
    Why { path, found: value.map_or_else(|| "absent".to_owned(), short), wanted }
}

fn explain_members(members: &[(String, Condition)], value: Option<&Value>, path: String, scope: Scope<'_>) -> Why {
    match value {
        Some(Value::Array(list)) => {
            first_of(list, path, scope, |element, path, scope| explain_members(members, Some(element), path, scope))
        }
        Some(Value::Object(object)) => {
            let failed = members.iter().find(|(name, condition)| !member(object, name, condition, scope));
            let (name, condition) = failed.unwrap_or(&members[0]);
            explain_at(value, name, condition, path, scope)
        }
        _ => {
            let failed = members.iter().find(|(_, condition)| !condition.holds(None, scope));
            let (name, condition) = failed.unwrap_or(&members[0]);
            explain(condition, None, join(&path, name), scope)
        }
    }
}

/// Follows a dotted name.
fn explain_at(value: Option<&Value>, name: &str, condition: &Condition, path: String, scope: Scope<'_>) -> Why {
    match value {
        Some(Value::Array(list)) => {
            first_of(list, path, scope, |element, path, scope| explain_at(Some(element), name, condition, path, scope))
        }
        Some(Value::Object(object)) => match (object.get(name), name.split_once('.')) {
            (None, Some((first, rest))) => explain_at(object.get(first), rest, condition, join(&path, first), scope),
            (value, _) => explain(condition, value, join(&path, name), scope),
        },
        _ => explain(condition, None, join(&path, name), scope),
    }
}

/// Explains the first element, and says how many others there are.
fn first_of(list: &[Value], path: String, scope: Scope<'_>, of: impl Fn(&Value, String, Scope<'_>) -> Why) -> Why {
    let Some(first) = list.first() else {
        return Why { path, found: "an empty list".to_owned(), wanted: "one with an element that fits".to_owned() };
    };
    let mut why = of(first, format!("{path}[0]"), scope.element(0));
    if list.len() > 1 {
        why.wanted += &format!(", and no other of the {} elements fits", list.len());
    }
    why
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The JSON of a value, cut when it is long.
pub(super) fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
