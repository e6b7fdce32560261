//! Forms as JSON: `application/x-www-form-urlencoded`, and what all forms have in common.
//!
//! URL standard, §5 (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>, read 2025-11): whatever comes is
//! a form, and what is no UTF-8 becomes U+FFFD.

use serde_json::Value;
use serde_json::map::{Entry, Map};

use super::Malformed;
use crate::trigger::Json;

/// The most fields of a form. In memory, each is many times what it was in the body.
const FIELDS_MAX: usize = 10_000;

/// Names and values. A name that comes again has a list of values.
#[derive(Default)]
pub(super) struct Fields {
    members: Map<String, Value>,
    count: usize,
}

impl Fields {
    /// Adds a value, which is no list.
    pub(super) fn add(&mut self, name: String, value: Value) -> Result<(), Malformed> {
        self.count += 1;
        if self.count > FIELDS_MAX {
            return Err(Malformed::Form(format!("it has more than {FIELDS_MAX} fields")));
        }
        match self.members.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Value::Array(values) => values.push(value),
                one => *one = Value::Array(vec![one.take(), value]),
            },
        }
        Ok(())
    }

    /// The form as an object.
    pub(super) fn into_json(self) -> Json {
        Json::of(&self.members).expect("an object has a JSON form")
    }
}

/// Reads a form whose values are all texts.
pub(super) fn parse(body: &[u8]) -> Result<Json, Malformed> {
    let mut fields = Fields::default();
    for (name, value) in url::form_urlencoded::parse(body) {
        fields.add(name.into_owned(), Value::String(value.into_owned()))?;
    }
    Ok(fields.into_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_texts_and_repeated_names_lists() {
        for (body, expected) in [
            ("a=1&b=%7B%22x%22%3A1%7D&c", r#"{"a":"1","b":"{\"x\":1}","c":""}"#),
            ("to=x+y&to=%2B&to=", r#"{"to":["x y","+",""]}"#),
            ("n%C3%A9=%E9&&=v", "{\"\":\"v\",\"né\":\"\u{fffd}\"}"),
            ("100%=50%zz", r#"{"100%":"50%zz"}"#),
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap().as_str(), expected, "{body}");
        }
    }

    #[test]
    fn a_form_has_no_more_fields_than_it_may() {
        let many = |count| vec!["a"; count].join("&");
        assert!(parse(many(10_000).as_bytes()).is_ok());
        let error = parse(many(10_001).as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the form cannot be read: it has more than 10000 fields");
    }
}
