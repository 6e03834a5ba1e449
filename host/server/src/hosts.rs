//! The host names of this server.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HOST;
use http::uri::{Authority, Uri};

/// Checks a request's `Host`, against DNS rebinding and against signed requests that were meant for another server.
#[derive(Debug)]
pub(crate) struct Hosts {
    bound: IpAddr,
    names: Vec<String>,
}

/// Why a request's `Host` is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    #[error("the request must have exactly one Host header, with a host name or address and perhaps a port")]
    Malformed,
    #[error(
        "this server does not answer to the host name {0:?}, but to localhost, to its own addresses, and to names \
         that its operator allows with --allow-host NAME"
    )]
    Unknown(String),
}

impl Hosts {
    pub(crate) fn new(bound: IpAddr, allowed: &[String]) -> Self {
        Self { bound: bound.to_canonical(), names: allowed.iter().map(|name| normal(name)).collect() }
    }

    /// The authority of a request, as the client wrote it, if it is one of this server's.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Authority, HostError> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(HostError::Malformed) };
        let authority = Authority::try_from(host.as_bytes()).map_err(|_| HostError::Malformed)?;
        if authority.as_str().contains('@') || uri.authority().is_some_and(|target| *target != authority) {
            return Err(HostError::Malformed);
        }
        if self.is_own(authority.host()) { Ok(authority) } else { Err(HostError::Unknown(authority.host().to_owned())) }
    }

    /// The port does not matter: behind a proxy or a forwarded port it differs from ours, and rebinding needs a name.
    fn is_own(&self, host: &str) -> bool {
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = literal.parse::<IpAddr>() {
            let address = address.to_canonical();
            // A server that listens on all addresses can be addressed by any of them.
            return address.is_loopback() || address == self.bound || self.bound.is_unspecified();
        }
        let name = normal(host);
        name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name)
    }
}

/// Names are compared without case and without a trailing dot.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(hosts: &[&str]) -> HeaderMap {
        hosts.iter().map(|host| (HOST, host.parse().unwrap())).fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
    }

    #[test]
    fn a_server_answers_to_its_own_names_only() {
        let hosts = |bound: &str| Hosts::new(bound.parse().unwrap(), &["Charms.example.com".to_owned()]);
        for (bound, host, own) in [
            ("127.0.0.1", "localhost:8000", true),
            ("127.0.0.1", "LOCALHOST", true),
            ("127.0.0.1", "localhost.:8000", true),
            ("127.0.0.1", "charms.localhost:8000", true),
            ("127.0.0.1", "127.0.0.1:8000", true),
            ("127.0.0.1", "127.1.2.3", true),
            ("127.0.0.1", "[::1]:8000", true),
            ("127.0.0.1", "[::ffff:127.0.0.1]", true),
            ("127.0.0.1", "charms.example.com", true),
            ("127.0.0.1", "charms.example.com.:443", true),
            ("127.0.0.1", "evil.example.com", false),
            ("127.0.0.1", "localhost.example.com", false),
            ("127.0.0.1", "notlocalhost", false),
            ("127.0.0.1", "192.168.1.5:8000", false),
            ("127.0.0.1", "127.1", false),
            ("192.168.1.5", "192.168.1.5:8000", true),
            ("192.168.1.5", "192.168.1.6:8000", false),
            ("0.0.0.0", "192.168.1.5:8000", true),
            ("0.0.0.0", "evil.example.com", false),
            ("::", "[2001:db8::1]:8000", true),
            ("2001:db8::1", "[2001:db8:0::1]", true),
        ] {
            let checked = hosts(bound).check(&Uri::from_static("/api/health"), &headers(&[host]));
            assert_eq!(checked.is_ok(), own, "{host} at {bound}: {checked:?}");
        }
    }

    #[test]
    fn a_missing_double_or_ambiguous_host_header_is_refused() {
        let hosts = Hosts::new("127.0.0.1".parse().unwrap(), &[]);
        let path = Uri::from_static("/x");
        for bad in [&[][..], &["localhost", "localhost"], &["a@localhost"], &[""], &["local host"], &["localhost/x"]] {
            assert_eq!(hosts.check(&path, &headers(bad)), Err(HostError::Malformed), "{bad:?}");
        }
        let other = Uri::from_static("http://evil.example.com/x");
        assert_eq!(hosts.check(&other, &headers(&["localhost"])), Err(HostError::Malformed));
    }
}
