//! Which pages may send requests.

use std::fmt;
use std::str::FromStr;

use bg_manifest::Origin;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use url::Url;

/// An origin whose pages may register charms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Every origin, as in the original.
    Any,
    /// This origin.
    One(Origin),
}

/// A text that is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin; write a scheme and a host, perhaps with a port, such as https://charms.example.com, or \
     `*` for all"
)]
pub struct ParseAllowedOriginError(String);

impl FromStr for AllowedOrigin {
    type Err = ParseAllowedOriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.parse().map(Self::One).map_err(|_| ParseAllowedOriginError(text.to_owned()))
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::One(origin) => origin.fmt(f),
        }
    }
}

/// The source of a request, as its browser reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Not from a browser, or not reported: `curl`, a service.
    Unsaid,
    /// A page of this server.
    Own,
    /// A page of another origin, or one that has none (a file, a sandboxed frame).
    Other(String),
}

impl Source {
    /// Reads it from a request. Browsers send the origin with each request that could change anything.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut origins = headers.get_all(ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return if headers.contains_key(ORIGIN) {
                Self::Other("several origins".to_owned())
            } else {
                Self::unsaid(headers)
            };
        };
        let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        if host.is_some_and(|host| is_at(&origin, host)) { Self::Own } else { Self::Other(origin) }
    }

    /// A browser that does not send the origin may report whether it is another one.
    fn unsaid(headers: &HeaderMap) -> Self {
        match headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes) {
            Some(b"cross-site" | b"same-site") => Self::Other("another origin".to_owned()),
            _ => Self::Unsaid,
        }
    }
}

/// Whether `origin` is the one of `Host`. A proxy may have another scheme than we do, so the scheme only counts for the
/// default port.
fn is_at(origin: &str, host: &str) -> bool {
    let Ok(url) = origin.parse::<Url>() else { return false };
    if !matches!(url.scheme(), "http" | "https") || url.origin().ascii_serialization() != origin.to_ascii_lowercase() {
        return false;
    }
    let Ok(at) = format!("{}://{host}", url.scheme()).parse::<Url>() else { return false };
    url.origin() == at.origin()
}

/// Decides which pages may register charms.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    allowed: Vec<AllowedOrigin>,
    /// Whether only this machine can reach the server; then pages from this machine may register.
    local: bool,
}

/// A page may not register charms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginRefused {
    #[error("pages of {0} may not register charms here; to allow it, start the server with --allow-origin {0}")]
    Origin(Origin),
    #[error(
        "this page has no origin, as a file or a sandboxed frame has none, and may not register charms here; open it \
         over HTTP, from an origin that the server allows (--allow-origin)"
    )]
    None,
}

impl Origins {
    pub(crate) fn new(allowed: Vec<AllowedOrigin>, local: bool) -> Self {
        Self { allowed, local }
    }

    /// The other origin that may read the response, if any.
    pub(crate) fn check(&self, source: &Source) -> Result<Option<String>, OriginRefused> {
        let Source::Other(text) = source else { return Ok(None) };
        if self.allowed.contains(&AllowedOrigin::Any) {
            return Ok(Some(text.clone()));
        }
        let origin: Option<Origin> = text.parse().ok();
        let is_named = |origin: &Origin| self.allowed.contains(&AllowedOrigin::One(origin.clone()));
        match origin {
            Some(origin) if is_named(&origin) || (self.local && origin.is_loopback()) => Ok(Some(text.clone())),
            Some(origin) => Err(OriginRefused::Origin(origin)),
            None => Err(OriginRefused::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: http::HeaderName = name;
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_page_of_this_server_is_distinguished_from_others() {
        for (host, origin, is_own) in [
            ("localhost:8000", "http://localhost:8000", true),
            ("LOCALHOST:8000", "http://localhost:8000", true),
            ("charms.example.com", "https://charms.example.com", true),
            ("charms.example.com:443", "https://charms.example.com", true),
            ("charms.example.com", "http://charms.example.com", true),
            ("[::1]:8000", "http://[::1]:8000", true),
            ("localhost:8000", "http://localhost:8001", false),
            ("localhost:8000", "http://127.0.0.1:8000", false),
            ("localhost:8000", "http://localhost:8000.evil.example", false),
            ("localhost:8000", "http://localhost:8000/", false),
            ("localhost:8000", "http://evil@localhost:8000", false),
            ("localhost:8000", "ftp://localhost:8000", false),
            ("localhost:8000", "null", false),
            ("localhost:8000", "", false),
        ] {
            let source = Source::of(&headers(&[("host", host), ("origin", origin)]));
            assert_eq!(source == Source::Own, is_own, "{origin} at {host}: {source:?}");
            assert!(is_own || source == Source::Other(origin.to_owned()), "{origin} at {host}: {source:?}");
        }
        assert_eq!(Source::of(&headers(&[("host", "localhost")])), Source::Unsaid);
        let several = headers(&[("host", "a"), ("origin", "http://a"), ("origin", "http://a")]);
        assert!(matches!(Source::of(&several), Source::Other(_)));
        for (site, is_unsaid) in [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)] {
            let source = Source::of(&headers(&[("host", "a"), ("sec-fetch-site", site)]));
            assert_eq!(source == Source::Unsaid, is_unsaid, "{site}");
        }
    }

    #[test]
    fn pages_of_named_origins_may_register_and_on_loopback_those_of_this_machine() {
        let named = |text: &str| vec![text.parse().unwrap()];
        for (allowed, local, origin, may) in [
            (vec![], true, "http://localhost:5173", true),
            (vec![], true, "http://127.0.0.1:5173", true),
            (vec![], true, "http://[::1]:5173", true),
            (vec![], true, "https://charms.example.com", false),
            (vec![], true, "http://localhost.example.com", false),
            (vec![], true, "null", false),
            (vec![], false, "http://localhost:5173", false),
            (named("https://charms.example.com"), false, "https://charms.example.com", true),
            (named("https://charms.example.com"), false, "http://charms.example.com", false),
            (named("https://charms.example.com"), false, "https://charms.example.com:8443", false),
            (named("*"), false, "https://charms.example.com", true),
            (named("*"), false, "null", true),
        ] {
            let origins = Origins::new(allowed.clone(), local);
            let checked = origins.check(&Source::Other(origin.to_owned()));
            assert_eq!(checked.is_ok(), may, "{origin}, {allowed:?}: {checked:?}");
            assert_eq!(origins.check(&Source::Own), Ok(None));
            assert_eq!(origins.check(&Source::Unsaid), Ok(None));
        }
        let error = Origins::new(vec![], true).check(&Source::Other("https://a.example".into())).unwrap_err();
        assert!(error.to_string().contains("--allow-origin https://a.example"), "{error}");
        let error = Origins::new(vec![], true).check(&Source::Other("null".into())).unwrap_err();
        assert!(error.to_string().contains("open it over HTTP"), "{error}");
        for text in ["", "example.com", "https://a.example/path", "ftp://a.example", "https://*"] {
            let error = text.parse::<AllowedOrigin>().unwrap_err().to_string();
            assert!(error.contains("https://charms.example.com"), "{text}: {error}");
        }
    }
}
