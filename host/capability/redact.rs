//! Keeps the secrets of a flow out of what leaves it, and out of what comes to it.
//!
//! A secret is looked for as it is and in the forms that programs give to text on its way: in JSON, in URLs, in HTML, in hex and
//! in base64 at each of its three alignments, upper and lower case not told apart. Who has a secret in clear can always find a
//! form that is not looked for; who has not cannot, since nothing but the host ever has it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::trigger::Json;

/// What stands for a secret in text.
const REDACTED: &str = "[redacted]";

/// Bytes of the shortest form that is looked for; a shorter one would be found where it is not.
const FORM_BYTES_MIN: usize = 6;

/// What a URL's parts have in clear (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Finds the secrets of a flow. Clones share it; one without secrets does nothing.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Forms>>);

struct Forms {
    automaton: AhoCorasick,
    /// Lowercase.
    texts: Vec<String>,
    longest: usize,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    pub(super) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts = values.into_iter().flat_map(forms).collect::<Vec<_>>();
        texts.iter_mut().for_each(|text| text.make_ascii_lowercase());
        texts.sort_unstable();
        texts.dedup();
        let Some(longest) = texts.iter().map(String::len).max() else { return Self::default() };
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(&texts)
            .expect("a hundred secrets of some thousand characters are far fewer than the states that it can have");
        Self(Some(Arc::new(Forms { automaton, texts, longest })))
    }

    /// Whether there is nothing to find.
    pub fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a text tells a secret.
    pub fn finds(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|forms| forms.automaton.is_match(text))
    }

    /// Replaces secrets in a text.
    pub fn text(&self, text: &mut String) {
        let Some(forms) = &self.0 else { return };
        if forms.automaton.is_match(text.as_str()) {
            let mut redacted = String::with_capacity(text.len());
            forms.automaton.replace_all_with(text, &mut redacted, |_, _, redacted| {
                redacted.push_str(REDACTED);
                true
            });
            *text = redacted;
        }
    }

    /// Replaces secrets in a JSON text. Where one was more than a part of a string, the whole becomes a string.
    pub fn json(&self, json: &mut Json) {
        let mut text = Cow::Borrowed(json.as_str());
        if self.0.as_ref().is_some_and(|forms| forms.automaton.is_match(&*text)) {
            self.text(text.to_mut());
            let redacted = Json::parse(text.into_owned()).or_else(|_| Json::of(&REDACTED));
            *json = redacted.expect("a string has a JSON form");
        }
    }

    /// Covers secrets with asterisks, so that lengths stay true.
    pub fn bytes(&self, bytes: &mut Bytes) {
        let Some(forms) = &self.0 else { return };
        if forms.automaton.is_match(&bytes[..]) {
            let mut covered = bytes.to_vec();
            forms.automaton.find_iter(&bytes[..]).for_each(|found| covered[found.range()].fill(b'*'));
            *bytes = covered.into();
        }
    }

    /// Covers secrets in what comes in pieces.
    pub fn stream(&self) -> Scrubber {
        Scrubber { redactor: self.clone(), held: Vec::new() }
    }
}

/// Covers secrets with asterisks in a stream of pieces, also where a secret lies in several of them. Holds back only what may
/// be the begin of one.
#[derive(Debug)]
pub struct Scrubber {
    redactor: Redactor,
    held: Vec<u8>,
}

impl Scrubber {
    /// Takes a piece, and gives what can go on.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        let Some(forms) = &self.redactor.0 else { return piece };
        self.held.extend_from_slice(&piece);
        let mut cut = forms.open_from(&self.held);
        let found = forms.automaton.find_iter(&self.held).map(|found| found.range());
        for range in found.take_while(|range| range.start < cut).collect::<Vec<_>>() {
            cut = cut.max(range.end);
            self.held[range].fill(b'*');
        }
        let rest = self.held.split_off(cut);
        std::mem::replace(&mut self.held, rest).into()
    }

    /// Gives what is left at the end.
    pub fn end(&mut self) -> Bytes {
        let mut rest = Bytes::from(std::mem::take(&mut self.held));
        self.redactor.bytes(&mut rest);
        rest
    }
}

impl Forms {
    /// Where a secret may begin that goes on behind the end of `bytes`; the end if there is none.
    fn open_from(&self, bytes: &[u8]) -> usize {
        let begins = |rest: &[u8]| {
            let longer = |text: &&String| text.len() > rest.len();
            self.texts.iter().filter(longer).any(|text| text.as_bytes()[..rest.len()].eq_ignore_ascii_case(rest))
        };
        let first = bytes.len().saturating_sub(self.longest - 1);
        (first..bytes.len()).find(|&at| begins(&bytes[at..])).unwrap_or(bytes.len())
    }
}

/// A secret as it may stand in what others wrote.
fn forms(value: &str) -> Vec<String> {
    let json = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let once = json(value);
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut forms = vec![
        value.to_owned(),
        once.replace('/', "\\/"),
        json(&once),
        once,
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(value, UNRESERVED).to_string(),
        url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        html,
        hex::encode(value),
    ];
    for before in 0..3 {
        let aligned = [&[0; 2][..before], value.as_bytes()].concat();
        // The first and last digits depend on what stands beside the secret.
        let (first, last) = ([0, 2, 3][before], usize::from(aligned.len() % 3 != 0));
        for text in [BASE64_STANDARD_NO_PAD.encode(&aligned), BASE64_URL_SAFE_NO_PAD.encode(&aligned)] {
            forms.push(text[first..text.len() - last].to_owned());
        }
    }
    forms.retain(|form| form.len() >= FORM_BYTES_MIN);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t/\"+&key";

    fn redactor() -> Redactor {
        Redactor::new([SECRET, "another-secret"])
    }

    fn scrubbed(text: &[u8], sizes: usize) -> Vec<u8> {
        let mut scrubber = redactor().stream();
        let mut out =
            text.chunks(sizes).flat_map(|piece| scrubber.push(Bytes::copy_from_slice(piece))).collect::<Vec<_>>();
        out.extend(scrubber.end());
        out
    }

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        let base64 = |before: &str| BASE64_STANDARD_NO_PAD.encode(format!("{before}{SECRET} and more"));
        for text in [
            format!("a {SECRET} b"),
            format!("a {} b", SECRET.to_uppercase()),
            format!("a {} b", serde_json::json!({ "k": SECRET })),
            format!("a {} b", serde_json::json!({ "k": serde_json::json!(SECRET).to_string() })),
            "s3cr3t\\/\\\"+&key".to_owned(),
            "s3cr3t%2F%22%2B%26key".to_owned(),
            "s3cr3t%2f%22%2b%26key".to_owned(),
            "s3cr3t/&quot;+&amp;key".to_owned(),
            hex::encode(SECRET).to_uppercase(),
        ] {
            let mut redacted = text.clone();
            redactor().text(&mut redacted);
            assert!(redacted.contains(REDACTED) && !redacted.contains("key"), "{text} became {redacted}");
        }
        for before in ["", "u", "us", "user:"] {
            let mut text = base64(before);
            redactor().text(&mut text);
            assert!(text.contains(REDACTED), "{before}");
            let decoded = BASE64_STANDARD_NO_PAD.decode(text.replace(REDACTED, "")).unwrap_or_default();
            assert!(!decoded.windows(6).any(|part| SECRET.as_bytes().windows(6).any(|own| own == part)));
        }
        let mut text = "nothing of the kind".to_owned();
        redactor().text(&mut text);
        assert_eq!(text, "nothing of the kind");
    }

    #[test]
    fn json_stays_json() {
        let redacted = |text: &str| {
            let mut json = Json::parse(text.to_owned()).unwrap();
            Redactor::new(["12345678"]).json(&mut json);
            json.as_str().to_owned()
        };
        assert_eq!(redacted(r#"{"a": "x12345678y"}"#), r#"{"a": "x[redacted]y"}"#);
        assert_eq!(redacted(r#"{"a": 12345678}"#), r#""[redacted]""#);
        assert_eq!(redacted(r#"{"a":  1.0}"#), r#"{"a":  1.0}"#);
    }

    #[test]
    fn a_stream_is_scrubbed_however_it_is_cut() {
        let text = format!("begin {SECRET}{SECRET} s3cr3t another-secre, another-secret s3cr3t/");
        let stars = "*".repeat(SECRET.len());
        let expected = format!("begin {stars}{stars} s3cr3t another-secre, ************** s3cr3t/");
        for sizes in 1..=text.len() {
            assert_eq!(String::from_utf8(scrubbed(text.as_bytes(), sizes)).unwrap(), expected, "pieces of {sizes}");
        }
    }

    #[test]
    fn what_can_be_no_secret_is_not_held_back() {
        let mut scrubber = redactor().stream();
        assert_eq!(&scrubber.push(Bytes::from_static(b"data: hello\n\n"))[..], b"data: hello\n\n");
        assert_eq!(&scrubber.push(Bytes::from_static(b"data: anoth"))[..], b"data: ");
        assert_eq!(&scrubber.push(Bytes::from_static(b"er one"))[..], b"another one");
        assert!(scrubber.end().is_empty());
        assert_eq!(&Redactor::default().stream().push(Bytes::from_static(b"anoth"))[..], b"anoth");
    }
}
