//! Who sends a request: the other end of the connection, or whom a trusted proxy there speaks for.
//!
//! A proxy appends the address it was called from to what came with the request. So the list is read from its end, and
//! only as far as whoever wrote an entry is trusted: the first address that is not a trusted proxy's is the caller's,
//! and what stands before it is the caller's own word.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Options;
use crate::hook::Hook;

/// The header field in which trusted proxies say whom they speak for. Only this one is read, since a caller may have
/// written the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedBy {
    /// `X-Forwarded-For: 198.51.100.7, 10.0.0.2`.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=198.51.100.7;proto=https, for="[2001:db8::1]:4711"` (RFC 7239).
    Forwarded,
}

/// The address of whoever sends the request that came from `connected`, in canonical form. An entry that is no address
/// ends the search: then it is the nearest address that is known.
pub(super) fn caller(options: &Options, connected: IpAddr, headers: &HeaderMap) -> IpAddr {
    let trusted = |address| options.trusted_proxies.iter().any(|range| range.contains(address));
    let mut hops = hops(options.forwarded_by, headers);
    let mut nearest = connected.to_canonical();
    while trusted(nearest) {
        let Some(Some(before)) = hops.next() else { break };
        nearest = before.to_canonical();
    }
    nearest
}

/// Why the hook takes nothing from an address; none when it does.
pub(super) fn outside(hook: &Hook, address: IpAddr) -> Option<String> {
    let allowed = &hook.spec.allow_from;
    let listed = allowed.is_empty() || allowed.iter().any(|range| range.contains(address));
    (!listed).then(|| format!("address {address} is not in `allow_from`"))
}

/// The addresses that proxies were called from, the last proxy's first; none for what is no address.
fn hops(by: ForwardedBy, headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let name = match by {
        ForwardedBy::XForwardedFor => "x-forwarded-for",
        ForwardedBy::Forwarded => "forwarded",
    };
    let entries = headers.get_all(name).iter().rev().flat_map(|value| from_the_end(value.as_bytes(), b','));
    entries.map(move |entry| match by {
        ForwardedBy::XForwardedFor => address(std::str::from_utf8(entry).ok()?),
        ForwardedBy::Forwarded => forwarded_for(entry),
    })
}

/// The pieces of a list, the last first. A separator in quotes separates nothing. Quotes are matched from the end, so that
/// who wrote the beginning cannot hide the end in them.
fn from_the_end(list: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let mut quoted = false;
        let cut = (0..list.len()).rev().find(|at| {
            quoted ^= list[*at] == b'"' && !is_escaped(&list[..*at]);
            list[*at] == separator && !quoted
        });
        rest = cut.map(|at| &list[..at]);
        Some(&list[cut.map_or(0, |at| at + 1)..])
    })
}

fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The address in the one `for` of an element of `Forwarded`.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut nodes = from_the_end(element, b';').filter_map(|pair| {
        let (name, node) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(node.trim())
    });
    let node = nodes.next().filter(|_| nodes.next().is_none())?;
    address(node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node))
}

/// An address with or without a port. One of IPv6 with a port is in brackets, one without may be.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(by: ForwardedBy, connected: &str, values: &[&[u8]], expected: &str) {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|range| range.to_owned().try_into().unwrap());
        let options = Options { trusted_proxies: trusted.to_vec(), forwarded_by: by, ..Options::default() };
        let mut headers = HeaderMap::new();
        let other = if by == ForwardedBy::Forwarded { "x-forwarded-for" } else { "forwarded" };
        headers.insert(other, "for=192.0.2.66, 192.0.2.66".parse().unwrap());
        for value in values {
            let name = if by == ForwardedBy::Forwarded { "forwarded" } else { "x-forwarded-for" };
            headers.append(name, axum::http::HeaderValue::from_bytes(value).unwrap());
        }
        let found = caller(&options, connected.parse().unwrap(), &headers);
        assert_eq!(found.to_string(), expected, "{connected} {values:?}");
    }

    #[test]
    fn the_caller_is_the_last_address_that_is_no_proxys() {
        use ForwardedBy::XForwardedFor as By;
        for (connected, values, expected) in [
            ("10.0.0.1", &["198.51.100.7"][..], "198.51.100.7"),
            ("10.0.0.1", &["192.0.2.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["192.0.2.1", "198.51.100.7,10.0.0.2"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            // From inside: everybody is trusted, and the first one began.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            let values = values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>();
            check(By, connected, &values, expected);
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        use ForwardedBy::XForwardedFor as By;
        check(By, "192.0.2.9", &[b"198.51.100.7"], "192.0.2.9");
        check(By, "192.0.2.9", &[b"10.0.0.1"], "192.0.2.9");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        use ForwardedBy::XForwardedFor as By;
        for nonsense in ["unknown", "", "198.51.100.7, ", "198.51.100.7.5", "example.com", "fe80::1%eth0"] {
            check(By, "10.0.0.1", &[nonsense.as_bytes()], "10.0.0.1");
        }
        check(By, "10.0.0.1", &[b"unknown, 10.0.0.2"], "10.0.0.2");
        // A caller cannot spoil what the proxy appends.
        check(By, "10.0.0.1", &[b"\xff\", 198.51.100.7"], "198.51.100.7");
    }

    #[test]
    fn forwarded_is_read_like_the_other() {
        use ForwardedBy::Forwarded as By;
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            ("for=192.0.2.43, For = 10.0.0.7;host=\"a,b;for=1.2.3.4\"", "192.0.2.43"),
            // The proxy repeats a host that the caller made up, and escapes its quotes.
            ("for=198.51.100.17;host=\"x\\\", for=192.0.2.66\"", "198.51.100.17"),
            // The caller opens quotes, and the proxy appends.
            ("for=\", for=198.51.100.17", "198.51.100.17"),
            ("for=\"\\, for=198.51.100.17", "198.51.100.17"),
            ("for=_hidden, for=10.0.0.7", "10.0.0.7"),
            ("for=unknown", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
            ("for=198.51.100.17;for=192.0.2.66", "10.0.0.1"),
        ] {
            check(By, "10.0.0.1", &[value.as_bytes()], expected);
        }
    }
}
