//! The only way from a text to a URL that may be requested.

use url::{Host, Url};

/// The longest accepted URL; most servers accept this length.
pub const MAX_URL_BYTES: usize = 8192;

/// Why a text is not a URL that may be requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It does not start with `https://` or `http://`.
    #[error("a URL starts with https:// or http://")]
    Scheme,
    /// It is longer than [`MAX_URL_BYTES`].
    #[error("a URL has at most {MAX_URL_BYTES} bytes")]
    TooLong,
    /// It contains a space, a tab, a newline, another control character or a backslash, which parsers interpret
    /// differently.
    #[error("a URL has no spaces, control characters or backslashes")]
    Character,
    /// It has a user name or a password before the host.
    #[error("a URL has no user name or password here (something before an @)")]
    UserInfo,
    /// The host is missing, or is neither a host name nor an IP address.
    #[error("the URL has no valid host{0}")]
    Host(String),
    /// The host's name ends with a dot, has an empty or too long part, or a character that host names do not have.
    #[error(
        "a host name has letters, digits, - and _ between its dots, no empty parts, no dot at its end, and at most \
        253 characters (63 between two dots)"
    )]
    HostName,
    /// The port is not a number from 1 to 65535.
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
    /// Its path contains a `.` or `..`, in any spelling.
    #[error("a URL's path has no . or .. between its slashes here")]
    Dots,
    /// It contains a `#`.
    #[error("a URL has no # here; what follows it is never sent")]
    Fragment,
    /// The URL parser refused it for another reason.
    #[error("this is not a URL: {0}")]
    Other(url::ParseError),
}

/// Parses the URL of a request. Stricter than browsers: where parsers are known to disagree, the text is refused
/// instead of corrected.
///
/// The result is in normal form: host in lower case and ASCII, IP addresses in canonical spelling, no default port.
pub fn parse_target(text: &str) -> Result<Url, TargetError> {
    check_raw(text)?;
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::EmptyHost => TargetError::Host(String::new()),
        url::ParseError::InvalidPort => TargetError::Port,
        url::ParseError::IdnaError
        | url::ParseError::InvalidIpv4Address
        | url::ParseError::InvalidIpv6Address
        | url::ParseError::InvalidDomainCharacter => TargetError::Host(format!(": {error}")),
        other => TargetError::Other(other),
    })?;
    check_url(&url)?;
    Ok(url)
}

/// Checks what is only visible in the text, since the parser corrects or drops it.
fn check_raw(text: &str) -> Result<(), TargetError> {
    if text.len() > MAX_URL_BYTES {
        return Err(TargetError::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(TargetError::Character);
    }
    let after = |scheme: &str| {
        text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &text[scheme.len()..])
    };
    let rest = after("https://").or_else(|| after("http://")).ok_or(TargetError::Scheme)?;
    if rest.contains('#') {
        return Err(TargetError::Fragment);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(TargetError::UserInfo);
    }
    if authority.is_empty() || authority.contains('%') {
        return Err(TargetError::Host(String::new()));
    }
    if authority.ends_with(':') {
        return Err(TargetError::Port);
    }
    let path = path.split('?').next().unwrap_or_default();
    if path.split('/').any(|segment| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")) {
        return Err(TargetError::Dots);
    }
    Ok(())
}

/// Checks what is visible in any [`Url`], wherever it came from.
pub(crate) fn check_url(url: &Url) -> Result<(), TargetError> {
    // The normal form is three times as long as the text if that is not ASCII.
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(TargetError::TooLong);
    }
    if !matches!(url.scheme(), "https" | "http") {
        return Err(TargetError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::UserInfo);
    }
    if url.port() == Some(0) {
        return Err(TargetError::Port);
    }
    match url.host() {
        None => Err(TargetError::Host(String::new())),
        Some(Host::Domain(name)) if !is_host_name(name) => Err(TargetError::HostName),
        Some(_) => Ok(()),
    }
}

/// Whether the parts between the dots have 1 to 63 characters, at most 253 in all (RFC 1035), and consist of letters,
/// digits and hyphens, or underscores, which the DNS has, too. The URL parser would accept characters that a grant
/// (`*`), a shell (`$`, `'`) or an HTTP parser interprets.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_urls_are_normalized() {
        let cases = [
            ("https://example.com", "https://example.com/"),
            ("HTTPS://EXAMPLE.com:443/A?b=/../c", "https://example.com/A?b=/../c"),
            ("http://127.1:8080/", "http://127.0.0.1:8080/"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("http://[::1]:9/x//y", "http://[::1]:9/x//y"),
            ("https://a.example/...", "https://a.example/..."),
            ("https://a.example?q@d", "https://a.example/?q@d"),
            ("https://_a-1.example/", "https://_a-1.example/"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_target(text).unwrap().as_str(), expected, "{text}");
        }
    }

    #[test]
    fn urls_that_parsers_disagree_on_are_refused() {
        let long_label = format!("https://{}.example/", "a".repeat(64));
        let long_name = format!("https://{}example/", "a.".repeat(130));
        let long = format!("https://a.example/{}", "a".repeat(MAX_URL_BYTES));
        let longer_when_encoded = format!("https://a.example/{}", "\u{fc}".repeat(MAX_URL_BYTES / 4));
        let cases = [
            ("", TargetError::Scheme),
            ("example.com", TargetError::Scheme),
            ("ftp://example.com/", TargetError::Scheme),
            ("https:/example.com/", TargetError::Scheme),
            ("https:example.com", TargetError::Scheme),
            ("file:///etc/passwd", TargetError::Scheme),
            (" https://example.com/", TargetError::Character),
            ("https://exa\tmple.com/", TargetError::Character),
            ("https://example.com/\n", TargetError::Character),
            ("https://example.com\\@evil.example/", TargetError::Character),
            ("https://example.com/a\u{a0}b", TargetError::Character),
            ("https://user:pw@example.com/", TargetError::UserInfo),
            ("https://@example.com/", TargetError::UserInfo),
            ("https://example.com@evil.example/", TargetError::UserInfo),
            ("https://example.com#@evil.example/", TargetError::Fragment),
            ("https://example.com/x#y", TargetError::Fragment),
            ("https:///example.com/", TargetError::Host(String::new())),
            ("https://", TargetError::Host(String::new())),
            ("https://?x", TargetError::Host(String::new())),
            ("https://ex%61mple.com/", TargetError::Host(String::new())),
            ("https://example.com%00.evil.example/", TargetError::Host(String::new())),
            ("https://example.com./", TargetError::HostName),
            ("https://a..example/", TargetError::HostName),
            ("https://.example/", TargetError::HostName),
            (&long_label, TargetError::HostName),
            (&long_name, TargetError::HostName),
            ("https://*.example.com/", TargetError::HostName),
            ("https://a'b.example/", TargetError::HostName),
            ("https://$(id).example/", TargetError::HostName),
            ("https://a;b.example/", TargetError::HostName),
            ("https://a!b.example/", TargetError::HostName),
            (&long, TargetError::TooLong),
            (&longer_when_encoded, TargetError::TooLong),
            ("https://example.com:0/", TargetError::Port),
            ("https://example.com:/", TargetError::Port),
            ("https://example.com:65536/", TargetError::Port),
            ("https://example.com:x/", TargetError::Port),
            ("https://example.com/a/../b", TargetError::Dots),
            ("https://example.com/a/..", TargetError::Dots),
            ("https://example.com/./a", TargetError::Dots),
            ("https://example.com/a/%2e%2E/b", TargetError::Dots),
            ("https://example.com/a/.%2e?x", TargetError::Dots),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_target(text), Err(expected), "{text}");
        }
        for text in ["https://[::1", "https://[fe80::1%25eth0]/", "https://256.256.256.256/", "https://a^b/"] {
            assert!(matches!(parse_target(text), Err(TargetError::Host(_))), "{text}");
        }
    }
}
