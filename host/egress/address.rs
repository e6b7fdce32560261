//! Which addresses are public.
//!
//! Everything is refused but global unicast, and of that the ranges with a special purpose. Sources: the IANA special-purpose
//! registries for IPv4 and IPv6 (RFC 6890 and its successors, 2026-08).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// IPv4 ranges that nobody outside has business with.
const V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "of this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared with a carrier (RFC 6598)"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local, where clouds keep their metadata"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "for protocol assignments"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// IPv6 ranges, for their names: what is not in [`GLOBAL`] is refused whether or not it is here. The first match counts.
const V6: [(Ipv6Net, &str); 18] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4-compatible"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "NAT64"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "local NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "for discarding"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "for benchmarks"),
    (v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), "ORCHID"),
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), "ORCHID"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "for protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "for documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "for documentation"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "private"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// All global unicast IPv6 addresses so far.
const GLOBAL: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Why `address` is not public, in a word or a few; none when it is. An IPv4 address in IPv6 clothes is judged as what it is.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, what)| *what),
        IpAddr::V6(address) => special_v6(&address),
    }
}

fn special_v6(address: &Ipv6Addr) -> Option<&'static str> {
    let named = V6.iter().find(|(net, _)| net.contains(address)).map(|(_, what)| *what);
    // ISATAP (RFC 5214) hides an IPv4 address behind this interface identifier, under any prefix.
    let isatap = matches!(address.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _]).then_some("ISATAP");
    named.or(isatap).or_else(|| (!GLOBAL.contains(address)).then_some("not global unicast"))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(s: [u16; 8], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_not_special() {
        for (address, what) in [
            ("1.1.1.1", None),
            ("8.8.8.8", None),
            ("93.184.215.14", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("223.255.255.255", None),
            ("2606:4700::1111", None),
            ("2a00:1450:4001::1", None),
            ("::ffff:8.8.8.8", None),
            ("0.0.0.0", Some("of this network")),
            ("0.1.2.3", Some("of this network")),
            ("10.0.0.1", Some("private")),
            ("100.64.0.1", Some("shared with a carrier (RFC 6598)")),
            ("100.127.255.255", Some("shared with a carrier (RFC 6598)")),
            ("127.0.0.1", Some("loopback")),
            ("127.255.255.254", Some("loopback")),
            ("169.254.169.254", Some("link-local, where clouds keep their metadata")),
            ("172.16.0.1", Some("private")),
            ("172.31.255.255", Some("private")),
            ("192.0.0.8", Some("for protocol assignments")),
            ("192.0.2.1", Some("for documentation")),
            ("192.88.99.1", Some("a 6to4 relay")),
            ("192.168.1.1", Some("private")),
            ("198.18.0.1", Some("for benchmarks")),
            ("198.19.255.255", Some("for benchmarks")),
            ("198.51.100.1", Some("for documentation")),
            ("203.0.113.1", Some("for documentation")),
            ("224.0.0.1", Some("multicast")),
            ("239.255.255.255", Some("multicast")),
            ("240.0.0.1", Some("reserved")),
            ("255.255.255.255", Some("broadcast")),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::127.0.0.1", Some("IPv4-compatible")),
            ("::8.8.8.8", Some("IPv4-compatible")),
            ("::ffff:127.0.0.1", Some("loopback")),
            ("::ffff:169.254.169.254", Some("link-local, where clouds keep their metadata")),
            ("::ffff:0:8.8.8.8", Some("not global unicast")),
            ("64:ff9b::7f00:1", Some("NAT64")),
            ("64:ff9b:1::1", Some("local NAT64")),
            ("100::1", Some("for discarding")),
            ("2001::1", Some("Teredo")),
            ("2001:2::1", Some("for benchmarks")),
            ("2001:10::1", Some("ORCHID")),
            ("2001:20::1", Some("ORCHID")),
            ("2001:1ff::1", Some("for protocol assignments")),
            ("2001:200::1", None),
            ("2001:db8::1", Some("for documentation")),
            ("2002:7f00:1::", Some("6to4")),
            ("2606:4700::5efe:10.0.0.1", Some("ISATAP")),
            ("2606:4700::200:5efe:10.0.0.1", Some("ISATAP")),
            ("3fff::1", Some("for documentation")),
            ("4000::1", Some("not global unicast")),
            ("5f00::1", Some("not global unicast")),
            ("fc00::1", Some("private")),
            ("fd00:ec2::254", Some("private")),
            ("fe80::1", Some("link-local")),
            ("fec0::1", Some("site-local")),
            ("ff02::1", Some("multicast")),
        ] {
            assert_eq!(special(address.parse().unwrap()), what, "{address}");
        }
    }
}
