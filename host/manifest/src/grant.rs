//! Grants of HTTP: where to, and with which methods.

use std::fmt;
use std::str::FromStr;

use http::Method;
use url::{Host, Url};

use crate::host::HostPattern;
use crate::methods::{Methods, ParseMethodsError};
use crate::mismatch::Mismatch;
use crate::origin::{Origin, Scheme, write_port};
use crate::path::PathPrefix;
use crate::target::{TargetError, check_url, parse_target};
use crate::text::text_serde;

/// A set of requests: one scheme and port, one host or all hosts under a name, all paths below one, some methods or
/// any.
///
/// Written `[METHODS ]URL`, such as `https://example.com/`, `GET,POST https://example.com:8443/v1/` or
/// `https://*.example.com/`. The query of a request is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrant {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
    path: PathPrefix,
    methods: Methods,
}

/// A text that is not a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; a grant looks like https://example.com/v1/ or \"GET,POST https://*.example.com/\"")]
pub struct ParseGrantError {
    problem: GrantProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum GrantProblem {
    #[error(transparent)]
    Methods(#[from] ParseMethodsError),
    #[error(transparent)]
    Url(#[from] TargetError),
    #[error("a grant covers all queries; leave out the ? and what follows it")]
    Query,
    #[error("a * can only be the first part of a host name")]
    Star,
    #[error("after *. there must be a name of at least two parts, such as example.com")]
    Wildcard,
    #[error("its path has an empty part, or a part that a server may read as another path (such as .., %2f, ;)")]
    Path,
}

impl HttpGrant {
    /// The grant of any method at `url`, a text without methods.
    pub(crate) fn of_url(url: &str) -> Result<Self, ParseGrantError> {
        parse_url(url).map_err(|problem| ParseGrantError { problem })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host or hosts.
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path; everything below it is granted, too.
    pub fn path(&self) -> &PathPrefix {
        &self.path
    }

    /// The methods.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// The same grant for other methods.
    #[must_use]
    pub fn with_methods(mut self, methods: Methods) -> Self {
        self.methods = methods;
        self
    }

    /// The origin, unless it covers all hosts under a name.
    pub fn origin(&self) -> Option<Origin> {
        let HostPattern::Exact(_) = &self.host else { return None };
        format!("{}://{}:{}", self.scheme, self.host, self.port).parse().ok()
    }

    /// Whether this grant covers a request.
    ///
    /// `url` should come from [`parse_target`]. The gate must send exactly `url` (its normal form), not the text it was
    /// parsed from.
    pub fn matches(&self, method: &Method, url: &Url) -> Result<(), Mismatch> {
        check_url(url)?;
        let origin = Origin::of(url)?;
        if !self.matches_origin(url) {
            return Err(Mismatch::Origin(origin));
        }
        self.path.check(url.path())?;
        if self.methods.allow(method) {
            Ok(())
        } else {
            Err(Mismatch::Method { method: method.clone(), granted: self.methods.clone() })
        }
    }

    /// Whether it covers any request to the origin of a URL.
    pub fn matches_origin(&self, url: &Url) -> bool {
        let Ok(origin) = Origin::of(url) else { return false };
        let here = url.host().is_some_and(|host| self.host.matches(&host));
        self.scheme == origin.scheme() && self.port == origin.port() && here
    }

    /// The requests that both grants cover; `None` if there are none.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        if self.scheme != other.scheme || self.port != other.port {
            return None;
        }
        Some(Self {
            scheme: self.scheme,
            port: self.port,
            host: self.host.intersection(&other.host)?,
            path: self.path.intersection(&other.path)?,
            methods: self.methods.intersection(&other.methods)?,
        })
    }

    /// Whether this grant covers every request that `other` covers.
    pub fn covers(&self, other: &Self) -> bool {
        self.intersection(other).as_ref() == Some(other)
    }

    /// A sort key: wide grants first. One host is narrower than all hosts under a name; a longer path is narrower.
    pub(crate) fn narrowness(&self) -> (usize, usize) {
        let host = match &self.host {
            HostPattern::Exact(_) => usize::MAX,
            HostPattern::Under(base) => base.len(),
        };
        (host, self.path.as_str().len())
    }
}

/// All paths of an origin, with any method.
impl From<Origin> for HttpGrant {
    fn from(origin: Origin) -> Self {
        Self {
            scheme: origin.scheme(),
            host: HostPattern::Exact(origin.host().clone()),
            port: origin.port(),
            path: PathPrefix::root(),
            methods: Methods::ANY,
        }
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_any() {
            write!(f, "{} ", self.methods)?;
        }
        write!(f, "{}://{}", self.scheme, self.host)?;
        write_port(f, self.scheme, self.port)?;
        write!(f, "{}", self.path)
    }
}

impl FromStr for HttpGrant {
    type Err = ParseGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        // The last blank separates, so that methods may be written `GET, POST`. A URL contains none.
        let parsed = match text.rsplit_once(' ') {
            Some((methods, url)) => methods
                .parse()
                .map_err(GrantProblem::from)
                .and_then(|methods| Ok(parse_url(url)?.with_methods(methods))),
            None => parse_url(text),
        };
        parsed.map_err(|problem| ParseGrantError { problem })
    }
}

/// Any method, at this URL.
fn parse_url(url: &str) -> Result<HttpGrant, GrantProblem> {
    // The URL parser would accept a `*` as part of a name, so it never sees one.
    let wildcard = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix("*.")?)));
    let is_wildcard = wildcard.is_some();
    let plain = wildcard.map_or_else(|| url.to_owned(), |(scheme, rest)| format!("{scheme}://{rest}"));
    if plain.contains("://") && plain.contains('*') {
        return Err(GrantProblem::Star);
    }
    let url = parse_target(&plain)?;
    if url.query().is_some() {
        return Err(GrantProblem::Query);
    }
    let path = PathPrefix::new(url.path()).ok_or(GrantProblem::Path)?;
    let grant = HttpGrant { path, ..Origin::of(&url)?.into() };
    if !is_wildcard {
        return Ok(grant);
    }
    match grant.host {
        HostPattern::Exact(Host::Domain(base)) if base.contains('.') => {
            Ok(HttpGrant { host: HostPattern::Under(base), ..grant })
        }
        _ => Err(GrantProblem::Wildcard),
    }
}

text_serde!(HttpGrant);

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> HttpGrant {
        text.parse().unwrap()
    }

    #[test]
    fn grants_are_parsed_and_printed() {
        let cases = [
            ("https://example.com", "https://example.com/"),
            ("https://Example.com:443/v1/", "https://example.com/v1/"),
            (" POST,GET https://example.com:8443/v1 ", "GET,POST https://example.com:8443/v1"),
            ("GET, HEAD http://127.0.0.1:80/", "GET,HEAD http://127.0.0.1/"),
            ("https://*.Example.com/a/b", "https://*.example.com/a/b"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
        ];
        for (text, expected) in cases {
            assert_eq!(grant(text).to_string(), expected);
            assert_eq!(grant(expected), grant(text));
        }
    }

    #[test]
    fn invalid_grants_are_explained() {
        let cases = [
            ("", "starts with https://"),
            ("example.com", "starts with https://"),
            ("*", "starts with https://"),
            ("get https://example.com/", "in capitals"),
            ("CONNECT https://example.com/", "can't be granted"),
            ("https://example.com/?q", "queries"),
            ("https://example.com/?", "queries"),
            ("https://example.com/#x", "#"),
            ("https://u@example.com/", "user name"),
            ("https://*/", "* can only be"),
            ("https://*.*.example.com/", "* can only be"),
            ("https://a.*.example.com/", "* can only be"),
            ("https://example.com/*", "* can only be"),
            ("https://example.com/://*.x/", "* can only be"),
            ("https://*.com/", "two parts"),
            ("https://*.127.0.0.1/", "two parts"),
            ("https://*.[::1]/", "two parts"),
            ("https://example.com./", "dot at its end"),
            ("https://example.com/a/../b", ".."),
            ("https://example.com/a//b", "empty part"),
            ("https://example.com/a%2fb/", "another path"),
            ("https://example.com/..;/", "another path"),
        ];
        for (text, expected) in cases {
            let message = text.parse::<HttpGrant>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(message.contains("a grant looks like"), "{text}: {message}");
        }
    }

    #[test]
    fn a_mismatch_says_what_does_not_match() {
        let grant = grant("GET https://example.com/v1/");
        let cases = [
            (Method::GET, "https://example.com/v1/x?y", None),
            (Method::GET, "https://evil.example/v1/", Some("no grant covers https://evil.example")),
            (Method::GET, "http://example.com/v1/", Some("no grant covers http://example.com")),
            (Method::GET, "https://example.com:444/v1/", Some("no grant covers https://example.com:444")),
            (Method::GET, "https://example.com/v2/", Some("the path is not within /v1/")),
            (Method::GET, "https://example.com/v1/a%2fb", Some("a server may read as another path")),
            (Method::POST, "https://example.com/v1/", Some("POST is not granted there, only GET")),
            (Method::GET, "https://u@example.com/v1/", Some("user name")),
        ];
        for (method, url, expected) in cases {
            let result = grant.matches(&method, &url.parse().unwrap()).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(result, Ok(()), "{url}"),
                Some(text) => assert!(result.unwrap_err().contains(text), "{url}"),
            }
        }
    }

    #[test]
    fn a_wider_grant_covers_a_narrower_one() {
        let cases = [
            ("https://a.example/", "GET https://a.example/x/", true),
            ("GET https://a.example/", "https://a.example/", false),
            ("GET,POST https://a.example/", "GET https://a.example/", true),
            ("https://*.a.example/", "https://x.a.example/", true),
            ("https://*.a.example/", "https://a.example/", false),
            ("https://a.example/x", "https://a.example/", false),
            ("https://a.example/", "http://a.example/", false),
        ];
        for (wide, narrow, expected) in cases {
            assert_eq!(grant(wide).covers(&grant(narrow)), expected, "{wide} covers {narrow}");
        }
    }

    #[test]
    fn the_origin_of_one_host_is_known() {
        assert_eq!(grant("https://a.example/x").origin(), Some("https://a.example".parse().unwrap()));
        assert_eq!(grant("http://[::1]:9/").origin(), Some("http://[::1]:9".parse().unwrap()));
        assert_eq!(grant("https://*.a.example/").origin(), None);
    }
}
