//! Fuzz targets: whatever a sender writes, nothing panics, nobody passes who should not, and no reason tells a secret.

use std::sync::LazyLock;

use flowgate_fuzz::{Grow, fuzz};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::form_urlencoded::parse;

use super::handshake::{Handshake, is_crc_token};
use super::part::Part;
use super::scheme::Kind;
use super::stamp::Unit;
use super::stringify::stringify;
use super::testing::{Case, cases};
use super::*;

static CASES: LazyLock<Vec<Case>> = LazyLock::new(cases);

/// A request of a case with a few changes.
struct Grown {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
    url: Option<String>,
    now_ms: i64,
}

impl Grown {
    fn of(case: &Case, grow: &mut Grow<'_>) -> Self {
        let now_ms = if grow.once_in(16) { grow.number() } else { case.now_ms };
        Self {
            method: grow.text(&[&case.method, "GET", "HEAD", "OPTIONS"]),
            path: grow.text(&[&case.path]),
            query: grow.text(&[&case.query, "challenge=a", "crc_token=a", "hub.mode=subscribe&hub.challenge=1"]),
            headers: headers(&case.headers, grow),
            body: grow.bytes(&[
                &case.body,
                "",
                "crc",
                r#"{"type":1}"#,
                r#"{"type":"url_verification","challenge":"a"}"#,
            ]),
            url: case.url.as_ref().map(|url| grow.text(&[url])),
            now_ms,
        }
    }

    fn message(&self) -> Message<'_> {
        Message {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
            public_url: self.url.as_deref(),
        }
    }
}

fn headers(example: &HeaderMap, grow: &mut Grow<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in example {
        let times = [1, 1, 1, 1, 1, 1, 2, 0][grow.below(8)];
        for _ in 0..times {
            if let Ok(value) = HeaderValue::from_bytes(&grow.bytes(&[value.as_bytes()])) {
                headers.append(name.clone(), value);
            }
        }
    }
    headers
}

/// Whether a text tells a secret that is long enough not to be in it by chance.
fn tells(text: &str, secrets: &[Secret]) -> bool {
    let parts = secrets.iter().flat_map(|secret| [secret.expose(), secret.expose().trim_start_matches("whsec_")]);
    parts.filter(|part| part.len() >= 12).any(|part| text.contains(part))
}

#[test]
fn a_request_passes_or_is_refused_without_telling_a_secret() {
    fuzz!(|grow| {
        let case = grow.pick(&CASES);
        let grown = Grown::of(case, grow);
        let message = grown.message();
        let proof = verify(&case.scheme, &case.secrets, &message, grown.now_ms);
        match &proof {
            Ok(proof) => assert!(proof.secret.map_or(case.scheme.is_none(), |index| index < case.secrets.len())),
            Err(refusal) => {
                // What a sender put into a name is shown, and what it signs with is not there unless it put it there.
                let own = format!("{:?} {}", grown.headers, grown.query);
                assert!(tells(&own, &case.secrets) || !tells(&refusal.to_string(), &case.secrets), "{refusal}");
            }
        }
        let asked = grown.query.clone() + &String::from_utf8_lossy(&grown.body) + &format!("{:?}", grown.headers);
        if let Some(answer) = handshake(&case.scheme, &case.secrets, &message, proof.as_ref().ok()) {
            let told = String::from_utf8_lossy(&answer.body).into_owned() + &format!("{:?}", answer.headers);
            assert!(tells(&asked, &case.secrets) || !tells(&told, &case.secrets));
        }
    });
}

#[test]
fn a_request_that_says_something_else_than_its_vector_does_not_pass() {
    fuzz!(|grow| {
        let case = grow.pick(&CASES);
        let Kind::Signing(signing) = &case.scheme.kind else { return };
        let body = grow.bytes(&[&case.body]);
        let same = body == case.body.as_bytes() || stringify(&body) == stringify(case.body.as_bytes());
        if case.expect.is_ok() && signing.signed.contains(&Part::Body) && !same {
            let other = Message { body: &body, ..case.message() };
            assert!(verify(&case.scheme, &case.secrets, &other, case.now_ms).is_err(), "{}", case.name);
        }
    });
}

/// Every row, where it needs nothing but a secret.
static SCHEMES_NAMED: LazyLock<Vec<Scheme>> =
    LazyLock::new(|| SCHEMES.iter().filter_map(|row| Scheme::named(row.name).ok()).collect());

#[test]
fn what_is_signed_passes_and_with_one_bit_flipped_does_not() {
    fuzz!(|grow| {
        let scheme = grow.pick(&SCHEMES_NAMED);
        let secrets = [scheme.make_secret(&[1; 32])];
        let body = grow.bytes(&["", "{}", r#"{"a":[1.50,"é"]}"#, "a=1&b=2", "<a/>"]);
        let mut headers = HeaderMap::new();
        let url = Some("https://hooks.example.com/hooks/x?a=1");
        let plain = Message {
            method: "POST",
            path: "/hooks/x",
            query: "a=1",
            headers: &headers.clone(),
            body: &body,
            public_url: url,
        };
        let now_ms = 1_763_654_400_000 + grow.number() % 1_000_000_000;
        let Ok(made) = sign(scheme, &secrets, &plain, "msg_1", now_ms) else { return };
        headers.extend(made.headers);
        let signed = Message { headers: &headers, ..plain };
        if scheme.handshake_method() == Some("GET") && is_crc_token(&body) {
            return;
        }
        verify(scheme, &secrets, &signed, now_ms).unwrap_or_else(|refusal| panic!("{}: {refusal}", scheme.name()));
        let covers_body = match &scheme.kind {
            Kind::Signing(signing) => signing.signed.contains(&Part::Body),
            kind => matches!(kind, Kind::HttpMessage(_)),
        };
        let mut flipped = body.clone();
        let at = grow.below(body.len());
        let Some(byte) = flipped.get_mut(at) else { return };
        *byte ^= 1 << grow.below(8);
        let same_json = stringify(&body).is_some_and(|text| Some(text) == stringify(&flipped));
        if covers_body && !same_json {
            assert!(
                verify(scheme, &secrets, &Message { body: &flipped, ..signed }, now_ms).is_err(),
                "{}",
                scheme.name()
            );
        }
        let others = [scheme.make_secret(&[2; 32])];
        assert!(scheme.is_none() || verify(scheme, &others, &signed, now_ms).is_err(), "{}", scheme.name());
    });
}

const ENTRIES: &[&str] = &[
    r#"{"scheme":"custom","header":"x-a","prefix":"s=","separator":",","timestamp_prefix":"t=","signed":"{timestamp}.{body}"}"#,
    r#"{"scheme":"custom","header":"x-a","id_header":"x-id","signed":"{id}{method}{path}{query}{url}{header:date}{form}"}"#,
    r#"{"scheme":"custom","signature_pointer":"/a/0","signed":"{json:/b~1c}{timestamp}","timestamp_pointer":"/t"}"#,
    r#"{"scheme":"custom","header":"x-a","algorithm":"ed25519","encoding":"base64","key":"hex","url_any_port":true}"#,
    r#"{"scheme":"stripe","tolerance_s":600,"tolerance_future_s":1,"timestamp_unit":"http-date","key_prefix":"whsec_"}"#,
    r#"{"scheme":"http-message-signatures","components":["@method","date"],"tag":"a","algorithm":"rsa-pss-sha512"}"#,
    r#"{"scheme":"jwt","algorithm":"hmac-sha256","audience":"a","claims":{"iss":"b"},"body_claim":"c","header":"x-a"}"#,
    r#"{"scheme":"meta","verify_token":"t","handshake":"zoom","accept_compact_json":true,"header_prefix":"v0="}"#,
    r#"{"scheme":"api-key","query":"apiKey"}"#,
    r#"{"scheme":"basic","user":"me"}"#,
];

#[test]
fn a_scheme_is_refused_or_kept_and_works_whatever_is_written() {
    fuzz!(|grow| {
        let Ok(scheme) = serde_json::from_str::<Scheme>(&grow.text(ENTRIES)) else { return };
        let again = serde_json::from_str::<Scheme>(&serde_json::to_string(&scheme).unwrap()).unwrap();
        assert_eq!(scheme, again);
        let case = grow.pick(&CASES);
        let secret = Secret::new(grow.text(&["hush hush", "00ff", "whsec_AQID", "a:b"]));
        let secrets = [secret, scheme.make_secret(&[1; 32])];
        let grown = Grown::of(case, grow);
        let _ = verify(&scheme, &secrets, &grown.message(), grown.now_ms);
        let _ = sign(&scheme, &secrets, &grown.message(), &grow.text(&["msg_1"]), grown.now_ms);
        let _ = scheme.redacts();
    });
}

#[test]
fn handshakes_that_are_signed_are_not_answered_to_strangers() {
    let questions = [
        r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#,
        r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8"}}"#,
        r#"{"challenge":"pogchamp","subscription":{"status":"webhook_callback_verification_pending"}}"#,
        r#"{"type":1}"#,
    ];
    let queries = [
        "crc_token=a&nonce=b",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock",
        "challenge=a",
        "validationToken=Validation%3a+Testing",
    ];
    fuzz!(|grow| {
        let (name, asks) = *grow.pick(&Handshake::NAMES);
        let entry = format!(r#"{{"scheme":"hmac-sha256","handshake":"{name}","verify_token":"meatyhamhock"}}"#);
        let scheme = serde_json::from_str::<Scheme>(&entry).unwrap();
        let secrets = [Secret::new("a very secret secret")];
        let mut fields = HeaderMap::new();
        for name in ["x-hook-secret", "x-okta-verification-challenge", "webhook-request-origin", "webhook-request-rate"]
        {
            let value = HeaderValue::from_bytes(&grow.bytes(&["a.example", "120"]));
            fields.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
        let (query, body) = (grow.text(&queries), grow.bytes(&questions));
        let method = scheme.handshake_method().unwrap();
        let message = Message { method, path: "/", query: &query, headers: &fields, body: &body, public_url: None };
        let answer = handshake(&scheme, &secrets, &message, None);
        let signed = [Handshake::Slack, Handshake::Zoom, Handshake::Discord, Handshake::Twitch];
        assert!(answer.is_none() || !signed.contains(&asks), "{name}");
        assert!(answer.is_none_or(|answer| !tells(&String::from_utf8_lossy(&answer.body), &secrets)));
    });
}

/// Dates are written with a year of four digits: this is the end of 9998.
const DATES_END_MS: i64 = 253_370_764_800_000;

#[test]
fn a_moment_is_read_as_it_is_written() {
    let texts = [
        "1531420618",
        "1531420618999",
        "2019-11-16T10:11:12.634234626Z",
        "Tue, 20 Apr 2021 02:07:55 GMT",
        "Tue 20 Apr 2021 02:07:55 UTC",
    ];
    fuzz!(|grow| {
        let (name, unit) = *grow.pick(&Unit::NAMES);
        let _ = unit.seconds(&grow.text(&texts));
        let _ = unit.text(grow.number());
        let unix_ms = grow.number().rem_euclid(DATES_END_MS);
        assert_eq!(unit.seconds(&unit.text(unix_ms)), Some(unix_ms / 1_000), "{name}");
    });
}

#[test]
fn a_query_loses_what_is_stripped_and_nothing_else() {
    let names = ["apiKey".to_owned(), "token".to_owned(), "hub.verify_token".to_owned()];
    fuzz!(|grow| {
        let query =
            grow.text(&["apiKey=a&b=%20c", "b=1&api%4bey=a&token", "hub.verify_token=1&&x=+", "é=%C3%A9&token=%zz"]);
        let kept = strip_query(&query, &names);
        let wanted = parse(query.as_bytes()).filter(|(name, _)| !names.iter().any(|unwanted| unwanted == name));
        assert!(wanted.eq(parse(kept.as_bytes())), "{query}");
        let _ = query::only(&query, "apiKey");
    });
}

#[test]
fn a_json_text_says_the_same_when_it_is_written_anew() {
    fuzz!(|grow| {
        let text = grow.bytes(&[
            r#"{"b":[1.50,1e21,-0,true,null],"1":"é\u00e9\ud83d\ude00","a":{"":"\n"}}"#,
            "[[[]]]",
            "\"\\u0000\"",
        ]);
        let Some(written) = stringify(&text) else { return };
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok());
        assert_eq!(stringify(&written).as_ref(), Some(&written));
        // A number that is too large for JavaScript becomes null there, and half of a pair stays half of one.
        let (before, after) = (serde_json::from_slice::<Value>(&text), serde_json::from_slice::<Value>(&written));
        assert!(before.is_err() || after.is_ok(), "{}", String::from_utf8_lossy(&text));
    });
}

#[test]
fn a_content_digest_is_of_its_body_only() {
    fuzz!(|grow| {
        let (body, other) = (grow.bytes(&["", "{}"]), grow.bytes(&["", "{}"]));
        let digest = grow.bytes(&[content_digest::of(&body)]);
        let Ok(value) = HeaderValue::from_bytes(&digest) else { return };
        let headers = HeaderMap::from_iter([(content_digest::CONTENT_DIGEST.clone(), value)]);
        let message =
            Message { method: "POST", path: "/", query: "", headers: &headers, body: &other, public_url: None };
        let checked = content_digest::check(&message);
        assert!(checked.is_err() || body == other);
        assert!(checked.is_ok() || body != other || digest != content_digest::of(&body).as_bytes());
    });
}
