//! An OCI registry on this machine: the part of the distribution specification
//! (<https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md>) that pushing and pulling one artifact takes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use sha2::{Digest as _, Sha256};

#[derive(Clone, Default)]
pub(crate) struct Registry {
    kept: Arc<Mutex<Kept>>,
    /// `Basic …`, which every request must have; any may come when it is none.
    credentials: Option<String>,
}

#[derive(Default)]
struct Kept {
    blobs: HashMap<String, Bytes>,
    manifests: HashMap<String, Bytes>,
    upload: Vec<u8>,
}

impl Registry {
    pub(crate) fn for_only(credentials: &str) -> Self {
        Self { credentials: Some(credentials.to_owned()), ..Self::default() }
    }

    pub(crate) async fn start(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router =
            Router::new().fallback(answer).with_state(self.clone()).layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    /// A manifest as it was pushed.
    pub(crate) fn manifest(&self, tag: &str) -> serde_json::Value {
        serde_json::from_slice(&self.kept.lock().unwrap().manifests[tag]).unwrap()
    }

    pub(crate) fn put_manifest(&self, tag: &str, manifest: &serde_json::Value) {
        self.kept.lock().unwrap().manifests.insert(tag.to_owned(), manifest.to_string().into());
    }

    pub(crate) fn blob(&self, digest: &str) -> Bytes {
        self.kept.lock().unwrap().blobs[digest].clone()
    }

    /// Puts other bytes in the place of a blob.
    pub(crate) fn falsify(&self, digest: &str, bytes: impl Into<Bytes>) {
        self.kept.lock().unwrap().blobs.insert(digest.to_owned(), bytes.into());
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

async fn answer(
    State(registry): State<Registry>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    let new = || Response::builder().header("docker-distribution-api-version", "registry/2.0");
    let of = |status: StatusCode, body: Bytes| new().status(status).body(Body::from(body)).unwrap();
    if registry.credentials.is_some() && registry.credentials.as_deref() != given {
        let challenge = new().status(401).header("www-authenticate", "Basic realm=\"test\"");
        return challenge.body(Body::empty()).unwrap();
    }
    let mut kept = registry.kept.lock().unwrap();
    let parts = uri.path().split('/').collect::<Vec<_>>();
    let last = parts.last().copied().unwrap_or_default();
    let kind = parts.iter().rev().nth(1).copied().unwrap_or_default();
    let location = "/v2/acme/bot/blobs/uploads/1";
    match (method.as_str(), kind, last) {
        ("GET", _, "") => of(StatusCode::OK, Bytes::new()),
        ("POST", "uploads", "") | ("POST", _, "uploads") => {
            kept.upload.clear();
            new().status(202).header("location", location).body(Body::empty()).unwrap()
        }
        ("PATCH", "uploads", _) => {
            kept.upload.extend_from_slice(&body);
            let range = format!("0-{}", kept.upload.len().saturating_sub(1));
            new().status(202).header("location", location).header("range", range).body(Body::empty()).unwrap()
        }
        ("PUT", "uploads", _) => {
            kept.upload.extend_from_slice(&body);
            let blob = Bytes::from(std::mem::take(&mut kept.upload));
            let name = digest(&blob);
            let asked = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
            assert!(asked.into_iter().any(|(key, value)| key == "digest" && value == name), "{uri}");
            kept.blobs.insert(name.clone(), blob);
            new().status(201).header("location", format!("/v2/acme/bot/blobs/{name}")).body(Body::empty()).unwrap()
        }
        ("HEAD" | "GET", "blobs", name) => match kept.blobs.get(name) {
            Some(blob) => of(StatusCode::OK, blob.clone()),
            None => of(StatusCode::NOT_FOUND, Bytes::new()),
        },
        ("PUT", "manifests", tag) => {
            let name = digest(&body);
            kept.manifests.insert(tag.to_owned(), body.clone());
            kept.manifests.insert(name.clone(), body);
            let answer = new().status(201).header("docker-content-digest", &name);
            answer.header("location", format!("/v2/acme/bot/manifests/{name}")).body(Body::empty()).unwrap()
        }
        ("HEAD" | "GET", "manifests", tag) => match kept.manifests.get(tag) {
            Some(manifest) => new()
                .header("content-type", "application/vnd.oci.image.manifest.v1+json")
                .header("docker-content-digest", digest(manifest))
                .body(Body::from(manifest.clone()))
                .unwrap(),
            None => of(StatusCode::NOT_FOUND, Bytes::from_static(b"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}")),
        },
        _ => of(StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
    }
}
