//! Twilio's way to sign: a URL, and the fields of a form in it.
//!
//! Source: <https://www.twilio.com/docs/usage/security#validating-requests> (2026-08).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use http::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::parse;
use url::{Position, Url};

use super::{Message, Refusal, equal};

/// The fields of a form body, sorted by name, each name followed by its different values in order.
///
/// For another body nothing, and then the URL must carry that body's digest: what nobody signs must not pass.
pub(super) fn fields(message: &Message<'_>, url: Option<&str>) -> Result<Vec<u8>, Refusal> {
    if message.body.is_empty() {
        return Ok(Vec::new());
    }
    let kind = message.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    {
        return Some(sorted(message.body)).filter(|fields| !fields.is_empty()).ok_or(Refusal::BodyNotSigned);
    }
    let query = url.and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    let digest = parse(query.as_bytes()).find(|(name, _)| name == "bodySHA256").map(|(_, value)| value);
    let right = digest.is_some_and(|digest| equal(digest.as_bytes(), hex::encode(Sha256::digest(message.body))));
    if right { Ok(Vec::new()) } else { Err(Refusal::BodyNotSigned) }
}

fn sorted(form: &[u8]) -> Vec<u8> {
    let mut fields: BTreeMap<Cow<'_, str>, BTreeSet<Cow<'_, str>>> = BTreeMap::new();
    for (name, value) in parse(form) {
        fields.entry(name).or_default().insert(value);
    }
    let pairs = fields.iter().flat_map(|(name, values)| values.iter().map(move |value| [name, value]));
    pairs.flatten().flat_map(|text| text.bytes()).collect()
}

/// The URL as it is configured, and with and without its port: senders differ in which of them they sign.
pub(super) fn any_port(url: &str) -> Vec<String> {
    let mut forms = vec![url.to_owned()];
    if let Ok(parsed) = Url::parse(url) {
        let (scheme, host) = (parsed.scheme(), parsed.host_str().unwrap_or(""));
        let user = &parsed[Position::BeforeUsername..Position::BeforeHost];
        let rest = &parsed[Position::AfterPort..];
        forms.push(format!("{scheme}://{user}{host}{rest}"));
        forms.extend(parsed.port_or_known_default().map(|port| format!("{scheme}://{user}{host}:{port}{rest}")));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted_and_those_that_come_twice_are_taken_once() {
        assert_eq!(sorted(b"b=2&a=%C3%A9+x&b=1&b=2&c"), "aé xb1b2c".as_bytes());
    }

    #[test]
    fn a_url_has_its_forms_with_and_without_a_port() {
        let forms = |url| any_port(url)[1..].to_vec();
        assert_eq!(forms("https://a.example/x?y=1"), ["https://a.example/x?y=1", "https://a.example:443/x?y=1"]);
        assert_eq!(forms("http://u:p@a.example:8/x"), ["http://u:p@a.example/x", "http://u:p@a.example:8/x"]);
    }
}
