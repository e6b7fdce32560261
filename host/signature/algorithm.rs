//! What a signature is made with, and how one is held against the signed bytes.

use std::borrow::Cow;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::{equal, public_key};

/// How the signed bytes and a key become a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    HmacSha1,
    HmacSha256,
    HmacSha512,
    /// SHA-256 of the key and then the signed bytes. Whoever has one such signature can append to what it signs.
    Sha256,
    /// The key is a public key of 32 bytes, or the seed and the public key in a row, which can also sign.
    Ed25519,
    /// The key is a SubjectPublicKeyInfo in DER, the signature is in DER too.
    EcdsaP256,
    /// The same, but the signature is r and s in a row, 64 bytes.
    EcdsaP256Sha256,
    /// RSASSA-PKCS1-v1_5. The key is a SubjectPublicKeyInfo in DER of 2048 to 8192 bits.
    RsaSha256,
    /// RSASSA-PSS with a salt as long as the hash; the same keys.
    RsaPssSha512,
}

const ED25519_PUBLIC_BYTES: usize = 32;
const ED25519_PAIR_BYTES: usize = 64;

impl Algorithm {
    /// What a JSON entry may say.
    pub(super) const NAMES: [(&'static str, Self); 9] = [
        ("hmac-sha1", Self::HmacSha1),
        ("hmac-sha256", Self::HmacSha256),
        ("hmac-sha512", Self::HmacSha512),
        ("sha256", Self::Sha256),
        ("ed25519", Self::Ed25519),
        ("ecdsa-p256", Self::EcdsaP256),
        ("ecdsa-p256-sha256", Self::EcdsaP256Sha256),
        ("rsa-v1_5-sha256", Self::RsaSha256),
        ("rsa-pss-sha512", Self::RsaPssSha512),
    ];

    /// What a JSON entry calls it.
    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| name)
    }

    /// What a key must be beyond its encoding, for messages; none when any bytes will do.
    pub(super) fn key_allowed(self) -> Option<&'static str> {
        match self {
            Self::Ed25519 => Some("a public key of 32 bytes, or a seed and its public key, 64 bytes together"),
            Self::EcdsaP256 | Self::EcdsaP256Sha256 => Some("a P-256 public key as SubjectPublicKeyInfo"),
            Self::RsaSha256 | Self::RsaPssSha512 => Some("an RSA public key as SubjectPublicKeyInfo"),
            _ => None,
        }
    }

    /// Whether `key` is one that this algorithm can use.
    pub(super) fn takes(self, key: &[u8]) -> bool {
        match self.key_allowed() {
            None => !key.is_empty(),
            Some(_) if self.is_pair(key) => pair(key).is_some(),
            Some(_) => public_key::read(self, key).is_some(),
        }
    }

    fn is_pair(self, key: &[u8]) -> bool {
        self == Self::Ed25519 && key.len() == ED25519_PAIR_BYTES
    }

    /// A key made of chance that can sign.
    pub(super) fn make_key(self, random: &[u8; 32]) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(random.to_vec());
        if self == Self::Ed25519 {
            let pair = Ed25519KeyPair::from_seed_unchecked(random).expect("a seed is 32 bytes");
            key.extend_from_slice(pair.public_key().as_ref());
        }
        key
    }

    /// The public part of a key that has one.
    pub(super) fn public_of(self, key: &[u8]) -> Option<&[u8]> {
        (self == Self::Ed25519).then(|| if self.is_pair(key) { &key[ED25519_PUBLIC_BYTES..] } else { key })
    }

    /// Whether one of the candidates signs the parts in a row. Looks at all of them, whatever it finds.
    pub(super) fn accepts(self, key: &[u8], parts: &[Cow<'_, [u8]>], candidates: &[Vec<u8>]) -> bool {
        let any = |passes: &dyn Fn(&[u8]) -> bool| candidates.iter().fold(false, |any, one| any | passes(one));
        if self.key_allowed().is_some() {
            let Some(public) = public_key::read(self, self.public_of(key).unwrap_or(key)) else { return false };
            let message = parts.concat();
            return any(&|candidate| public.verify(&message, candidate).is_ok());
        }
        let digest = self.digest(key, parts);
        any(&|candidate| equal(candidate, &digest))
    }

    /// The signature of the parts in a row; the error says why this key cannot make one.
    pub(super) fn sign(self, key: &[u8], parts: &[Cow<'_, [u8]>]) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Ed25519 => {
                let pair = pair(key).ok_or("a public key cannot sign; the secret must hold the seed too")?;
                Ok(pair.sign(&parts.concat()).as_ref().to_vec())
            }
            _ if self.key_allowed().is_some() => Err("its secret is the sender's public key"),
            _ => Ok(self.digest(key, parts)),
        }
    }

    fn digest(self, key: &[u8], parts: &[Cow<'_, [u8]>]) -> Vec<u8> {
        let keyed = match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha512 => hmac::HMAC_SHA512,
            Self::Sha256 => {
                let mut hash = digest::Context::new(&digest::SHA256);
                hash.update(key);
                parts.iter().for_each(|part| hash.update(part));
                return hash.finish().as_ref().to_vec();
            }
            _ => hmac::HMAC_SHA256,
        };
        let mut mac = hmac::Context::with_key(&hmac::Key::new(keyed, key));
        parts.iter().for_each(|part| mac.update(part));
        mac.sign().as_ref().to_vec()
    }
}

/// The pair in a seed and its public key; none when they do not belong together.
fn pair(key: &[u8]) -> Option<Ed25519KeyPair> {
    let (seed, public) = (key.len() == ED25519_PAIR_BYTES).then(|| key.split_at(ED25519_PUBLIC_BYTES))?;
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()
}

/// HMAC-SHA256 of a text, for the handshakes that ask for one.
pub(super) fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    Algorithm::HmacSha256.digest(key, &[Cow::Borrowed(text.as_bytes())])
}
