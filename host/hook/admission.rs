//! What a hook lets in before it looks closer: addresses, types of bodies, encodings.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// An address, or a range of addresses in CIDR notation. JSON: `"203.0.113.0/24"`, `"198.51.100.7"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Range(IpNet);

/// A type of bodies: `application/json`, or `text/*` for all of a kind. Parameters such as `charset` do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentType(String);

/// A content coding that is undone (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// `gzip`, which some call `x-gzip`.
    Gzip,
    /// `deflate`: the zlib format, or what it wraps.
    Deflate,
    /// `br`.
    Br,
    /// `zstd`.
    Zstd,
}

/// All encodings with the words that name them.
pub const ENCODINGS: &[(&str, Encoding)] =
    &[("gzip", Encoding::Gzip), ("deflate", Encoding::Deflate), ("br", Encoding::Br), ("zstd", Encoding::Zstd)];

impl Range {
    /// Whether the address is in the range. An IPv4 address in IPv6 clothes is what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl TryFrom<String> for Range {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let net = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
        let net = net.map_err(|_| {
            format!("`{text}` is no address and no range of addresses, such as `203.0.113.0/24` or `2001:db8::/32`")
        })?;
        Ok(Self(canonical(net).trunc()))
    }
}

/// A range within `::ffff:0:0/96` as the range of IPv4 addresses that it is.
fn canonical(net: IpNet) -> IpNet {
    let mapped = |address: Ipv6Addr| address.to_ipv4_mapped();
    match net {
        IpNet::V6(net) if net.prefix_len() >= 96 => mapped(net.network())
            .and_then(|address| Ipv4Net::new(address, net.prefix_len() - 96).ok())
            .map_or(IpNet::V6(net), IpNet::V4),
        other => other,
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        range.to_string()
    }
}

impl ContentType {
    /// Whether a body that is called `essence`, such as `text/plain`, is of this type.
    pub fn includes(&self, essence: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some("*/") => true,
            Some(kind) => essence.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind)),
            None => essence.eq_ignore_ascii_case(&self.0),
        }
    }
}

impl TryFrom<String> for ContentType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let token = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte))
        };
        let fits = text.split_once('/').is_some_and(|(kind, sub)| match kind {
            "*" => sub == "*",
            kind => token(kind) && (sub == "*" || token(sub)),
        });
        if !fits {
            return Err(format!("`{text}` is no type of bodies, such as `application/json` or `text/*`"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ContentType> for String {
    fn from(kind: ContentType) -> Self {
        kind.0
    }
}

impl Encoding {
    /// The encoding that a `content-encoding` names, if it is one of these.
    pub fn named(word: &str) -> Option<Self> {
        let word = if word.eq_ignore_ascii_case("x-gzip") { "gzip" } else { word };
        ENCODINGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, encoding)| *encoding)
    }

    /// The word that names it.
    pub fn name(self) -> &'static str {
        ENCODINGS.iter().find(|(_, one)| *one == self).expect("the table has every encoding").0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        Range::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_range_has_its_addresses_in_whatever_clothes() {
        for (text, address, within) in [
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("203.0.113.0/24", "::ffff:203.0.113.9", true),
            ("::ffff:203.0.113.0/120", "203.0.113.9", true),
            ("::ffff:203.0.113.0/120", "203.0.114.9", false),
            ("198.51.100.7", "198.51.100.7", true),
            ("198.51.100.7", "198.51.100.8", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::1", "::1", true),
            ("0.0.0.0/0", "::1", false),
            ("0.0.0.0/0", "8.8.8.8", true),
        ] {
            assert_eq!(range(text).contains(address.parse().unwrap()), within, "{text} {address}");
        }
    }

    #[test]
    fn a_range_is_told_as_what_it_is() {
        for (written, told) in [
            ("203.0.113.77/24", "203.0.113.0/24"),
            ("198.51.100.7/32", "198.51.100.7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("2001:DB8::1/32", "2001:db8::/32"),
        ] {
            assert_eq!(range(written).to_string(), told);
        }
        for wrong in ["", "example.com", "203.0.113.0/33", "203.0.113", "203.0.113.0-9", "203.0.113.0/24 "] {
            let error = Range::try_from(wrong.to_owned()).unwrap_err();
            assert!(error.contains("no address and no range"), "{error}");
        }
    }

    #[test]
    fn a_type_includes_what_is_called_so() {
        for (text, essence, included) in [
            ("application/json", "application/json", true),
            ("Application/JSON", "application/Json", true),
            ("application/json", "application/jsonl", false),
            ("text/*", "text/csv", true),
            ("text/*", "textual/csv", false),
            ("text/*", "té", false),
            ("*/*", "image/png", true),
        ] {
            let kind = ContentType::try_from(text.to_owned()).unwrap();
            assert_eq!(kind.includes(essence), included, "{text} {essence}");
        }
        for wrong in ["", "json", "text/", "/x", "*/json", "text/html; charset=utf-8", "text/*x", "a b/c"] {
            assert!(ContentType::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_encoding_has_one_name() {
        for (name, encoding) in ENCODINGS {
            assert_eq!((encoding.name(), Encoding::named(name)), (*name, Some(*encoding)));
            assert_eq!(serde_json::to_value(encoding).unwrap(), *name);
        }
        assert_eq!((Encoding::named("X-GZIP"), Encoding::named("identity")), (Some(Encoding::Gzip), None));
    }
}
