//! The client's address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderMap;

/// The address of a connection's other end; an extension of every request on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    /// The sender of a request: the other end, or the client that a proxy there names. A proxy appends the address that
    /// it saw; everything before it is the client's own claim. If the last address cannot be read, the sender is a
    /// stranger: the other end is the proxy, which may be on this machine.
    pub(crate) fn client(self, headers: &HeaderMap, behind_proxy: bool) -> IpAddr {
        let named = behind_proxy.then(|| last(headers, "x-forwarded-for")).flatten();
        let address = named.map_or_else(|| self.0.ip(), |named| address(named).unwrap_or(UNREADABLE));
        address.to_canonical()
    }
}

/// Stands for all clients whose address cannot be read. No client has this address, and it is not of this machine.
const UNREADABLE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The last element of a list header. As bytes: what is before it comes from the client, and may not be text.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let line = headers.get_all(name).iter().next_back()?.as_bytes();
    Some(line.rsplit(|byte| *byte == b',').next().unwrap_or(line).trim_ascii())
}

/// An address, as proxies write it: some add the port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip())).or_else(bracketed)
}

/// Whether a proxy in front reports that the client used TLS.
pub(crate) fn came_over_tls(headers: &HeaderMap, behind_proxy: bool) -> bool {
    behind_proxy && last(headers, "x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::admission::Client;

    #[test]
    fn a_proxy_is_trusted_only_if_configured_and_only_for_what_it_has_seen() {
        let peer = Peer("127.0.0.1:5".parse().unwrap());
        for (lines, behind_proxy, client) in [
            (&[][..], true, "127.0.0.1"),
            (&["203.0.113.7"], true, "203.0.113.7"),
            (&["203.0.113.7"], false, "127.0.0.1"),
            (&["1.1.1.1, 203.0.113.7"], true, "203.0.113.7"),
            (&["1.1.1.1", "203.0.113.7"], true, "203.0.113.7"),
            (&["::ffff:203.0.113.7"], true, "203.0.113.7"),
            (&["2001:db8::7"], true, "2001:db8::7"),
            (&["203.0.113.9:4711"], true, "203.0.113.9"),
            (&["[2001:db8::1]:443"], true, "2001:db8::1"),
            (&["[2001:db8::1]"], true, "2001:db8::1"),
            (&["\u{e9}, 203.0.113.8"], true, "203.0.113.8"),
            (&["\u{e9}, 203.0.113.8"], false, "127.0.0.1"),
            (&["\u{e9}", "1.1.1.1, [::ffff:203.0.113.8]:1"], true, "203.0.113.8"),
            (&["127.0.0.1:80"], true, "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", latin1(line));
            }
            assert_eq!(peer.client(&headers, behind_proxy), client.parse::<IpAddr>().unwrap(), "{lines:?}");
        }
        for (line, over_tls) in
            [("http, https", true), ("\u{e9}, HTTPS ", true), ("https, http", false), ("https,", false)]
        {
            let headers = [("x-forwarded-proto".parse().unwrap(), latin1(line))].into_iter().collect();
            assert_eq!(came_over_tls(&headers, true), over_tls, "{line}");
            assert!(!came_over_tls(&headers, false));
        }
    }

    #[test]
    fn a_client_that_a_proxy_names_illegibly_is_a_stranger_and_never_this_machine() {
        let unreadable = [
            "unknown",
            "",
            ",",
            "127.0.0.1,",
            "\u{e9}",
            "127.0.0.1, \u{e9}",
            "203.0.113.9:",
            "203.0.113.9:99999",
            "[127.0.0.1]",
            "[::1",
            "::1]",
            "[]",
            "\"127.0.0.1\"",
            "127.0.0.1 127.0.0.1",
            "for=127.0.0.1",
            "localhost",
            "_hidden",
        ];
        for peer in ["127.0.0.1:5", "[::1]:5", "192.0.2.1:5"] {
            let peer = Peer(peer.parse().unwrap());
            for line in unreadable {
                let headers = [("x-forwarded-for".parse().unwrap(), latin1(line))].into_iter().collect();
                let client = Client::new(peer.client(&headers, true));
                assert_eq!((client.network(), client.is_local()), (UNREADABLE, false), "{line:?}");
            }
        }
    }

    /// A line of a header, of which each character is one byte.
    fn latin1(line: &str) -> HeaderValue {
        let bytes: Vec<u8> = line.chars().map(|char| u8::try_from(char).unwrap()).collect();
        HeaderValue::from_bytes(&bytes).unwrap()
    }
}
