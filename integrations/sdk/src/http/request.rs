//! Requests.

use std::fmt::Write;
use std::time::Duration;

use super::HttpError;
use crate::CharmRef;

/// The default time limit.
const TIMEOUT: Duration = Duration::from_secs(10);
/// 1 MiB: enough for the answer to a small query. The host's own limit is 8 MiB.
const LARGEST_BODY: usize = 1 << 20;

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names are the methods")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(super) method: Method,
    url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) timeout: Duration,
    pub(super) largest_body: usize,
    pub(crate) if_changed: bool,
}

impl Request {
    /// A GET of an absolute URL.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// A request with another method.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        let url = url.into();
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Vec::new(),
            timeout: TIMEOUT,
            largest_body: LARGEST_BODY,
            if_changed: false,
        }
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.push(if self.url.contains('?') { '&' } else { '?' });
        self.url += &segment(name);
        self.url.push('=');
        self.url += &segment(value);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends the request for a charm: if the manifest names a credential for the URL, the host attaches this charm's.
    #[must_use]
    pub fn charm(self, charm: &CharmRef) -> Self {
        self.header("bg-charm", &charm.to_string())
    }

    /// Makes the request conditional: the answer is only needed if it differs from the one that the charm was last
    /// polled for. For a [query](crate::updates::Source::query) only: it is sent with the `ETag` and the
    /// `Last-Modified` of that answer. See [`crate::updates`].
    #[must_use]
    pub fn if_changed(mut self) -> Self {
        self.if_changed = true;
        self
    }

    /// Sets the body, at most 1 MiB.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", content_type)
    }

    /// The time limit for the whole answer; 10 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest accepted body, in bytes; 1 MiB by default.
    #[must_use]
    pub fn largest_body(mut self, bytes: usize) -> Self {
        self.largest_body = bytes;
        self
    }

    /// The complete URL, with the query.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The values of the headers with that lower-case name.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn target(&self) -> Result<Target<'_>, HttpError> {
        Target::of(&self.url)
    }
}

/// A URL, split into the parts that the host needs. The host parses it completely; here it is only split.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) https: bool,
    pub(super) authority: &'a str,
    pub(super) path_and_query: &'a str,
}

impl<'a> Target<'a> {
    fn of(url: &'a str) -> Result<Self, HttpError> {
        let bad = |reason: &str| HttpError::Malformed(format!("{url:?} is not a valid URL for a request: {reason}"));
        if url.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(bad("it has a space, a control character or a fragment"));
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(bad("its scheme is neither https nor http")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(end);
        if authority.is_empty() || authority.contains('@') {
            return Err(bad("it must have a host, and no user"));
        }
        Ok(Self { https, authority, path_and_query: if path_and_query.is_empty() { "/" } else { path_and_query } })
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, so that any text becomes one segment of a
/// path, or one value of a query (which [`Request::query`] does by itself).
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_or_refused() {
        for (url, https, authority, path) in [
            ("https://a.example/v1/x?y=1", true, "a.example", "/v1/x?y=1"),
            ("http://127.0.0.1:8080", false, "127.0.0.1:8080", "/"),
            ("http://[::1]:80/", false, "[::1]:80", "/"),
            ("https://a.example?y", true, "a.example", "?y"),
        ] {
            assert_eq!(Target::of(url), Ok(Target { https, authority, path_and_query: path }), "{url}");
        }
        for url in [
            "",
            "a.example/x",
            "ftp://a/",
            "https:///x",
            "https://u:p@a/",
            "https://a/#x",
            "https://a/ b",
            "https://a/\n",
        ] {
            assert!(matches!(Target::of(url), Err(HttpError::Malformed(_))), "{url:?}");
        }
    }

    #[test]
    fn a_query_is_encoded_and_appended() {
        let request = Request::get("https://a/b").query("q", "in:INBOX a&b=c").query("ü", "1");
        assert_eq!(request.url(), "https://a/b?q=in%3AINBOX%20a%26b%3Dc&%C3%BC=1");
        assert_eq!(segment("me@x.org/#1"), "me%40x.org%2F%231");
    }

    #[test]
    fn a_request_for_a_charm_names_it_in_a_header() {
        let charm = CharmRef { space: "did:key:z6Mk".into(), charm_id: "baedrei".into() };
        let request = Request::get("https://a/").charm(&charm);
        assert_eq!(request.headers_named("bg-charm").collect::<Vec<_>>(), ["did:key:z6Mk/baedrei"]);
    }
}
