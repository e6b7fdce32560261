//! A JSON object member by member, without giving up its text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Malformed;
use crate::trigger::Json;

/// The members of a JSON object in their order, each value as it was written.
#[derive(Debug)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The text of a member; none when it is absent.
    pub fn member(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.get())
    }

    /// A member that must be a string; none when it is absent or null.
    pub fn string(&self, name: &'static str) -> Result<Option<String>, Malformed> {
        let Some(text) = self.member(name).filter(|text| *text != "null") else { return Ok(None) };
        let string = serde_json::from_str(text).map(Some);
        string.map_err(|_| Malformed::Type { field: name, expected: "a string", received: kind(text) })
    }

    /// A member that must be an object; none when it is absent or null.
    pub fn object(&self, name: &'static str) -> Result<Option<&'a str>, Malformed> {
        let Some(text) = self.member(name).filter(|text| *text != "null") else { return Ok(None) };
        let right = text.starts_with('{').then_some(text);
        right.map(Some).ok_or(Malformed::Type { field: name, expected: "an object", received: kind(text) })
    }

    /// The object without some of its members; every other one stays as it was written.
    pub fn without(&self, names: &[&str]) -> Json {
        let rest = self.0.iter().filter(|(name, _)| !names.contains(&name.as_ref()));
        joined(rest.map(|(name, value)| (name.as_ref(), value.get())))
    }
}

/// `object` with one member more, in front; its own member of that name stays.
pub(super) fn with(object: &Json, name: &str, value: &str) -> Result<Json, Malformed> {
    let Some(members) = first_object(object.as_str())? else { return Ok(object.clone()) };
    if members.member(name).is_some() {
        return Ok(object.clone());
    }
    let own = members.0.iter().map(|(name, value)| (name.as_ref(), value.get()));
    Ok(joined(std::iter::once((name, value)).chain(own)))
}

/// `object` with texts as members in front, in their order, where there are any. A value that is no object stays alone.
pub(super) fn with_texts(object: &Json, members: &[(&str, Option<&str>)]) -> Json {
    members.iter().rev().fold(object.clone(), |object, (name, text)| {
        let value = text.map(|text| serde_json::to_string(text).expect("a text has a JSON form"));
        value.and_then(|value| with(&object, name, &value).ok()).unwrap_or(object)
    })
}

fn joined<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> Json {
    let quoted = |name: &str| serde_json::to_string(name).expect("a text has a JSON form");
    let members = members.map(|(name, value)| format!("{}:{value}", quoted(name))).collect::<Vec<_>>();
    Json::parse(format!("{{{}}}", members.join(","))).expect("JSON values under JSON names are an object")
}

/// Reads one JSON text. An object comes back in its members, any other value as none. A name that comes twice is refused,
/// since other readers of the same bytes might take the other value.
pub fn first_object(text: &str) -> Result<Option<Object<'_>>, Malformed> {
    let not_json = |error: serde_json::Error| Malformed::Json(error.to_string());
    if !text.trim_start().starts_with('{') {
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(not_json)?;
        return Ok(None);
    }
    let object: Object<'_> = serde_json::from_str(text).map_err(not_json)?;
    let mut names = object.names().collect::<Vec<_>>();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Malformed::Twice(pair[0].to_owned())),
        None => Ok(Some(object)),
    }
}

/// What a JSON text is, in words.
pub(super) fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Object)
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }

        deserializer.deserialize_str(Text).map(Name)
    }
}
