//! JSON Web Tokens, signed by a key that the hook has: of a sender that publishes its keys, or a shared secret.
//!
//! Source: RFC 7515, RFC 7519, and RFC 8725 for what to refuse. The algorithm is the hook's and never the token's; a token
//! must be for this hook, by `aud` or other claims, or for this body; and it must have an end, or be young.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderName;
use http::header::AUTHORIZATION;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::secret::{Keying, Secret};
use super::stamp::Window;
use super::verify::{credentials, only_header};
use super::{Message, Once, Proof, Refusal, equal, jwk};

/// Base64url without padding, as tokens and keys have it.
pub(super) const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// What an entry that says nothing uses.
pub(super) const PRESET: Algorithm = Algorithm::RsaSha256;
pub(super) const TOLERANCE_S: u32 = 300;

/// Those of RFC 7518 and RFC 8037 that are offered.
pub(super) const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("rsa-v1_5-sha256", Algorithm::RsaSha256),
    ("rsa-pss-sha512", Algorithm::RsaPssSha512),
    ("ecdsa-p256-sha256", Algorithm::EcdsaP256Sha256),
    ("ed25519", Algorithm::Ed25519),
    ("hmac-sha256", Algorithm::HmacSha256),
];

/// A hook's use of tokens.
#[derive(Debug, Clone)]
pub(super) struct Jwt {
    /// `authorization` holds `Bearer` and the token, another header the token alone.
    pub(super) header: HeaderName,
    pub(super) keying: Keying,
    pub(super) window: Window,
    pub(super) audience: Option<String>,
    /// These claims must have these values.
    pub(super) claims: BTreeMap<String, String>,
    /// The claim that holds the SHA-256 of the body in hex.
    pub(super) body_claim: Option<String>,
}

/// A token, taken apart and not yet believed.
struct Token<'a> {
    head: Map<String, Value>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl Jwt {
    pub(super) fn verify(&self, secrets: &[Secret], message: &Message<'_>, now_unix_ms: i64) -> Result<Proof, Refusal> {
        if !secrets.iter().any(|secret| self.fits(secret).0) {
            return Err(Refusal::NoSecret);
        }
        let text = match self.header == AUTHORIZATION {
            true => credentials(message, "bearer", "Bearer <token>")?,
            false => only_header(message, &self.header)?,
        };
        let token = Token::read(text).ok_or_else(|| Refusal::NotJwt(self.header.to_string()))?;
        let name = self.name();
        // Extensions that must be understood are not (RFC 7515 §4.1.11).
        if token.head.get("alg").and_then(Value::as_str) != Some(name) || token.head.contains_key("crit") {
            return Err(Refusal::OtherAlgorithm(name));
        }
        let kid = token.head.get("kid").and_then(Value::as_str);
        let (signed, candidate) = ([token.signed.as_bytes().into()], [token.signature]);
        let mut matched = None;
        for (index, secret) in secrets.iter().enumerate() {
            for key in self.keys(secret, kid) {
                if self.keying.algorithm.accepts(&key, &signed, &candidate) {
                    matched = Some(index);
                }
            }
        }
        let secret = matched.ok_or(Refusal::OtherDigest)?;
        let timestamp_s = self.in_time(&token.claims, now_unix_ms)?;
        self.is_for_us(&token.claims, message)?;
        // A token that speaks of no body may be sent with many, as long as it lives.
        let once = self.body_claim.as_ref().map(|_| Once::of(&signed, self.window));
        Ok(Proof { secret: Some(secret), id: None, timestamp_s, once })
    }

    /// Whether a secret holds a key, and what it must be to do so.
    pub(super) fn fits(&self, secret: &Secret) -> (bool, &'static str) {
        (!self.keys(secret, None).is_empty(), "a JWK, a set of them, or a key of the algorithm in PEM or base64")
    }

    fn keys(&self, secret: &Secret, kid: Option<&str>) -> Vec<Zeroizing<Vec<u8>>> {
        match secret.expose().trim_start().strip_prefix('{') {
            Some(_) => jwk::keys(secret.expose(), self.keying.algorithm, kid),
            None => self.keying.key(secret).into_iter().collect(),
        }
    }

    /// When the token was made, if it says so. It must not have ended; one without an end must be in the window.
    fn in_time(&self, claims: &Map<String, Value>, now_unix_ms: i64) -> Result<Option<i64>, Refusal> {
        let now_s = now_unix_ms.div_euclid(1_000);
        let [end, made, begin] = [date(claims, "exp")?, date(claims, "iat")?, date(claims, "nbf")?];
        match (end, made) {
            (None, None) => return Err(Refusal::BadClaim("exp")),
            (Some(end), _) if end <= now_s => return Err(Refusal::Expired),
            (None, Some(made)) => self.window.admit(made, now_unix_ms)?,
            (Some(_), _) => {}
        }
        let ahead = Window { past_s: i64::MAX, ..self.window };
        [made, begin].into_iter().flatten().try_for_each(|moment| ahead.admit(moment, now_unix_ms))?;
        Ok(made)
    }

    fn is_for_us(&self, claims: &Map<String, Value>, message: &Message<'_>) -> Result<(), Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if let Some(audience) = self.audience.as_deref() {
            let listed = claims.get("aud").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            if !text("aud").into_iter().chain(listed).any(|one| one == audience) {
                return Err(Refusal::OtherClaim("aud".to_owned()));
            }
        }
        if let Some((name, _)) = self.claims.iter().find(|(name, value)| text(name) != Some(value.as_str())) {
            return Err(Refusal::OtherClaim(name.clone()));
        }
        let Some(name) = &self.body_claim else { return Ok(()) };
        let given = text(name).map(str::to_ascii_lowercase).unwrap_or_default();
        if equal(given, hash(message)) { Ok(()) } else { Err(Refusal::OtherClaim(name.clone())) }
    }

    /// What the header holds: a token that this hook takes, for as long as the window is.
    pub(super) fn sign(&self, secret: &Secret, message: &Message<'_>, now_unix_ms: i64) -> Result<String, String> {
        let key = self.keys(secret, None).into_iter().next().ok_or("the secret holds no key")?;
        let now_s = now_unix_ms.div_euclid(1_000);
        let mut claims = json!({ "iat": now_s, "exp": now_s.saturating_add(self.window.past_s) });
        if let Some(audience) = &self.audience {
            claims["aud"] = json!(audience);
        }
        for (name, value) in &self.claims {
            claims[name] = json!(value);
        }
        if let Some(name) = &self.body_claim {
            claims[name] = json!(hash(message));
        }
        let head = json!({ "alg": self.name(), "typ": "JWT" });
        let [head, claims] = [head, claims].map(|part| BASE64_URL.encode(part.to_string()));
        let signed = format!("{head}.{claims}");
        let signature = self.keying.algorithm.sign(&key, &[signed.as_bytes().into()])?;
        let token = format!("{signed}.{}", BASE64_URL.encode(signature));
        Ok(if self.header == AUTHORIZATION { format!("Bearer {token}") } else { token })
    }

    /// The algorithm's name in a token.
    fn name(&self) -> &'static str {
        match self.keying.algorithm {
            Algorithm::RsaPssSha512 => "PS512",
            Algorithm::EcdsaP256Sha256 => "ES256",
            Algorithm::Ed25519 => "EdDSA",
            Algorithm::HmacSha256 => "HS256",
            _ => "RS256",
        }
    }
}

impl<'a> Token<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let object = |part: &str| serde_json::from_slice(&BASE64_URL.decode(part).ok()?).ok();
        let (head, claims) = (object(head)?, object(claims)?);
        let signature = BASE64_URL.decode(signature).ok().filter(|signature| !signature.is_empty())?;
        Some(Self { head, claims, signed, signature })
    }
}

fn hash(message: &Message<'_>) -> String {
    hex::encode(digest(&SHA256, message.body))
}

/// A moment in Unix seconds, which may have a fraction (RFC 7519 §2).
fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
    whole.map(Some).ok_or(Refusal::BadClaim(name))
}
