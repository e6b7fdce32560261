//! TLS by rustls, and what went wrong in clear words.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};
use url::Host;

use super::connect::Stream;
use super::{CaFile, Cause, Identity};

/// What is needed to make connections secure.
pub(super) struct Tls(Arc<ClientConfig>);

/// What a secure connection died of, if it was TLS. What speaks HTTP on it passes such errors on without their kind, and in
/// TLS 1.3 a refused client certificate is told only with the first answer.
pub(super) type Fault = Arc<OnceLock<String>>;

impl Tls {
    pub(super) fn new(ca: &CaFile) -> Self {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(ca.certificates().iter().cloned());
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }

    /// Makes a connection secure. The certificate must be for `host`, whatever address was dialled.
    pub(super) async fn secure(
        &self,
        stream: Box<dyn Stream>,
        host: &Host<String>,
        identity: Option<&Identity>,
    ) -> Result<Secure, Cause> {
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|_| Cause::Request(format!("`{host}` cannot be the name of a certificate")))?,
            Host::Ipv4(address) => ServerName::IpAddress((*address).into()),
            Host::Ipv6(address) => ServerName::IpAddress((*address).into()),
        };
        let connector = TlsConnector::from(identity.map_or_else(|| self.0.clone(), |identity| self.as_who(identity)));
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Secure { stream, fault: Fault::default() }),
            Err(error) => Err(Cause::Tls(fault(&error).unwrap_or_else(|| match error.kind() {
                io::ErrorKind::UnexpectedEof => "the other side hung up instead".to_owned(),
                _ => error.to_string(),
            }))),
        }
    }

    /// The same trust with a client certificate. A session is never taken up again by another identity, nor by none.
    fn as_who(&self, identity: &Identity) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.0);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity.key()));
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A secure connection.
pub(super) struct Secure {
    stream: TlsStream<Box<dyn Stream>>,
    fault: Fault,
}

impl Secure {
    /// Whether the other side chose HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }

    fn keep<T>(&self, result: io::Result<T>) -> Poll<io::Result<T>> {
        if let Some(fault) = result.as_ref().err().and_then(fault) {
            // The first fault is the cause of the others.
            let _ = self.fault.set(fault);
        }
        Poll::Ready(result)
    }
}

impl AsyncRead for Secure {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, into));
        self.keep(read)
    }
}

impl AsyncWrite for Secure {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.keep(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.keep(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The TLS error in an I/O error, for a person.
fn fault(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(words)
}

fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::InvalidMessage(_) => "the other side does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = presented.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("the certificate is not for `{}` but for {presented}", expected.to_str())
        }
        CertificateError::UnknownIssuer => {
            "the certificate is of an authority that is not trusted; an operator can add one by `egress.ca_file`"
                .to_owned()
        }
        CertificateError::Revoked => "the certificate has been revoked".to_owned(),
        other => format!("the certificate is not valid: {other}"),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "the other side demands a client certificate".to_owned(),
        AlertDescription::CertificateExpired => "our client certificate has expired".to_owned(),
        AlertDescription::CertificateRevoked => "our client certificate has been revoked".to_owned(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            format!("the other side does not accept our client certificate ({alert:?})")
        }
        AlertDescription::HandshakeFailure => {
            "the other side has nothing in common with us, or demands a client certificate".to_owned()
        }
        AlertDescription::ProtocolVersion => "there is no common version of TLS".to_owned(),
        AlertDescription::UnrecognisedName => "the other side does not serve this name".to_owned(),
        other => format!("the other side gave up ({other:?})"),
    }
}
