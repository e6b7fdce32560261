//! How a hook knows a request that came before.

use http::HeaderName;
use serde::{Deserialize, Serialize};

/// Where the id of a request is that is the same again when the request is sent again. JSON: `"auto"`, `"off"`,
/// `{"header":"x-event-id"}` or `{"pointer":"/event/id"}` (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deduplicate {
    /// The caller's `Idempotency-Key`, or else the id that the signature covers, or else the one that the scheme's sender
    /// gives.
    #[default]
    Auto,
    /// Nowhere. What is signed with a timestamp still passes only once.
    Off,
    /// In this header.
    Header(String),
    /// In this member of the JSON body: a text or a number.
    Pointer(String),
}

impl Deduplicate {
    /// What cannot be as it is.
    pub(super) fn wrong(&self) -> Option<String> {
        match self {
            Self::Header(name) if name.parse::<HeaderName>().is_err() => {
                Some(format!("is `{name}`; allowed: the name of an HTTP header"))
            }
            Self::Pointer(pointer) if !pointer.starts_with('/') => {
                Some(format!("is `{pointer}`; allowed: a JSON pointer such as `/event/id`"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_json_is_a_word_or_a_place() {
        for (text, value) in [
            (r#""auto""#, Deduplicate::Auto),
            (r#""off""#, Deduplicate::Off),
            (r#"{"header":"x-id"}"#, Deduplicate::Header("x-id".to_owned())),
            (r#"{"pointer":"/id"}"#, Deduplicate::Pointer("/id".to_owned())),
        ] {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<Deduplicate>(text).unwrap(), value);
            assert_eq!(value.wrong(), None);
        }
        for wrong in [Deduplicate::Header("a b".to_owned()), Deduplicate::Pointer("id".to_owned())] {
            assert!(wrong.wrong().is_some(), "{wrong:?}");
        }
    }
}
