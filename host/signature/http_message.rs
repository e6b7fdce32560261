//! HTTP message signatures: the sender says what it signs, and the hook says what that must be at least.
//!
//! Source: RFC 9421 (2024). What the RFC leaves to its user is decided like this:
//! - The algorithm is the hook's. A message may repeat it in `alg`, and is refused when it says another.
//! - `created` must be there and lie in the window, and `expires` must not have passed.
//! - Unless the hook names `components`, the signature must cover `@method`, the path (by `@target-uri`, `@request-target`
//!   or `@path`), and `content-digest` when there is a body.
//! - `@authority`, `@scheme` and `@target-uri` come from the configured URL and never from `Host`.
//! - Components with parameters are refused, but for `@query-param`.

use std::cell::LazyCell;

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, FieldType as _, InnerList, Item, ListEntry, Parser, StringRef, key_ref};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::content_digest::{self, CONTENT_DIGEST};
use super::secret::{KeyForm, Keying, Secret};
use super::stamp::Window;
use super::verify::only_header;
use super::{CANDIDATES_MAX, Message, Once, Proof, Refusal, components};

/// The header that holds the signatures, by label.
pub(super) static SIGNATURE: HeaderName = HeaderName::from_static("signature");
/// The header that says what each of them covers.
static SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");

/// How long a nonce may be. It is kept, to know a message that comes again.
const NONCE_CHARS_MAX: usize = 256;

/// What an entry may change.
pub(super) struct Preset {
    pub(super) algorithm: Algorithm,
    /// Those of the registry (RFC 9421 §6.2) that are offered.
    pub(super) algorithms: [(&'static str, Algorithm); 5],
    pub(super) key: KeyForm,
    pub(super) key_prefixes: &'static [&'static str],
    pub(super) tolerance_s: u32,
}

pub(super) const PRESET: Preset = Preset {
    algorithm: Algorithm::HmacSha256,
    algorithms: [
        ("hmac-sha256", Algorithm::HmacSha256),
        ("ed25519", Algorithm::Ed25519),
        ("ecdsa-p256-sha256", Algorithm::EcdsaP256Sha256),
        ("rsa-v1_5-sha256", Algorithm::RsaSha256),
        ("rsa-pss-sha512", Algorithm::RsaPssSha512),
    ],
    key: KeyForm::Base64,
    key_prefixes: &["whsec_"],
    tolerance_s: 300,
};

/// A hook's use of message signatures.
#[derive(Debug, Clone)]
pub(super) struct HttpMessage {
    pub(super) keying: Keying,
    pub(super) window: Window,
    /// What must be covered, instead of the usual.
    pub(super) components: Option<Vec<String>>,
    /// Signatures with another tag are passed over.
    pub(super) tag: Option<String>,
}

/// One of the labels.
struct Offer<'a> {
    input: &'a InnerList,
    signature: &'a [u8],
}

impl HttpMessage {
    /// One genuine signature is enough. Without any, the reason is the first one's.
    pub(super) fn verify(&self, secrets: &[Secret], message: &Message<'_>, now_unix_ms: i64) -> Result<Proof, Refusal> {
        let keys = self.keying.keys(secrets);
        if keys.is_empty() {
            return Err(Refusal::NoSecret);
        }
        let (inputs, signatures) = (dictionary(message, &SIGNATURE_INPUT)?, dictionary(message, &SIGNATURE)?);
        if inputs.len() > CANDIDATES_MAX {
            return Err(Refusal::TooManySignatures { header: SIGNATURE_INPUT.to_string(), count: inputs.len() });
        }
        let digest = LazyCell::new(|| content_digest::check(message));
        let offers = inputs.iter().filter_map(|(label, input)| offer(input, signatures.get(label)?));
        let offers = offers.filter(|offer| self.tag.is_none() || text(offer.input, "tag") == self.tag.as_deref());
        let mut outcome = None;
        for offer in offers {
            let one = self.judge(&offer, &keys, message, now_unix_ms, || (*digest).clone());
            if outcome.is_none() || one.is_ok() {
                outcome = Some(one);
            }
        }
        outcome.unwrap_or(Err(Refusal::NoLabel))
    }

    fn judge(
        &self,
        Offer { input, signature }: &Offer<'_>,
        keys: &[(usize, Zeroizing<Vec<u8>>)],
        message: &Message<'_>,
        now_unix_ms: i64,
        digest: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<Proof, Refusal> {
        let created = integer(input, "created")?.ok_or(Refusal::BadParameter("created"))?;
        self.window.admit(created, now_unix_ms)?;
        if integer(input, "expires")?.is_some_and(|end| end < now_unix_ms.div_euclid(1_000)) {
            return Err(Refusal::Expired);
        }
        if input.params.contains_key("alg") && text(input, "alg") != Some(self.keying.algorithm.name()) {
            return Err(Refusal::OtherAlgorithm(self.keying.algorithm.name()));
        }
        let nonce = match input.params.contains_key("nonce") {
            true => Some(nonce(input).ok_or(Refusal::BadParameter("nonce"))?),
            false => None,
        };
        self.covers_enough(input, message)?;
        let base = components::base(input, message)?;
        if components::covers(input, CONTENT_DIGEST.as_str()) {
            digest()?;
        }
        let (base, candidate) = ([base.into_bytes().into()], [signature.to_vec()]);
        let mut matched = None;
        for (index, key) in keys {
            if self.keying.algorithm.accepts(key, &base, &candidate) {
                matched = Some(*index);
            }
        }
        let secret = matched.ok_or(Refusal::OtherDigest)?;
        let once = Some(Once::of(&base, self.window));
        Ok(Proof { secret: Some(secret), id: nonce.map(str::to_owned), timestamp_s: Some(created), once })
    }

    fn covers_enough(&self, input: &InnerList, message: &Message<'_>) -> Result<(), Refusal> {
        let covers = |name: &str| components::covers(input, name);
        let lacking = match &self.components {
            Some(names) => names.iter().map(String::as_str).find(|name| !covers(name)),
            None if !covers("@method") => Some("@method"),
            None if !["@target-uri", "@request-target", "@path"].into_iter().any(covers) => Some("@path"),
            None if !message.body.is_empty() && !covers(CONTENT_DIGEST.as_str()) => Some(CONTENT_DIGEST.as_str()),
            None => None,
        };
        lacking.map_or(Ok(()), |name| Err(Refusal::NotCovered(name.to_owned())))
    }

    /// The headers to add: one signature for each secret, which all cover the same, and the digest when it is covered and
    /// not there yet. The message id is the nonce.
    pub(super) fn sign(
        &self,
        secrets: &[Secret],
        message: &Message<'_>,
        id: &str,
        now_unix_ms: i64,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let input = self.input(message, id, now_unix_ms)?;
        let mut made = Vec::new();
        let mut headers = message.headers.clone();
        if components::covers(&input, CONTENT_DIGEST.as_str()) && !headers.contains_key(&CONTENT_DIGEST) {
            made.push((CONTENT_DIGEST.clone(), content_digest::of(message.body)));
            headers.extend(header_map(&made)?);
        }
        let base = components::base(&input, &Message { headers: &headers, ..*message });
        let base = [base.map_err(|refusal| refusal.to_string())?.into_bytes().into()];
        let (mut inputs, mut signatures) = (Vec::new(), Vec::new());
        for (index, key) in self.keying.keys(secrets) {
            let signature = Item::new(self.keying.algorithm.sign(&key, &base)?).serialize();
            inputs.push(format!("sig{index}={}", components::text(&input)));
            signatures.push(format!("sig{index}={signature}"));
        }
        made.push((SIGNATURE_INPUT.clone(), inputs.join(", ")));
        made.push((SIGNATURE.clone(), signatures.join(", ")));
        Ok(header_map(&made)?.into_iter().filter_map(|(name, value)| Some((name?, value))).collect())
    }

    /// What is signed: what must be covered, and the parameters.
    fn input(&self, message: &Message<'_>, id: &str, now_unix_ms: i64) -> Result<InnerList, String> {
        let place = if message.public_url.is_some() { "@target-uri" } else { "@path" };
        let digest = Some(CONTENT_DIGEST.as_str()).filter(|_| !message.body.is_empty());
        let names = match &self.components {
            Some(names) => names.iter().map(String::as_str).collect::<Vec<_>>(),
            None => ["@method", place].into_iter().chain(digest).collect(),
        };
        let created = sfv::Integer::try_from(now_unix_ms.div_euclid(1_000)).map_err(|error| error.to_string())?;
        let mut parameters = vec![
            (key_ref("created"), created.into()),
            (key_ref("nonce"), string(id)?),
            (key_ref("alg"), string(self.keying.algorithm.name())?),
        ];
        if let Some(tag) = &self.tag {
            parameters.push((key_ref("tag"), string(tag)?));
        }
        let mut list =
            InnerList::new(names.into_iter().map(|name| Ok(string(name)?.into())).collect::<Result<_, String>>()?);
        for (name, value) in parameters {
            list.params.insert(name.to_owned(), value);
        }
        Ok(list)
    }
}

fn string(text: &str) -> Result<BareItem, String> {
    StringRef::from_str(text).map(BareItem::from).map_err(|error| error.to_string())
}

fn header_map(fields: &[(HeaderName, String)]) -> Result<HeaderMap, String> {
    let field = |(name, value): &(HeaderName, String)| Ok((name.clone(), HeaderValue::from_str(value)?));
    fields.iter().map(field).collect::<Result<_, http::header::InvalidHeaderValue>>().map_err(|error| error.to_string())
}

fn dictionary(message: &Message<'_>, name: &HeaderName) -> Result<Dictionary, Refusal> {
    let text = only_header(message, name)?;
    Parser::new(text).parse().map_err(|_| Refusal::NotStructured(name.to_string()))
}

fn offer<'a>(input: &'a ListEntry, signature: &'a ListEntry) -> Option<Offer<'a>> {
    match (input, signature) {
        (ListEntry::InnerList(input), ListEntry::Item(item)) => {
            Some(Offer { input, signature: item.bare_item.as_byte_sequence()? })
        }
        _ => None,
    }
}

fn text<'a>(input: &'a InnerList, parameter: &str) -> Option<&'a str> {
    input.params.get(parameter)?.as_string().map(StringRef::as_str)
}

fn nonce(input: &InnerList) -> Option<&str> {
    text(input, "nonce").filter(|nonce| (1..=NONCE_CHARS_MAX).contains(&nonce.len()))
}

fn integer(input: &InnerList, parameter: &'static str) -> Result<Option<i64>, Refusal> {
    let Some(value) = input.params.get(parameter) else { return Ok(None) };
    value.as_integer().map(|number| Some(number.into())).ok_or(Refusal::BadParameter(parameter))
}
