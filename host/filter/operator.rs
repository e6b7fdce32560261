//! The operators.

use std::cmp::Ordering;
use std::fmt;

use regex::Regex;
use serde_json::{Number, Value};

use super::condition::Scope;
use super::reference::Reference;
use super::why::short;

/// What a value is compared with.
#[derive(Debug)]
pub(super) enum Operand {
    Value(Value),
    Reference(Reference),
}

impl Operand {
    fn find<'a>(&'a self, scope: Scope<'a>) -> Option<&'a Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Reference(reference) => reference.find(scope),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.write_str(&short(value)),
            Self::Reference(reference) => reference.fmt(f),
        }
    }
}

/// A comparison.
#[derive(Debug)]
pub(super) enum Operator {
    Equal(Operand),
    NotEqual(Operand),
    Greater(Operand),
    AtLeast(Operand),
    Less(Operand),
    AtMost(Operand),
    /// One of a list; with a plain value, the same as `Contains`.
    In(Operand),
    NotIn(Operand),
    /// A text with this part, or a list with this element, or with all of these.
    Contains(Operand),
    /// Begins with this text, or with one of these.
    StartsWith(Operand),
    EndsWith(Operand),
    Exists(bool),
    Like(Regex),
}

impl Operator {
    /// False for those that look at a single value, and so at each element of a list.
    pub(super) fn takes_lists(&self) -> bool {
        use Operator::{AtLeast, AtMost, EndsWith, Greater, Less, Like, StartsWith};
        !matches!(self, Greater(_) | AtLeast(_) | Less(_) | AtMost(_) | StartsWith(_) | EndsWith(_) | Like(_))
    }

    /// The comparisons that it takes, roughly.
    pub(super) fn cost(&self, value: Option<&Value>) -> usize {
        let length = |value: &Value| value.as_array().map_or(1, Vec::len).max(1);
        let operand = match self {
            Self::In(operand) | Self::NotIn(operand) | Self::Contains(operand) => operand,
            _ => return 1,
        };
        // What a reference leads to is at most as long as the value that it is a part of.
        let wanted = if let Operand::Value(operand) = operand { length(operand) } else { 1_000 };
        value.map_or(1, length).saturating_mul(wanted)
    }

    /// Whether it holds for a value, which may be absent.
    pub(super) fn holds(&self, value: Option<&Value>, scope: Scope<'_>) -> bool {
        let (operand, compare): (_, fn(&Value, &Value) -> bool) = match self {
            Self::Exists(wanted) => return value.is_some() == *wanted,
            Self::Like(pattern) => return value.and_then(Value::as_str).is_some_and(|text| pattern.is_match(text)),
            Self::Equal(operand) => (operand, same),
            Self::NotEqual(operand) => (operand, |value, other| !same(value, other)),
            Self::Greater(operand) => (operand, |value, other| order(value, other).is_some_and(Ordering::is_gt)),
            Self::AtLeast(operand) => (operand, |value, other| order(value, other).is_some_and(Ordering::is_ge)),
            Self::Less(operand) => (operand, |value, other| order(value, other).is_some_and(Ordering::is_lt)),
            Self::AtMost(operand) => (operand, |value, other| order(value, other).is_some_and(Ordering::is_le)),
            Self::In(operand) => (operand, is_in),
            Self::NotIn(operand) => (operand, |value, other| !is_in(value, other)),
            Self::Contains(operand) => (operand, contains),
            Self::StartsWith(operand) => {
                (operand, |value, other| texts(value, other, |text, part| text.starts_with(part)))
            }
            Self::EndsWith(operand) => (operand, |value, other| texts(value, other, |text, part| text.ends_with(part))),
        };
        value.zip(operand.find(scope)).is_some_and(|(value, operand)| compare(value, operand))
    }

    /// What it wants, after "is …, not ".
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Equal(operand) => operand.to_string(),
            Self::NotEqual(operand) => format!("anything but {operand}"),
            Self::Greater(operand) => format!("greater than {operand}"),
            Self::AtLeast(operand) => format!("at least {operand}"),
            Self::Less(operand) => format!("less than {operand}"),
            Self::AtMost(operand) => format!("at most {operand}"),
            Self::In(operand @ Operand::Value(Value::Array(_))) => format!("one of {operand}"),
            Self::In(operand) | Self::Contains(operand) => format!("with {operand} in it"),
            Self::NotIn(operand @ Operand::Value(Value::Array(_))) => format!("outside {operand}"),
            Self::NotIn(operand) => format!("without {operand} in it"),
            Self::StartsWith(operand) => format!("beginning with {operand}"),
            Self::EndsWith(operand) => format!("ending with {operand}"),
            Self::Exists(true) => "present".to_owned(),
            Self::Exists(false) => "absent".to_owned(),
            Self::Like(pattern) => format!("like /{pattern}/"),
        }
    }
}

/// Whether two values are equal, numbers by their worth: 1 is 1.0.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => numbers(one, other) == Some(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let there = |(name, value): (&String, &Value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(there)
        }
        _ => one == other,
    }
}

fn order(value: &Value, other: &Value) -> Option<Ordering> {
    match (value, other) {
        (Value::Number(value), Value::Number(other)) => numbers(value, other),
        (Value::String(value), Value::String(other)) => Some(value.cmp(other)),
        _ => None,
    }
}

fn numbers(one: &Number, other: &Number) -> Option<Ordering> {
    // Large integers do not survive as floating point.
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn is_in(value: &Value, wanted: &Value) -> bool {
    match (wanted, value) {
        (Value::Array(wanted), Value::Array(list)) => list.iter().any(|element| has(wanted, element)),
        (Value::Array(wanted), value) => has(wanted, value),
        _ => contains(value, wanted),
    }
}

fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (value, Value::Array(parts)) => parts.iter().all(|part| contains(value, part)),
        (Value::String(text), Value::String(part)) => text.contains(part),
        (Value::Array(list), part) => has(list, part),
        _ => false,
    }
}

fn has(list: &[Value], wanted: &Value) -> bool {
    list.iter().any(|element| same(element, wanted))
}

/// Whether `fits` says yes to a text and the wanted one, or one of them.
fn texts(value: &Value, wanted: &Value, fits: fn(&str, &str) -> bool) -> bool {
    let Some(text) = value.as_str() else { return false };
    let any = std::slice::from_ref(wanted);
    let any = wanted.as_array().map_or(any, Vec::as_slice);
    any.iter().filter_map(Value::as_str).any(|part| fits(text, part))
}
