//! What a row says, in words, for lists and pages.

use serde::Serialize;

use super::handshake::Handshake;
use super::http_message::PRESET;
use super::jwt;
use super::schemes::{IdPlace, Preset, Row, SigningRow};

/// A row of [`SCHEMES`](super::SCHEMES) as text. What a scheme does not have is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What an `auth` entry calls it.
    pub name: &'static str,
    /// One line for a person.
    pub about: &'static str,
    /// Where the credential is: a header, or a JSON pointer into the body. A list shows its form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// `hmac-sha256`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<&'static str>,
    /// `hex` or `base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    /// The signed bytes, as a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<&'static str>,
    /// Where the timestamp is, and its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// How many seconds the timestamp may be off, either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_s: Option<u32>,
    /// Where the sender names a delivery: a header or a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<&'static str>,
    /// How the secret becomes a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The handshake that is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake: Option<&'static str>,
    /// Who defined it: a page or a standard.
    pub source: &'static str,
    /// The year and month in which that page said so.
    pub seen: &'static str,
}

impl Row {
    /// What it says.
    pub fn facts(&self) -> Facts {
        let facts = Facts {
            name: self.name,
            about: self.about,
            event_id: self.event_id.map(IdPlace::name),
            handshake: self.handshake.map(Handshake::name),
            source: self.source,
            seen: self.seen,
            ..Facts::default()
        };
        match &self.preset {
            Preset::None | Preset::ApiKey => facts,
            Preset::Token(header) => Facts { place: Some((*header).to_owned()), ..facts },
            Preset::Bearer | Preset::Basic => Facts { place: Some("authorization".to_owned()), ..facts },
            Preset::Signing(row) => row.fill(facts),
            Preset::Jwt => Facts {
                place: Some("authorization".to_owned()),
                algorithm: Some(jwt::PRESET.name()),
                encoding: Some("base64url"),
                signed: Some("header.claims"),
                timestamp: Some("exp, iat, s".to_owned()),
                tolerance_s: Some(jwt::TOLERANCE_S),
                key: Some("JWK, JWK set, PEM or base64".to_owned()),
                ..facts
            },
            Preset::HttpMessage => Facts {
                place: Some("signature".to_owned()),
                algorithm: Some(PRESET.algorithm.name()),
                encoding: Some("base64"),
                signed: Some("signature-input"),
                timestamp: Some("created, s".to_owned()),
                tolerance_s: Some(PRESET.tolerance_s),
                key: Some(format!("base64 after {}", PRESET.key_prefixes.join(" or "))),
                ..facts
            },
        }
    }
}

impl IdPlace {
    /// The header or the pointer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header(name) | Self::Pointer(name) => name,
        }
    }
}

impl SigningRow {
    fn fill(&self, mut facts: Facts) -> Facts {
        let place = self.header.or(self.signature_pointer);
        let stamp = self.timestamp_header.or(self.timestamp_pointer).map(str::to_owned);
        let stamp = stamp.or_else(|| self.timestamp_prefix.map(|prefix| format!("{prefix}…")));
        let key = name(&super::secret::KeyForm::NAMES, self.key);
        let prefixes = self.key_prefixes.join(" or ");
        facts.place = place.map(|place| match self.form().as_str() {
            "…" => place.to_owned(),
            form => format!("{place}: {form}"),
        });
        facts.algorithm = Some(self.algorithm.name());
        facts.encoding = Some(name(&super::scheme::Encoding::NAMES, self.encoding));
        facts.signed = Some(self.signed);
        facts.tolerance_s = stamp.is_some().then_some(self.tolerance_s);
        let unit = name(&super::stamp::Unit::NAMES, self.timestamp_unit);
        facts.timestamp = stamp.map(|stamp| format!("{stamp}, {unit}"));
        facts.event_id = facts.event_id.or(self.id_header);
        facts.key = Some(if prefixes.is_empty() { key.to_owned() } else { format!("{key} after {prefixes}") });
        facts
    }

    /// How the text that holds the signature looks.
    fn form(&self) -> String {
        let Some(separator) = self.separator else { return format!("{}{}…", self.header_prefix, self.prefix) };
        let stamp = self.timestamp_prefix.map(|prefix| format!("{prefix}…{separator}")).unwrap_or_default();
        format!("{}{stamp}{prefix}…{separator}{prefix}…", self.header_prefix, prefix = self.prefix)
    }
}

fn name<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, one)| *one == value).map_or("", |(name, _)| name)
}
