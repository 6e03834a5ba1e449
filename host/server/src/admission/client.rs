//! Step `address`: the sender of a request, by its address.

use std::net::{IpAddr, Ipv6Addr};

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client(IpAddr);

impl Client {
    pub(crate) fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// Its address.
    pub(crate) fn address(self) -> IpAddr {
        self.0
    }

    /// Whether it is on this machine.
    pub(crate) fn is_local(self) -> bool {
        self.0.is_loopback()
    }

    /// The network that one client usually has: an IPv4 address, or a /64 of IPv6.
    pub(crate) fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_client_is_its_network_and_an_ipv4_client_its_address() {
        for (address, network, is_local) in [
            ("192.0.2.7", "192.0.2.7", false),
            ("::ffff:192.0.2.7", "192.0.2.7", false),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", false),
            ("127.0.0.9", "127.0.0.9", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("::1", "::", true),
        ] {
            let client = Client::new(address.parse().unwrap());
            assert_eq!((client.network(), client.is_local()), (network.parse().unwrap(), is_local), "{address}");
        }
    }
}
