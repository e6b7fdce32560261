//! The request that everything is measured with, and the proof on it.

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::wire;

/// The header with the proof.
pub const SIGNATURE: &str = "x-signature";

/// What stands before the hexadecimal digest in it.
pub const PREFIX: &str = "sha256=";

/// Bytes of the body.
const BODY_BYTES: usize = 1 << 10;

/// A `POST` of 1 KiB of JSON in Flowgate's native envelope, signed with `key`.
pub fn request(path: &str, key: &[u8], more: &[(&str, &str)]) -> Bytes {
    signed(path, key, more, &body())
}

/// A `POST` of any JSON, signed with `key`.
pub fn signed(path: &str, key: &[u8], more: &[(&str, &str)], body: &[u8]) -> Bytes {
    let signature = format!("{PREFIX}{}", hex::encode(mac(key, body).finalize().into_bytes()));
    let mut headers = vec![("content-type", "application/json"), (SIGNATURE, signature.as_str())];
    headers.extend_from_slice(more);
    wire::request("POST", path, &headers, body)
}

/// The schemes of a hook that wants this proof.
pub fn auth() -> Value {
    json!([{ "scheme": "hmac-sha256", "header": SIGNATURE, "prefix": PREFIX }])
}

/// Whether `given`, the header's value, proves `body`.
pub fn is_genuine(key: &[u8], body: &[u8], given: &[u8]) -> bool {
    let digest = given.strip_prefix(PREFIX.as_bytes()).and_then(|digest| hex::decode(digest).ok());
    digest.is_some_and(|digest| mac(key, body).verify_slice(&digest).is_ok())
}

fn mac(key: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(body);
    mac
}

/// 1 KiB of JSON in Flowgate's native envelope.
pub fn body() -> Vec<u8> {
    filled(json!({ "message": "Where is my order?", "user_id": "usr_20871", "metadata": { "channel": "web" } }))
}

/// 1 KiB of JSON: an object with these members, and an order in its `data`.
pub fn filled(mut members: Value) -> Vec<u8> {
    let lines = json!([{ "sku": "A-1", "quantity": 2 }, { "sku": "B-7", "quantity": 1 }]);
    members["data"]["order"] = json!({ "id": "48213", "lines": lines });
    let mut with = |filling: usize| {
        members["data"]["note"] = json!("x".repeat(filling));
        serde_json::to_vec(&members).expect("a value has a JSON form")
    };
    let empty = with(0).len();
    with(BODY_BYTES - empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_its_size() {
        assert_eq!(body().len(), BODY_BYTES);
    }

    #[test]
    fn a_proof_is_of_one_body_and_one_key() {
        let header = format!("{PREFIX}{}", hex::encode(mac(b"key", b"body").finalize().into_bytes()));
        assert!(is_genuine(b"key", b"body", header.as_bytes()));
        assert!(!is_genuine(b"key", b"Body", header.as_bytes()));
        assert!(!is_genuine(b"kez", b"body", header.as_bytes()));
        assert!(!is_genuine(b"key", b"body", b"sha256="));
    }
}
