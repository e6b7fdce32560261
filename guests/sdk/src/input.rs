//! Parses JSON into the author's type and says exactly what does not fit.
//!
//! The path comes from `serde_path_to_error`. What was expected comes from serde's own messages, which are its public
//! convention (`serde::de::Error`), put into JSON's words instead of Rust's.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::{Failure, Result};

/// Where the JSON stands in the trigger.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// What the whole is called.
    pub(crate) root: &'static str,
    /// What the path of a field begins with.
    pub(crate) prefix: &'static str,
}

impl Place {
    fn field(self, path: &[String]) -> String {
        if path.is_empty() { self.root.to_owned() } else { format!("{}{}", self.prefix, path.join(".")) }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(text: &str, place: Place) -> Result<T> {
    read(text).map_err(|error| explain::<T>(text, place, &error))
}

type PathError = serde_path_to_error::Error<serde_json::Error>;

fn read<T: DeserializeOwned>(text: &str) -> Result<T, PathError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
}

fn explain<T: DeserializeOwned>(text: &str, place: Place, error: &PathError) -> Failure {
    let Ok(whole) = serde_json::from_str::<Value>(text) else {
        return Failure::invalid(place.root, "JSON", "something else");
    };
    let mut path = keys(error.path());
    let found = at(&whole, &path);
    let message = without_position(error.inner());

    if let Some(name) = quoted(&message, "missing field ") {
        path.push(name.to_owned());
        return Failure::missing(place.field(&path), wanted::<T>(whole, &path));
    }
    if let Some(name) = quoted(&message, "unknown field ") {
        if path.last().is_none_or(|last| last != name) {
            path.push(name.to_owned());
        }
        return Failure::invalid(place.field(&path), expected(&message), "an unknown field");
    }
    let received = match found {
        Some(value) if message.starts_with("invalid type") => type_name(value).to_owned(),
        Some(value) => brief(value),
        None => "another value".to_owned(),
    };
    match message.contains(", expected ") {
        true => Failure::invalid(place.field(&path), expected(&message), received),
        false => Failure::invalid(place.field(&path), message, received),
    }
}

/// What a missing field should have been: puts `null` there and looks at the complaint.
fn wanted<T: DeserializeOwned>(mut whole: Value, path: &[String]) -> String {
    let unknown = || "a value".to_owned();
    let Some((name, parents)) = path.split_last() else { return unknown() };
    let Some(Value::Object(parent)) = at_mut(&mut whole, parents) else { return unknown() };
    parent.insert(name.clone(), Value::Null);
    match read::<T>(&whole.to_string()) {
        Err(error) if keys(error.path()) == path => expected(&without_position(error.inner())),
        _ => unknown(),
    }
}

fn keys(path: &Path) -> Vec<String> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .collect()
}

fn at<'a>(whole: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(whole, |value, key| match value {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        Value::Object(members) => members.get(key),
        _ => None,
    })
}

fn at_mut<'a>(whole: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(whole, |value, key| match value {
        Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        Value::Object(members) => members.get_mut(key),
        _ => None,
    })
}

/// serde_json appends where in the text it was; the path says it better.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.strip_prefix('`')?.split('`').next()
}

fn expected(message: &str) -> String {
    let words = message.split_once(", expected ").map_or("a value", |(_, words)| words);
    match words {
        "a string" | "string" | "str" | "a borrowed string" => "string",
        "a boolean" | "bool" => "boolean",
        "a character" => "one character",
        "unit" => "null",
        "u8" => "integer from 0 to 255",
        "u16" => "integer from 0 to 65535",
        "u32" => "integer from 0 to 4294967295",
        "i8" => "integer from -128 to 127",
        "i16" => "integer from -32768 to 32767",
        "i32" => "integer from -2147483648 to 2147483647",
        "u64" | "usize" | "u128" => "non-negative integer",
        "i64" | "isize" | "i128" => "integer",
        "f32" | "f64" => "number",
        "a map" | "map" => "object",
        "a sequence" | "sequence" => "array",
        words if words.starts_with("struct ") => "object",
        words if words.starts_with("tuple ") || words.starts_with("a tuple ") => "array",
        words if words.starts_with("enum ") || words.starts_with("variant identifier") => "string",
        words => words,
    }
    .to_owned()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn brief(value: &Value) -> String {
    const CHARS_MAX: usize = 80;
    match value {
        Value::Array(_) | Value::Object(_) => type_name(value).to_owned(),
        _ => {
            let text = value.to_string();
            match text.char_indices().nth(CHARS_MAX) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::InputError;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Order {
        customer: Customer,
        #[serde(default)]
        lines: Vec<Line>,
        #[serde(default)]
        channel: Channel,
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Customer {
        email: String,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        quantity: u16,
        #[serde(default)]
        price: f64,
    }

    #[derive(Debug, PartialEq, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Channel {
        #[default]
        Web,
        Phone,
    }

    fn refusal(text: &str) -> (String, String, String) {
        match parse::<Order>(text, Place { root: "data", prefix: "" }) {
            Err(Failure::InvalidInput(InputError { field, expected, received, .. })) => (field, expected, received),
            other => panic!("{other:?}"),
        }
    }

    fn words(field: &str, expected: &str, received: &str) -> (String, String, String) {
        (field.to_owned(), expected.to_owned(), received.to_owned())
    }

    #[test]
    fn what_fits_is_parsed() {
        let order: Order = parse(
            r#"{"customer":{"email":"a@b.c"},"lines":[{"quantity":2,"price":1.5}]}"#,
            Place { root: "data", prefix: "" },
        )
        .unwrap();
        assert_eq!(order.lines, [Line { quantity: 2, price: 1.5 }]);
    }

    #[test]
    fn a_missing_field_names_its_path_and_type() {
        assert_eq!(refusal(r#"{"customer":{}}"#), words("customer.email", "string", "null"));
        assert_eq!(refusal("{}"), words("customer", "object", "null"));
        let line = r#"{"customer":{"email":""},"lines":[{"quantity":1},{}]}"#;
        assert_eq!(refusal(line), words("lines.1.quantity", "integer from 0 to 65535", "null"));
    }

    #[test]
    fn a_wrong_type_names_both_types() {
        assert_eq!(refusal(r#"{"customer":{"email":null}}"#), words("customer.email", "string", "null"));
        assert_eq!(refusal(r#"{"customer":{"email":[1]}}"#), words("customer.email", "string", "array"));
        let price = r#"{"customer":{"email":""},"lines":[{"quantity":1,"price":"12"}]}"#;
        assert_eq!(refusal(price), words("lines.0.price", "number", "string"));
        assert_eq!(refusal("[]").0, "data");
        assert_eq!(refusal(r#"{"customer":{"email":""},"labels":{"a":1}}"#), words("labels.a", "string", "number"));
    }

    #[test]
    fn a_number_out_of_range_is_shown() {
        let text = r#"{"customer":{"email":""},"lines":[{"quantity":70000}]}"#;
        assert_eq!(refusal(text), words("lines.0.quantity", "integer from 0 to 65535", "70000"));
    }

    #[test]
    fn an_unknown_variant_is_shown_with_the_known_ones() {
        let text = r#"{"customer":{"email":""},"channel":"fax"}"#;
        assert_eq!(refusal(text), words("channel", "`web` or `phone`", "\"fax\""));
    }

    #[test]
    fn an_unknown_field_is_named_with_the_known_ones() {
        let text = r#"{"customer":{"email":""},"lines":[{"quantity":1,"colour":"red"}]}"#;
        assert_eq!(refusal(text), words("lines.0.colour", "`quantity` or `price`", "an unknown field"));
    }

    #[test]
    fn metadata_has_its_prefix() {
        let place = Place { root: "metadata", prefix: "metadata." };
        let Err(Failure::InvalidInput(error)) = parse::<Customer>("{}", place) else { panic!("accepted") };
        assert_eq!(error.field, "metadata.email");
        assert_eq!(error.message, "Required field 'metadata.email' is missing");
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        assert_eq!(refusal("{"), words("data", "JSON", "something else"));
    }
}
