//! The server, as commands see it: its management API, and its hooks.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use url::Url;

use super::problem::Refused;
use crate::egress::{self, Answer, Body, Client, Policy, Request, Streaming};

/// How long an answer may take that the server need not wait for.
const SOON: Duration = Duration::from_secs(60);

/// How long a stream may last, and an upload.
pub(super) const LONG: Duration = Duration::from_secs(24 * 3_600);

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A server and the key to it.
pub(super) struct Remote {
    url: Url,
    key: Option<HeaderValue>,
    client: Client,
}

/// The parameters of a URL.
pub(super) type Query<'a> = &'a [(&'a str, String)];

impl Remote {
    pub(super) fn new(url: Url, key: Option<&str>) -> anyhow::Result<Self> {
        if url.cannot_be_a_base() {
            bail!("`{url}` is not the URL of a server, such as http://127.0.0.1:8080");
        }
        let key = key.filter(|key| !key.is_empty()).map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim()))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        let key = key.transpose().context("the API key is not text that a header can hold")?;
        let total_ms_max = u64::try_from(LONG.as_millis()).unwrap_or(u64::MAX);
        let options =
            egress::Options { total_ms_max, answer_bytes_max: ANSWER_BYTES_MAX, ..egress::Options::default() };
        Ok(Self { url, key, client: Client::under(Policy::anywhere(), &options) })
    }

    /// The URL of a path on this server.
    pub(super) fn at(&self, path: &[&str], query: Query<'_>) -> Url {
        let mut url = self.url.clone();
        url.path_segments_mut().expect("it was checked when it was given").pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Reads something.
    pub(super) async fn get(&self, path: &[&str], query: Query<'_>) -> anyhow::Result<Value> {
        self.call(Method::GET, self.at(path, query), None, SOON).await
    }

    /// Reads something for which the server may wait that long.
    pub(super) async fn get_within(&self, path: &[&str], query: Query<'_>, wait: Duration) -> anyhow::Result<Value> {
        self.call(Method::GET, self.at(path, query), None, wait + SOON).await
    }

    /// Reads something; none when it is not there.
    pub(super) async fn find(&self, path: &[&str]) -> anyhow::Result<Option<Value>> {
        match self.get(path, &[]).await {
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Sends JSON.
    pub(super) async fn send(&self, method: Method, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.call(method, self.at(path, &[]), Some(body), SOON).await
    }

    /// Acts without a body: `POST` or `DELETE`.
    pub(super) async fn act(&self, method: Method, path: &[&str]) -> anyhow::Result<Value> {
        self.call(method, self.at(path, &[]), None, SOON).await
    }

    /// Sends a component.
    pub(super) async fn upload(&self, path: &[&str], query: Query<'_>, body: Body) -> anyhow::Result<Value> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/wasm"))]);
        let url = self.at(path, query);
        json(
            &self
                .answer(Request {
                    method: Method::POST,
                    url,
                    headers: self.with_key(headers),
                    body,
                    deadline: LONG,
                    identity: None,
                })
                .await?,
        )
    }

    /// Reads bytes.
    pub(super) async fn bytes(&self, path: &[&str]) -> anyhow::Result<Bytes> {
        let answer = self.raw(Method::GET, path, HeaderMap::new(), Body::from("")).await?;
        Ok(answer.body)
    }

    /// Puts bytes somewhere.
    pub(super) async fn put(&self, path: &[&str], bytes: Vec<u8>) -> anyhow::Result<()> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))]);
        self.raw(Method::PUT, path, headers, Bytes::from(bytes).into()).await.map(drop)
    }

    async fn raw(&self, method: Method, path: &[&str], headers: HeaderMap, body: Body) -> anyhow::Result<Answer> {
        let (url, headers) = (self.at(path, &[]), self.with_key(headers));
        let answer = self.answer(Request { method, url, headers, body, deadline: SOON, identity: None }).await?;
        if !answer.status.is_success() {
            bail!(Refused::new(answer.status.as_u16(), &answer.body));
        }
        Ok(answer)
    }

    /// Reads a stream of events from after the event `last`.
    pub(super) async fn events(&self, path: &[&str], last: Option<&str>) -> anyhow::Result<Streaming> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/event-stream"))]);
        if let Some(last) = last {
            headers.insert("last-event-id", HeaderValue::from_str(last)?);
        }
        let url = self.at(path, &[]);
        let headers = self.with_key(headers);
        self.stream(Request { method: Method::GET, url, headers, body: Body::from(""), deadline: LONG, identity: None })
            .await
    }

    /// Sends any request and gives the answer, whatever its status.
    pub(super) async fn answer(&self, request: Request) -> anyhow::Result<Answer> {
        let answer = self.client.send(request).await.map_err(|error| self.unanswered(&error))?;
        if answer.truncated {
            bail!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
        }
        Ok(answer)
    }

    /// Sends any request and gives a good answer's body as it comes.
    pub(super) async fn stream(&self, request: Request) -> anyhow::Result<Streaming> {
        let mut streaming = self.client.send_streaming(request).await.map_err(|error| self.unanswered(&error))?;
        if streaming.status.is_success() {
            return Ok(streaming);
        }
        let mut body = Vec::new();
        while let Some(piece) = streaming.body.next().await.transpose()? {
            body.extend_from_slice(&piece);
            // No problem is longer, and whatever else it is need not be read to its end.
            if body.len() > (1 << 20) {
                break;
            }
        }
        bail!(Refused::new(streaming.status.as_u16(), &body))
    }

    async fn call(&self, method: Method, url: Url, body: Option<&Value>, deadline: Duration) -> anyhow::Result<Value> {
        let mut headers = HeaderMap::new();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = Body::from(body.map(Value::to_string).unwrap_or_default());
        json(
            &self
                .answer(Request { method, url, headers: self.with_key(headers), body, deadline, identity: None })
                .await?,
        )
    }

    fn with_key(&self, mut headers: HeaderMap) -> HeaderMap {
        headers.extend(self.key.clone().map(|key| (AUTHORIZATION, key)));
        headers
    }

    fn unanswered(&self, error: &egress::Error) -> anyhow::Error {
        let hint = match error.kind() {
            egress::Kind::Connect => {
                "\nhint: start a server with `flowgate serve`, or name another one by `--url` or FLOWGATE_URL"
            }
            _ => "",
        };
        anyhow::anyhow!("no answer from {}: {error}{hint}", self.url)
    }
}

/// The JSON of a good answer; null when it has none.
fn json(answer: &Answer) -> anyhow::Result<Value> {
    if !answer.status.is_success() {
        bail!(Refused::new(answer.status.as_u16(), &answer.body));
    }
    if answer.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer.body).context("the server's answer is not JSON; is it a Flowgate server?")
}
