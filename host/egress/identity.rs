//! Whom we trust, and who we are.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, RootCertStore};

/// Certificate authorities to trust beside the public ones, read from a PEM file. In a configuration it is the file's path,
/// and an empty one is none. It is read with the configuration, so that `flowgate config check` knows whether it is good.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub struct CaFile {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
}

impl CaFile {
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}

impl TryFrom<PathBuf> for CaFile {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        if path.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        let failed = |reason: String| format!("{}: {reason}", path.display());
        let text = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
        let certificates = certificates(&text).map_err(&failed)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| failed(error.to_string()))?;
        }
        Ok(Self { path, certificates })
    }
}

impl From<CaFile> for PathBuf {
    fn from(file: CaFile) -> Self {
        file.path
    }
}

impl fmt::Debug for CaFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CaFile").field(&self.path).finish()
    }
}

/// Who we are, for a receiver that asks for a client certificate (mTLS).
///
/// Two of the same certificate and key are equal, so that requests of one identity share connections and no others do.
#[derive(Clone)]
pub struct Identity {
    digest: [u8; 32],
    key: Arc<CertifiedKey>,
}

/// Why a certificate and a key are no identity. The texts hold nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// There must be at least the client's own certificate.
    #[error("the certificate chain {0}")]
    Chain(String),
    /// PKCS #8, PKCS #1 or SEC 1, without a passphrase.
    #[error("the private key {0}")]
    Key(String),
    /// The key is another certificate's.
    #[error("the private key does not belong to the first certificate of the chain")]
    Mismatch,
}

impl Identity {
    /// Reads a chain of certificates, the client's own first, and its private key, both PEM.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, BadIdentity> {
        let certificates = certificates(chain.as_bytes()).map_err(BadIdentity::Chain)?;
        if key.contains("ENCRYPTED") {
            return Err(BadIdentity::Key("is encrypted; give it without a passphrase".to_owned()));
        }
        let parsed = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| BadIdentity::Key(told(&error)))?;
        let digest = Sha256::new().chain_update(certificates[0].as_ref()).chain_update(parsed.secret_der()).finalize();
        let key =
            CertifiedKey::from_der(certificates, parsed, &ring::default_provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => BadIdentity::Mismatch,
                error @ rustls::Error::InvalidCertificate(_) => BadIdentity::Chain(format!("is not valid: {error}")),
                _ => BadIdentity::Key("is of a kind that is not supported; allowed: ECDSA, Ed25519, RSA".to_owned()),
            })?;
        Ok(Self { digest: digest.into(), key: Arc::new(key) })
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(|error| told(&error))?;
    if found.is_empty() { Err("has no `-----BEGIN CERTIFICATE-----`".to_owned()) } else { Ok(found) }
}

fn told(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "is not PEM, or of another kind".to_owned(),
        other => format!("is not valid PEM: {other:?}"),
    }
}
