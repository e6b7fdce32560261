//! Why a request is not proven genuine.

use super::CANDIDATES_MAX;

/// The exact reason why a request does not pass.
///
/// It is for the operator. The sender sees one and the same answer whatever the reason. No variant holds a secret, nor
/// any part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The hook has nothing to compare with.
    #[error("the hook has no live secret that fits its scheme")]
    NoSecret,
    /// A header that the scheme needs is absent or empty.
    #[error("header `{0}` is missing")]
    MissingHeader(String),
    /// Which of the two is meant cannot be known.
    #[error("header `{0}` comes more than once")]
    RepeatedHeader(String),
    /// Only text can be compared.
    #[error("header `{0}` is not text")]
    HeaderNotText(String),
    /// A query parameter that the scheme needs is absent or empty.
    #[error("query parameter `{0}` is missing")]
    MissingParameter(String),
    /// Which of the two is meant cannot be known.
    #[error("query parameter `{0}` comes more than once")]
    RepeatedParameter(String),
    /// `Authorization` is there, with another scheme or another form.
    #[error("header `authorization` is not of the form `{expected}`")]
    OtherAuthorization {
        /// `Bearer <token>`, `Basic <base64 of user:password>`.
        expected: &'static str,
    },
    /// The signature header holds nothing with the scheme's prefix.
    #[error("header `{header}` holds no signature that begins with `{prefix}`")]
    NoSignature {
        /// Its name.
        header: String,
        /// What a signature begins with.
        prefix: String,
    },
    /// Each candidate costs work.
    #[error("header `{header}` holds {count} signatures; at most {CANDIDATES_MAX} are looked at")]
    TooManySignatures {
        /// Its name.
        header: String,
        /// How many it holds.
        count: usize,
    },
    /// The text of the signature is not in its encoding.
    #[error("the signature is not {0}")]
    NotEncoded(&'static str),
    /// The signature header has no timestamp item.
    #[error("header `{header}` holds no timestamp that begins with `{prefix}`")]
    NoTimestamp {
        /// Its name.
        header: String,
        /// What the timestamp begins with.
        prefix: String,
    },
    /// The signature header has two timestamp items.
    #[error("header `{0}` holds more than one timestamp")]
    RepeatedTimestamp(String),
    /// Not in the form that the scheme has.
    #[error("the timestamp is not {0}")]
    BadTimestamp(&'static str),
    /// Sent too long ago, or sent again.
    #[error("timestamp {age_s} s old, tolerance {tolerance_s} s")]
    TooOld {
        /// Now less the timestamp.
        age_s: i64,
        /// What would have been accepted.
        tolerance_s: i64,
    },
    /// The sender's clock is ahead, or somebody prepares a replay.
    #[error("timestamp {ahead_s} s in the future, tolerance {tolerance_s} s")]
    TooNew {
        /// The timestamp less now.
        ahead_s: i64,
        /// What would have been accepted.
        tolerance_s: i64,
    },
    /// A header that is a structured field, and does not have the form of one.
    #[error("header `{0}` is not a structured field of its kind (RFC 9651)")]
    NotStructured(String),
    /// What is signed and the signature belong together by their label.
    #[error("no label of header `signature-input` has its signature, or none has the hook's tag")]
    NoLabel,
    /// A parameter of a signature is absent where it is needed, or has another type.
    #[error("the signature's parameter `{0}` is missing or of the wrong type")]
    BadParameter(&'static str),
    /// The sender said until when its signature is good.
    #[error("the signature has expired, by what it says itself")]
    Expired,
    /// The message names an algorithm that is not the hook's.
    #[error("the signature says that it is not `{0}`")]
    OtherAlgorithm(&'static str),
    /// Three parts in base64url, of which the first two are JSON objects (RFC 7515 §7.1).
    #[error("there is no signed JSON Web Token in header `{0}`")]
    NotJwt(String),
    /// A claim that is needed.
    #[error("the token's claim `{0}` is missing or of the wrong type")]
    BadClaim(&'static str),
    /// The token is for somebody else, or by somebody else.
    #[error("the token's claim `{0}` is not what the hook wants")]
    OtherClaim(String),
    /// Whoever is on the way can change what is not covered.
    #[error("the signature does not cover `{0}`")]
    NotCovered(String),
    /// Each component costs a look through the request.
    #[error("the signature covers {count} components; at most {most} are looked at")]
    TooManyComponents {
        /// How many it covers.
        count: usize,
        /// What would have been accepted.
        most: usize,
    },
    /// The signature covers something that is not known, not plain text, or named twice.
    #[error("the signature covers {0}, whose value cannot be had from the request")]
    BadComponent(String),
    /// A digest of a kind that can be relied on is needed.
    #[error("header `content-digest` has neither `sha-256` nor `sha-512`")]
    NoContentDigest,
    /// The body is not the one that was signed.
    #[error("header `content-digest` is not the digest of the body")]
    OtherContentDigest,
    /// A dot in an id could move the boundary between the signed parts.
    #[error("the message id in header `{0}` is not 1 to 256 of `A-Z a-z 0-9 _ -`")]
    BadId(String),
    /// The scheme signs the URL, and the hook does not know its own.
    #[error("the scheme signs the URL, and no public URL is configured")]
    NoPublicUrl,
    /// The scheme looks into the body, which is not JSON, does not have that member, or has several in its place.
    #[error("the body is not JSON with one text at `{0}`")]
    MissingMember(String),
    /// The scheme signs the fields of a form, and nothing that is signed speaks of this body.
    #[error("the body is not a form, and `bodySHA256` in the URL is not its digest")]
    BodyNotSigned,
    /// The answer to a handshake is a signature of a text like this one, which anybody may ask for.
    #[error("the body has the form of a challenge, whose signature anybody can get")]
    BodyIsChallenge,
    /// A token or password that is none of the live ones.
    #[error("no live secret matches")]
    OtherSecret,
    /// A well-formed signature of something else, or by another secret.
    #[error("no live secret matches: the digest differs")]
    OtherDigest,
    /// The digest is of the same JSON, written in another way.
    #[error(
        "no live secret matches the bytes that came, but one matches them as compact JSON: the sender signs what it \
         serialised anew, not what it sent (`accept_compact_json` would allow that)"
    )]
    CompactDigest,
}
