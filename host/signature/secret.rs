//! A shared secret.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::algorithm::Algorithm;

/// Standard base64, with or without the padding that some senders leave out.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A token, password or signing key in the form in which it is handed to a person. Wiped from memory when dropped; it has
/// no `Display`, no `==`, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// A new secret of the form `whsec_<base64>`, which is what Standard Webhooks asks for and fits every scheme that
    /// takes any text. The caller brings the chance.
    pub fn generate(random: &[u8; 32]) -> Self {
        Self::new(format!("whsec_{}", BASE64_STANDARD.encode(random)))
    }

    /// The text itself, for the one time that it is shown and for sealing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it; such a secret never passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How the text of a secret becomes the bytes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyForm {
    Utf8,
    Base64,
    Hex,
}

impl KeyForm {
    /// What a JSON entry may say.
    pub(super) const NAMES: [(&'static str, Self); 3] =
        [("utf-8", Self::Utf8), ("base64", Self::Base64), ("hex", Self::Hex)];

    /// What a secret in this form looks like, for messages.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::Utf8 => "any text but the empty one",
            Self::Base64 => "base64 of at least one byte, after the prefix if the scheme has one, or PEM",
            Self::Hex => "hex digits, two for each byte",
        }
    }

    /// The key in `secret` after one of the prefixes, if one is there; none when it is not in this form or empty.
    pub(super) fn key<'a>(
        self,
        secret: &Secret,
        mut prefixes: impl Iterator<Item = &'a str>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let text = secret.expose();
        let text = prefixes.find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        let key = match self {
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::Base64 => BASE64.decode(&*unarmoured(text)).ok(),
            Self::Hex => hex::decode(text).ok(),
        };
        key.map(Zeroizing::new).filter(|key| !key.is_empty())
    }
}

/// Which keys a scheme takes, and how secrets become them.
#[derive(Debug, Clone)]
pub(super) struct Keying {
    pub(super) algorithm: Algorithm,
    pub(super) form: KeyForm,
    /// Any of them may stand before the rest of the secret.
    pub(super) prefixes: Vec<String>,
}

impl Keying {
    /// The key in a secret, if it holds one that the algorithm can use.
    pub(super) fn key(&self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let prefixes = self.prefixes.iter().map(String::as_str);
        self.form.key(secret, prefixes).filter(|key| self.algorithm.takes(key))
    }

    /// The keys in those secrets that hold one, each with the place of its secret.
    pub(super) fn keys(&self, secrets: &[Secret]) -> Vec<(usize, Zeroizing<Vec<u8>>)> {
        secrets.iter().enumerate().filter_map(|(index, secret)| Some((index, self.key(secret)?))).collect()
    }

    /// A new secret that holds a key which can sign, where keys are made of chance.
    pub(super) fn make(&self, random: &[u8; 32]) -> Secret {
        let key = self.algorithm.make_key(random);
        match self.form {
            KeyForm::Utf8 => Secret::generate(random),
            KeyForm::Hex => Secret::new(hex::encode(&*key)),
            KeyForm::Base64 => {
                // Of a scheme that has both, the last is the prefix of the key that signs.
                let prefix = self.prefixes.last().map_or("", String::as_str);
                Secret::new(format!("{prefix}{}", BASE64_STANDARD.encode(&*key)))
            }
        }
    }

    /// Whether a secret holds a key, and what it must be to do so.
    pub(super) fn fits(&self, secret: &Secret) -> (bool, &'static str) {
        let allowed = self.algorithm.key_allowed().unwrap_or_else(|| self.form.allowed());
        (self.key(secret).is_some(), allowed)
    }
}

/// The base64 between the first and the last line of a PEM text (RFC 7468); any other text as it is.
fn unarmoured(text: &str) -> Cow<'_, str> {
    let begun = text.trim_start().strip_prefix("-----BEGIN ").and_then(|rest| rest.split_once("-----"));
    match begun.and_then(|(_, rest)| rest.split_once("-----END ")) {
        Some((lines, _)) => Cow::Owned(lines.split_ascii_whitespace().collect()),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show() {
        let secret = Secret::generate(&[7; 32]);
        assert_eq!(secret.expose(), "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    /// Tells by which of two constants is found whether a type can be compared.
    struct Compares<T>(std::marker::PhantomData<T>);
    impl<T: PartialEq> Compares<T> {
        const BY_OPERATOR: bool = true;
    }
    trait Otherwise {
        const BY_OPERATOR: bool = false;
    }
    impl<T> Otherwise for Compares<T> {}

    #[test]
    fn a_secret_has_no_operator_that_compares_it() {
        const { assert!(Compares::<String>::BY_OPERATOR && !Compares::<Secret>::BY_OPERATOR) }
    }

    #[test]
    fn a_key_is_decoded_as_its_scheme_says_and_is_never_empty() {
        let key =
            |form: KeyForm, text: &str| form.key(&Secret::new(text), ["whsec_"].into_iter()).map(|key| key.to_vec());
        assert_eq!(key(KeyForm::Base64, "whsec_AQI="), Some(vec![1, 2]));
        assert_eq!(key(KeyForm::Base64, "AQI"), Some(vec![1, 2]));
        let pem = "-----BEGIN PUBLIC KEY-----\nAQ\r\nI=\n-----END PUBLIC KEY-----\n";
        assert_eq!(key(KeyForm::Base64, pem), Some(vec![1, 2]));
        assert_eq!(key(KeyForm::Hex, "0102"), Some(vec![1, 2]));
        assert_eq!(key(KeyForm::Utf8, "0102"), Some(b"0102".to_vec()));
        assert_eq!(key(KeyForm::Base64, "whsec_"), None);
        assert_eq!(key(KeyForm::Base64, "not base64!"), None);
        assert_eq!(key(KeyForm::Utf8, ""), None);
    }
}
