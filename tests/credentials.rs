//! Receivers that ask for more than a signature, and receivers that are not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::support::receiver::{Planned, Receiver};
use crate::support::{House, PATIENCE};

/// Makes a subscription to executions.
async fn subscribe(house: &House, name: &str, url: &str, more: Value) -> Value {
    let mut body = json!({ "name": name, "url": url, "events": ["execution.*"] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.post("/v1/subscriptions", body).await.expect(201)
}

async fn trial(house: &House, name: &str) -> String {
    let sent = house.post(&format!("/v1/subscriptions/{name}/test"), json!({})).await.expect(202);
    sent["delivery_id"].as_str().unwrap().to_owned()
}

/// A delivery, when `enough` says so of it.
async fn delivery(house: &House, id: &str, enough: impl Fn(&Value) -> bool) -> Value {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = house.get(&format!("/v1/deliveries/{id}")).await.expect(200);
        if enough(&found) {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "not yet: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A token server. Its tokens are `t1`, `t2`, … for who knows the secret; as long as `down`, it has none.
struct TokenServer {
    url: String,
    asked: Arc<AtomicUsize>,
    down: Arc<AtomicUsize>,
}

impl TokenServer {
    async fn start() -> Self {
        let (asked, down) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let (asked_here, down_here) = (asked.clone(), down.clone());
        let answer = move |request: Request<Body>| async move {
            let n = asked_here.fetch_add(1, SeqCst) + 1;
            let known = format!("Basic {}", BASE64_STANDARD.encode("me:s3cret"));
            if down_here.load(SeqCst) > 0 {
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            }
            if request.headers()["authorization"] != known.as_str() {
                return (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }).to_string());
            }
            let token = json!({ "access_token": format!("t{n}"), "token_type": "Bearer", "expires_in": 3600 });
            (StatusCode::OK, token.to_string())
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, asked, down }
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    fn authentication(&self) -> Value {
        let credentials =
            json!({ "type": "oauth2", "token_url": self.url, "client_id": "me", "client_secret": "s3cret" });
        json!({ "authentication": credentials, "schedule": [3600] })
    }
}

#[tokio::test]
async fn an_access_token_is_had_once_and_again_when_it_is_refused() {
    let (house, receiver, tokens) = (House::start().await, Receiver::start().await, TokenServer::start().await);
    subscribe(&house, "guarded", &receiver.url, tokens.authentication()).await;
    for n in 1..=2 {
        trial(&house, "guarded").await;
        assert_eq!(receiver.wait_for(n).await[n - 1].header("authorization"), "Bearer t1");
    }
    assert_eq!(tokens.asked(), 1);

    receiver.plan([Planned { status: 401, header: None }]);
    let id = trial(&house, "guarded").await;
    let got = receiver.wait_for(4).await;
    let bearers = got[2..].iter().map(|one| one.header("authorization")).collect::<Vec<_>>();
    assert_eq!((bearers, tokens.asked()), (vec!["Bearer t1", "Bearer t2"], 2));
    let told = delivery(&house, &id, |one| one["status"] == "succeeded").await;
    assert_eq!(told["attempts_made"], 1, "the receiver's 401 to an old token costs no attempt");
    assert!(!told.to_string().contains("t2\""), "the token is not on record: {told}");
}

#[tokio::test]
async fn a_token_server_that_is_down_is_named_and_nothing_is_sent_without_a_token() {
    let (house, receiver, tokens) = (House::start().await, Receiver::start().await, TokenServer::start().await);
    tokens.down.store(1, SeqCst);
    subscribe(&house, "guarded", &receiver.url, tokens.authentication()).await;
    subscribe(&house, "open", &receiver.url, json!({})).await;
    let id = trial(&house, "guarded").await;
    let told = delivery(&house, &id, |one| one["attempts_made"] == 1).await;
    let attempt = &told["attempts"][0];
    assert_eq!(attempt["error"], "no access token from 127.0.0.1: it answered 503");
    assert_eq!((&attempt["status"], &told["status"]), (&Value::Null, &json!("pending")));
    assert_eq!(attempt["blame"], "token_server");
    trial(&house, "open").await;
    assert_eq!(receiver.wait_for(1).await[0].headers.get("authorization"), None, "another one's, on time");

    tokens.down.store(0, SeqCst);
    house.post(&format!("/v1/deliveries/{id}/redeliver"), json!({})).await.expect(202);
    delivery(&house, &id, |one| one["status"] == "succeeded").await;
    assert!(receiver.wait_for(2).await[1].header("authorization").starts_with("Bearer t"));
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", BASE64_STANDARD.encode(der))
}

/// A receiver at an address of this machine that takes only who has a certificate of `ca`.
async fn demanding(ca: &CertifiedIssuer<'static, KeyPair>) -> (String, Arc<AtomicUsize>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, ca).unwrap().der().clone();
    let (mut roots, provider) = (RootCertStore::empty(), Arc::new(ring::default_provider()));
    roots.add(ca.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/in", listener.local_addr().unwrap());
    let got = Arc::new(AtomicUsize::new(0));
    let count = got.clone();
    let router = Router::new().fallback(move || async move {
        count.fetch_add(1, SeqCst);
        StatusCode::NO_CONTENT
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = TowerToHyperService::new(router);
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (url, got)
}

#[tokio::test]
async fn a_client_certificate_opens_what_is_closed_without() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem("CERTIFICATE", ca.der())).unwrap();
    let house = House::start_with(&[("FLOWGATE_EGRESS_CA_FILE", file.to_str().unwrap())]).await;
    let (url, got) = demanding(&ca).await;

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["client.example".to_owned()]).unwrap();
    let certificate = pem("CERTIFICATE", params.signed_by(&key, &ca).unwrap().der());
    let private_key = pem("PRIVATE KEY", &key.serialize_der());
    let ours = json!({ "type": "mtls", "certificate": certificate, "private_key": private_key });
    subscribe(&house, "known", &url, json!({ "authentication": ours })).await;
    subscribe(&house, "stranger", &url, json!({ "schedule": [] })).await;
    let (known, stranger) = (trial(&house, "known").await, trial(&house, "stranger").await);
    delivery(&house, &known, |one| one["status"] == "succeeded").await;
    let told = delivery(&house, &stranger, |one| one["status"] == "exhausted").await;
    assert_eq!(told["error"], "no secure connection: the other side demands a client certificate");
    assert_eq!((got.load(SeqCst), &told["attempts"][0]["blame"]), (1, &json!("receiver")));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_becomes_a_dead_letter_and_others_are_on_time() {
    let environment = [("FLOWGATE_DELIVERY_FAILURES_MAX", "3"), ("FLOWGATE_DELIVERY_OPEN_S", "600")];
    let (house, receiver) = (House::start_with(&environment).await, Receiver::start().await);
    let nowhere = "http://nobody.invalid/in";
    let made = subscribe(&house, "nowhere", nowhere, json!({ "schedule": [0] })).await;
    subscribe(&house, "there", &receiver.url, json!({})).await;
    let dead = trial(&house, "nowhere").await;
    trial(&house, "there").await;
    receiver.wait_for(1).await;
    let told = delivery(&house, &dead, |one| one["status"] == "exhausted").await;
    assert_eq!((&told["attempts_made"], told["attempts"].as_array().unwrap().len()), (&json!(2), 2));
    assert!(told["error"].as_str().unwrap().starts_with("`nobody.invalid` does not resolve"), "{told}");
    assert_eq!(told["attempts"][0]["blame"], "receiver");

    // A third failure in a row opens the breaker, and the fourth delivery is not even tried.
    let (third, fourth) = (trial(&house, "nowhere").await, trial(&house, "nowhere").await);
    delivery(&house, &third, |one| one["attempts_made"] == 1).await;
    trial(&house, "there").await;
    receiver.wait_for(2).await;
    let stats = format!("/v1/deliveries/stats?target={}", made["id"].as_str().unwrap());
    let end = tokio::time::Instant::now() + PATIENCE;
    while house.get(&stats).await.expect(200)["held_until"].is_null() {
        assert!(tokio::time::Instant::now() < end, "the breaker does not open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let waits = delivery(&house, &fourth, |_| true).await;
    assert_eq!((&waits["status"], &waits["attempts_made"]), (&json!("pending"), &json!(0)));
}
