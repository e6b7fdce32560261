//! `flowgate:flow/secrets` and `flowgate:flow/secrets-reveal`: secrets that a flow can use and does not see.
//!
//! What a flow gets is a placeholder, random and good for one execution. `outgoing` fills it in when a request leaves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use zeroize::Zeroizing;

use super::{Grants, Redactor, Spans};
use crate::bindings::v0_1::flow::{secrets, secrets_reveal};
use crate::bindings::v0_2::flow as v0_2;

/// Secrets of one flow.
pub const SECRETS_MAX: usize = 100;

/// Characters of the shortest secret. A shorter one can be guessed, and could not be told from other text in what leaves.
pub const SECRET_CHARS_MIN: usize = 8;

/// Characters of the longest secret.
pub const SECRET_CHARS_MAX: usize = 4_096;

const NAME_CHARS_MAX: usize = 64;

/// Checks the name of a secret. The error says what would be right.
pub fn check_secret_name(name: &str) -> Result<(), String> {
    let first = name.as_bytes().first().is_some_and(u8::is_ascii_uppercase);
    let all = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if first && all && name.len() <= NAME_CHARS_MAX {
        return Ok(());
    }
    Err(format!(
        "a secret's name is 1 to {NAME_CHARS_MAX} of the characters A-Z, 0-9 and `_`, and begins with a letter"
    ))
}

/// The secrets of a flow in clear. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets {
    values: Arc<BTreeMap<String, Zeroizing<String>>>,
    redactor: Redactor,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.values.len())
    }
}

impl Secrets {
    /// Secrets by name.
    pub fn new(values: BTreeMap<String, Zeroizing<String>>) -> Self {
        let redactor = Redactor::new(values.values().map(|value| value.as_str()));
        Self { values: Arc::new(values), redactor }
    }

    /// Finds them in what leaves.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}

/// The secrets of one execution.
#[derive(Clone)]
pub(super) struct Vault {
    secrets: Secrets,
    grants: Arc<Grants>,
    spans: Spans,
    /// Those that the guest has, by the names of their secrets.
    placeholders: Arc<Mutex<BTreeMap<String, String>>>,
}

/// Why a placeholder is not filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfilled {
    /// The secret of this name may not go there.
    NotGranted(String),
    /// The secret of this name cannot stand in a header.
    Unfit(String),
}

impl Vault {
    pub(super) fn new(secrets: Secrets, grants: Arc<Grants>, spans: Spans) -> Self {
        Self { secrets, grants, spans, placeholders: Arc::default() }
    }

    pub(super) fn redactor(&self) -> &Redactor {
        self.secrets.redactor()
    }

    pub(super) fn has_those_of(&self, secrets: &Secrets) -> bool {
        Arc::ptr_eq(&self.secrets.values, &secrets.values) || self.secrets.values == secrets.values
    }

    /// Fills in the placeholders of a header's value with the secrets that `granted` lets through; none when it has none.
    pub(super) fn fill(
        &self,
        name: &HeaderName,
        value: &HeaderValue,
        granted: impl Fn(&str) -> bool,
    ) -> Result<Option<HeaderValue>, Unfilled> {
        let bytes = value.as_bytes();
        let basic = (name == AUTHORIZATION).then(|| basic(bytes)).flatten();
        let (text, encoded) = match &basic {
            Some(decoded) => (&decoded[..], true),
            None => (bytes, false),
        };
        let mut filled: Option<Zeroizing<Vec<u8>>> = None;
        let mut last = String::new();
        for (secret, placeholder) in self.held().iter() {
            let now = filled.as_deref().map_or(text, Vec::as_slice);
            if memchr::memmem::find(now, placeholder.as_bytes()).is_none() {
                continue;
            }
            let value = self.secrets.values.get(secret).filter(|_| granted(secret));
            let value = value.ok_or_else(|| Unfilled::NotGranted(secret.clone()))?;
            filled = Some(replaced(now, placeholder.as_bytes(), value.as_bytes()));
            last.clone_from(secret);
        }
        let Some(filled) = filled else { return Ok(None) };
        let written =
            if encoded { format!("Basic {}", BASE64_STANDARD.encode(&*filled)).into_bytes() } else { filled.to_vec() };
        let mut value =
            HeaderValue::from_maybe_shared(bytes::Bytes::from(written)).map_err(|_| Unfilled::Unfit(last))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The name of a secret whose placeholder stands in a text.
    pub(super) fn named_in(&self, text: &[u8]) -> Option<String> {
        let held = self.held();
        let named = held.iter().find(|(_, placeholder)| memchr::memmem::find(text, placeholder.as_bytes()).is_some());
        named.map(|(secret, _)| secret.clone())
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        // A map is never left half changed.
        self.placeholders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn placeholder(&self, name: String) -> Option<String> {
        self.secrets.values.contains_key(&name).then(|| {
            let fresh = || format!("fgsecret_{}", hex::encode(rand::random::<[u8; 16]>()));
            self.held().entry(name).or_insert_with(fresh).clone()
        })
    }
}

impl secrets::Host for Vault {
    fn exists(&mut self, name: String) -> wasmtime::Result<Result<bool, secrets::Error>> {
        Ok(Ok(self.secrets.values.contains_key(&name)))
    }

    fn placeholder(&mut self, name: String) -> wasmtime::Result<Result<String, secrets::Error>> {
        Ok((*self).placeholder(name.clone()).ok_or(secrets::Error::Unknown(name)))
    }
}

impl secrets_reveal::Host for Vault {
    fn reveal(&mut self, name: String) -> wasmtime::Result<Result<String, secrets_reveal::Error>> {
        if !self.grants.reveal.contains(&name) {
            return Ok(Err(secrets_reveal::Error::NotGranted(name)));
        }
        let Some(value) = self.secrets.values.get(&name) else {
            return Ok(Err(secrets_reveal::Error::Unknown(name)));
        };
        self.spans.open("secrets.reveal").set("name", &name);
        Ok(Ok(value.to_string()))
    }
}

impl v0_2::secrets::Host for Vault {
    fn exists(&mut self, name: String) -> wasmtime::Result<Result<bool, v0_2::secrets::Error>> {
        Ok(secrets::Host::exists(self, name)?.map_err(Into::into))
    }

    fn placeholder(&mut self, name: String) -> wasmtime::Result<Result<String, v0_2::secrets::Error>> {
        Ok(secrets::Host::placeholder(self, name)?.map_err(Into::into))
    }
}

impl v0_2::secrets_reveal::Host for Vault {
    fn reveal(&mut self, name: String) -> wasmtime::Result<Result<String, v0_2::secrets_reveal::Error>> {
        Ok(secrets_reveal::Host::reveal(self, name)?.map_err(Into::into))
    }
}

/// What `Basic` credentials say: `user:password`.
fn basic(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (scheme, credentials) = value.split_at_checked(6)?;
    let decoded = scheme.eq_ignore_ascii_case(b"basic ").then(|| BASE64_STANDARD.decode(credentials.trim_ascii()).ok());
    decoded.flatten().map(Zeroizing::new)
}

fn replaced(text: &[u8], placeholder: &[u8], value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut filled = Zeroizing::new(Vec::with_capacity(text.len() + value.len()));
    let mut from = 0;
    for at in memchr::memmem::find_iter(text, placeholder) {
        filled.extend_from_slice(&text[from..at]);
        filled.extend_from_slice(value);
        from = at + placeholder.len();
    }
    filled.extend_from_slice(&text[from..]);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(reveal: &[&str]) -> Vault {
        let values = [("KEY", "value-of-key"), ("PEM", "line one\nline two")];
        let values = values.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
        let reveal = reveal.iter().map(|&name| name.to_owned()).collect();
        let grants = Arc::new(Grants { reveal, ..Grants::default() });
        Vault::new(Secrets::new(values.into()), grants, Spans::new(&crate::capability::Options::default()))
    }

    fn filled(vault: &Vault, value: &str, granted: bool) -> Result<Option<String>, Unfilled> {
        let filled = vault.fill(&AUTHORIZATION, &HeaderValue::from_str(value).unwrap(), |_| granted)?;
        Ok(filled.map(|value| {
            assert!(value.is_sensitive());
            value.to_str().unwrap().to_owned()
        }))
    }

    #[test]
    fn a_placeholder_is_filled_in_where_its_secret_may_go() {
        let vault = vault(&[]);
        let key = vault.placeholder("KEY".to_owned()).unwrap();
        assert_eq!(vault.placeholder("KEY".to_owned()), Some(key.clone()));
        assert!(!key.contains("value"));
        assert_eq!(filled(&vault, &format!("Bearer {key}"), true), Ok(Some("Bearer value-of-key".to_owned())));
        assert_eq!(filled(&vault, &format!("{key},{key}"), true), Ok(Some("value-of-key,value-of-key".to_owned())));
        assert_eq!(filled(&vault, "Bearer other", true), Ok(None));
        assert_eq!(filled(&vault, &key, false), Err(Unfilled::NotGranted("KEY".to_owned())));
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        assert_eq!(filled(&vault, &basic(&format!("user:{key}")), true), Ok(Some(basic("user:value-of-key"))));
        let pem = vault.placeholder("PEM".to_owned()).unwrap();
        assert_eq!(filled(&vault, &pem, true), Err(Unfilled::Unfit("PEM".to_owned())));
        assert_eq!(vault.named_in(format!("/path?a={pem}").as_bytes()), Some("PEM".to_owned()));
    }

    #[test]
    fn a_placeholder_means_nothing_in_another_execution() {
        let (first, second) = (vault(&[]), vault(&[]));
        let old = first.placeholder("KEY".to_owned()).unwrap();
        second.placeholder("KEY".to_owned()).unwrap();
        assert_eq!(filled(&second, &format!("Bearer {old} {{{{secret:KEY}}}} KEY"), true), Ok(None));
        assert_eq!(first.placeholder("OTHER".to_owned()), None);
    }

    #[test]
    fn a_secret_is_revealed_by_its_own_grant_alone() {
        use secrets_reveal::{Error, Host as _};
        let mut vault = vault(&["KEY", "GONE"]);
        assert_eq!(vault.reveal("KEY".to_owned()).unwrap().unwrap(), "value-of-key");
        assert!(matches!(vault.reveal("PEM".to_owned()).unwrap(), Err(Error::NotGranted(_))));
        assert!(matches!(vault.reveal("GONE".to_owned()).unwrap(), Err(Error::Unknown(_))));
    }

    #[test]
    fn a_name_is_plain() {
        assert!(["A", "API_KEY", "K2"].iter().all(|name| check_secret_name(name).is_ok()));
        let bad = ["", "a", "_A", "2A", "A-B", "Ä", "A B"];
        assert!(bad.iter().all(|name| check_secret_name(name).is_err()));
    }
}
