//! A receiver that speaks HTTP properly, over TLS if it has a certificate, and an authority to give it one.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;

/// A receiver of whole requests.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    connected: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

pub(super) type Reply = http::Response<Full<Bytes>>;

impl Server {
    pub(super) async fn start(
        tls: Option<ServerConfig>,
        answer: impl Fn(http::Request<Bytes>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let server = Self { address, connected: connected.clone(), open: open.clone() };
        let (answer, tls) = (Arc::new(answer), tls.map(|config| TlsAcceptor::from(Arc::new(config))));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connected.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (answer, tls, open) = (answer.clone(), tls.clone(), open.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &answer).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &answer).await;
                            }
                        }
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    /// A server that says which version of HTTP it was asked in.
    pub(super) async fn telling_its_version(tls: Option<ServerConfig>) -> Self {
        Self::start(tls, |request| Reply::new(format!("{:?}", request.version()).into())).await
    }

    pub(super) fn connected(&self) -> usize {
        self.connected.load(Ordering::SeqCst)
    }

    /// Waits until so many connections are open.
    pub(super) async fn until_open(&self, count: usize) {
        let waiting = async {
            while self.open.load(Ordering::SeqCst) != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("connections open or close in time");
    }

    pub(super) fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}/hook", self.address.port())
    }
}

async fn serve(
    stream: impl connect::Stream + 'static,
    answer: &Arc<impl Fn(http::Request<Bytes>) -> Reply + Send + Sync + 'static>,
) {
    let service = service_fn(|request: http::Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(answer(http::Request::from_parts(head, body)))
        }
    });
    // Clients that break off are part of the tests.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// A certificate authority.
pub(super) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// A certificate and its key.
pub(super) type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Ca {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of one name would be taken for one.
        let folder = tempfile::tempdir().unwrap();
        params.distinguished_name.push(DnType::CommonName, folder.path().display().to_string());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), pem("CERTIFICATE", issuer.der())).unwrap();
        Self { issuer, folder }
    }

    pub(super) fn file(&self) -> CaFile {
        CaFile::try_from(self.folder.path().join("ca.pem")).unwrap()
    }

    /// Options of a client that trusts this authority.
    pub(super) fn trusted(&self) -> Options {
        Options { ca_file: self.file(), ..loopback() }
    }

    pub(super) fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// An identity for a client.
    pub(super) fn identity(&self) -> Identity {
        let (certificate, key) = self.issue("client.example", |_| {});
        Identity::from_pem(&pem("CERTIFICATE", &certificate), &pem("PRIVATE KEY", key.secret_der())).unwrap()
    }

    /// The side of a server called `name`, which asks clients for a certificate of `clients`, if that is given.
    pub(super) fn server(&self, name: &str, alpn: &[&str], clients: Option<&Self>) -> ServerConfig {
        serving(self.issue(name, |_| {}), alpn, clients)
    }
}

pub(super) fn serving((certificate, key): Pair, alpn: &[&str], clients: Option<&Ca>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        }
    };
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(super) fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", BASE64_STANDARD.encode(der))
}
