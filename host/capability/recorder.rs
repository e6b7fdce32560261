//! What requests and models answered, where the operator has it kept, so that an execution can be played again as a case.
//!
//! Nothing is kept unless [`Options::record_answers`] says so. Clones share one recorder, which keeps a bounded number of
//! bytes; each answer has its place by when it was asked for.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::{SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{Options, Redactor};
use crate::llm::Rule;
use crate::trigger::Json;

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Answered {
    /// Of a request by HTTP.
    Http(HttpAnswer),
    /// Of a language model that was asked.
    Llm(LlmAnswer),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct HttpAnswer {
    /// `GET`, …
    pub method: String,
    /// Where it went.
    pub url: String,
    /// The answer's status; none when there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Its headers, but for those that are credentials.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Its body where that is text, as far as the flow has read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_text: Option<String>,
    /// Its body where that is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Why there was no answer, or no end of it, in one or two words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LlmAnswer {
    /// The alias that was asked.
    pub model: String,
    /// Whether its words went to the flow's caller as they came.
    pub forward: bool,
    /// The rule by which a mock says the same.
    pub answer: Rule,
}

/// Keeps the answers of one execution, or nothing.
#[derive(Debug, Clone)]
pub(super) struct Recorder(Option<Shared>);

type Shared = Arc<Mutex<Kept>>;

#[derive(Debug)]
struct Kept {
    /// None is an answer that was too much, or that was not heard to its end.
    answers: Vec<Option<Answered>>,
    bytes_left: usize,
}

/// Where the answer of a call belongs.
#[derive(Debug)]
pub(super) struct Place {
    kept: Shared,
    at: usize,
}

/// An answer by HTTP that is being heard. It is kept when it is dropped: what the flow does not read is none of its matter.
#[derive(Debug)]
pub(super) struct Hearing {
    place: Option<Place>,
    answer: HttpAnswer,
    body: Vec<u8>,
    bytes_max: usize,
}

impl Recorder {
    pub(super) fn new(options: &Options) -> Self {
        let kept = || Kept { answers: Vec::new(), bytes_left: options.record_bytes_max };
        Self(options.record_answers.then(|| Arc::new(Mutex::new(kept()))))
    }

    /// The place of a call that begins now; none when nothing is kept.
    pub(super) fn begin(&self) -> Option<Place> {
        let kept = self.0.clone()?;
        let at = with(&kept, |kept| {
            kept.answers.push(None);
            kept.answers.len() - 1
        });
        Some(Place { kept, at })
    }

    /// The same for a request.
    pub(super) fn hear(&self, method: &http::Method, url: &url::Url) -> Option<Hearing> {
        let place = self.begin()?;
        let bytes_max = with(&place.kept, |kept| kept.bytes_left);
        let answer = HttpAnswer { method: method.to_string(), url: url.to_string(), ..HttpAnswer::default() };
        Some(Hearing { place: Some(place), answer, body: Vec::new(), bytes_max })
    }

    /// What was kept, and how many answers were not.
    pub(super) fn take(&self) -> (Vec<Answered>, u64) {
        let Some(kept) = &self.0 else { return (Vec::new(), 0) };
        let places = with(kept, |kept| mem::take(&mut kept.answers));
        let all = places.len();
        let answers = places.into_iter().flatten().collect::<Vec<_>>();
        let dropped = all - answers.len();
        (answers, dropped as u64)
    }
}

fn with<T>(kept: &Shared, f: impl FnOnce(&mut Kept) -> T) -> T {
    // It is never left half changed.
    f(&mut kept.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Place {
    /// Keeps an answer, if there is room for it.
    pub(super) fn keep(self, answer: Answered) {
        let bytes = serde_json::to_vec(&answer).map_or(usize::MAX, |json| json.len());
        with(&self.kept, |kept| {
            // There is no place any more when the execution has ended before.
            if let (Some(left), Some(place)) = (kept.bytes_left.checked_sub(bytes), kept.answers.get_mut(self.at)) {
                *place = Some(answer);
                kept.bytes_left = left;
            }
        });
    }
}

impl Hearing {
    /// The answer begins.
    pub(super) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.answer.status = Some(status.as_u16());
        for (name, value) in headers.iter().filter(|(name, _)| ![SET_COOKIE, WWW_AUTHENTICATE].contains(name)) {
            let value = String::from_utf8_lossy(value.as_bytes());
            let joined = self.answer.headers.entry(name.to_string());
            joined.and_modify(|all| *all = format!("{all}, {value}")).or_insert_with(|| value.into_owned());
        }
    }

    /// It goes on.
    pub(super) fn piece(&mut self, piece: &[u8]) {
        self.body.extend_from_slice(piece);
        if self.body.len() > self.bytes_max {
            // Too much to be kept, so it need not be held either.
            self.place = None;
            self.body = Vec::new();
        }
    }

    /// There is no answer, or no more of it.
    pub(super) fn fail(&mut self, why: &'static str) {
        self.answer.error = Some(why);
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let mut answer = mem::take(&mut self.answer);
        match String::from_utf8(mem::take(&mut self.body)) {
            Ok(text) => answer.body_text = Some(text).filter(|text| !text.is_empty()),
            Err(other) => answer.body_base64 = Some(BASE64_STANDARD.encode(other.as_bytes())),
        }
        if answer.status.is_some() || answer.error.is_some() {
            place.keep(Answered::Http(answer));
        }
    }
}

impl Answered {
    /// Replaces secrets. Bodies have none: whatever an answer tells was covered on its way to the flow.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        match self {
            Self::Http(answer) => {
                redactor.text(&mut answer.url);
                answer.headers.values_mut().for_each(|value| redactor.text(value));
            }
            Self::Llm(LlmAnswer { answer, .. }) => {
                let told = Json::of(answer).ok().filter(|told| redactor.finds(told.as_str()));
                if let Some(mut told) = told {
                    redactor.json(&mut told);
                    // What is no rule any more says nothing.
                    *answer = serde_json::from_str(told.as_str()).unwrap_or_default();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method};
    use serde_json::{Value, json};
    use url::Url;

    use super::*;

    fn recorder(record_answers: bool, record_bytes_max: usize) -> Recorder {
        Recorder::new(&Options { record_answers, record_bytes_max, ..Options::default() })
    }

    fn hear(recorder: &Recorder, path: &str) -> Hearing {
        recorder.hear(&Method::GET, &Url::parse("https://example.com").unwrap().join(path).unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_kept_unless_it_is_asked_for() {
        let recorder = recorder(false, 1_000);
        assert!(recorder.begin().is_none());
        assert_eq!(recorder.take(), (Vec::new(), 0));
        assert!(!Options::default().record_answers);
    }

    #[test]
    fn answers_stand_in_the_order_in_which_they_were_asked_for() {
        let recorder = recorder(true, 10_000);
        let (mut first, mut second, mut third) = (hear(&recorder, "/1"), hear(&recorder, "/2"), hear(&recorder, "/3"));
        third.fail("timeout");
        let headers = [("etag", "a"), ("set-cookie", "id=1"), ("vary", "a"), ("vary", "b")];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let mut all = HeaderMap::new();
        headers.into_iter().for_each(|(name, value)| drop(all.append::<http::HeaderName>(name, value)));
        second.head(StatusCode::OK, &all);
        ["{\"a\":", "1}"].iter().for_each(|piece| second.piece(piece.as_bytes()));
        first.head(StatusCode::NOT_FOUND, &HeaderMap::new());
        first.piece(&[0xff, 0xfe]);
        drop((third, second, first));
        // Nobody has heard of this one.
        drop(recorder.begin());
        let (kept, dropped) = recorder.take();
        let url = |path: &str| format!("https://example.com/{path}");
        let wanted = json!([
            {"kind": "http", "method": "GET", "url": url("1"), "status": 404, "body_base64": "//4="},
            {"kind": "http", "method": "GET", "url": url("2"), "status": 200, "headers": {"etag": "a", "vary": "a, b"},
             "body_text": "{\"a\":1}"},
            {"kind": "http", "method": "GET", "url": url("3"), "error": "timeout"},
        ]);
        assert_eq!((json!(kept), dropped), (wanted, 1));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let recorder = recorder(true, 300);
        for piece in [&b"short"[..], &[b'x'; 301], &[b'y'; 200], b"short"] {
            let mut hearing = hear(&recorder, "/");
            hearing.head(StatusCode::OK, &HeaderMap::new());
            hearing.piece(piece);
        }
        let (kept, dropped) = recorder.take();
        let bodies = json!(kept).as_array().unwrap().iter().map(|one| one["body_text"].clone()).collect::<Vec<Value>>();
        assert_eq!((bodies, dropped), (vec![json!("short"), json!("short")], 2));
    }

    #[test]
    fn no_secret_is_in_what_is_kept() {
        let mut answered = [
            Answered::Http(HttpAnswer {
                url: "https://example.com/?key=s3cr3t-key".to_owned(),
                headers: BTreeMap::from([("etag".to_owned(), "s3cr3t-key".to_owned())]),
                ..HttpAnswer::default()
            }),
            Answered::Llm(LlmAnswer {
                model: "fast".to_owned(),
                forward: false,
                answer: serde_json::from_value(json!({
                    "text": "It is s3cr3t-key.",
                    "tool_calls": [{"name": "tell", "arguments": {"s3cr3t-key": ["what"]}}],
                }))
                .unwrap(),
            }),
        ];
        answered.iter_mut().for_each(|one| one.redact(&Redactor::new(["s3cr3t-key"])));
        let told = json!(answered).to_string();
        assert!(!told.contains("s3cr3t") && told.matches("[redacted]").count() == 4, "{told}");
    }
}
