//! Seals secrets: XChaCha20-Poly1305 with a random nonce. The row's id is associated data, so a sealed secret that is
//! moved to another row does not open; the key's id stands before the nonce, so keys can be changed one row at a time.
//!
//! Sealed form: key id (4 bytes) · nonce (24 bytes) · ciphertext and tag.

use std::io::Write as _;
use std::path::Path;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Error, Result};

const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;

/// The keys that open sealed secrets; the first one seals.
pub struct KeyRing {
    keys: Vec<MasterKey>,
}

struct MasterKey {
    id: [u8; KEY_ID_BYTES],
    bytes: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys)", self.keys.len())
    }
}

impl KeyRing {
    /// Reads `master.key` in `folder`; makes it, readable by its owner alone, when it is not there. The file has one
    /// key of 64 hex digits a line; the first line seals, the others only open.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let path = folder.join("master.key");
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&Zeroizing::new(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let text = Zeroizing::new(format!("{}\n", hex::encode(rand::random::<[u8; 32]>())));
                write_new(folder, &path, text.as_bytes()).map_err(|e| Error::io("write", &path, e))?;
                Self::parse(&text)
            }
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let mut keys = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut bytes = Zeroizing::new([0; 32]);
            hex::decode_to_slice(line, &mut *bytes).map_err(|_| Error::Corrupt("master.key"))?;
            let tag = mac(&bytes, b"flowgate key id");
            keys.push(MasterKey { id: tag[..KEY_ID_BYTES].try_into().expect("four bytes"), bytes });
        }
        if keys.is_empty() { Err(Error::Corrupt("master.key")) } else { Ok(Self { keys }) }
    }

    /// A key for another purpose, derived from the first master key and a label.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        mac(&self.keys[0].bytes, label.as_bytes())
    }

    /// Seals `plain` for the row `row`.
    pub(super) fn seal(&self, row: &[u8], plain: &[u8]) -> Vec<u8> {
        let key = &self.keys[0];
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let cipher = XChaCha20Poly1305::new((&*key.bytes).into());
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: row })
            .expect("a secret is far shorter than the cipher's limit");
        [&key.id[..], &nonce, &sealed].concat()
    }

    /// Opens what [`KeyRing::seal`] sealed for the same row.
    pub(super) fn open(&self, row: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let corrupt = || Error::Corrupt("secret");
        let (id, rest) = sealed.split_at_checked(KEY_ID_BYTES).ok_or_else(corrupt)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(corrupt)?;
        let key = self.keys.iter().find(|key| key.id == *id).ok_or_else(corrupt)?;
        let cipher = XChaCha20Poly1305::new((&*key.bytes).into());
        let plain = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: row });
        plain.map(Zeroizing::new).map_err(|_| corrupt())
    }
}

fn mac(key: &[u8; 32], label: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("any length is a key");
    mac.update(label);
    mac.finalize().into_bytes().into()
}

/// Writes a file that is there whole or not at all, for its owner alone.
fn write_new(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(lines: &[&str]) -> KeyRing {
        KeyRing::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn a_secret_opens_only_in_its_row() {
        let ring = ring(&[&"11".repeat(32)]);
        let sealed = ring.seal(b"row 1", b"hunter2");
        assert_eq!(&*ring.open(b"row 1", &sealed).unwrap(), b"hunter2");
        assert!(ring.open(b"row 2", &sealed).is_err());
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let ring = ring(&[&"11".repeat(32)]);
        let sealed = ring.seal(b"row", b"secret");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open(b"row", &changed).is_err(), "byte {at}");
        }
        assert!(ring.open(b"row", b"").is_err());
    }

    #[test]
    fn an_older_key_still_opens_after_a_newer_one_seals() {
        let (old, new) = ("11".repeat(32), "22".repeat(32));
        let sealed = ring(&[&old]).seal(b"row", b"secret");
        assert!(ring(&[&new, &old]).open(b"row", &sealed).is_ok());
        assert!(ring(&[&new]).open(b"row", &sealed).is_err());
    }
}
