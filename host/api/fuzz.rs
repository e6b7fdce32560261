//! Fuzz targets: what operators and their programs send.

use axum::extract::{FromRequestParts as _, Query};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use flowgate_fuzz::fuzz;
use futures_util::FutureExt as _;
use serde_json::{Map, Value};

use super::auth::presented;
use super::hook_draft::Draft;
use super::page::Paging;
use super::request;
use super::versions::content_digest;
use crate::hook::Spec;
use crate::id;

fn header(name: &'static str, value: &[u8]) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(value).ok()?;
    Some(HeaderMap::from_iter([(HeaderName::from_static(name), value)]))
}

#[test]
fn a_page_is_one_or_refused() {
    let queries = ["limit=50&cursor=exe_019a9f3c0d5c7e0a8f7e2b1d4c6a5b3e", "limit=0", "cursor=%zz&limit=+1"];
    fuzz!(|grow| {
        let query = url::form_urlencoded::byte_serialize(&grow.bytes(&queries)).collect::<String>();
        let plain = query.replace("%3D", "=").replace("%26", "&");
        let Ok(request) = Request::get(format!("/?{plain}")).body(()) else { return };
        let (mut parts, ()) = request.into_parts();
        let paging = Query::<Paging>::from_request_parts(&mut parts, &()).now_or_never().unwrap();
        if let Ok(page) = paging.map_err(drop).and_then(|Query(paging)| paging.page::<id::Execution>().map_err(drop)) {
            assert!((2..=201).contains(&page.limit));
        }
    });
}

#[test]
fn a_key_and_a_digest_are_found_or_not() {
    fuzz!(|grow| {
        let key = header("authorization", &grow.bytes(&["Bearer fgk_abc", "bearer  x", "Basic YTpi"]));
        assert!(key.is_none_or(|headers| presented(&headers).is_none_or(|key| !key.starts_with(' '))));
        let value =
            grow.bytes(&["sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:", "sha-512=:AA==:, sha-256=:AA==:"]);
        let _ = header("content-digest", &value).map(|headers| content_digest(&headers));
    });
}

const HOOKS: &[&str] = &[
    r#"{"name":"a","flow":"bot","enabled":true,"secret":"s","dialect":"native","auth":[{"scheme":"github"}],"mode":"async"}"#,
    r#"{"callback":{"url":"https://example.com/","basic":{"user":"u","password":"p"}},"limits":{"concurrent":1}}"#,
    r#"{"auth":[{"scheme":"none"}],"sync_wait_ms":1,"public_url":"https://example.com/h","alias":"live"}"#,
];

#[test]
fn a_hook_is_read_or_refused_by_the_name_of_a_field() {
    fuzz!(|grow| {
        let text = grow.bytes(HOOKS);
        let Ok(body) = request::parse::<Map<String, Value>>(&text) else { return };
        if let Ok(spec) = serde_json::from_value::<Spec>(Value::Object(body.clone())) {
            let again = serde_json::to_value(&spec).unwrap();
            assert_eq!(serde_json::to_value(serde_json::from_value::<Spec>(again.clone()).unwrap()).unwrap(), again);
        }
        let _ = Draft::new(body);
    });
}
