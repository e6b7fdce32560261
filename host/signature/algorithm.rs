//! What a signature is made with, and how one is held against the signed bytes.

use std::borrow::Cow;

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::equal;

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
}

/// What stands before the point in the SubjectPublicKeyInfo of a P-256 key (RFC 5480 §2), up to the mark of an
/// uncompressed point.
const P256_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P256_SPKI_BYTES: usize = 91;

const ED25519_PUBLIC_BYTES: usize = 32;
const ED25519_PAIR_BYTES: usize = 64;

impl Algorithm {
    /// What a JSON entry may say.
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("hmac-sha1", Self::HmacSha1),
        ("hmac-sha256", Self::HmacSha256),
        ("hmac-sha512", Self::HmacSha512),
        ("sha256", Self::Sha256),
        ("ed25519", Self::Ed25519),
        ("ecdsa-p256", Self::EcdsaP256),
    ];

    /// What a key must be beyond its encoding, for messages; none when any bytes will do.
    pub(super) fn key_allowed(self) -> Option<&'static str> {
        match self {
            Self::Ed25519 => Some("a public key of 32 bytes, or a seed and its public key, 64 bytes together"),
            Self::EcdsaP256 => Some("a P-256 public key as SubjectPublicKeyInfo"),
            _ => None,
        }
    }

    /// Whether `key` is one that this algorithm can use.
    pub(super) fn takes(self, key: &[u8]) -> bool {
        match self {
            Self::Ed25519 => key.len() == ED25519_PUBLIC_BYTES || pair(key).is_some(),
            Self::EcdsaP256 => key.len() == P256_SPKI_BYTES && key.starts_with(&P256_HEAD),
            _ => !key.is_empty(),
        }
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
        (self == Self::Ed25519).then(|| &key[key.len().saturating_sub(ED25519_PUBLIC_BYTES)..])
    }

    /// Whether one of the candidates signs the parts in a row. Looks at all of them, whatever it finds.
    pub(super) fn accepts(self, key: &[u8], parts: &[Cow<'_, [u8]>], candidates: &[Vec<u8>]) -> bool {
        let any = |passes: &dyn Fn(&[u8]) -> bool| candidates.iter().fold(false, |any, one| any | passes(one));
        match self {
            Self::Ed25519 => {
                let public = UnparsedPublicKey::new(&ED25519, self.public_of(key).unwrap_or_default());
                let message = parts.concat();
                any(&|candidate| public.verify(&message, candidate).is_ok())
            }
            Self::EcdsaP256 => {
                let point = &key[P256_HEAD.len() - 1..];
                let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
                let message = parts.concat();
                any(&|candidate| public.verify(&message, candidate).is_ok())
            }
            _ => {
                let digest = self.digest(key, parts);
                any(&|candidate| equal(candidate, &digest))
            }
        }
    }

    /// The signature of the parts in a row; the error says why this key cannot make one.
    pub(super) fn sign(self, key: &[u8], parts: &[Cow<'_, [u8]>]) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Ed25519 => {
                let pair = pair(key).ok_or("a public key cannot sign; the secret must hold the seed too")?;
                Ok(pair.sign(&parts.concat()).as_ref().to_vec())
            }
            Self::EcdsaP256 => Err("its secret is the sender's public key"),
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
