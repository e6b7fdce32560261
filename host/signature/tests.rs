//! The vectors of `tests/fixtures/signature`, and what a vector cannot say.
//!
//! A file has a `source` and `cases`; what a case leaves out it takes from the file. `expect` is the text of the refusal;
//! without it the case must pass, with the `secret`, `id` and `timestamp_s` that it names.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::*;

/// The fixture files by scheme. A scheme without one fails `every_scheme_has_vectors`.
macro_rules! fixtures {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../tests/fixtures/signature/", $name, ".json"))),)*]
    };
}

const FIXTURES: [(&str, &str); 10] = fixtures! {
    "none" "api-key" "bearer" "basic" "hmac-sha256" "standard-webhooks" "github" "stripe" "slack" "shopify"
};

/// A case, ready to be verified.
struct Case {
    name: String,
    scheme: Scheme,
    secrets: Vec<Secret>,
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
    url: Option<String>,
    now_ms: i64,
    expect: Result<Proof, String>,
}

impl Case {
    fn read(file: &str, defaults: &Value, case: &Value) -> Self {
        let member = |name: &str| case.get(name).or_else(|| defaults.get(name)).cloned();
        let text = |name: &str| member(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        let proof = Proof {
            secret: case["secret"].as_u64().map(|index| usize::try_from(index).unwrap()),
            id: case["id"].as_str().map(str::to_owned),
            timestamp_s: case["timestamp_s"].as_i64(),
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
            url: member("url").map(|_| text("url")),
            now_ms: member("now_s").and_then(|now| now.as_i64()).unwrap_or(0) * 1_000 + 999,
            expect: case["expect"].as_str().map_or(Ok(proof), |reason| Err(reason.to_owned())),
        }
    }

    fn message(&self) -> Message<'_> {
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

fn headers(fields: Option<&Map<String, Value>>) -> HeaderMap {
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

fn cases() -> Vec<Case> {
    let read = |(name, text): (&str, &str)| {
        let file: Value = serde_json::from_str(text).unwrap();
        assert!(file["source"].as_str().is_some_and(|source| !source.is_empty()), "{name} has no source");
        file["cases"].as_array().unwrap().iter().map(|case| Case::read(name, &file, case)).collect::<Vec<_>>()
    };
    FIXTURES.into_iter().flat_map(read).collect()
}

fn scheme(auth: Value) -> Scheme {
    serde_json::from_value(auth).unwrap()
}

fn message<'a>(headers: &'a HeaderMap, query: &'a str, body: &'a [u8]) -> Message<'a> {
    Message { method: "POST", path: "/hooks/x", query, headers, body, public_url: Some("https://example.com/hooks/x") }
}

#[test]
fn vectors_pass_or_are_refused_for_their_reason() {
    for case in cases() {
        let outcome = verify(&case.scheme, &case.secrets, &case.message(), case.now_ms);
        assert_eq!(outcome.map_err(|refusal| refusal.to_string()), case.expect, "{}", case.name);
    }
}

#[test]
fn every_scheme_has_vectors_that_pass() {
    let passing = cases().into_iter().filter(|case| case.expect.is_ok());
    let covered = passing.map(|case| case.scheme.name()).collect::<Vec<_>>();
    for row in SCHEMES {
        assert!(covered.contains(&row.name), "scheme `{}` needs tests/fixtures/signature/{}.json", row.name, row.name);
        assert_eq!(SCHEMES.iter().filter(|other| other.name == row.name).count(), 1, "`{}` is there twice", row.name);
    }
}

#[test]
fn what_sign_makes_verify_accepts() {
    let now_ms = 1_763_654_400_123;
    for auth in [
        json!({"scheme": "none"}),
        json!({"scheme": "api-key", "query": "apiKey"}),
        json!({"scheme": "api-key", "header": "x-api-key"}),
        json!({"scheme": "bearer"}),
        json!({"scheme": "basic", "user": "me"}),
        json!({"scheme": "hmac-sha256"}),
        json!({"scheme": "hmac-sha256", "encoding": "base64", "prefix": "s=", "signed": "{method}{url}{body}{timestamp}",
               "timestamp_header": "x-at", "timestamp_unit": "ms"}),
        json!({"scheme": "hmac-sha256", "algorithm": "hmac-sha512", "separator": ";", "prefix": "h1=",
               "timestamp_prefix": "ts=", "signed": "{timestamp}:{body}"}),
        json!({"scheme": "standard-webhooks"}),
        json!({"scheme": "github"}),
        json!({"scheme": "stripe"}),
        json!({"scheme": "slack"}),
        json!({"scheme": "shopify"}),
    ] {
        let scheme = scheme(auth.clone());
        let secrets = [Secret::generate(&[1; 32])];
        let none = HeaderMap::new();
        let made = sign(&scheme, &secrets, &message(&none, "", b"{}"), "msg_1", now_ms).unwrap();
        let query =
            made.query.iter().map(|(name, value)| format!("{name}={}", value.replace('=', "%3D"))).collect::<String>();
        let headers = made.headers.into_iter().collect::<HeaderMap>();
        let proof = verify(&scheme, &secrets, &message(&headers, &query, b"{}"), now_ms);
        let proof = proof.unwrap_or_else(|refusal| panic!("{auth}: {refusal}"));
        assert_eq!(proof.secret.is_none(), scheme.is_none(), "{auth}");
        if !scheme.is_none() {
            let other = [Secret::generate(&[2; 32])];
            assert!(verify(&scheme, &other, &message(&headers, &query, b"{}"), now_ms).is_err(), "{auth}");
        }
    }
}

#[test]
fn a_delivery_carries_one_signature_per_secret() {
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AQIDBA=="].map(Secret::new);
    let fields =
        standard::sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#, &secrets).unwrap();
    let text = fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect::<Vec<_>>();
    assert_eq!(text[..2], ["webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp: 1614265330"]);
    assert!(
        text[2].starts_with("webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,"),
        "{}",
        text[2]
    );
    assert_eq!(text[2].split(' ').count(), 3);

    assert!(standard::sign("a.b", 0, b"", &secrets).is_err());
    assert!(standard::sign("msg_1", 0, b"", &[]).is_err());
    assert!(standard::sign("msg_1", 0, b"", &[Secret::new("whsec_")]).is_err());
}

#[test]
fn entries_keep_their_json() {
    for text in [
        r#"{"scheme":"none"}"#,
        r#"{"scheme":"api-key","query":"apiKey"}"#,
        r#"{"scheme":"stripe","tolerance_s":600}"#,
        r#"{"scheme":"hmac-sha256","header":"x-signature","prefix":"sha256=","encoding":"hex","signed":"{timestamp}.{body}","timestamp_header":"x-timestamp","tolerance_s":300}"#,
    ] {
        let scheme: Scheme = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&scheme).unwrap(), text);
    }
}

#[test]
fn every_row_can_be_used_or_says_what_it_lacks() {
    for row in SCHEMES {
        match Scheme::named(row.name) {
            Ok(scheme) => assert_eq!(scheme.name(), row.name),
            Err(error) => assert_eq!((row.name, error.to_string().contains("`query`")), ("api-key", true)),
        }
    }
}

#[test]
fn a_wrong_entry_names_the_field_the_value_and_what_is_allowed() {
    for (auth, message) in [
        (json!({}), "missing field `scheme`"),
        (json!({"scheme": ""}), "`scheme` is ``; allowed: `none`, `api-key`"),
        (json!({"scheme": "gihub"}), "`scheme` is `gihub`; allowed: `none`, `api-key`"),
        (
            json!({"scheme": "bearer", "prefix": "x"}),
            "`prefix` does not belong to scheme `bearer`; allowed: no other field",
        ),
        (json!({"scheme": "basic", "query": "x"}), "`query` does not belong to scheme `basic`; allowed: `user`"),
        (json!({"scheme": "basic", "user": "a:b"}), "`user` is `a:b`; allowed: text without a colon"),
        (json!({"scheme": "api-key"}), "`query` is ``; allowed: the name of a parameter, or `header`"),
        (json!({"scheme": "api-key", "query": "a", "header": "b"}), "`query` is `a`; allowed: the name of a parameter"),
        (json!({"scheme": "api-key", "header": "a b"}), "`header` is `a b`; allowed: the name of an HTTP header"),
        (json!({"scheme": "github", "encoding": "hexx"}), "`encoding` is `hexx`; allowed: `hex`, `base64`"),
        (
            json!({"scheme": "github", "algorithm": "md5"}),
            "`algorithm` is `md5`; allowed: `hmac-sha256`, `hmac-sha512`",
        ),
        (json!({"scheme": "github", "key": "b64"}), "`key` is `b64`; allowed: `utf-8`, `base64`, `hex`"),
        (json!({"scheme": "github", "signed": "{ts}"}), "`signed` is `{ts}`; allowed: literal text, `{body}`"),
        (json!({"scheme": "github", "signed": "{timestamp}{body}"}), "allowed: `{timestamp}` exactly when"),
        (json!({"scheme": "github", "timestamp_header": "x-at"}), "allowed: `{timestamp}` exactly when"),
        (json!({"scheme": "github", "signed": "{id}{body}"}), "allowed: `{id}` exactly when"),
        (json!({"scheme": "stripe", "tolerance_s": 0}), "`tolerance_s` is `0`; allowed: 1 to 86400"),
        (json!({"scheme": "stripe", "tolerance_future_s": 86_401}), "`tolerance_future_s` is `86401`; allowed: 1 to"),
        (json!({"scheme": "stripe", "separator": "ab"}), "`separator` is `ab`; allowed: one character"),
        (json!({"scheme": "stripe", "prefix": "t="}), "`timestamp_prefix` is `t=`; allowed: another prefix"),
        (
            json!({"scheme": "slack", "timestamp_prefix": "t="}),
            "`timestamp_prefix` is `t=`; allowed: a prefix together",
        ),
        (json!({"scheme": "github", "colour": "red"}), "unknown field `colour`, expected one of `scheme`, `query`"),
    ] {
        let error = serde_json::from_value::<Scheme>(auth.clone()).unwrap_err().to_string();
        assert!(error.contains(message), "{auth}: {error}");
    }
}

#[test]
fn a_secret_is_checked_against_its_scheme_and_not_shown() {
    let fits =
        |auth: Value, secret: &str| scheme(auth).check_secret(&Secret::new(secret)).map_err(|error| error.to_string());
    assert_eq!(fits(json!({"scheme": "basic"}), "me:secret"), Ok(()));
    let error = fits(json!({"scheme": "basic"}), "hunter2").unwrap_err();
    assert_eq!(error, "the secret does not fit scheme `basic`; allowed: `user:password`");
    let error = fits(json!({"scheme": "standard-webhooks"}), "hunter2!").unwrap_err();
    assert!(error.contains("base64") && !error.contains("hunter2"), "{error}");
    for row in SCHEMES.iter().filter(|row| !matches!(row.name, "none" | "api-key")) {
        assert!(fits(json!({"scheme": row.name}), "").is_err(), "{}", row.name);
    }
}

#[test]
fn what_holds_the_secret_itself_is_redacted() {
    let redacts = |auth: Value| scheme(auth).redacts();
    assert_eq!(redacts(json!({"scheme": "api-key", "query": "token"})).query_params, ["token"]);
    assert_eq!(redacts(json!({"scheme": "api-key", "header": "X-Key"})).headers, ["x-key"]);
    assert_eq!(redacts(json!({"scheme": "bearer"})).headers, ["authorization"]);
    assert_eq!(redacts(json!({"scheme": "basic"})).headers, ["authorization"]);
    assert_eq!(redacts(json!({"scheme": "github"})), Redacts::default());
}

#[test]
fn only_spaces_that_mean_nothing_are_left_out_of_compact_json() {
    let compact = |text: &str| verify::compact(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(compact(" { \"a b\" : [ 1.0 , \"\\\\\" , \"\\\" \" ] }\r\n").unwrap(), r#"{"a b":[1.0,"\\","\" "]}"#);
    assert_eq!(compact("a=1&b=2"), None);
    assert_eq!(compact(&format!("\"{}\"", "x".repeat(256 * 1024))), None);
}
