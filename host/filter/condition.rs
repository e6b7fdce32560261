//! The tree of a filter, and whether it holds.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::operator::{Operator, same};
use super::reference::Reference;

/// Comparisons for one check. Some hundred conditions on a list of some thousand elements fit.
const STEPS_MAX: u32 = 1_000_000;

/// A node of the tree.
#[derive(Debug)]
pub(super) enum Condition {
    /// Equal to a plain value, or a list with such an element.
    Is(Value),
    /// Likewise, to what stands elsewhere in the same value.
    Same(Reference),
    /// A list with an element for each.
    Each(Vec<Condition>),
    /// An object whose members fit, or a list with such an element.
    Members(Vec<(String, Condition)>),
    /// All of the operators; those that do not take lists need one element that fits all of them.
    Operators(Vec<Operator>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

/// The comparisons that are left.
pub(super) struct Budget(Cell<u32>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(STEPS_MAX))
    }
}

impl Budget {
    fn spend(&self, comparisons: usize) {
        let comparisons = u32::try_from(comparisons).unwrap_or(u32::MAX);
        self.0.set(self.0.get().saturating_sub(comparisons));
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.0.get() == 0
    }
}

/// Where a condition stands: in which value, and in which elements of its lists.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) root: &'a Value,
    budget: &'a Budget,
    element: Option<(usize, &'a Scope<'a>)>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(root: &'a Value, budget: &'a Budget) -> Self {
        Self { root, budget, element: None }
    }

    pub(super) fn element(&'a self, index: usize) -> Scope<'a> {
        Scope { element: Some((index, self)), ..*self }
    }

    /// The indices of the elements that enclose this one, outermost first.
    pub(super) fn indices(&self) -> Vec<usize> {
        let mut indices = self.element.map_or_else(Vec::new, |(_, outer)| outer.indices());
        indices.extend(self.element.map(|(index, _)| index));
        indices
    }
}

impl Condition {
    /// Whether it holds for a value, which may be absent.
    pub(super) fn holds(&self, value: Option<&Value>, scope: Scope<'_>) -> bool {
        scope.budget.spend(1);
        if scope.budget.is_exhausted() {
            return false;
        }
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(value, scope)),
            Self::Any(any) => any.iter().any(|one| one.holds(value, scope)),
            Self::Not(one) => !one.holds(value, scope),
            Self::Operators(operators) => hold(operators, value, scope),
            Self::Members(members) => match value {
                Some(Value::Array(list)) => some(list, scope, |element, scope| self.holds(Some(element), scope)),
                Some(Value::Object(object)) => {
                    members.iter().all(|(name, condition)| member(object, name, condition, scope))
                }
                _ => members.iter().all(|(_, condition)| condition.holds(None, scope)),
            },
            Self::Each(each) => hold_each(each, value, scope),
            Self::Is(wanted) => value.is_some_and(|value| is(wanted, value, scope)),
            Self::Same(reference) => {
                let wanted = reference.find(scope);
                value.zip(wanted).is_some_and(|(value, wanted)| is(wanted, value, scope))
            }
        }
    }
}

/// Whether an element fits.
fn some(list: &[Value], scope: Scope<'_>, fits: impl Fn(&Value, Scope<'_>) -> bool) -> bool {
    list.iter().enumerate().any(|(index, element)| fits(element, scope.element(index)))
}

/// Whether a value is a list with an element for each condition.
pub(super) fn hold_each(each: &[Condition], value: Option<&Value>, scope: Scope<'_>) -> bool {
    let fits = |list: &Vec<Value>, one: &Condition| some(list, scope, |element, scope| one.holds(Some(element), scope));
    value.and_then(Value::as_array).is_some_and(|list| each.iter().all(|one| fits(list, one)))
}

fn is(wanted: &Value, value: &Value, scope: Scope<'_>) -> bool {
    scope.budget.spend(1);
    same(wanted, value)
        || value.as_array().is_some_and(|list| {
            !scope.budget.is_exhausted() && some(list, scope, |element, scope| is(wanted, element, scope))
        })
}

/// Whether a value, which may be absent, passes all of the operators.
pub(super) fn hold(operators: &[Operator], value: Option<&Value>, scope: Scope<'_>) -> bool {
    let (whole, single): (Vec<_>, Vec<_>) = operators.iter().partition(|operator| operator.takes_lists());
    hold_all(&whole, value, scope)
        && match value {
            Some(Value::Array(list)) if !single.is_empty() => {
                some(list, scope, |element, scope| hold_all(&single, Some(element), scope))
            }
            value => hold_all(&single, value, scope),
        }
}

fn hold_all(operators: &[&Operator], value: Option<&Value>, scope: Scope<'_>) -> bool {
    operators.iter().all(|operator| {
        scope.budget.spend(operator.cost(value));
        !scope.budget.is_exhausted() && operator.holds(value, scope)
    })
}

/// Whether the member called `name` fits: the one of exactly this name if there is one, otherwise the end of the path.
pub(super) fn member(object: &Map<String, Value>, name: &str, condition: &Condition, scope: Scope<'_>) -> bool {
    if let Some(value) = object.get(name) {
        return condition.holds(Some(value), scope);
    }
    let Some((first, rest)) = name.split_once('.') else { return condition.holds(None, scope) };
    at(object.get(first), rest, condition, scope)
}

fn at(value: Option<&Value>, path: &str, condition: &Condition, scope: Scope<'_>) -> bool {
    match value {
        Some(Value::Object(object)) => member(object, path, condition, scope),
        Some(Value::Array(list)) => some(list, scope, |element, scope| at(Some(element), path, condition, scope)),
        _ => condition.holds(None, scope),
    }
}
