//! Keys as JSON, which is how those publish them who sign JSON Web Tokens.
//!
//! Source: RFC 7517, RFC 7518 §6 and RFC 8037 §2.

use base64::Engine as _;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::{CANDIDATES_MAX, jwt, public_key};

/// A key, or those in a set; members of other kinds of keys are passed over.
#[derive(Deserialize)]
struct Jwk {
    #[serde(default)]
    keys: Vec<Jwk>,
    kty: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

/// The keys for `algorithm` in a key or a set of keys, of those that are called `kid` when both sides say a name. None when
/// the text is not JSON of either form.
pub(super) fn keys(text: &str, algorithm: Algorithm, kid: Option<&str>) -> Vec<Zeroizing<Vec<u8>>> {
    let Ok(mut root) = serde_json::from_str::<Jwk>(text) else { return Vec::new() };
    let set = std::mem::take(&mut root.keys);
    let named = |key: &Jwk| kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid;
    let all = std::iter::once(root).chain(set).filter(named);
    let keys = all.filter_map(|key| key.bytes(algorithm)).filter(|key| algorithm.takes(key));
    keys.take(CANDIDATES_MAX).map(Zeroizing::new).collect()
}

impl Jwk {
    fn bytes(&self, algorithm: Algorithm) -> Option<Vec<u8>> {
        let part = |text: &Option<String>| jwt::BASE64_URL.decode(text.as_deref()?).ok();
        match (algorithm, self.kty.as_deref()?, self.crv.as_deref()) {
            (Algorithm::RsaSha256 | Algorithm::RsaPssSha512, "RSA", _) => {
                Some(public_key::rsa_info(&part(&self.n)?, &part(&self.e)?))
            }
            (Algorithm::EcdsaP256Sha256, "EC", Some("P-256")) => {
                Some(public_key::p256_info(&part(&self.x)?, &part(&self.y)?))
            }
            (Algorithm::Ed25519, "OKP", Some("Ed25519")) => part(&self.x),
            (Algorithm::HmacSha256, "oct", _) => part(&self.k),
            _ => None,
        }
    }
}
