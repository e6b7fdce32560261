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

const FIXTURES: [(&str, &str); 61] = fixtures! {
    "none" "api-key" "bearer" "basic" "hmac-sha256" "custom"
    "adyen" "agenticflow" "almyty" "asana" "bitbucket" "calendly"
    "circleci" "convoy" "convoy-advanced" "customer-io" "discord" "dropbox"
    "elevenlabs" "forgejo" "gitea" "github" "github-sha1" "gitlab"
    "gitlab-signed" "gogs" "hubspot-v1" "hubspot-v2" "hubspot-v3" "intercom"
    "line" "mailgun" "meta" "okta" "outpost" "paddle"
    "pagerduty" "razorpay" "scalr" "sendgrid" "shopify" "slack"
    "square" "standard-webhooks" "standard-webhooks-v1a" "stripe" "svix" "telegram"
    "tiktok" "trello" "twilio" "twitch" "uptiq" "vercel"
    "webex" "webflow" "woocommerce" "workos" "x" "zendesk"
    "zoom"
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

/// A secret that fits the scheme, and can sign where that needs more than the sender's public key.
fn secret_for(scheme: &Scheme, seed: u8) -> Secret {
    let pair = |seed: &[u8; 32]| {
        let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
        [&seed[..], ring::signature::KeyPair::public_key(&pair).as_ref()].concat()
    };
    match scheme.name() {
        "discord" => Secret::new(hex::encode(pair(&[seed; 32]))),
        "standard-webhooks-v1a" => Secret::new(format!(
            "whsk_{}",
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pair(&[seed; 32]))
        )),
        _ => Secret::generate(&[seed; 32]),
    }
}

/// Signs and verifies; the error is why it cannot be signed.
fn round_trip(scheme: &Scheme, body: &[u8]) -> Result<(), Error> {
    let now_ms = 1_763_654_400_123;
    let secrets = [secret_for(scheme, 1)];
    let headers = headers(json!({"content-type": "application/x-www-form-urlencoded"}).as_object());
    let made = sign(scheme, &secrets, &message(&headers, "", body), "msg_1", now_ms)?;
    let query =
        made.query.iter().map(|(name, value)| format!("{name}={}", value.replace('=', "%3D"))).collect::<String>();
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name?, value))).chain(made.headers).collect();
    let proof = verify(scheme, &secrets, &message(&headers, &query, body), now_ms);
    let proof = proof.unwrap_or_else(|refusal| panic!("{}: {refusal}", scheme.name()));
    assert_eq!(proof.secret.is_none(), scheme.is_none(), "{}", scheme.name());
    if !scheme.is_none() {
        let other = [secret_for(scheme, 2)];
        assert!(verify(scheme, &other, &message(&headers, &query, body), now_ms).is_err(), "{}", scheme.name());
    }
    Ok(())
}

#[test]
fn what_sign_makes_verify_accepts() {
    for auth in [
        json!({"scheme": "api-key", "query": "apiKey"}),
        json!({"scheme": "api-key", "header": "x-api-key"}),
        json!({"scheme": "basic", "user": "me"}),
        json!({"scheme": "basic", "user": "*"}),
        json!({"scheme": "custom", "header": "x-sum", "encoding": "base64", "prefix": "s=",
               "signed": "{method}{url}{body}{timestamp}", "timestamp_header": "x-at", "timestamp_unit": "ms"}),
        json!({"scheme": "custom", "header": "x-sum", "algorithm": "hmac-sha512", "separator": ";", "prefix": "h1=",
               "timestamp_prefix": "ts=", "signed": "{timestamp}:{body}"}),
    ] {
        round_trip(&scheme(auth), b"a=1").unwrap();
    }
    for row in SCHEMES
        .iter()
        .filter(|row| !matches!(row.name, "api-key" | "custom" | "basic" | "adyen" | "mailgun" | "sendgrid"))
    {
        round_trip(&Scheme::named(row.name).unwrap(), b"a=1").unwrap();
    }
}

#[test]
fn what_cannot_be_signed_says_why() {
    for (name, secret, reason) in [
        ("adyen", "00ff", "scheme `adyen` cannot sign: the signature is a part of the body"),
        ("mailgun", "key", "scheme `mailgun` cannot sign: the signature is a part of the body"),
        (
            "sendgrid",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
            "scheme `sendgrid` cannot sign: its secret is the sender's public key",
        ),
        (
            "discord",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "scheme `discord` cannot sign: a public key cannot sign; the secret must hold the seed too",
        ),
    ] {
        let none = HeaderMap::new();
        let scheme = Scheme::named(name).unwrap();
        let made = sign(&scheme, &[Secret::new(secret)], &message(&none, "", b"{}"), "msg_1", 0);
        assert_eq!(made.unwrap_err().to_string(), reason);
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
            Err(error) => {
                let lacks = if row.name == "custom" { "`header`" } else { "`query`" };
                assert!(matches!(row.name, "api-key" | "custom") && error.to_string().contains(lacks), "{error}");
            }
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
        (
            json!({"scheme": "basic", "user": "a:b"}),
            "`user` is `a:b`; allowed: text without a colon, or `*` for anybody",
        ),
        (json!({"scheme": "api-key"}), "`query` is ``; allowed: the name of a parameter, or `header`"),
        (json!({"scheme": "api-key", "query": "a", "header": "b"}), "`query` is `a`; allowed: the name of a parameter"),
        (json!({"scheme": "api-key", "header": "a b"}), "`header` is `a b`; allowed: the name of an HTTP header"),
        (json!({"scheme": "github", "encoding": "hexx"}), "`encoding` is `hexx`; allowed: `hex`, `base64`"),
        (
            json!({"scheme": "github", "algorithm": "md5"}),
            "`algorithm` is `md5`; allowed: `hmac-sha1`, `hmac-sha256`, `hmac-sha512`, `sha256`, `ed25519`, `ecdsa-p256`",
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
        (json!({"scheme": "custom"}), "`header` is ``; allowed: the name of an HTTP header, or `signature_pointer`"),
        (
            json!({"scheme": "custom", "header": "x-a", "signature_pointer": "/a"}),
            "`signature_pointer` is `/a`; allowed",
        ),
        (
            json!({"scheme": "github", "timestamp_pointer": "at"}),
            "`timestamp_pointer` is `at`; allowed: a JSON pointer",
        ),
        (json!({"scheme": "gitlab", "header": "x"}), "`header` does not belong to scheme `gitlab`"),
        (json!({"scheme": "github", "handshake": "hello"}), "`handshake` is `hello`; allowed: `slack`, `meta`"),
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
    for row in SCHEMES.iter().filter(|row| !matches!(row.name, "none" | "api-key" | "custom")) {
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
    assert_eq!(redacts(json!({"scheme": "gitlab"})).headers, ["x-gitlab-token"]);
    assert_eq!(redacts(json!({"scheme": "github"})).headers, ["x-hub-signature-256"]);
    assert_eq!(redacts(json!({"scheme": "adyen"})), Redacts::default());
}
