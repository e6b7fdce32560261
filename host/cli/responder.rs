//! Stands in for everybody whom a flow calls while it is tested: answers as the case says, and keeps what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::egress::Client;
use crate::project::case::Exchange;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A responder. Clones share what it answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Responder(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    /// What is still to come.
    expected: Vec<Exchange>,
    /// What came and was not expected.
    surprises: Vec<String>,
}

impl Responder {
    /// Listens on this machine, until the process ends.
    pub(super) async fn start(&self) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let responder = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let responder = responder.clone();
                let service = service_fn(move |request| responder.clone().respond(request));
                tokio::spawn(async move {
                    // A client that goes away takes the connection with it, and nobody need be told.
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(address)
    }

    /// Begins a case.
    pub(super) fn begin(&self, expected: &[Exchange]) {
        *self.script() = Script { expected: expected.to_vec(), surprises: Vec::new() };
    }

    /// What was not as expected since then.
    pub(super) fn faults(&self) -> Vec<String> {
        let script = self.script();
        let missing = script.expected.iter().map(|one| format!("the flow did not send: {}", told(one)));
        script.surprises.iter().cloned().chain(missing).collect()
    }

    async fn respond(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
        let asked = head.headers.get(Client::ASKED).and_then(|url| url.to_str().ok()).unwrap_or_default().to_owned();
        let seen = match body {
            Ok(body) => seen(&head, &asked, &body),
            Err(_) => json!({ "method": head.method.as_str(), "url": asked, "body": "too long" }),
        };
        let found = {
            let mut script = self.script();
            let at = script.expected.iter().position(|one| fits(one, &seen));
            if at.is_none() {
                script.surprises.push(format!("the flow sent what no `[[http]]` of the case expects:\n{seen:#}"));
            }
            at.map(|at| script.expected.remove(at))
        };
        let answer = found.map_or_else(|| Err("not expected".to_owned()), |exchange| answer(&exchange));
        Ok(answer.unwrap_or_else(|reason| {
            let mut answer = Response::new(Full::from(reason));
            *answer.status_mut() = StatusCode::NOT_IMPLEMENTED;
            answer
        }))
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What conditions see of a request.
fn seen(head: &http::request::Parts, url: &str, body: &Bytes) -> Value {
    let headers = head.headers.iter().filter(|(name, _)| *name != Client::ASKED);
    let headers = headers.map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))));
    let body = serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)));
    json!({ "method": head.method.as_str(), "url": url, "headers": headers.collect::<Map<_, _>>(), "body": body })
}

fn fits(exchange: &Exchange, seen: &Value) -> bool {
    let url = seen["url"].as_str().unwrap_or_default();
    let method = exchange.method.as_ref().is_none_or(|method| seen["method"] == method.as_str());
    let url = match exchange.url.strip_suffix('*') {
        Some(start) => url.starts_with(start),
        None => url == exchange.url,
    };
    method && url && exchange.conditions.as_ref().is_none_or(|conditions| conditions.check(seen).is_ok())
}

fn answer(exchange: &Exchange) -> Result<Response<Full<Bytes>>, String> {
    let response = &exchange.response;
    let (kind, body) = match (&response.json, &response.text, &response.base64) {
        (Some(json), ..) => (Some("application/json"), Bytes::from(json.to_string())),
        (None, Some(text), _) => (Some("text/plain; charset=utf-8"), Bytes::from(text.clone())),
        (None, None, Some(base64)) => {
            let bytes = BASE64_STANDARD.decode(base64);
            let bytes = bytes.map_err(|error| format!("the case's answer is no base64: {error}"))?;
            (Some("application/octet-stream"), bytes.into())
        }
        (None, None, None) => (None, Bytes::new()),
    };
    let mut built = Response::builder().status(response.status);
    let own_kind = response.headers.keys().any(|name| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
    if let Some(kind) = kind.filter(|_| !own_kind) {
        built = built.header(CONTENT_TYPE, kind);
    }
    for (name, value) in &response.headers {
        built = built.header(name, value);
    }
    built.body(Full::from(body)).map_err(|error| format!("the case's answer is none: {error}"))
}

fn told(exchange: &Exchange) -> String {
    let conditions = exchange.conditions.as_ref().map(|filter| format!(" where {}", filter.source()));
    format!("{} {}{}", exchange.method.as_deref().unwrap_or("any"), exchange.url, conditions.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use url::Url;

    use super::*;
    use crate::egress::{self, Body, Options};

    fn exchange(json: Value) -> Exchange {
        serde_json::from_value(json).unwrap()
    }

    async fn asked(client: &Client, url: &str, body: &'static str) -> (u16, String) {
        let url = Url::parse(url).unwrap();
        let deadline = std::time::Duration::from_secs(30);
        let (headers, body) = (HeaderMap::new(), Body::from(body));
        let request = egress::Request { method: Method::POST, url, headers, body, deadline, identity: None };
        let answer = client.send(request).await.unwrap();
        (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_call_gets_its_answer_once_and_what_is_not_as_expected_is_told() {
        let responder = Responder::default();
        let client = Client::instead(responder.start().await.unwrap(), &Options::default());
        let orders = json!({
            "method": "POST", "url": "https://api.example.com/orders/*", "where": {"body.n": {"$gt": 1}},
            "response": {"status": 201, "json": {"ok": true}},
        });
        responder.begin(&[exchange(orders.clone())]);
        assert_eq!(responder.faults().len(), 1, "it is still to come");
        let url = "https://api.example.com/orders/7?x=1";
        assert_eq!(asked(&client, url, r#"{"n":2}"#).await, (201, r#"{"ok":true}"#.to_owned()));
        assert_eq!(responder.faults(), [""; 0]);
        assert_eq!(asked(&client, url, r#"{"n":2}"#).await.0, 501, "once only");
        responder.begin(&[exchange(orders)]);
        assert_eq!(asked(&client, url, r#"{"n":1}"#).await.0, 501);
        assert_eq!(responder.faults().len(), 2, "one that is not expected, one that did not come");
    }
}
