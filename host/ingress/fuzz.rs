//! Fuzz targets: what callers write into headers and URLs.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use flowgate_fuzz::fuzz;

use super::Options;
use super::claims::{KEY_BYTES_MAX, given_key};
use super::peer::{ForwardedBy, caller};
use super::prefer::{Answering, answering};
use super::prove::with_query;
use crate::dialect::DIALECTS;
use crate::hook::{Mode, Range, Spec};
use crate::signature::Scheme;

#[test]
fn nobody_waits_longer_than_the_hook_allows() {
    let wishes = ["respond-async, wait=3", "wait=\"9999\"", "handling=lenient; wait = 1", "RESPOND-ASYNC"];
    fuzz!(|grow| {
        let (_, dialect) = *grow.pick(DIALECTS);
        let mode = *grow.pick(&[Mode::Sync, Mode::Async, Mode::Stream]);
        let spec = Spec { dialect, mode, sync_wait_ms: 20_000, ..Spec::new(vec![Scheme::named("bearer").unwrap()]) };
        let mut headers = HeaderMap::new();
        for (name, examples) in
            [("prefer", &wishes[..]), ("accept", &["text/event-stream;q=1, */*", "application/json"])]
        {
            for _ in 0..grow.below(3) {
                let value = HeaderValue::from_bytes(&grow.bytes(examples));
                headers.extend(value.map(|value| (HeaderName::from_static(name), value)).ok());
            }
        }
        match answering(&spec, &headers) {
            Answering::Wait(wait) | Answering::Accept(wait) => assert!(wait <= Duration::from_secs(20)),
            Answering::Stream => {}
        }
    });
}

#[test]
fn a_key_is_taken_whole_or_refused() {
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    fuzz!(|grow| {
        let mut headers = HeaderMap::new();
        for _ in 0..grow.below(3) {
            let value =
                HeaderValue::from_bytes(&grow.bytes(&["8e03978e-40d5-43dd-bc93-6894a57f9324", "\"quoted\"", &long]));
            headers.extend(value.map(|value| (HeaderName::from_static("idempotency-key"), value)).ok());
        }
        let given = headers.get_all("idempotency-key").iter().collect::<Vec<_>>();
        match (given_key(&headers), &given[..]) {
            (Ok(None), []) | (Err(_), [_, _, ..]) => {}
            (Ok(Some(key)), [value]) => assert!(key == value.as_bytes() && (1..=KEY_BYTES_MAX).contains(&key.len())),
            (Err(_), [value]) => assert!(!(1..=KEY_BYTES_MAX).contains(&value.len())),
            (outcome, _) => panic!("{} keys: {:?}", given.len(), outcome.is_ok()),
        }
    });
}

#[test]
fn the_url_keeps_its_host_whatever_query_comes() {
    fuzz!(|grow| {
        let query = grow.text(&["", "a=1", "?b#c", "@evil.example/"]);
        let url = with_query("https://a.example/hooks/x?old=1#top", &query);
        assert!(url.starts_with("https://a.example/hooks/x"));
        assert!(url::Url::parse(&url).unwrap().host_str() == Some("a.example"));
    });
}

#[test]
fn a_caller_is_one_that_a_trusted_proxy_has_seen() {
    let lists = [
        "198.51.100.7, 10.0.0.2",
        "for=198.51.100.7;proto=https, for=\"[2001:db8::1]:4711\"",
        "unknown",
        "for=_x;by=\"",
    ];
    fuzz!(|grow| {
        let by = *grow.pick(&[ForwardedBy::XForwardedFor, ForwardedBy::Forwarded]);
        let trusted_proxies = vec![Range::try_from("10.0.0.0/8".to_owned()).unwrap()];
        let options = Options { forwarded_by: by, trusted_proxies, ..Options::default() };
        let mut headers = HeaderMap::new();
        for name in ["x-forwarded-for", "forwarded"] {
            for _ in 0..grow.below(3) {
                let value = HeaderValue::from_bytes(&grow.bytes(&lists));
                headers.extend(value.map(|value| (HeaderName::from_static(name), value)).ok());
            }
        }
        let stranger = "192.0.2.1".parse().unwrap();
        assert_eq!(caller(&options, stranger, &headers), stranger);
        let _ = caller(&options, "10.0.0.1".parse().unwrap(), &headers);
    });
}
