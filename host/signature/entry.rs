//! The JSON form of a scheme: reading it, and saying what is wrong with it.

use std::collections::BTreeMap;

use http::HeaderName;
use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::components;
use super::handshake::Handshake;
use super::http_message::{self, HttpMessage};
use super::jwt::{self, Jwt};
use super::part::{self, Part};
use super::scheme::{Encoding, Error, Kind, Place, Scheme, Signing, User};
use super::schemes::{Preset, Row, SCHEMES, SigningRow};
use super::secret::{KeyForm, Keying};
use super::stamp::{Stamp, Unit, Window};

/// A day: beyond it a window keeps nothing out.
const TOLERANCE_S_MAX: u32 = 86_400;

/// Declares the JSON form: its fields, and which of them are set.
macro_rules! entry {
    ($($field:ident: $type:ty,)*) => {
        /// An `auth` entry as it is written.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Entry {
            pub(super) scheme: String,
            $(#[serde(default, skip_serializing_if = "Option::is_none")]
            $field: Option<$type>,)*
        }

        /// The fields of an `auth` entry beside `scheme`, each with the name of its type, such as `String`.
        pub const FIELDS: &[(&str, &str)] = &[$((stringify!($field), stringify!($type)),)*];

        impl Entry {
            /// The fields that are set, but for `scheme`.
            fn set(&self) -> Vec<&'static str> {
                let mut set = Vec::new();
                $(if self.$field.is_some() {
                    set.push(stringify!($field));
                })*
                set
            }
        }
    };
}

entry! {
    query: String,
    header: String,
    user: String,
    signature_pointer: String,
    header_prefix: String,
    prefix: String,
    separator: String,
    algorithm: String,
    encoding: String,
    signed: String,
    url_any_port: bool,
    timestamp_header: String,
    timestamp_prefix: String,
    timestamp_pointer: String,
    timestamp_unit: String,
    tolerance_s: u32,
    tolerance_future_s: u32,
    id_header: String,
    key: String,
    key_prefix: String,
    accept_compact_json: bool,
    handshake: String,
    components: Vec<String>,
    tag: String,
    audience: String,
    claims: BTreeMap<String, String>,
    body_claim: String,
    verify_token: String,
}

/// The fields that go with every scheme.
pub const COMMON_FIELDS: [&str; 2] = ["handshake", "verify_token"];

const SIGNING_FIELDS: &[&str] = &[
    "header",
    "signature_pointer",
    "header_prefix",
    "prefix",
    "separator",
    "algorithm",
    "encoding",
    "signed",
    "url_any_port",
    "timestamp_header",
    "timestamp_prefix",
    "timestamp_pointer",
    "timestamp_unit",
    "tolerance_s",
    "tolerance_future_s",
    "id_header",
    "key",
    "key_prefix",
    "accept_compact_json",
];

const HTTP_MESSAGE_FIELDS: &[&str] =
    &["algorithm", "components", "tag", "tolerance_s", "tolerance_future_s", "key", "key_prefix"];

const JWT_FIELDS: &[&str] = &[
    "header",
    "algorithm",
    "audience",
    "claims",
    "body_claim",
    "tolerance_s",
    "tolerance_future_s",
    "key",
    "key_prefix",
];

impl Row {
    /// The fields that an `auth` entry may have with this scheme, beside those that go with all.
    pub fn fields(&self) -> &'static [&'static str] {
        match self.preset {
            Preset::None | Preset::Token(_) | Preset::Bearer => &[],
            Preset::ApiKey => &["query", "header"],
            Preset::Basic => &["user"],
            Preset::Signing(_) => SIGNING_FIELDS,
            Preset::HttpMessage => HTTP_MESSAGE_FIELDS,
            Preset::Jwt => JWT_FIELDS,
        }
    }
}

impl From<Scheme> for Entry {
    fn from(scheme: Scheme) -> Self {
        scheme.entry
    }
}

impl TryFrom<Entry> for Scheme {
    type Error = Error;

    fn try_from(entry: Entry) -> Result<Self, Error> {
        let row = SCHEMES.iter().find(|row| row.name == entry.scheme);
        let row = row.ok_or_else(|| Error::UnknownScheme { value: entry.scheme.clone() })?;
        entry.only(row)?;
        let kind = match &row.preset {
            Preset::None => Kind::None,
            Preset::ApiKey => entry.api_key()?,
            Preset::Token(name) => Kind::Header(header("header", name)?),
            Preset::Bearer => Kind::Bearer,
            Preset::Basic => Kind::Basic { user: entry.user()? },
            Preset::Signing(preset) => Kind::Signing(Box::new(entry.signing(preset)?)),
            Preset::HttpMessage => Kind::HttpMessage(Box::new(entry.http_message()?)),
            Preset::Jwt => Kind::Jwt(Box::new(entry.jwt()?)),
        };
        let handshake = entry.handshake(row)?;
        Ok(Self { entry, row, kind, handshake })
    }
}

impl Entry {
    /// The entry that changes nothing.
    pub(super) fn named(scheme: &str) -> Self {
        Self { scheme: scheme.to_owned(), ..Self::default() }
    }

    fn only(&self, row: &Row) -> Result<(), Error> {
        let allowed = row.fields();
        match self.set().into_iter().find(|field| !allowed.contains(field) && !COMMON_FIELDS.contains(field)) {
            None => Ok(()),
            Some(field) => Err(Error::Foreign { field, scheme: row.name, allowed: list(allowed.iter().copied()) }),
        }
    }

    fn api_key(&self) -> Result<Kind, Error> {
        match (&self.query, &self.header) {
            (Some(name), None) if !name.is_empty() => Ok(Kind::Query(name.clone())),
            (None, Some(name)) => Ok(Kind::Header(header("header", name)?)),
            (query, _) => Err(wrong("query", query.as_deref().unwrap_or(""), "the name of a parameter, or `header`")),
        }
    }

    fn user(&self) -> Result<User, Error> {
        match self.user.as_deref() {
            None => Ok(User::InSecret),
            Some("*") => Ok(User::Any),
            Some(user) if user.contains(':') => Err(wrong("user", user, "text without a colon, or `*` for anybody")),
            Some(user) => Ok(User::Named(user.to_owned())),
        }
    }

    fn handshake(&self, row: &Row) -> Result<Option<Handshake>, Error> {
        let Some(given) = &self.handshake else { return Ok(row.handshake) };
        pick("handshake", Some(given), &Handshake::NAMES, Handshake::Slack).map(Some)
    }

    /// What the sender of a Meta subscription shows to prove that the hook's owner made it.
    pub(super) fn verify_token(&self) -> Option<&str> {
        self.verify_token.as_deref()
    }

    fn signing(&self, row: &SigningRow) -> Result<Signing, Error> {
        let text = |given: &Option<String>, preset: &str| given.clone().unwrap_or_else(|| preset.to_owned());
        let id_header = self.id_header.as_deref().or(row.id_header);
        let template = text(&self.signed, row.signed);
        let signing = Signing {
            place: self.place(row)?,
            header_prefix: text(&self.header_prefix, row.header_prefix),
            separator: self.separator.as_deref().map(separator).transpose()?.or(row.separator),
            prefix: text(&self.prefix, row.prefix),
            keying: self.keying(row.algorithm, &Algorithm::NAMES, row.key, row.key_prefixes)?,
            encoding: pick("encoding", self.encoding.as_deref(), &Encoding::NAMES, row.encoding)?,
            signed: part::parse(&template).ok_or_else(|| wrong("signed", &template, part::ALLOWED))?,
            url_any_port: self.url_any_port.unwrap_or(row.url_any_port),
            timestamp: self.stamp(row)?,
            timestamp_unit: pick("timestamp_unit", self.timestamp_unit.as_deref(), &Unit::NAMES, row.timestamp_unit)?,
            window: self.window(row.tolerance_s)?,
            id_header: id_header.map(|name| header("id_header", name)).transpose()?,
            accept_compact_json: self.accept_compact_json.unwrap_or(row.accept_compact_json),
            renamed: row.renamed,
        };
        signing.consistent(&template)?;
        Ok(signing)
    }

    fn http_message(&self) -> Result<HttpMessage, Error> {
        let preset = http_message::PRESET;
        let components = match &self.components {
            Some(names) if names.is_empty() => return Err(wrong("components", "", components::ALLOWED)),
            Some(names) => names.iter().find(|name| !components::is_name(name)),
            None => None,
        };
        match components {
            Some(name) => Err(wrong("components", name, components::ALLOWED)),
            None => Ok(HttpMessage {
                keying: self.keying(preset.algorithm, &preset.algorithms, preset.key, preset.key_prefixes)?,
                window: self.window(preset.tolerance_s)?,
                components: self.components.clone(),
                tag: self.tag.as_deref().map(tag).transpose()?,
            }),
        }
    }

    fn jwt(&self) -> Result<Jwt, Error> {
        // A token that is for nobody in particular may have been given to anybody.
        let bound =
            [self.audience.as_ref(), self.body_claim.as_ref()].into_iter().flatten().any(|text| !text.is_empty())
                || self.claims.as_ref().is_some_and(|claims| !claims.is_empty());
        if !bound {
            return Err(wrong("audience", "", "the token's `aud`, or `claims` or `body_claim` in its place"));
        }
        let form = if self.algorithm.as_deref() == Some("hmac-sha256") { KeyForm::Utf8 } else { KeyForm::Base64 };
        Ok(Jwt {
            header: header("header", self.header.as_deref().unwrap_or("authorization"))?,
            keying: self.keying(jwt::PRESET, &jwt::ALGORITHMS, form, &[])?,
            window: self.window(jwt::TOLERANCE_S)?,
            audience: self.audience.clone(),
            claims: self.claims.clone().unwrap_or_default(),
            body_claim: self.body_claim.clone(),
        })
    }

    fn keying(
        &self,
        algorithm: Algorithm,
        algorithms: &[(&str, Algorithm)],
        form: KeyForm,
        prefixes: &[&str],
    ) -> Result<Keying, Error> {
        Ok(Keying {
            algorithm: pick("algorithm", self.algorithm.as_deref(), algorithms, algorithm)?,
            form: pick("key", self.key.as_deref(), &KeyForm::NAMES, form)?,
            prefixes: match &self.key_prefix {
                Some(given) => vec![given.clone()],
                None => prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
            },
        })
    }

    fn window(&self, preset_s: u32) -> Result<Window, Error> {
        let past_s = self.tolerance("tolerance_s", self.tolerance_s.unwrap_or(preset_s))?;
        let future = self.tolerance_future_s.map(|given| self.tolerance("tolerance_future_s", given));
        Ok(Window { past_s, future_s: future.transpose()?.unwrap_or(past_s) })
    }

    fn place(&self, row: &SigningRow) -> Result<Place, Error> {
        let given = (self.header.as_deref(), self.signature_pointer.as_deref());
        match if given == (None, None) { (row.header, row.signature_pointer) } else { given } {
            (None, Some(pointer)) if pointer.starts_with('/') => Ok(Place::Member(pointer.to_owned())),
            (Some(name), None) => Ok(Place::Header(header("header", name)?)),
            (None, None) => Err(wrong("header", "", "the name of an HTTP header, or `signature_pointer`")),
            (_, Some(pointer)) => Err(wrong("signature_pointer", pointer, "a JSON pointer, without `header`")),
        }
    }

    fn stamp(&self, row: &SigningRow) -> Result<Option<Stamp>, Error> {
        let given =
            (self.timestamp_header.as_deref(), self.timestamp_prefix.as_deref(), self.timestamp_pointer.as_deref());
        let preset = (row.timestamp_header, row.timestamp_prefix, row.timestamp_pointer);
        match if given == (None, None, None) { preset } else { given } {
            (None, None, None) => Ok(None),
            (Some(name), None, None) => Ok(Some(Stamp::Header(header("timestamp_header", name)?))),
            (None, Some(prefix), None) if !prefix.is_empty() => Ok(Some(Stamp::Item(prefix.to_owned()))),
            (None, None, Some(pointer)) if pointer.starts_with('/') => Ok(Some(Stamp::Member(pointer.to_owned()))),
            (_, Some(prefix), _) => {
                Err(wrong("timestamp_prefix", prefix, "text such as `t=`, without `timestamp_header`"))
            }
            (_, _, pointer) => {
                let allowed = "a JSON pointer such as `/sent_at`, without `timestamp_header`";
                Err(wrong("timestamp_pointer", pointer.unwrap_or(""), allowed))
            }
        }
    }

    fn tolerance(&self, field: &'static str, seconds: u32) -> Result<i64, Error> {
        if (1..=TOLERANCE_S_MAX).contains(&seconds) {
            return Ok(i64::from(seconds));
        }
        Err(wrong(field, &seconds.to_string(), &format!("1 to {TOLERANCE_S_MAX}")))
    }
}

impl Signing {
    /// What is needed and what is given must be the same: a timestamp that nobody signs proves nothing, and a part that
    /// comes from nowhere never matches.
    fn consistent(&self, template: &str) -> Result<(), Error> {
        let signs = |part| self.signed.contains(&part);
        if signs(Part::Timestamp) != self.timestamp.is_some() {
            let allowed =
                "`{timestamp}` exactly when `timestamp_header`, `timestamp_prefix` or `timestamp_pointer` is given";
            return Err(wrong("signed", template, allowed));
        }
        if signs(Part::Id) != self.id_header.is_some() {
            return Err(wrong("signed", template, "`{id}` exactly when `id_header` is given"));
        }
        match (&self.timestamp, self.separator) {
            (Some(Stamp::Item(prefix)), None) => {
                Err(wrong("timestamp_prefix", prefix, "a prefix together with a `separator`"))
            }
            (Some(Stamp::Item(prefix)), _) if *prefix == self.prefix => {
                Err(wrong("timestamp_prefix", prefix, "another prefix than the signature's"))
            }
            _ => Ok(()),
        }
    }
}

/// The names of all schemes, for messages.
pub(super) fn names() -> String {
    list(SCHEMES.iter().map(|row| row.name))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = names.map(|name| format!("`{name}`")).collect::<Vec<_>>();
    if names.is_empty() { "no other field".to_owned() } else { names.join(", ") }
}

fn wrong(field: &'static str, value: &str, allowed: &str) -> Error {
    Error::Field { field, value: value.to_owned(), allowed: allowed.to_owned() }
}

fn header(field: &'static str, name: &str) -> Result<HeaderName, Error> {
    name.parse().map_err(|_| wrong(field, name, "the name of an HTTP header"))
}

fn tag(text: &str) -> Result<String, Error> {
    let fits = !text.is_empty() && sfv::StringRef::from_str(text).is_ok();
    if fits { Ok(text.to_owned()) } else { Err(wrong("tag", text, "printable ASCII, at least one character")) }
}

fn separator(text: &str) -> Result<char, Error> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if one.is_ascii() && !one.is_ascii_alphanumeric() => Ok(one),
        _ => Err(wrong("separator", text, "one character such as `,`, `;` or a space")),
    }
}

fn pick<T: Copy>(field: &'static str, given: Option<&str>, names: &[(&str, T)], preset: T) -> Result<T, Error> {
    let Some(given) = given else { return Ok(preset) };
    let found = names.iter().find(|(name, _)| *name == given);
    found.map(|(_, value)| *value).ok_or_else(|| wrong(field, given, &list(names.iter().map(|(name, _)| *name))))
}
