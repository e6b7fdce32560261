//! How a request proves itself: a row of the table and what a hook changes in it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderName;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, names};
use super::handshake::Handshake;
use super::http_message::{self, HttpMessage};
use super::jwt::Jwt;
use super::part::Part;
use super::schemes::{IdPlace, Row};
use super::secret::{Keying, Secret};
use super::stamp::{Stamp, Unit, Window};

/// A checked scheme, ready to verify and to sign.
///
/// Its JSON is one entry of a hook's `auth`: the name of a row of [`SCHEMES`](super::SCHEMES) and the fields that differ from it.
/// ```json
/// {"scheme":"none"}
/// {"scheme":"api-key","query":"apiKey"}      {"scheme":"api-key","header":"x-api-key"}
/// {"scheme":"bearer"}
/// {"scheme":"basic","user":"flowgate"}       {"scheme":"basic","user":"*"}, any      {"scheme":"basic"}, where the secret is `user:password`
/// {"scheme":"github"}
/// {"scheme":"stripe","tolerance_s":600}
/// {"scheme":"bearer","handshake":"cloudevents"}
/// {"scheme":"custom","header":"x-signature","prefix":"sha256=","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}"}
/// ```
/// The fields are described in `docs/schemes.md`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct Scheme {
    pub(super) entry: Entry,
    pub(super) row: &'static Row,
    pub(super) kind: Kind,
    pub(super) handshake: Option<Handshake>,
}

/// What a flow must not see of a request that came by a scheme.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redacts {
    /// These headers hold the secret itself, or the signature.
    pub headers: Vec<HeaderName>,
    /// These query parameters do, by decoded name; see [`strip_query`](super::strip_query).
    pub query_params: Vec<String>,
}

/// An `auth` entry or a secret that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such row.
    #[error("`scheme` is `{value}`; allowed: {}", names())]
    UnknownScheme {
        /// What was written.
        value: String,
    },
    /// A value that its field cannot have.
    #[error("`{field}` is `{value}`; allowed: {allowed}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What was written.
        value: String,
        /// What could have been.
        allowed: String,
    },
    /// A field of another scheme.
    #[error("`{field}` does not belong to scheme `{scheme}`; allowed: {allowed}")]
    Foreign {
        /// Its name.
        field: &'static str,
        /// The entry's scheme.
        scheme: &'static str,
        /// The fields that the scheme has.
        allowed: String,
    },
    /// A secret that does not fit the scheme. Its text is not shown.
    #[error("the secret does not fit scheme `{scheme}`; allowed: {allowed}")]
    Secret {
        /// The entry's scheme.
        scheme: &'static str,
        /// What would fit.
        allowed: &'static str,
    },
    /// A request that cannot be signed, because it lacks a part that the scheme signs.
    #[error("scheme `{scheme}` cannot sign: {reason}")]
    Unsignable {
        /// The entry's scheme.
        scheme: &'static str,
        /// What is missing or wrong.
        reason: String,
    },
}

impl Scheme {
    /// The row called `name`, unchanged.
    pub fn named(name: &str) -> Result<Self, Error> {
        Entry::named(name).try_into()
    }

    /// The name of its row.
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    /// Where its sender names a delivery.
    pub fn event_id(&self) -> Option<IdPlace> {
        self.row.event_id
    }

    /// Whether anybody may call.
    pub fn is_none(&self) -> bool {
        matches!(self.kind, Kind::None)
    }

    /// What to take out of a request before a flow or a record gets it: headers and parameters that hold the secret
    /// itself, and the signature's header, since with the same body it would pass again where no timestamp is signed.
    pub fn redacts(&self) -> Redacts {
        let mut redacts = Redacts::default();
        match &self.kind {
            Kind::None => {}
            Kind::Signing(signing) => {
                if let Place::Header(name) = &signing.place {
                    redacts.headers.push(name.clone());
                }
            }
            Kind::HttpMessage(_) => redacts.headers.push(http_message::SIGNATURE.clone()),
            Kind::Jwt(own) => redacts.headers.push(own.header.clone()),
            Kind::Query(name) => redacts.query_params.push(name.clone()),
            Kind::Header(name) => redacts.headers.push(name.clone()),
            Kind::Bearer | Kind::Basic { .. } => redacts.headers.push(http::header::AUTHORIZATION),
        }
        if self.handshake == Some(Handshake::Meta) {
            redacts.query_params.push("hub.verify_token".to_owned());
        }
        redacts
    }

    /// A new secret that fits, and that can sign. The caller brings the chance.
    pub fn make_secret(&self, random: &[u8; 32]) -> Secret {
        match &self.kind {
            Kind::Signing(signing) => signing.keying.make(random),
            Kind::HttpMessage(own) => own.keying.make(random),
            Kind::Jwt(own) => own.keying.make(random),
            Kind::Basic { user: User::InSecret } => Secret::new(format!("flowgate:{}", hex::encode(random))),
            _ => Secret::generate(random),
        }
    }

    /// What a receiver verifies with, where that is not the secret itself: the public key, as `whpk_` and base64.
    pub fn public_key(&self, secret: &Secret) -> Option<String> {
        let keying = match &self.kind {
            Kind::Signing(signing) => &signing.keying,
            Kind::HttpMessage(own) => &own.keying,
            _ => return None,
        };
        let key = keying.key(secret)?;
        let public = keying.algorithm.public_of(&key)?;
        Some(format!("whpk_{}", BASE64_STANDARD.encode(public)))
    }

    /// Whether `secret` could ever pass, to be asked before it is kept.
    pub fn check_secret(&self, secret: &Secret) -> Result<(), Error> {
        let (fits, allowed) = match &self.kind {
            Kind::Basic { user: User::InSecret } => (secret.expose().contains(':'), "`user:password`"),
            Kind::Signing(signing) => signing.keying.fits(secret),
            Kind::HttpMessage(own) => own.keying.fits(secret),
            Kind::Jwt(own) => own.fits(secret),
            _ => (!secret.is_empty(), "any text but the empty one"),
        };
        if fits { Ok(()) } else { Err(Error::Secret { scheme: self.row.name, allowed }) }
    }
}

impl PartialEq for Scheme {
    fn eq(&self, other: &Self) -> bool {
        self.entry == other.entry
    }
}

/// What a scheme does.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    None,
    Query(String),
    Header(HeaderName),
    Bearer,
    Basic { user: User },
    Signing(Box<Signing>),
    HttpMessage(Box<HttpMessage>),
    Jwt(Box<Jwt>),
}

/// Whose password the secret of `basic` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum User {
    /// The secret says: `user:password`.
    InSecret,
    /// This one's.
    Named(String),
    /// Whoever gives it.
    Any,
}

/// A signature of the request, somewhere in it.
#[derive(Debug, Clone)]
pub(super) struct Signing {
    pub(super) place: Place,
    pub(super) header_prefix: String,
    pub(super) separator: Option<char>,
    pub(super) prefix: String,
    pub(super) keying: Keying,
    pub(super) encoding: Encoding,
    pub(super) signed: Vec<Part>,
    pub(super) url_any_port: bool,
    pub(super) timestamp: Option<Stamp>,
    pub(super) timestamp_unit: Unit,
    pub(super) window: Window,
    pub(super) id_header: Option<HeaderName>,
    pub(super) accept_compact_json: bool,
    /// Headers that begin with the first may come under names that begin with the second instead.
    pub(super) renamed: Option<(&'static str, &'static str)>,
}

impl Signing {
    /// Whether the body must be read as JSON to find what is signed.
    pub(super) fn reads_json(&self) -> bool {
        matches!(self.place, Place::Member(_))
            || matches!(self.timestamp, Some(Stamp::Member(_)))
            || self.signed.iter().any(|part| matches!(part, Part::Member(_)))
    }
}

/// Where a signature is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Header(HeaderName),
    /// In the member of the JSON body that this pointer names (RFC 6901).
    Member(String),
}

impl Place {
    /// The header or the pointer, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Header(name) => name.as_str().to_owned(),
            Self::Member(pointer) => pointer.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Base64,
}

impl Encoding {
    /// What a JSON entry may say.
    pub(super) const NAMES: [(&'static str, Self); 2] = [("hex", Self::Hex), ("base64", Self::Base64)];
}
