//! Requests of flows on their way out: `wasi:http` and `flowgate:flow/http` are two doors to this.
//!
//! A request leaves when a grant covers it and the operator's egress policy lets it go to where its name leads. On its way out
//! placeholders become secrets; on its way back whatever an answer tells of a secret is covered. Redirects are answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, IF_RANGE, PROXY_AUTHENTICATE, RANGE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::recorder::{Hearing, Recorder};
use super::redact::Scrubber;
use super::secrets::{Unfilled, Vault};
use super::spans::Open;
use super::{Grants, HttpGrant, Logs, Options, Spans};
use crate::clock::Stopwatch;
use crate::egress::{self, Body, Client, Kind, Pieces};
use crate::trigger::Level;

/// Bytes of a URL.
const URL_BYTES_MAX: usize = 16 << 10;

/// What is about a connection, and what would hide a secret in an answer from who looks for it there.
const HOP_BY_HOP: [HeaderName; 4] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
];

/// The client of one execution. Clones share its counters.
#[derive(Clone)]
pub(super) struct Outgoing(Arc<Inner>);

struct Inner {
    client: Client,
    grants: Arc<Grants>,
    vault: Vault,
    logs: Logs,
    spans: Spans,
    recorder: Recorder,
    sent: AtomicU32,
    places: Arc<Semaphore>,
    options: Options,
}

/// A request as a guest wants it.
pub(super) struct Wanted {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) patience: Patience,
}

/// What a guest has to wait for, where it says so. The host's own limit holds besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Patience {
    /// For everything.
    pub(super) total: Option<Duration>,
    /// Until the answer begins.
    pub(super) answer: Option<Duration>,
    /// Between two pieces of its body.
    pub(super) piece: Option<Duration>,
}

/// An answer whose body is still coming.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: BoxStream<'static, Result<Bytes, Refused>>,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// No grant covers it; the text names the one that is missing.
    #[error("{0}")]
    NotGranted(String),
    /// It is no request that could be sent; the text names the member.
    #[error("{0}")]
    Invalid(String),
    /// Sent, or not sent, and without an answer.
    #[error("{1}")]
    Failed(Kind, String),
    /// The time was over.
    #[error("no answer in time")]
    Timeout,
    /// A limit; the text names it.
    #[error("{0}")]
    OverLimit(String),
}

impl Outgoing {
    pub(super) fn new(
        options: &Options,
        client: Client,
        grants: Arc<Grants>,
        vault: Vault,
        logs: Logs,
        spans: Spans,
        recorder: Recorder,
    ) -> Self {
        let places = Arc::new(Semaphore::new(options.http_concurrent_max));
        let (sent, options) = (AtomicU32::new(0), options.clone());
        Self(Arc::new(Inner { client, grants, vault, logs, spans, recorder, sent, places, options }))
    }

    /// Bytes of a request's body.
    pub(super) fn request_bytes_max(&self) -> usize {
        self.0.options.http_request_bytes_max
    }

    /// Checks a body that is there as a whole.
    pub(super) fn check_body(&self, body: &[u8]) -> Result<(), Refused> {
        let (bytes, bytes_max) = (body.len(), self.request_bytes_max());
        if bytes > bytes_max {
            return Err(Refused::OverLimit(format!("the body has {bytes} bytes and may have {bytes_max}")));
        }
        self.0.vault.named_in(body).map_or(Ok(()), |secret| Err(headers_only("body", &secret)))
    }

    /// Sends a request and gives its answer. Cancel safe in that nothing leaks.
    pub(super) async fn send(&self, wanted: Wanted) -> Result<Answer, Refused> {
        let span = self.0.spans.open("http.fetch");
        span.set("method", wanted.method.as_str());
        span.set("host", host(&wanted.url));
        match self.answered(wanted).await {
            Ok((answer, rest)) => {
                span.set("status", answer.status.as_u16());
                Ok(Answer { body: rest.with(span).stream(), ..answer })
            }
            Err(refused) => {
                span.fail(refused.word());
                Err(refused)
            }
        }
    }

    async fn answered(&self, mut wanted: Wanted) -> Result<(Answer, Rest), Refused> {
        let inner = &*self.0;
        if inner.sent.fetch_add(1, Ordering::Relaxed) >= inner.options.http_requests_max {
            inner.sent.store(inner.options.http_requests_max, Ordering::Relaxed);
            let told = format!("an execution may send {} requests", inner.options.http_requests_max);
            return Err(Refused::OverLimit(told));
        }
        wanted.url.set_fragment(None);
        let guarded = self.admit(&mut wanted)?;
        let mut hearing = inner.recorder.hear(&wanted.method, &wanted.url);
        let heard = self.heard(wanted, guarded).await;
        if let Some(hearing) = &mut hearing {
            match &heard {
                Ok((answer, _)) => hearing.head(answer.status, &answer.headers),
                Err(refused) => hearing.fail(refused.word()),
            }
        }
        heard.map(|(answer, rest)| (answer, Rest { hearing, ..rest }))
    }

    /// Sends a request that may go.
    async fn heard(&self, wanted: Wanted, guarded: bool) -> Result<(Answer, Rest), Refused> {
        let inner = &*self.0;

        let total = Duration::from_millis(inner.options.http_ms_max);
        let total = wanted.patience.total.map_or(total, |own| own.min(total));
        let begun = Stopwatch::start();
        let place = tokio::time::timeout(total, inner.places.clone().acquire_owned()).await;
        let place = place.map_err(|_| Refused::Timeout)?.map_err(|_| Refused::Timeout)?;
        let deadline = total.saturating_sub(begun.elapsed());
        let (method, url, headers, body) = (wanted.method, wanted.url, wanted.headers, wanted.body);
        let request = egress::Request { method, url, headers, body, deadline, identity: None };
        let sent = inner.client.send_streaming(request);
        let sent = tokio::time::timeout(wanted.patience.answer.unwrap_or(total), sent).await;
        let streaming = sent.map_err(|_| Refused::Timeout)?.map_err(|error| Refused::of(&error))?;

        let names = [CONTENT_ENCODING, TRANSFER_ENCODING];
        let mut codings = names.iter().flat_map(|name| streaming.headers.get_all(name));
        if guarded && codings.any(|coding| coding != "identity" && coding != "chunked") {
            let told =
                "the answer is encoded (`content-encoding`), so that the host cannot see whether it tells a secret";
            return Err(Refused::Failed(Kind::Protocol, told.to_owned()));
        }
        let bytes_max = inner.options.http_answer_bytes_max;
        let rest = Rest {
            pieces: streaming.body,
            scrubber: inner.vault.redactor().stream(),
            bytes: 0,
            bytes_max,
            patience: wanted.patience.piece,
            _place: place,
            span: None,
            hearing: None,
            ended: false,
        };
        let headers = self.scrubbed(streaming.headers);
        Ok((Answer { status: streaming.status, headers, body: stream::empty().boxed() }, rest))
    }

    /// Checks that a request may go, and fills in its secrets. Returns whether a secret may go to its host.
    fn admit(&self, wanted: &mut Wanted) -> Result<bool, Refused> {
        let (url, vault) = (&wanted.url, &self.0.vault);
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(Refused::Invalid(format!("the URL has more than {URL_BYTES_MAX} bytes")));
        }
        // What no grant could cover the policy names better.
        self.0.client.policy().check_url(url).map_err(|refusal| self.denied(wanted, &refusal))?;
        let covers = |grant: &&HttpGrant| grant.covers(&wanted.method, url);
        let grants = self.0.grants.http.iter().filter(covers).collect::<Vec<_>>();
        if grants.is_empty() {
            let told = missing(&wanted.method, url);
            self.0.logs.say(Level::Warn, &told);
            return Err(Refused::NotGranted(told));
        }
        if let Some(secret) = vault.named_in(url.as_str().as_bytes()) {
            return Err(headers_only("URL", &secret));
        }
        let granted = |name: &str| grants.iter().any(|grant| grant.secrets.iter().any(|own| own == name));
        for (name, value) in &mut wanted.headers {
            match vault.fill(name, value, granted) {
                Ok(filled) => *value = filled.unwrap_or_else(|| value.clone()),
                Err(Unfilled::NotGranted(secret)) => {
                    let told = format!(
                        "{secret} may not go to {0}; to grant it: flowgate flow grant FLOW http {0} --secret {secret}",
                        host(url)
                    );
                    self.0.logs.say(Level::Warn, &told);
                    return Err(Refused::NotGranted(told));
                }
                Err(Unfilled::Unfit(secret)) => {
                    return Err(Refused::Invalid(format!("{secret} cannot stand in the header `{name}`")));
                }
            }
        }
        HOP_BY_HOP.iter().for_each(|name| drop(wanted.headers.remove(name)));
        let guarded = self.0.grants.http.iter().any(|grant| grant.trusts(url));
        if guarded {
            // Compressed, or a few bytes at a time, an answer could tell a secret to a flow that the host would not see there.
            wanted.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            [RANGE, IF_RANGE].iter().for_each(|name| drop(wanted.headers.remove(name)));
        }
        Ok(guarded)
    }

    fn denied(&self, wanted: &Wanted, refusal: &egress::Refusal) -> Refused {
        let told = format!("{} {}: {refusal}", wanted.method, place(&wanted.url));
        self.0.logs.say(Level::Warn, &told);
        match refusal {
            egress::Refusal::Address { .. } | egress::Refusal::Port { .. } => Refused::Failed(Kind::Refused, told),
            _ => Refused::Invalid(told),
        }
    }

    fn scrubbed(&self, mut headers: HeaderMap) -> HeaderMap {
        let redactor = self.0.vault.redactor();
        if redactor.is_idle() {
            return headers;
        }
        let telling = headers.keys().filter(|name| redactor.finds(name.as_str())).cloned().collect::<Vec<_>>();
        telling.iter().for_each(|name| drop(headers.remove(name)));
        for value in headers.values_mut() {
            let mut bytes = Bytes::copy_from_slice(value.as_bytes());
            redactor.bytes(&mut bytes);
            // Asterisks may stand in any header.
            *value = HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| HeaderValue::from_static("*"));
        }
        headers
    }
}

/// The body of an answer on its way to the guest.
struct Rest {
    pieces: Pieces,
    scrubber: Scrubber,
    bytes: usize,
    bytes_max: usize,
    patience: Option<Duration>,
    span: Option<Open>,
    hearing: Option<Hearing>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Rest {
    fn with(self, span: Open) -> Self {
        Self { span: Some(span), ..self }
    }

    fn stream(self) -> BoxStream<'static, Result<Bytes, Refused>> {
        let next = |mut rest: Self| async move {
            match rest.next().await {
                Some(Err(refused)) => {
                    rest.ended = true;
                    if let Some(span) = rest.span.take() {
                        span.fail(refused.word());
                    }
                    if let Some(hearing) = &mut rest.hearing {
                        hearing.fail(refused.word());
                    }
                    Some((Err(refused), rest))
                }
                Some(Ok(piece)) => {
                    if let Some(hearing) = &mut rest.hearing {
                        hearing.piece(&piece);
                    }
                    Some((Ok(piece), rest))
                }
                None => {
                    if let Some(span) = rest.span.take() {
                        span.set("bytes", rest.bytes);
                    }
                    None
                }
            }
        };
        stream::unfold(self, next).boxed()
    }

    async fn next(&mut self) -> Option<Result<Bytes, Refused>> {
        while !self.ended {
            let piece = match self.patience {
                Some(patience) => match tokio::time::timeout(patience, self.pieces.next()).await {
                    Ok(piece) => piece,
                    Err(_) => return Some(Err(Refused::Timeout)),
                },
                None => self.pieces.next().await,
            };
            let piece = match piece {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Some(Err(Refused::of(&error))),
                None => {
                    self.ended = true;
                    return Some(self.scrubber.end()).filter(|rest| !rest.is_empty()).map(Ok);
                }
            };
            self.bytes += piece.len();
            if self.bytes > self.bytes_max {
                return Some(Err(Refused::OverLimit(format!(
                    "the body of an answer may have {} bytes",
                    self.bytes_max
                ))));
            }
            let piece = self.scrubber.push(piece);
            if !piece.is_empty() {
                return Some(Ok(piece));
            }
        }
        None
    }
}

impl Refused {
    fn of(error: &egress::Error) -> Self {
        match error.kind() {
            Kind::Timeout => Self::Timeout,
            Kind::Request => Self::Invalid(error.to_string()),
            kind => Self::Failed(kind, error.to_string()),
        }
    }

    /// For spans.
    fn word(&self) -> &'static str {
        match self {
            Self::NotGranted(_) => "not granted",
            Self::Invalid(_) => "invalid",
            Self::Failed(kind, _) => kind.as_str(),
            Self::Timeout => "timeout",
            Self::OverLimit(_) => "over limit",
        }
    }
}

/// The host of a URL, with its port where that is not the scheme's own.
fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// A URL without what could be secret.
fn place(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), host(url), url.path())
}

fn headers_only(part: &str, secret: &str) -> Refused {
    Refused::Invalid(format!("the {part} has the placeholder of {secret}, which is filled in in headers only"))
}

fn missing(method: &Method, url: &Url) -> String {
    let scheme = if url.scheme() == "http" { " --scheme http" } else { "" };
    format!(
        "{method} {} is not granted; to grant it: flowgate flow grant FLOW http {} --method {method}{scheme} --path '{}'",
        place(url),
        host(url),
        url.path(),
    )
}
