//! The one comparison of secrets.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether two secrets are the same, in a time that tells nothing about them.
///
/// Both sides are hashed first, so that what is compared has one length and neither content nor length shows. Nothing
/// equals the empty secret, not even itself. Every comparison of a token, password or signature in this program goes
/// through here.
pub fn equal(a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> bool {
    let (a, b) = (a.as_ref(), b.as_ref());
    let same = bool::from(Sha256::digest(a).as_slice().ct_eq(Sha256::digest(b).as_slice()));
    same & !a.is_empty()
}

#[cfg(test)]
mod tests {
    use super::equal;

    #[test]
    fn only_the_same_bytes_are_equal_and_nothing_equals_nothing() {
        assert!(equal("secret", b"secret"));
        assert!(!equal("secret", "secre"));
        assert!(!equal("secret", "Secret"));
        assert!(!equal("", ""));
        assert!(!equal("secret", ""));
    }
}
