//! The destination of a request. The URL is parsed once: the value that is checked is the value that is dialled.

use std::net::IpAddr;

use bg_manifest::{MAX_URL_BYTES, Origin, TargetError, parse_target};
use http::Uri;
use url::{Host, Url};

use crate::error::{EgressError, Part};
use crate::limits::HttpLimits;

/// A URL that can be checked and dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    url: Url,
    uri: Uri,
    origin: Origin,
    /// Whether its path must not be shown, because it contains a secret.
    hidden: bool,
}

impl Target {
    pub(crate) fn parse(text: &str, limits: &HttpLimits) -> Result<Self, EgressError> {
        let too_large = || EgressError::TooLarge { what: Part::Url, limit: limits.url_bytes.min(MAX_URL_BYTES) as u64 };
        if text.len() > limits.url_bytes {
            return Err(too_large());
        }
        let url = parse_target(text).map_err(|error| match error {
            TargetError::TooLong => too_large(),
            error => EgressError::Request(error.to_string()),
        })?;
        // What is sent is longer than the text if that is not ASCII.
        if url.as_str().len() > limits.url_bytes {
            return Err(too_large());
        }
        let origin = Origin::of(&url).map_err(|error| EgressError::Request(error.to_string()))?;
        let uri = hyper_agrees(&url, &origin).ok_or_else(|| EgressError::Request("the URL is ambiguous".to_owned()))?;
        Ok(Self { url, uri, origin, hidden: false })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The URL as hyper reads it, which is [the same](hyper_agrees).
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The same target, with its path hidden in messages.
    pub(crate) fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Its path for messages and the log; `None` if it must not be shown.
    pub(crate) fn shown_path(&self) -> Option<&str> {
        (!self.hidden).then(|| self.url.path())
    }

    /// The host as in the URL, which is also the name for DNS and TLS.
    pub(crate) fn host(&self) -> &str {
        // A target always has a host: without one it would have no origin.
        self.url.host_str().unwrap_or_default()
    }

    /// The address, if the host is one.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        match *self.origin.host() {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        }
    }
}

/// hyper parses the URL's text again, with its own parser, and dials the result. It must be the same.
fn hyper_agrees(url: &Url, origin: &Origin) -> Option<Uri> {
    let uri = url.as_str().parse::<Uri>().ok()?;
    let agrees = uri.scheme_str() == Some(origin.scheme().as_str())
        && uri.host().is_some()
        && uri.host() == url.host_str()
        && uri.port_u16().unwrap_or(origin.scheme().default_port()) == origin.port()
        && uri.path() == url.path()
        && uri.query() == url.query();
    agrees.then_some(uri)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Target, EgressError> {
        Target::parse(text, &HttpLimits::default())
    }

    #[test]
    fn every_spelling_of_an_address_is_parsed_as_that_address() {
        for text in ["127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0x7f000001", "127.0.0.1."] {
            let target = parse(&format!("http://{text}/")).unwrap();
            assert_eq!(target.literal(), Some("127.0.0.1".parse().unwrap()), "{text}");
        }
        for text in ["[::1]", "[0:0:0:0:0:0:0:1]", "[::0.0.0.1]"] {
            let target = parse(&format!("http://{text}:8080/")).unwrap();
            assert_eq!(target.literal(), Some("::1".parse().unwrap()), "{text}");
            assert_eq!(target.origin().port(), 8080);
        }
        let mapped = parse("http://[::ffff:127.0.0.1]/").unwrap();
        assert_eq!(mapped.literal(), Some("::ffff:7f00:1".parse().unwrap()));
    }

    #[test]
    fn a_name_is_parsed_as_it_will_be_looked_up() {
        for (text, host) in [
            ("https://EXAMPLE.com:443/A?b", "example.com"),
            ("https://b\u{fc}cher.example/", "xn--bcher-kva.example"),
            ("https://\u{ff45}xample.com/", "example.com"),
            ("https://example\u{3002}com/", "example.com"),
        ] {
            let target = parse(text).unwrap();
            assert_eq!((target.host(), target.literal()), (host, None), "{text}");
        }
    }

    #[test]
    fn ambiguous_urls_and_other_schemes_are_refused() {
        for text in [
            "",
            "example.com",
            "ftp://example.com/",
            "ws://example.com/",
            "https://",
            "https://user@example.com/",
            "https://example.com@evil.example/",
            "https://example.com\\@evil.example/",
            "https://exam\tple.com/",
            "https://example.com./",
            "https://a..b/",
            "https://example.com:0/",
            "https://example.com:65536/",
            "https://exa%00mple.com/",
            "https://[fe80::1%25eth0]/",
            "https://256.256.256.256/",
            "https://0x100000000/",
        ] {
            assert!(matches!(parse(text), Err(EgressError::Request(_))), "{text:?} became {:?}", parse(text));
        }
    }

    #[test]
    fn the_limit_of_a_url_counts_the_bytes_that_are_sent() {
        let encoded = format!("https://example.com/{}", "\u{fc}".repeat(2000));
        for long in [format!("https://example.com/{}", "a".repeat(8192)), encoded] {
            assert!(
                matches!(parse(&long), Err(EgressError::TooLarge { what: Part::Url, limit: 8192 })),
                "{}",
                long.len()
            );
        }
        let limits = HttpLimits { url_bytes: 40, ..HttpLimits::default() };
        assert!(Target::parse("https://example.com/?\u{fc}", &limits).is_ok());
        let refused = Target::parse("https://example.com/?\u{fc}\u{fc}\u{fc}\u{fc}", &limits);
        assert!(matches!(refused, Err(EgressError::TooLarge { what: Part::Url, limit: 40 })));
    }

    proptest! {
        #[test]
        fn every_url_that_is_parsed_has_one_meaning(text in "https?://[ -~]{0,40}") {
            if let Ok(target) = parse(&text) {
                prop_assert_eq!(&parse(target.url().as_str()).unwrap(), &target);
                prop_assert!(hyper_agrees(target.url(), target.origin()).is_some());
            }
        }

        #[test]
        fn no_host_makes_it_panic(text in "https://\\PC{1,20}/") {
            let _ = parse(&text);
        }

        #[test]
        fn any_numeric_spelling_of_ipv4_is_parsed_as_that_address(bits: u32, form in 0..5) {
            let [a, b, c, d] = bits.to_be_bytes();
            let spelled = match form {
                0 => format!("{bits}"),
                1 => format!("{bits:#x}"),
                2 => format!("0{a:o}.0{b:o}.{c:#x}.{d}"),
                3 => format!("{a}.{}", bits & 0xff_ffff),
                _ => format!("{a}.{b}.{}", bits & 0xffff),
            };
            let target = parse(&format!("http://{spelled}/")).unwrap();
            prop_assert_eq!(target.literal(), Some(IpAddr::from(bits.to_be_bytes())));
        }
    }
}
