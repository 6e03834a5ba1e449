//! Which headers may pass, in either direction.

mod refused;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::error::{EgressError, Part, Rule};
use crate::limits::HttpLimits;
pub(crate) use refused::{are_alike, sets};

use refused::Sets;

/// The header in which a guest names the charm whose credential it wants. It never leaves the host.
pub(crate) const CHARM_HEADER: HeaderName = HeaderName::from_static("bg-charm");

/// Bytes of a charm's name: a space's DID (56), a slash, a charm ID (at most 128), and some slack.
const CHARM_BYTES: usize = 256;

/// The default `User-Agent`. Some APIs refuse requests without one.
const USER_AGENT: &str = concat!("bg-wasm-host/", env!("CARGO_PKG_VERSION"));

/// The headers of a request that passed the checks.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What is sent: without `bg-charm` and `content-length`.
    pub(crate) headers: HeaderMap,
    /// The body's length, if the guest announced it.
    pub(crate) length: Option<u64>,
}

/// Removes `bg-charm`. Fails if there are several, or if the value is not the name of a charm.
pub(crate) fn take_charm(headers: &mut HeaderMap) -> Result<Option<String>, EgressError> {
    let mut values = headers.get_all(&CHARM_HEADER).iter();
    let charm = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(_), Some(_)) => Err(EgressError::Request(format!("more than one {CHARM_HEADER} header"))),
        (Some(value), None) => value
            .to_str()
            .ok()
            .filter(|text| is_charm_name(text))
            .map(str::to_owned)
            .ok_or_else(|| EgressError::Request(format!("the {CHARM_HEADER} header names no charm"))),
    };
    headers.remove(&CHARM_HEADER);
    charm.map(Some)
}

/// Allows only the characters of charm names, so that the text can be logged and compared as it is. The credential
/// source decides whether such a charm exists.
fn is_charm_name(text: &str) -> bool {
    (1..=CHARM_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/._-".contains(&byte))
}

pub(crate) fn check(mut headers: HeaderMap, limits: &HttpLimits) -> Result<Checked, EgressError> {
    if headers.len() > limits.request_headers {
        return Err(EgressError::TooLarge { what: Part::RequestHeaders, limit: limits.request_headers as u64 });
    }
    if bytes_of(&headers) > limits.request_header_bytes {
        return Err(EgressError::TooLarge {
            what: Part::RequestHeaderBytes,
            limit: limits.request_header_bytes as u64,
        });
    }
    for name in headers.keys() {
        // `content_length` reads its value below.
        if *name != header::CONTENT_LENGTH
            && let Some(sets) = sets(name)
        {
            let message = format!("a guest may not set the header {name}: {sets}");
            return Err(EgressError::Denied { rule: Rule::Header, message, option: None });
        }
    }
    let length = content_length(&headers)?;
    // hyper writes it again from the body's size hint, and the body is held to this length.
    headers.remove(header::CONTENT_LENGTH);
    Ok(Checked { headers, length })
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, EgressError> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let bad = |what: &str| Err(EgressError::Request(format!("{what} content-length header")));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => bad("more than one"),
        (Some(value), None) => match value.to_str() {
            // `parse` would accept a plus sign.
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => match text.parse() {
                Ok(length) => Ok(Some(length)),
                Err(_) => bad("a malformed"),
            },
            _ => bad("a malformed"),
        },
    }
}

/// Adds the headers that a browser sends with every request and a guest may omit: `Accept`, `User-Agent`, and
/// `Content-Length: 0` where the method makes servers expect a body. For a body that is not empty, hyper writes the
/// `length` itself. `said` is the length that the guest announced.
pub(crate) fn complete(headers: &mut HeaderMap, method: &Method, length: Option<u64>, said: Option<u64>) {
    for (name, value) in [(header::ACCEPT, "*/*"), (header::USER_AGENT, USER_AGENT)] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // The Fetch standard, HTTP-network-or-cache fetch: `0` for POST and PUT without a body, and for any empty body. A
    // guest can mark an empty body only by its header. GET and HEAD have no body.
    let expects_a_body = matches!(*method, Method::POST | Method::PUT);
    let has_a_body = said.is_some() && !matches!(*method, Method::GET | Method::HEAD);
    if length == Some(0) && (expects_a_body || has_a_body) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Checks the headers or trailers of a response, and removes those that describe the connection, which ends here.
pub(crate) fn check_response(headers: &mut HeaderMap, limits: &HttpLimits) -> Result<(), EgressError> {
    if headers.len() > limits.response_headers {
        return Err(EgressError::TooLarge { what: Part::ResponseHeaders, limit: limits.response_headers as u64 });
    }
    if bytes_of(headers) > limits.response_header_bytes {
        let limit = limits.response_header_bytes as u64;
        return Err(EgressError::TooLarge { what: Part::ResponseHeaderBytes, limit });
    }
    let is_connections = |name: &HeaderName| *name != header::CONTENT_LENGTH && sets(name) == Some(Sets::Connection);
    let connection: Vec<HeaderName> = headers.keys().filter(|name| is_connections(name)).cloned().collect();
    for name in connection {
        headers.remove(name);
    }
    Ok(())
}

fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    #[test]
    fn headers_of_the_connection_are_refused() {
        for name in [
            "Connection",
            "Keep-Alive",
            "Proxy-Connection",
            "Proxy-Authorization",
            "Proxy-Authenticate",
            "Proxy-Anything",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "HTTP2-Settings",
            "Host",
            "Expect",
        ] {
            let error = check(map(&[(name, "x")]), &HttpLimits::default()).unwrap_err();
            let name = name.to_lowercase();
            let (expected, rest) = (format!("a guest may not set the header {name}: "), error.to_string());
            assert!(rest.starts_with(&expected), "{rest}");
            assert!(matches!(error, EgressError::Denied { rule: Rule::Header, option: None, .. }), "{error:?}");
        }
    }

    #[test]
    fn headers_that_would_change_the_request_are_refused_and_named() {
        for (name, sets) in [
            ("x_http_method_override", "method"),
            ("X-Original-URL", "path"),
            ("x.forwarded.host", "client's address"),
            ("x-host", "host"),
            ("x_scheme", "scheme"),
            ("x-webauth-user", "identity"),
        ] {
            let error = check(map(&[("accept", "*/*"), (name, "x")]), &HttpLimits::default()).unwrap_err().to_string();
            assert!(error.contains(&name.to_lowercase()) && error.contains(sets), "{error}");
        }
        // Some servers read this as the length of the body; hyper does not.
        assert!(check(map(&[("content_length", "9")]), &HttpLimits::default()).is_err());
    }

    #[test]
    fn ordinary_headers_pass_unchanged() {
        let given =
            map(&[("accept", "application/json"), ("x-one", "1"), ("x-one", "2"), ("authorization", "Bearer a")]);
        let checked = check(given.clone(), &HttpLimits::default()).unwrap();
        assert_eq!(checked.headers, given);
        assert_eq!(checked.length, None);
    }

    #[test]
    fn only_one_plain_content_length_is_taken() {
        let length = |pairs: &[(&str, &str)]| check(map(pairs), &HttpLimits::default()).map(|checked| checked.length);
        assert_eq!(length(&[("content-length", "12")]).unwrap(), Some(12));
        for bad in ["+1", "-1", "1, 1", "0x10", "1 ", "99999999999999999999999", ""] {
            assert!(length(&[("content-length", bad)]).is_err(), "{bad:?}");
        }
        assert!(length(&[("content-length", "1"), ("content-length", "1")]).is_err());
        assert!(length(&[("content-length", "1"), ("transfer-encoding", "chunked")]).is_err());
    }

    #[test]
    fn the_charm_header_is_removed_and_only_one_is_allowed() {
        let name = "did:key:z6Mk/baedrei-x_y.z";
        let mut headers = map(&[("bg-charm", name), ("accept", "*/*")]);
        assert_eq!(take_charm(&mut headers).unwrap().as_deref(), Some(name));
        assert_eq!(headers, map(&[("accept", "*/*")]));

        let mut two = map(&[("bg-charm", name), ("bg-charm", name)]);
        assert!(take_charm(&mut two).is_err());
        assert!(two.is_empty(), "removed in any case");
        for bad in ["", "a, b", "a b", "\u{e9}", &"x".repeat(257)] {
            assert!(take_charm(&mut map(&[("bg-charm", bad)])).is_err(), "{bad:?}");
        }
        assert_eq!(take_charm(&mut HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn the_number_and_the_bytes_of_headers_are_limited() {
        let limits = HttpLimits::default();
        let many: Vec<(String, &str)> = (0..=limits.request_headers).map(|n| (format!("x-{n}"), "")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert!(matches!(check(map(&many), &limits), Err(EgressError::TooLarge { what: Part::RequestHeaders, .. })));
        assert!(check(map(&many[1..]), &limits).is_ok());
        let large = "x".repeat(limits.request_header_bytes);
        assert!(matches!(
            check(map(&[("a", &large)]), &limits),
            Err(EgressError::TooLarge { what: Part::RequestHeaderBytes, .. })
        ));
        let large = "x".repeat(limits.response_header_bytes);
        assert!(check_response(&mut map(&[("a", &large)]), &limits).is_err());
    }

    #[test]
    fn a_response_loses_the_headers_that_describe_its_connection() {
        let mut headers = map(&[("connection", "close"), ("transfer-encoding", "chunked"), ("location", "/x")]);
        check_response(&mut headers, &HttpLimits::default()).unwrap();
        assert_eq!(headers, map(&[("location", "/x")]));
    }

    proptest! {
        #[test]
        fn no_header_that_describes_the_connection_or_names_the_charm_ever_passes(
            names in proptest::collection::vec(
                prop_oneof![
                    "[a-z][a-z0-9-]{0,12}",
                    "proxy-[a-z]{0,6}",
                    "(connection|host|te|trailer|transfer-encoding|upgrade|keep-alive|expect|bg-charm|content-length)",
                    "x[-_.]?(forwarded|http[-_]method|original[-_.]url|real[-_]ip)[-_.!$]?[a-z]{0,6}",
                ],
                0..6,
            ),
            value in "[!-~]{1,8}",
        ) {
            let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
            let mut headers = map(&pairs);
            if take_charm(&mut headers).is_ok()
                && let Ok(checked) = check(headers, &HttpLimits::default())
            {
                for name in checked.headers.keys() {
                    prop_assert!(name != CHARM_HEADER && name != header::CONTENT_LENGTH);
                    // As a CGI server reads it, in any spelling.
                    let folded: HeaderName = name.as_str().replace(['_', '.', '!', '$'], "-").parse().unwrap();
                    prop_assert!(sets(name).is_none() && sets(&folded).is_none(), "{name}");
                }
            }
        }
    }
}
