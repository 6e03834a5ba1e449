//! Which addresses no guest may reach: compares `bg_egress::special` with the standard library, and checks that no IPv6
//! form bypasses the refusal of an IPv4 address.
//!
//! Input: addresses as text, one per line; or else 4 or 16 bytes of an address.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bg_egress::special;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let lines: Vec<IpAddr> =
        str::from_utf8(data).unwrap_or_default().lines().filter_map(|line| line.trim().parse().ok()).collect();
    if !lines.is_empty() {
        lines.into_iter().for_each(check);
    } else if let Some((bytes, _)) = data.split_first_chunk::<16>() {
        check(Ipv6Addr::from(*bytes).into());
    } else if let Some((bytes, _)) = data.split_first_chunk::<4>() {
        check(Ipv4Addr::from(*bytes).into());
    }
});

fn check(address: IpAddr) {
    match address {
        IpAddr::V4(address) => check_v4(address),
        IpAddr::V6(address) => check_v6(address),
    }
}

fn is_refused(address: impl Into<IpAddr>) -> bool {
    special(address.into()).is_some()
}

fn check_v4(address: Ipv4Addr) {
    if std_says_special_v4(address) {
        assert!(is_refused(address), "{address} is special");
    }
    for (form, carrier) in carriers(address) {
        // The well-known NAT64 prefix leads to the whole IPv4 internet; no other form has a public use left.
        let expected = form != "NAT64" || is_refused(address);
        assert_eq!(is_refused(carrier), expected, "{address} within {carrier} ({form})");
    }
}

fn check_v6(address: Ipv6Addr) {
    if std_says_special_v6(address) {
        assert!(is_refused(address), "{address} is special");
    }
    for (form, carried) in carried(address) {
        if is_refused(carried) {
            assert!(is_refused(address), "{address} carries {carried} ({form})");
        }
        // Each form is decoded from its encoding, so that the two functions check each other.
        check_v4(carried);
    }
}

/// The standard library's stable predicates, and hand-written ones for those that are not stable yet.
fn std_says_special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let this_network = a == 0;
    let shared = a == 100 && b & 0b1100_0000 == 64;
    let protocol_assignments = (a, b, c) == (192, 0, 0);
    let benchmarking = a == 198 && b & 0xfe == 18;
    let reserved = a & 0xf0 == 0xf0;
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || address.is_unspecified()
        || this_network
        || shared
        || protocol_assignments
        || benchmarking
        || reserved
}

/// The same for IPv6.
fn std_says_special_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let documentation = (a, b) == (0x2001, 0xdb8) || (a == 0x3fff && b < 0x1000);
    let benchmarking = address.segments()[..3] == [0x2001, 2, 0];
    let site_local = a & 0xffc0 == 0xfec0;
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4().is_some()
        || documentation
        || benchmarking
        || site_local
}

/// Every standard way for an IPv6 address to embed `inner`.
fn carriers(inner: Ipv4Addr) -> Vec<(&'static str, Ipv6Addr)> {
    let [a, b, c, d] = inner.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let (middle, last) = (u16::from_be_bytes([0, c]), u16::from_be_bytes([d, 0]));
    let v6 = |s: [u16; 8]| Ipv6Addr::from(s);
    vec![
        ("compatible", v6([0, 0, 0, 0, 0, 0, high, low])),
        ("mapped", v6([0, 0, 0, 0, 0, 0xffff, high, low])),
        ("translated", v6([0, 0, 0, 0, 0xffff, 0, high, low])),
        ("NAT64", v6([0x64, 0xff9b, 0, 0, 0, 0, high, low])),
        ("own NAT64, /48", v6([0x64, 0xff9b, 1, high, middle, last, 0, 0])),
        ("own NAT64, /56", v6([0x64, 0xff9b, 1, u16::from(a), u16::from(b), low, 0, 0])),
        ("own NAT64, /64", v6([0x64, 0xff9b, 1, 0, u16::from(a), u16::from_be_bytes([b, c]), last, 0])),
        ("own NAT64, /96", v6([0x64, 0xff9b, 1, 0, 0, 0, high, low])),
        ("6to4", v6([0x2002, high, low, 0, 0, 0, 0, 1])),
        ("Teredo server", v6([0x2001, 0, high, low, 0, 0, 0xf7f7, 0xf7f7])),
        ("Teredo client", v6([0x2001, 0, 0x808, 0x808, 0, 0, !high, !low])),
        ("ISATAP", v6([0x2a00, 0, 0, 1, 0, 0x5efe, high, low])),
        ("ISATAP, universal", v6([0x2a00, 0, 0, 1, 0x200, 0x5efe, high, low])),
        ("ISATAP, link-local", v6([0xfe80, 0, 0, 0, 0, 0x5efe, high, low])),
    ]
}

/// The IPv4 addresses embedded in an IPv6 address, decoded from its bytes.
fn carried(address: Ipv6Addr) -> Vec<(&'static str, Ipv4Addr)> {
    let bytes = address.octets();
    let at = |indices: [usize; 4]| Ipv4Addr::from(indices.map(|index| bytes[index]));
    let inverted = |indices: [usize; 4]| Ipv4Addr::from(indices.map(|index| !bytes[index]));
    let starts = |prefix: &[u8]| bytes.starts_with(prefix);
    let mut found = Vec::new();
    if starts(&[0; 12]) {
        found.push(("compatible", at([12, 13, 14, 15])));
    }
    if starts(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) {
        found.push(("mapped", at([12, 13, 14, 15])));
    }
    if starts(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]) {
        found.push(("translated", at([12, 13, 14, 15])));
    }
    if starts(&[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]) {
        found.push(("NAT64", at([12, 13, 14, 15])));
    }
    if starts(&[0, 0x64, 0xff, 0x9b, 0, 1]) {
        // RFC 6052: byte 8 is never used.
        found.push(("own NAT64, /48", at([6, 7, 9, 10])));
        found.push(("own NAT64, /56", at([7, 9, 10, 11])));
        found.push(("own NAT64, /64", at([9, 10, 11, 12])));
        found.push(("own NAT64, /96", at([12, 13, 14, 15])));
    }
    if starts(&[0x20, 0x02]) {
        found.push(("6to4", at([2, 3, 4, 5])));
    }
    if starts(&[0x20, 0x01, 0, 0]) {
        found.push(("Teredo server", at([4, 5, 6, 7])));
        found.push(("Teredo client", inverted([12, 13, 14, 15])));
    }
    // The universal and the group bit do not matter.
    if bytes[8] & 0xfc == 0 && bytes[9..12] == [0, 0x5e, 0xfe] {
        found.push(("ISATAP", at([12, 13, 14, 15])));
    }
    found
}
