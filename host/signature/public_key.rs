//! Public keys as senders publish them: a SubjectPublicKeyInfo in DER (RFC 5480, RFC 8017, RFC 8410), or the bare key.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey,
};

use super::algorithm::Algorithm;

/// What stands before the point in the SubjectPublicKeyInfo of a P-256 key (RFC 5480 §2), up to the mark of an
/// uncompressed point.
const P256_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P256_SPKI_BYTES: usize = 91;

/// What stands before the key in the SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 §4).
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const ED25519_BYTES: usize = 32;

/// The algorithm of an RSA key: rsaEncryption, without parameters (RFC 3279 §2.3.1).
const RSA_ALGORITHM: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The public key for `algorithm` in `bytes`; none when there is none, or the algorithm has no public keys.
pub(super) fn read(algorithm: Algorithm, bytes: &[u8]) -> Option<UnparsedPublicKey<&[u8]>> {
    Some(match algorithm {
        Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, ed25519(bytes)?),
        Algorithm::EcdsaP256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, p256(bytes)?),
        Algorithm::EcdsaP256Sha256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, p256(bytes)?),
        Algorithm::RsaSha256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa(bytes)?),
        Algorithm::RsaPssSha512 => UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA512, rsa(bytes)?),
        Algorithm::HmacSha1 | Algorithm::HmacSha256 | Algorithm::HmacSha512 | Algorithm::Sha256 => return None,
    })
}

/// The SubjectPublicKeyInfo of an RSA key, of its modulus and its exponent.
pub(super) fn rsa_info(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = wrapped(SEQUENCE, &[integer(modulus), integer(exponent)].concat());
    let bits = wrapped(BIT_STRING, &[&[0], &key[..]].concat());
    wrapped(SEQUENCE, &[wrapped(SEQUENCE, &RSA_ALGORITHM), bits].concat())
}

/// The SubjectPublicKeyInfo of a P-256 key, of the coordinates of its point.
pub(super) fn p256_info(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&P256_HEAD, x, y].concat()
}

fn ed25519(bytes: &[u8]) -> Option<&[u8]> {
    let key = bytes.strip_prefix(&ED25519_HEAD).unwrap_or(bytes);
    (key.len() == ED25519_BYTES).then_some(key)
}

/// The point, with its mark.
fn p256(bytes: &[u8]) -> Option<&[u8]> {
    let right = bytes.len() == P256_SPKI_BYTES && bytes.starts_with(&P256_HEAD);
    right.then(|| &bytes[P256_HEAD.len() - 1..])
}

/// The RSAPublicKey.
fn rsa(bytes: &[u8]) -> Option<&[u8]> {
    let (info, b"") = value(SEQUENCE, bytes)? else { return None };
    let (algorithm, rest) = value(SEQUENCE, info)?;
    let (bits, b"") = value(BIT_STRING, rest)? else { return None };
    // The first byte says how many bits at the end are not used.
    bits.strip_prefix(&[0]).filter(|_| algorithm == RSA_ALGORITHM)
}

/// The content of the DER value with this tag at the beginning of `bytes`, and what follows it. No key is longer than
/// what two bytes can say.
fn value(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match *bytes.strip_prefix(&[tag])? {
        [length @ ..=0x7f, ref rest @ ..] => (usize::from(length), rest),
        [0x81, length, ref rest @ ..] => (usize::from(length), rest),
        [0x82, high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A DER value. What is longer than a key can be gets a length that is not its own, and is no key.
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let head = match length.to_be_bytes() {
        [0, length @ ..=0x7f] => vec![tag, length],
        [0, length] => vec![tag, 0x81, length],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

/// A number without a sign, most significant byte first.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    let sign: &[u8] = if digits.first().is_none_or(|first| *first > 0x7f) { &[0] } else { &[] };
    wrapped(INTEGER, &[sign, digits].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rsa_key_is_found_in_its_envelope() {
        for length in [1, 127, 128, 255, 256, 1_024] {
            let key = wrapped(SEQUENCE, &[integer(&vec![0xff; length]), integer(&[0, 1, 0, 1])].concat());
            let info = rsa_info(&vec![0xff; length], &[1, 0, 1]);
            assert_eq!(rsa(&info), Some(&key[..]), "{length}");
            assert_eq!(rsa(&[&info[..], &[0]].concat()), None);
            assert_eq!(rsa(&info[..info.len() - 1]), None);
        }
        assert_eq!(integer(&[]), [INTEGER, 1, 0]);
        assert_eq!(rsa(b""), None);
    }
}
