//! A host that flows call: it keeps what it gets, and tells what it was told in many ways.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures_util::stream;
use tokio::net::TcpListener;

#[derive(Clone)]
pub(crate) struct Reflector {
    /// `127.0.0.1:port`
    pub(crate) host: String,
    got: Arc<Mutex<Vec<Got>>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Reflector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let router = Router::new().fallback(answer).with_state(got.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { host, got }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn answer(
    State(got): State<Arc<Mutex<Vec<Got>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let told = headers.get(header::AUTHORIZATION).cloned();
    let text = told.as_ref().map_or("nothing", |told| told.to_str().unwrap()).to_owned();
    let target = uri.path_and_query().unwrap().to_string();
    got.lock().unwrap().push(Got { method, target, headers: headers.clone(), body: body.clone() });
    let whole = format!("{headers:?} {}", String::from_utf8_lossy(&body));
    match uri.path() {
        "/headers" => ([("x-told", text.clone()), ("x-again", text)], "").into_response(),
        "/name" => [(text.to_lowercase().replace("bearer ", ""), "told")].into_response(),
        "/redirect" => {
            let to = uri.query().unwrap_or_default().to_owned();
            (StatusCode::FOUND, [(header::LOCATION, format!("{to}?told={text}"))], text).into_response()
        }
        "/error" => (StatusCode::INTERNAL_SERVER_ERROR, format!("no such user: {text}")).into_response(),
        "/base64" => BASE64_STANDARD.encode(format!("x{text}x")).into_response(),
        "/hex" => hex::encode(text).into_response(),
        "/json" => serde_json::json!({ "told": serde_json::json!(text).to_string() }).to_string().into_response(),
        "/drops" => {
            let drops = text.into_bytes().into_iter().map(|byte| Ok::<_, Infallible>(Bytes::from(vec![byte])));
            Body::from_stream(stream::iter(drops.collect::<Vec<_>>())).into_response()
        }
        "/range" => {
            let range = headers
                .get(header::RANGE)
                .and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
            let range = range.and_then(|(from, to)| text.get(from.parse().ok()?..=to.parse().ok()?));
            range.unwrap_or(&text).to_owned().into_response()
        }
        "/gzip" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
            gzip.write_all(text.as_bytes()).unwrap();
            ([(header::CONTENT_ENCODING, "gzip")], gzip.finish().unwrap()).into_response()
        }
        "/together" => {
            // Answers as soon as as many requests are here as the query says.
            let wanted: usize = uri.query().unwrap_or_default().parse().unwrap();
            while got.lock().unwrap().iter().filter(|got| got.target.starts_with("/together")).count() < wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            StatusCode::OK.into_response()
        }
        "/never" => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            StatusCode::OK.into_response()
        }
        "/stalls" => {
            let first = stream::iter([Ok::<_, Infallible>(Bytes::from("begin"))]);
            Body::from_stream(futures_util::StreamExt::chain(first, stream::pending())).into_response()
        }
        "/endless" => Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 16 << 10]))))
            .into_response(),
        _ => whole.into_response(),
    }
}
