//! The vectors pass, and what a vector cannot say.

use http::HeaderMap;
use serde_json::{Value, json};

use super::testing::{cases, headers};
use super::*;

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
        // A token may be sent with many requests; all else that has a timestamp passes once.
        if let (Ok(proof), false) = (&outcome, case.scheme.name() == "jwt") {
            assert_eq!(proof.once.is_some(), proof.timestamp_s.is_some(), "{}", case.name);
        }
        let outcome = outcome.map(|proof| Proof { once: None, ..proof });
        assert_eq!(outcome.map_err(|refusal| refusal.to_string()), case.expect, "{}", case.name);
    }
}

#[test]
fn a_replay_is_known_by_what_was_signed() {
    let (scheme, secrets) = (scheme(json!({ "scheme": "stripe", "tolerance_s": 60 })), [Secret::new("s")]);
    let (body, empty) = (br#"{"id":"evt_1"}"#, HeaderMap::new());
    let once = |change: &dyn Fn(&str) -> String, now_ms| {
        let signed = sign(&scheme, &secrets, &message(&empty, "", body), "", now_ms).unwrap().headers;
        let mut headers = HeaderMap::from_iter(signed);
        let text = headers["stripe-signature"].to_str().unwrap().to_owned();
        headers.insert("stripe-signature", change(&text).parse().unwrap());
        headers.insert("x-unsigned", now_ms.to_string().parse().unwrap());
        verify(&scheme, &secrets, &message(&headers, "", body), now_ms).unwrap().once.unwrap()
    };
    let first = once(&str::to_owned, 1_000_000);
    assert_eq!(first, once(&|text| format!("v1=00,{text},v0=ff"), 1_000_000), "what is not signed changes nothing");
    assert_ne!(first.digest, once(&str::to_owned, 1_001_000).digest, "the sender has signed it anew");
    assert_eq!(first.seconds, 120);
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

/// Signs and verifies; the error is why it cannot be signed.
fn round_trip(scheme: &Scheme, body: &[u8]) -> Result<(), Error> {
    let now_ms = 1_763_654_400_123;
    let secrets = [scheme.make_secret(&[1; 32])];
    let headers = headers(json!({"content-type": "application/x-www-form-urlencoded"}).as_object());
    let made = sign(scheme, &secrets, &message(&headers, "", body), "msg_1", now_ms)?;
    let query =
        made.query.iter().map(|(name, value)| format!("{name}={}", value.replace('=', "%3D"))).collect::<String>();
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name?, value))).chain(made.headers).collect();
    let proof = verify(scheme, &secrets, &message(&headers, &query, body), now_ms);
    let proof = proof.unwrap_or_else(|refusal| panic!("{}: {refusal}", scheme.name()));
    assert_eq!(proof.secret.is_none(), scheme.is_none(), "{}", scheme.name());
    if !scheme.is_none() {
        let other = [scheme.make_secret(&[2; 32])];
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
    for auth in [
        json!({"scheme": "http-message-signatures", "components": ["@authority", "content-type"], "tag": "a \"b\""}),
        json!({"scheme": "http-message-signatures", "algorithm": "ed25519"}),
        json!({"scheme": "jwt", "algorithm": "ed25519", "claims": {"iss": "a"}, "audience": "b"}),
        json!({"scheme": "jwt", "algorithm": "hmac-sha256", "header": "x-token", "body_claim": "sha256"}),
    ] {
        round_trip(&scheme(auth), b"a=1").unwrap();
    }
    for row in SCHEMES
        .iter()
        .filter(|row| !matches!(row.name, "api-key" | "custom" | "jwt" | "basic" | "adyen" | "mailgun" | "sendgrid"))
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
                let lacks = [("custom", "`header`"), ("api-key", "`query`"), ("jwt", "`audience`")];
                let lacks = lacks.iter().find(|(name, _)| *name == row.name);
                assert!(lacks.is_some_and(|(_, field)| error.to_string().contains(field)), "{}: {error}", row.name);
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
            "`algorithm` is `md5`; allowed: `hmac-sha1`, `hmac-sha256`, `hmac-sha512`, `sha256`, `ed25519`, `ecdsa-p256`, ",
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
        (
            json!({"scheme": "http-message-signatures", "algorithm": "sha256"}),
            "`algorithm` is `sha256`; allowed: `hmac-sha256`, `ed25519`, `ecdsa-p256-sha256`, `rsa-v1_5-sha256`, `rsa-pss",
        ),
        (json!({"scheme": "http-message-signatures", "components": []}), "`components` is ``; allowed: a list of"),
        (json!({"scheme": "http-message-signatures", "components": ["Date"]}), "`components` is `Date`; allowed: a"),
        (json!({"scheme": "http-message-signatures", "tag": ""}), "`tag` is ``; allowed: printable ASCII"),
        (json!({"scheme": "http-message-signatures", "header": "x"}), "`header` does not belong to scheme `http-mess"),
        (json!({"scheme": "jwt"}), "`audience` is ``; allowed: the token's `aud`, or `claims` or `body_claim`"),
        (
            json!({"scheme": "jwt", "audience": "a", "algorithm": "sha256"}),
            "`algorithm` is `sha256`; allowed: `rsa-v1_5",
        ),
        (json!({"scheme": "jwt", "claims": {"iss": 1}}), "invalid type: integer `1`, expected a string"),
        (json!({"scheme": "github", "components": ["date"]}), "`components` does not belong to scheme `github`"),
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
    for row in SCHEMES.iter().filter(|row| !matches!(row.name, "none" | "api-key" | "custom" | "jwt")) {
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
