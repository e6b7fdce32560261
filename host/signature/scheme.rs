//! How a request proves itself: a row of the table and what a hook changes in it.

use http::HeaderName;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, names};
use super::part::Part;
use super::schemes::Row;
use super::secret::{KeyForm, Secret};

/// A checked scheme, ready to verify and to sign.
///
/// Its JSON is one entry of a hook's `auth`: the name of a row of [`SCHEMES`] and the fields that differ from it.
/// ```json
/// {"scheme":"none"}
/// {"scheme":"api-key","query":"apiKey"}      {"scheme":"api-key","header":"x-api-key"}
/// {"scheme":"bearer"}
/// {"scheme":"basic","user":"flowgate"}       {"scheme":"basic"}, where the secret is `user:password`
/// {"scheme":"github"}
/// {"scheme":"stripe","tolerance_s":600}
/// {"scheme":"hmac-sha256","header":"x-signature","prefix":"sha256=","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}"}
/// ```
/// The fields of a scheme that signs:
///
/// | field | meaning |
/// |---|---|
/// | `header` | the header that holds the signature |
/// | `prefix` | what stands before each signature |
/// | `separator` | the character between the items of that header, when it is a list; items with another prefix are ignored |
/// | `algorithm` | `hmac-sha256`, `hmac-sha512` |
/// | `encoding` | `hex`, `base64` |
/// | `signed` | the signed bytes: text with `{body}`, `{timestamp}`, `{id}`, `{method}`, `{path}`, `{query}`, `{url}`, `{header:name}` |
/// | `timestamp_header` / `timestamp_prefix` | where the timestamp is: in a header, or in an item of the signature header |
/// | `timestamp_unit` | `s`, `ms` |
/// | `tolerance_s` / `tolerance_future_s` | the window, in seconds; the second is as the first unless given |
/// | `id_header` | the header that holds the message id |
/// | `key`, `key_prefix` | how the secret becomes a key: `utf-8`, `base64`, `hex`, after this prefix if it is there |
/// | `accept_compact_json` | also accept a signature of the body without its insignificant spaces |
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct Scheme {
    pub(super) entry: Entry,
    pub(super) row: &'static Row,
    pub(super) kind: Kind,
}

/// What a flow must not see of a request that came by a scheme.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redacts {
    /// These headers hold the secret itself.
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

    /// Whether anybody may call.
    pub fn is_none(&self) -> bool {
        matches!(self.kind, Kind::None)
    }

    /// What to take out of a request before a flow or a record gets it: headers and parameters that hold the secret
    /// itself. A signature stays, since nobody can make another one from it.
    pub fn redacts(&self) -> Redacts {
        match &self.kind {
            Kind::None | Kind::Hmac(_) => Redacts::default(),
            Kind::Query(name) => Redacts { query_params: vec![name.clone()], ..Redacts::default() },
            Kind::Header(name) => Redacts { headers: vec![name.clone()], ..Redacts::default() },
            Kind::Bearer | Kind::Basic { .. } => {
                Redacts { headers: vec![http::header::AUTHORIZATION], ..Redacts::default() }
            }
        }
    }

    /// Whether `secret` could ever pass, to be asked before it is kept.
    pub fn check_secret(&self, secret: &Secret) -> Result<(), Error> {
        let (fits, allowed) = match &self.kind {
            Kind::Basic { user: None } => (secret.expose().contains(':'), "`user:password`"),
            Kind::Hmac(hmac) => (hmac.key(secret).is_some(), hmac.key_form.allowed()),
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
    Basic { user: Option<String> },
    Hmac(Box<Hmac>),
}

/// A keyed digest in a header.
#[derive(Debug, Clone)]
pub(super) struct Hmac {
    pub(super) header: HeaderName,
    pub(super) separator: Option<char>,
    pub(super) prefix: String,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) signed: Vec<Part>,
    pub(super) timestamp: Option<Stamp>,
    pub(super) timestamp_unit: Unit,
    pub(super) tolerance_past_s: i64,
    pub(super) tolerance_future_s: i64,
    pub(super) id_header: Option<HeaderName>,
    pub(super) key_form: KeyForm,
    pub(super) key_prefix: String,
    pub(super) accept_compact_json: bool,
}

impl Hmac {
    /// The key in a secret, if it holds one.
    pub(super) fn key(&self, secret: &Secret) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        self.key_form.key(secret, &self.key_prefix)
    }
}

/// Where a timestamp is.
#[derive(Debug, Clone)]
pub(super) enum Stamp {
    Header(HeaderName),
    /// In the item of the signature header that begins with this.
    Item(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    HmacSha256,
    HmacSha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Base64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}
