//! One call of a provider: sent, sent again where that may help, and read as it comes.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::sse::{Events, Malformed};
use super::{Error, Provider, anthropic};
use crate::clock::{Clock, Stopwatch};
use crate::egress::{self, Client, Pieces, Streaming};
use crate::signature::Secret;

/// How often a request is sent again.
const RETRIES_MAX: u32 = 2;

/// The first wait where the provider asks for none; the second is twice as long.
const RETRY_WAIT: Duration = Duration::from_millis(250);

/// The longest wait. Whoever asks for a longer one is believed, and the flow decides.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);

/// Bytes of an answer that is no stream, such as embeddings.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Bytes of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Characters of a provider's own words that are repeated.
const SAID_MAX: usize = 300;

/// A provider, ready to be asked.
pub(super) struct Endpoint {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) provider: Provider,
    /// Without a slash at its end.
    pub(super) base: String,
    pub(super) key: Option<Secret>,
    pub(super) timeout: Duration,
}

/// An answer that has begun.
pub(super) struct Answer {
    body: Pieces,
    events: Events,
    /// Whether it is events, and not one JSON text.
    pub(super) streams: bool,
}

impl Endpoint {
    /// Sends a request until an answer begins that is none to try again for.
    pub(super) async fn ask(&self, path: &str, body: &Value) -> Result<Answer, Error> {
        let url = Url::parse(&format!("{}/{path}", self.base)).map_err(|_| Error::unreadable())?;
        let (headers, text, since) = (self.headers()?, body.to_string(), Stopwatch::start());
        let mut retries = 0;
        loop {
            let left = self.timeout.saturating_sub(since.elapsed());
            let request = egress::Request {
                method: Method::POST,
                url: url.clone(),
                headers: headers.clone(),
                body: text.clone().into(),
                deadline: left,
                identity: None,
            };
            let (error, asked) = match self.client.send_streaming(request).await {
                Ok(answer) if answer.status.is_success() => return Ok(Answer::new(answer)),
                Ok(answer) => self.refused(answer).await,
                Err(error) => (Error::from_egress(&error), None),
            };
            let wait = asked.unwrap_or_else(|| RETRY_WAIT * 2_u32.pow(retries));
            let again = error.passes && wait <= RETRY_WAIT_MAX && wait < self.timeout.saturating_sub(since.elapsed());
            if !again || retries == RETRIES_MAX {
                return Err(self.clean(error.error));
            }
            retries += 1;
            self.clock.sleep_until(self.clock.now().after(wait)).await;
        }
    }

    /// The same error without the key, should the provider have repeated it.
    pub(super) fn clean(&self, error: Error) -> Error {
        let Some(key) = self.key.as_ref().filter(|key| !key.is_empty()) else { return error };
        match error {
            Error::Provider(text) => Error::Provider(text.replace(key.expose(), "…")),
            Error::Invalid(text) => Error::Invalid(text.replace(key.expose(), "…")),
            Error::Refused(text) => Error::Refused(text.replace(key.expose(), "…")),
            other => other,
        }
    }

    fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.provider == Provider::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static(anthropic::VERSION));
        }
        if let Some(key) = &self.key {
            let (name, text) = match self.provider {
                Provider::Anthropic => (HeaderName::from_static("x-api-key"), key.expose().to_owned()),
                _ => (AUTHORIZATION, format!("Bearer {}", key.expose())),
            };
            let value = HeaderValue::try_from(text);
            let mut value = value.map_err(|_| Error::Provider("the operator's key for it is not a header".into()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// What a status other than 2xx means, and how long the provider wants to be left alone.
    async fn refused(&self, answer: Streaming) -> (Failed, Option<Duration>) {
        let status = answer.status;
        let header = |name: HeaderName| answer.headers.get(name)?.to_str().ok();
        // OpenAI says it in milliseconds besides.
        let millis = header(HeaderName::from_static("retry-after-ms")).and_then(|text| text.trim().parse().ok());
        let asked = millis.map(Duration::from_millis);
        let asked = asked.or_else(|| egress::retry_after(header(RETRY_AFTER)?, self.clock.now()));
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            // Providers repeat parts of the key in these, so their words stay out.
            let error = Error::Refused(format!("the provider refuses the operator's key ({status})"));
            return (Failed { error, passes: false }, None);
        }
        let words = match Answer::new(answer).read(REFUSAL_BYTES_MAX).await {
            Ok(body) => said(body.get("error").unwrap_or(&body)),
            Err(_) => String::new(),
        };
        let words = if words.is_empty() { status.to_string() } else { format!("{words} ({status})") };
        let code = status.as_u16();
        let (error, passes) = match code {
            429 => (Error::RateLimited(asked), true),
            408 | 500.. => (Error::Provider(words), true),
            404 => (Error::Refused(words), false),
            400..500 => (Error::Invalid(words), false),
            _ => (Error::Provider(words), false),
        };
        (Failed { error, passes }, asked)
    }
}

/// A call that was not answered.
struct Failed {
    error: Error,
    /// Whether the same request may be answered in a moment.
    passes: bool,
}

impl Error {
    /// The provider said something that is not in its format.
    pub(super) fn unreadable() -> Self {
        Self::Provider("what it said cannot be read".to_owned())
    }

    fn from_egress(error: &egress::Error) -> Failed {
        if error.kind() == egress::Kind::Timeout {
            return Failed { error: Self::Timeout, passes: false };
        }
        // What was sent may have been charged for, so it is not sent again.
        Failed { error: Self::Provider(error.to_string()), passes: error.retryable() && error.unsent() }
    }
}

impl Answer {
    fn new(answer: Streaming) -> Self {
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let streams = !kind.trim_start().to_ascii_lowercase().starts_with("application/json");
        Self { body: answer.body, events: Events::default(), streams }
    }

    /// The data of the next event; none at the end.
    pub(super) async fn event(&mut self) -> Result<Option<String>, Error> {
        let unreadable = |Malformed| Error::unreadable();
        loop {
            if let Some(data) = self.events.next().map_err(unreadable)? {
                return Ok(Some(data));
            }
            match self.body.next().await {
                Some(Ok(piece)) => self.events.push(&piece),
                Some(Err(error)) => return Err(Error::from_egress(&error).error),
                None => return self.events.rest().map_err(unreadable),
            }
        }
    }

    /// All of it, as one JSON text.
    pub(super) async fn whole(self) -> Result<Value, Error> {
        self.read(ANSWER_BYTES_MAX).await
    }

    async fn read(mut self, bytes_max: usize) -> Result<Value, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.body.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| Error::from_egress(&error).error)?);
            if bytes.len() > bytes_max {
                return Err(Error::Provider(format!("its answer has more than {bytes_max} bytes")));
            }
        }
        serde_json::from_slice(&bytes).map_err(|_| Error::unreadable())
    }
}

/// What a provider says about an error, cut to a line.
pub(super) fn said(error: &Value) -> String {
    let text = error["message"].as_str().or_else(|| error.as_str()).unwrap_or_default();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX).collect()
}
