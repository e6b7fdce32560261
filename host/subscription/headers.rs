//! A subscription's own headers, and those that are not its own to choose.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

/// Headers of one subscription at most, and their bytes.
const HEADERS_MAX: usize = 32;
const BYTES_MAX: usize = 8 << 10;

/// What the connection, the body and the host itself decide.
const OURS: &[&str] = &[
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "date",
    "via",
    "forwarded",
    "accept-encoding",
    "user-agent",
    "traceparent",
    "tracestate",
];
/// What proxies and clouds believe of whoever sends it, and what receivers believe of a signature.
const OURS_BEGIN: &[&str] = &[
    "webhook-",
    "svix-",
    "x-flowgate-",
    "x-agenticflow-",
    "proxy-",
    "x-forwarded-",
    "x-real-ip",
    "x-amz-",
    "x-aws-",
    "x-google-",
    "x-goog-",
    "metadata",
    "x-ms-",
    "x-envoy-",
    "cf-",
    "sec-",
    ":",
];
/// What holds secrets.
const SECRET: &[&str] = &["authorization", "cookie"];

/// Own headers: names and values. JSON: an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Headers {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(fields: T) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl Headers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields, for a request. What `check` refuses is not among them.
    pub fn fields(&self) -> HeaderMap {
        let field = |(name, value): (&String, &String)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        };
        self.0.iter().filter_map(field).collect()
    }

    /// Everything that cannot be as it is. `own`: headers that the signature is in.
    pub(super) fn check(&self, own: &[HeaderName]) -> Vec<String> {
        let mut problems = Vec::new();
        let bytes = self.0.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if self.0.len() > HEADERS_MAX || bytes > BYTES_MAX {
            problems.push(format!("are more than {HEADERS_MAX}, or have more than {BYTES_MAX} bytes"));
        }
        for (name, value) in &self.0 {
            let Ok(parsed) = name.parse::<HeaderName>() else {
                problems.push(format!("has `{name}`, which is not the name of an HTTP header"));
                continue;
            };
            if let Some(why) = refused(&parsed) {
                problems.push(format!("has `{name}`, which {why}"));
            }
            if own.contains(&parsed) {
                problems.push(format!("has `{name}`, which holds the signature"));
            }
            if HeaderValue::from_str(value).is_err() {
                problems.push(format!("has a value for `{name}` with a control character in it"));
            }
        }
        problems
    }
}

/// Why nobody may choose a header; none when it may be chosen.
pub(super) fn refused(name: &HeaderName) -> Option<String> {
    let name = name.as_str();
    if SECRET.contains(&name) {
        return Some("is for `authentication`, which keeps its secret sealed".to_owned());
    }
    let ours = OURS.contains(&name) || OURS_BEGIN.iter().any(|beginning| name.starts_with(beginning));
    ours.then(|| "is not a subscription's to choose".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(headers: serde_json::Value) -> Vec<String> {
        serde_json::from_value::<Headers>(headers).unwrap().check(&[HeaderName::from_static("x-signature")])
    }

    #[test]
    fn own_headers_are_sent() {
        let headers: Headers = serde_json::from_value(json!({ "X-Team": "a", "x-b": "ä" })).unwrap();
        assert_eq!(headers.check(&[]), Vec::<String>::new());
        assert_eq!(headers.fields()["x-team"], "a");
    }

    #[test]
    fn what_is_not_a_subscriptions_is_refused() {
        for name in [
            "Host",
            "content-length",
            "Connection",
            "webhook-id",
            "Webhook-Signature",
            "x-forwarded-for",
            "X-Amz-Target",
            "Metadata-Flavor",
            "transfer-encoding",
            "content-type",
        ] {
            assert_eq!(check(json!({ name: "x" })), [format!("has `{name}`, which is not a subscription's to choose")]);
        }
        assert!(check(json!({ "Authorization": "x" }))[0].contains("is for `authentication`"));
        assert!(check(json!({ "X-Signature": "x" }))[0].contains("holds the signature"));
    }

    #[test]
    fn nothing_can_be_smuggled_in() {
        assert!(check(json!({ "x-a": "b\r\nx-c: d" }))[0].contains("control character"));
        assert!(check(json!({ "x-a\r\nhost": "b" }))[0].contains("not the name"));
        let many = (0..33).map(|n| (format!("x-{n}"), "v".into())).collect::<serde_json::Map<_, _>>();
        assert_eq!(check(many.into()).len(), 1);
    }
}
