//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

/// The address of a connection's other end; an extension of every request on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    /// Who sent the request: the other end, or whom a proxy there names. A proxy adds the address that it saw at the end of the list; what
    /// stands before it is the client's own word.
    pub(crate) fn client(self, headers: &HeaderMap, behind_proxy: bool) -> IpAddr {
        let named = || {
            let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            last.rsplit(',').next()?.trim().parse().ok()
        };
        let address = behind_proxy.then(named).flatten();
        address.unwrap_or_else(|| self.0.ip()).to_canonical()
    }
}

/// Whether a proxy in front says that the client came over TLS.
pub(crate) fn came_over_tls(headers: &HeaderMap, behind_proxy: bool) -> bool {
    let last = || headers.get_all("x-forwarded-proto").iter().next_back()?.to_str().ok()?.rsplit(',').next();
    behind_proxy && last().is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_only_if_there_is_one_and_no_more_than_it_has_seen() {
        let peer = Peer("127.0.0.1:5".parse().unwrap());
        for (lines, behind_proxy, client) in [
            (&[][..], true, "127.0.0.1"),
            (&["203.0.113.7"], true, "203.0.113.7"),
            (&["203.0.113.7"], false, "127.0.0.1"),
            (&["1.1.1.1, 203.0.113.7"], true, "203.0.113.7"),
            (&["1.1.1.1", "203.0.113.7"], true, "203.0.113.7"),
            (&["::ffff:203.0.113.7"], true, "203.0.113.7"),
            (&["2001:db8::7"], true, "2001:db8::7"),
            (&["unknown"], true, "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            assert_eq!(peer.client(&headers, behind_proxy), client.parse::<IpAddr>().unwrap(), "{lines:?}");
        }
        let headers = [("x-forwarded-proto".parse().unwrap(), "http, https".parse().unwrap())].into_iter().collect();
        assert!(came_over_tls(&headers, true) && !came_over_tls(&headers, false));
    }
}
