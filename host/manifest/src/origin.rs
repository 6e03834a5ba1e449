//! Origins: the destination of a request.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::target::{TargetError, check_url, parse_target};
use crate::text::text_serde;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The default port.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub(crate) fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A scheme, a host and a port, written `https://example.com` or `http://127.0.0.1:8080`; the scheme's default port is
/// omitted.
///
/// The host is in normal form (lower case, ASCII, canonical spelling of IP addresses), so that equal origins compare
/// equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
}

/// A text that is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseOriginError {
    /// It is not a URL.
    #[error("{0}; an origin looks like https://example.com or http://127.0.0.1:8080")]
    Url(TargetError),
    /// It has a path or a query.
    #[error("an origin ends after its host and port; it looks like https://example.com or http://127.0.0.1:8080")]
    Path,
}

impl Origin {
    /// The origin of a URL. Refuses everything that [`parse_target`] refuses in these parts.
    pub fn of(url: &Url) -> Result<Self, TargetError> {
        check_url(url)?;
        let scheme = Scheme::of(url).ok_or(TargetError::Scheme)?;
        let host = url.host().ok_or_else(|| TargetError::Host(String::new()))?.to_owned();
        Ok(Self { scheme, host, port: url.port().unwrap_or(scheme.default_port()) })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, in normal form.
    pub fn host(&self) -> &Host<String> {
        &self.host
    }

    /// The port, even if it is the default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine by definition: `localhost`, a name under it, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        write_port(f, self.scheme, self.port)
    }
}

pub(crate) fn write_port(f: &mut fmt::Formatter<'_>, scheme: Scheme, port: u16) -> fmt::Result {
    if port == scheme.default_port() { Ok(()) } else { write!(f, ":{port}") }
}

impl FromStr for Origin {
    type Err = ParseOriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = parse_target(text).map_err(ParseOriginError::Url)?;
        if url.path() != "/" || url.query().is_some() {
            return Err(ParseOriginError::Path);
        }
        Self::of(&url).map_err(ParseOriginError::Url)
    }
}

text_serde!(Origin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_origins_compare_equal_and_print_alike() {
        let cases = [
            ("https://example.com", "https://Example.COM:443/"),
            ("http://example.com", "http://example.com:80"),
            ("http://127.0.0.1:8080", "http://0x7f.1:8080/"),
            ("http://[::1]:8080", "http://[0:0::1]:8080"),
        ];
        for (printed, other) in cases {
            let origin: Origin = other.parse().unwrap();
            assert_eq!(origin.to_string(), printed);
            assert_eq!(printed.parse::<Origin>().unwrap(), origin);
        }
        assert_ne!("http://a.example:443".parse::<Origin>(), "https://a.example".parse::<Origin>());
    }

    #[test]
    fn more_or_less_than_an_origin_is_refused() {
        assert_eq!("https://example.com/x".parse::<Origin>(), Err(ParseOriginError::Path));
        assert_eq!("https://example.com?".parse::<Origin>(), Err(ParseOriginError::Path));
        let error = "example.com".parse::<Origin>().unwrap_err();
        assert!(error.to_string().contains("looks like https://example.com"), "{error}");
    }

    #[test]
    fn loopback_is_recognized_by_name_and_by_address() {
        let cases = [
            ("http://localhost:1", true),
            ("http://x.localhost", true),
            ("http://127.3.2.1", true),
            ("http://[::1]", true),
            ("http://notlocalhost", false),
            ("http://localhost.example", false),
            ("http://192.168.0.1", false),
            ("http://[::ffff:127.0.0.1]", false),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Origin>().unwrap().is_loopback(), expected, "{text}");
        }
    }
}
