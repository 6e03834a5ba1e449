//! Which addresses no guest may reach.
//!
//! Two tables list them: [`V4`] and [`V6`], from the IANA special-purpose address registries (RFC 6890 and its
//! updates), with the multicast blocks and the few public-looking addresses at which a cloud serves its own machines. A
//! listed block is refused even if its registry calls it globally reachable: no API is served from any of them.
//!
//! An IPv6 address may embed an IPv4 address, which a router, a relay or the kernel then uses. Every standard form is
//! refused with any address that it embeds, with one exception: `64:ff9b::/96` (RFC 6052), through which hosts without
//! IPv4 reach all of the IPv4 internet. There the embedded address is checked. Forms whose prefix each network chooses
//! (6rd, NAT64 with a local prefix) look like any other address and cannot be recognized; no registry lists them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The name of cloud metadata addresses in messages. Names of the providers' own start with it.
const METADATA: &str = "cloud metadata";

/// A block of addresses, and its description.
type Block<N> = (N, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(s: [u16; 8], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), bits)
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, `224.0.0.0/4` from
/// <https://www.iana.org/assignments/multicast-addresses>, and Azure's platform address. The first match wins, so
/// narrower blocks come first.
pub(crate) const V4: [Block<Ipv4Net>; 23] = [
    (v4(169, 254, 169, 254, 32), "cloud metadata"),
    (v4(168, 63, 129, 16, 32), "cloud metadata (Azure)"),
    (v4(100, 100, 100, 200, 32), "cloud metadata (Alibaba)"),
    (v4(192, 0, 0, 192, 32), "cloud metadata (Oracle)"),
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by a carrier (CGNAT)"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "IETF protocol assignments"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 31, 196, 0, 24), "AS112"),
    (v4(192, 52, 193, 0, 24), "AMT"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(192, 175, 48, 0, 24), "AS112"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>, the forms that embed IPv4 but are no longer
/// registered, and multicast. The first match wins. Anything outside `2000::/3`, the only block allocated for global
/// use, is refused as well.
pub(crate) const V6: [Block<Ipv6Net>; 28] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0; 8], 128), "unspecified"),
    (v6([0; 8], 96), "IPv4-compatible"),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped"),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), "IPv4-translated"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "local NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard-only"),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), "dummy prefix"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "Teredo, which carries IPv4"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "benchmarking"),
    (v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32), "AMT"),
    (v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), "AS112"),
    (v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), "ORCHID"),
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), "ORCHIDv2"),
    (v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), "drone identifiers"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "IETF protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4, which carries IPv4"),
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), "AS112"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "segment routing"),
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), "cloud metadata (AWS)"),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0], 32), "cloud metadata (Google)"),
    (v6([0xfd00, 0xc1, 0, 0, 0, 0, 0, 0], 32), "cloud metadata (Oracle)"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// The only block that IPv6 allocates for global use (RFC 4291, section 2.4).
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The well-known prefix of NAT64 (RFC 6052).
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// Why no guest may reach an address, or `None` for an ordinary public one.
///
/// ```
/// assert_eq!(bg_egress::special("127.0.0.1".parse().unwrap()), Some("loopback"));
/// assert_eq!(bg_egress::special("::ffff:8.8.8.8".parse().unwrap()), Some("IPv4-mapped"));
/// assert_eq!(bg_egress::special("8.8.8.8".parse().unwrap()), None);
/// ```
pub fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// Why an address is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedAddress {
    /// The kind of address.
    pub what: &'static str,
    /// Whether `--allow-private` with the request's origin would permit it.
    pub can_be_allowed: bool,
}

/// Whether an address is refused to a request whose origin the operator has named with `--allow-private`, or has not.
///
/// ```
/// use bg_egress::refused;
///
/// assert!(refused("10.0.0.7".parse().unwrap(), false).unwrap().can_be_allowed);
/// assert_eq!(refused("10.0.0.7".parse().unwrap(), true), None);
/// // It serves this machine's credentials.
/// assert!(!refused("169.254.169.254".parse().unwrap(), true).unwrap().can_be_allowed);
/// ```
pub fn refused(address: IpAddr, is_named: bool) -> Option<RefusedAddress> {
    let what = special(address)?;
    let can_be_allowed = !what.starts_with(METADATA);
    if is_named && can_be_allowed { None } else { Some(RefusedAddress { what, can_be_allowed }) }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    V4.iter().find(|(block, _)| block.contains(&address)).map(|(_, what)| *what)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return special_v4(Ipv4Addr::new(a, b, c, d));
    }
    if let Some((_, what)) = V6.iter().find(|(block, _)| block.contains(&address)) {
        return Some(what);
    }
    if !GLOBAL_UNICAST.contains(&address) {
        return Some("not allocated for global use");
    }
    // RFC 5214: an interface identifier of 00-00-5E-FE (or with the universal and group bits set), followed by an IPv4
    // address, below any prefix.
    let segments = address.segments();
    if segments[4] & 0xfcff == 0 && segments[5] == 0x5efe {
        return Some("ISATAP, which carries IPv4");
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn what(text: &str) -> Option<&'static str> {
        special(text.parse().unwrap())
    }

    #[test]
    fn the_edges_of_every_ipv4_block_are_refused_and_their_neighbours_are_checked_on_their_own() {
        for (block, _) in V4 {
            assert!(special(IpAddr::V4(block.network())).is_some(), "{block}");
            assert!(special(IpAddr::V4(block.broadcast())).is_some(), "{block}");
        }
        // Both sides of each edge, if the neighbour is public.
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.1.255",
            "192.0.3.0",
            "192.31.195.255",
            "192.31.197.0",
            "192.52.192.255",
            "192.52.194.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "192.175.47.255",
            "192.175.49.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
        ] {
            assert_eq!(what(public), None, "{public}");
        }
    }

    #[test]
    fn the_edges_of_every_ipv6_block_are_refused() {
        for (block, _) in V6 {
            assert!(special(IpAddr::V6(block.network())).is_some(), "{block}");
            assert!(special(IpAddr::V6(block.broadcast())).is_some(), "{block}");
        }
        for public in [
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1111",
            "2620:4f:7fff::1",
            "2620:4f:8001::1",
            "2a00:1450::1",
            "3ffe:ffff::1",
            "3fff:1000::1",
            "2000::1",
        ] {
            assert_eq!(what(public), None, "{public}");
        }
        for unallocated in ["4000::1", "1000::1", "5f01::1", "e000::1", "64:ff9b:2::1", "64:ff9a::1", "200::1"] {
            assert_eq!(what(unallocated), Some("not allocated for global use"), "{unallocated}");
        }
    }

    #[test]
    fn cloud_metadata_is_named_as_such() {
        for text in [
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::168.63.129.16",
        ] {
            assert!(what(text).is_some_and(|what| what.starts_with("cloud metadata")), "{text}: {:?}", what(text));
        }
        // Other metadata addresses, which a wider block covers.
        for text in ["169.254.170.2", "169.254.42.42", "169.254.0.23", "fd00:42::42", "fd00:a9fe:a9fe::1"] {
            assert!(what(text).is_some(), "{text}");
        }
    }

    #[test]
    fn the_well_known_nat64_prefix_is_checked_by_the_address_it_embeds() {
        assert_eq!(what("64:ff9b::8.8.8.8"), None);
        assert_eq!(what("64:ff9b::7f00:1"), Some("loopback"));
        assert_eq!(what("64:ff9b::10.0.0.1"), Some("private"));
    }

    /// Every standard way to embed an IPv4 address in an IPv6 one, other than the well-known NAT64 prefix.
    fn embeddings(inner: Ipv4Addr, salt: u16) -> Vec<Ipv6Addr> {
        let [a, b, c, d] = inner.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let global = 0x2000 | (salt & 0x1fff);
        vec![
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, salt, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, high, low >> 8, low << 8, 0, 0),
            Ipv6Addr::new(0x2002, high, low, salt, 0, 0, 0, 1),
            // Teredo: the server's address as it is, the client's with all bits inverted.
            Ipv6Addr::new(0x2001, 0, high, low, salt, 0, 0x0808, 0x0808),
            Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, salt, 0, !high, !low),
            Ipv6Addr::new(global, salt, 0, 0, 0, 0x5efe, high, low),
            Ipv6Addr::new(global, salt, 0, 0, 0x0200, 0x5efe, high, low),
            Ipv6Addr::new(global, salt, 0, 0, 0x0300, 0x5efe, high, low),
        ]
    }

    proptest! {
        #[test]
        fn every_embedding_of_any_ipv4_address_is_refused(inner: u32, salt: u16) {
            for address in embeddings(Ipv4Addr::from(inner), salt) {
                prop_assert!(special(IpAddr::V6(address)).is_some(), "{address}");
            }
        }

        #[test]
        fn nat64_refuses_what_ipv4_refuses(inner: u32) {
            let inner = Ipv4Addr::from(inner);
            let [a, b, c, d] = inner.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let outer = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
            prop_assert_eq!(special(IpAddr::V6(outer)), special(IpAddr::V4(inner)));
        }

        #[test]
        fn addresses_that_pass_are_not_special_to_std(bits: u32) {
            let address = Ipv4Addr::from(bits);
            if special_v4(address).is_none() {
                prop_assert!(!address.is_private() && !address.is_loopback() && !address.is_link_local());
                prop_assert!(!address.is_broadcast() && !address.is_documentation() && !address.is_multicast());
                prop_assert!(!address.is_unspecified());
            }
        }

        #[test]
        fn std_agrees_about_ipv6(bits: u128) {
            let address = Ipv6Addr::from(bits);
            if special_v6(address).is_none() && !NAT64.contains(&address) {
                prop_assert!(!address.is_loopback() && !address.is_unspecified() && !address.is_multicast());
                prop_assert!(!address.is_unique_local() && !address.is_unicast_link_local());
                prop_assert!(address.to_ipv4().is_none());
            }
        }
    }
}
