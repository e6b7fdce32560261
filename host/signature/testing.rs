//! The vectors of `tests/fixtures/signature`.
//!
//! A file has a `source` and `cases`; what a case leaves out it takes from the file. `expect` is the text of the refusal;
//! without it the case must pass, with the `secret`, `id` and `timestamp_s` that it names.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::*;

/// The fixture files by scheme. A scheme without one fails `every_scheme_has_vectors`.
macro_rules! fixtures {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../tests/fixtures/signature/", $name, ".json"))),)*]
    };
}

const FIXTURES: &[(&str, &str)] = &fixtures! {
    "none" "api-key" "bearer" "basic" "hmac-sha256" "custom"
    "adyen" "agenticflow" "almyty" "asana" "bitbucket" "calendly"
    "circleci" "convoy" "convoy-advanced" "customer-io" "discord" "dropbox"
    "elevenlabs" "forgejo" "gitea" "github" "github-sha1" "gitlab"
    "gitlab-signed" "gogs" "http-message-signatures" "hubspot-v1" "hubspot-v2" "hubspot-v3" "intercom" "jwt"
    "line" "mailgun" "meta" "okta" "outpost" "paddle"
    "pagerduty" "razorpay" "scalr" "sendgrid" "shopify" "slack"
    "square" "standard-webhooks" "standard-webhooks-v1a" "stripe" "svix" "telegram"
    "tiktok" "trello" "twilio" "twitch" "uptiq" "vercel"
    "webex" "webflow" "woocommerce" "workos" "x" "zendesk"
    "zoom"
};

/// A case, ready to be verified.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) scheme: Scheme,
    pub(super) secrets: Vec<Secret>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    pub(super) url: Option<String>,
    pub(super) now_ms: i64,
    pub(super) expect: Result<Proof, String>,
}

impl Case {
    fn read(file: &str, defaults: &Value, case: &Value) -> Self {
        let member = |name: &str| case.get(name).or_else(|| defaults.get(name)).cloned();
        let text = |name: &str| member(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        let proof = Proof {
            secret: case["secret"].as_u64().map(|index| usize::try_from(index).unwrap()),
            id: case["id"].as_str().map(str::to_owned),
            timestamp_s: case["timestamp_s"].as_i64(),
            once: None,
        };
        let secrets = member("secrets").unwrap();
        Self {
            name: format!("{file}: {}", case["name"].as_str().unwrap()),
            scheme: serde_json::from_value(member("auth").unwrap()).unwrap(),
            secrets: secrets.as_array().unwrap().iter().map(|text| Secret::new(text.as_str().unwrap())).collect(),
            method: member("method").map_or("POST".to_owned(), |_| text("method")),
            path: text("path"),
            query: text("query"),
            headers: headers(member("headers").as_ref().and_then(Value::as_object)),
            body: text("body"),
            url: member("url").and_then(|url| url.as_str().map(str::to_owned)),
            now_ms: member("now_s").and_then(|now| now.as_i64()).unwrap_or(0) * 1_000 + 999,
            expect: case["expect"].as_str().map_or(Ok(proof), |reason| Err(reason.to_owned())),
        }
    }

    pub(super) fn message(&self) -> Message<'_> {
        Message {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: self.body.as_bytes(),
            public_url: self.url.as_deref(),
        }
    }
}

pub(super) fn headers(fields: Option<&Map<String, Value>>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields.into_iter().flatten() {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            let name = name.parse::<HeaderName>().unwrap();
            map.append(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
        }
    }
    map
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let read = |(name, text): (&str, &str)| {
        let file: Value = serde_json::from_str(text).unwrap();
        assert!(file["source"].as_str().is_some_and(|source| !source.is_empty()), "{name} has no source");
        file["cases"].as_array().unwrap().iter().map(|case| Case::read(name, &file, case)).collect::<Vec<_>>()
    };
    FIXTURES.iter().copied().flat_map(read).collect()
}
