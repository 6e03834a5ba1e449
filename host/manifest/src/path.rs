//! Which paths a grant is for.

use std::fmt;

use percent_encoding::percent_decode_str;

/// A path, and all that is below it. `/v1` is for `/v1` and `/v1/…`; `/v1/` is for `/v1/…` alone; `/` is for everything.
///
/// Paths are compared as they are sent: upper and lower case are different, and so are two spellings of one character, so
/// that `/V1` and `/%761` are not within `/v1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(String);

/// Why a path is not within a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathMismatch {
    /// It is another path.
    #[error("the path is not within {0}")]
    Outside(PathPrefix),
    /// A server may read it as another path than it seems to be. Only refused where the path matters, so not within `/`.
    #[error(
        "the path has an empty part, or a part that a server may read as another path (such as .., %2f, ;) and so may not be within {0}"
    )]
    Ambiguous(PathPrefix),
}

impl PathPrefix {
    /// The prefix of all paths.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The prefix of that path, as a URL parser gave it; none if a server may read it as another path.
    pub(crate) fn new(path: &str) -> Option<Self> {
        (path == "/" || is_clear(path)).then(|| Self(path.into()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path`, as a URL parser gave it, is within.
    pub fn check(&self, path: &str) -> Result<(), PathMismatch> {
        if self.0 == "/" && path.starts_with('/') {
            return Ok(());
        }
        if !self.contains(path) {
            return Err(PathMismatch::Outside(self.clone()));
        }
        if is_clear(path) { Ok(()) } else { Err(PathMismatch::Ambiguous(self.clone())) }
    }

    fn contains(&self, path: &str) -> bool {
        path.strip_prefix(&self.0).is_some_and(|rest| self.0.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
    }

    /// The paths that are in both; none if there are none.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        if self.contains(&other.0) { Some(other.clone()) } else { other.contains(&self.0).then(|| self.clone()) }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a server has but one way to read `path`: it is absolute, only its last part may be empty, and no part is in doubt.
fn is_clear(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut segments = rest.split('/');
    // Always there: splitting gives at least one.
    let last = segments.next_back().unwrap_or_default();
    (last.is_empty() || is_clear_segment(last))
        && segments.all(|segment| !segment.is_empty() && is_clear_segment(segment))
}

/// Whether a part of a path stays one, and stays where it is, however often a server decodes it and whether or not it drops
/// what follows a `;` and blanks at the ends.
fn is_clear_segment(segment: &str) -> bool {
    let mut text = segment.to_owned();
    loop {
        if text.contains(['/', '\\']) || text.chars().any(|c| c.is_control() || is_like_a_dot_or_slash(c)) {
            return false;
        }
        // What was encoded twice may be a `%` of the text itself by now.
        let is_well_encoded = if text == segment { is_well_encoded(&text) } else { !text.contains("%u") };
        if !is_well_encoded {
            return false;
        }
        let name = text.split(';').next().unwrap_or_default().trim();
        if name.chars().all(|c| c == '.') {
            return false;
        }
        // Each turn but the last makes it shorter. What is not UTF-8 may be an overlong form of a dot or a slash.
        match percent_decode_str(&text).decode_utf8() {
            Err(_) => return false,
            Ok(decoded) if decoded == text => return true,
            Ok(decoded) => text = decoded.into_owned(),
        }
    }
}

/// Whether every `%` stands before two hexadecimal digits. Some servers know other forms, such as `%u002e`.
fn is_well_encoded(text: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    (0..bytes.len())
        .filter(|&at| bytes[at] == b'%')
        .all(|at| is_digit(bytes.get(at + 1)) && is_digit(bytes.get(at + 2)))
}

/// What a server that folds compatible characters, or drops invisible ones, makes a dot or a slash of.
fn is_like_a_dot_or_slash(c: char) -> bool {
    matches!(
        c,
        '\u{2024}'..='\u{2026}' | '\u{ff0e}' | '\u{fe52}' | '\u{3002}' | '\u{ff61}' // dots
            | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' | '\u{ff3c}' | '\u{fe68}' | '\u{29f5}' | '\u{2216}' // slashes
            | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' // nothing to be seen
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_may_fold_into_a_dot_or_a_slash_is_in_doubt() {
        for path in [
            "/v1/%u002e%u002e/admin",
            "/v1/%25u002e%25u002e/admin",
            "/v1/%ef%bc%8e%ef%bc%8e/admin",
            "/v1/..%ef%bc%8fx",
            "/v1/..%e2%88%95x",
            "/v1/.%e2%80%8b./x",
            "/v1/%zz",
            "/v1/a%",
            "/v1/a%2",
        ] {
            assert!(matches!(prefix("/v1/").check(path), Err(PathMismatch::Ambiguous(_))), "{path}");
        }
        for path in ["/v1/%c3%bc", "/v1/a%20b", "/v1/%e2%82%ac"] {
            assert_eq!(prefix("/v1/").check(path), Ok(()), "{path}");
        }
    }

    fn prefix(text: &str) -> PathPrefix {
        PathPrefix::new(text).unwrap()
    }

    #[test]
    fn a_path_is_within_its_prefix_at_whole_parts() {
        let cases = [
            ("/", "/", true),
            ("/", "/a//b;c%2f..", true),
            ("/v1", "/v1", true),
            ("/v1", "/v1/", true),
            ("/v1", "/v1/a", true),
            ("/v1", "/v12", false),
            ("/v1", "/v1;a", false),
            ("/v1", "/", false),
            ("/v1/", "/v1/", true),
            ("/v1/", "/v1/a/b", true),
            ("/v1/", "/v1", false),
            ("/v1/", "/V1/a", false),
            ("/v1/", "/%761/a", false),
            ("/v1/", "//v1/a", false),
        ];
        for (text, path, expected) in cases {
            assert_eq!(prefix(text).check(path).is_ok(), expected, "{path} within {text}");
        }
    }

    #[test]
    fn usual_paths_are_not_in_doubt() {
        for path in [
            "/v1/users/me/messages",
            "/v1/calendars/en.usa%23holiday%40group.v.calendar.google.com/events",
            "/v1/a.b/c..d/.e",
            "/v1/100%25",
            "/v1/a;v=1",
            "/v1/%C3%BC",
            "/v1/a%20b",
        ] {
            assert_eq!(prefix("/v1/").check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_path_that_a_server_may_read_otherwise_is_refused() {
        for part in [
            "",
            "..",
            ".",
            "...",
            "%2e%2e",
            "%2E.",
            "%252e%252e",
            "..;",
            "..;a=b",
            ";a",
            ";",
            ".%3b",
            "..%20",
            "%20",
            "..%00",
            "a%00",
            "%0a",
            "a%2fb",
            "a%2Fb",
            "a%252fb",
            "%25252f",
            "a%5cb",
            "a\\b",
            "%c0%ae%c0%ae",
            "%c0%af",
            "%ff",
            "..%3B",
        ] {
            let path = format!("/v1/{part}/admin");
            assert_eq!(prefix("/v1/").check(&path), Err(PathMismatch::Ambiguous(prefix("/v1/"))), "{path}");
            assert_eq!(PathPrefix::new(&path), None, "{path}");
        }
    }

    #[test]
    fn an_intersection_is_the_narrower_one() {
        let cases = [
            ("/", "/a", Some("/a")),
            ("/a", "/a/", Some("/a/")),
            ("/a/", "/a/b", Some("/a/b")),
            ("/a", "/ab", None),
            ("/a/b", "/a/c", None),
        ];
        for (one, other, expected) in cases {
            assert_eq!(prefix(one).intersection(&prefix(other)), expected.map(prefix), "{one} and {other}");
            assert_eq!(prefix(other).intersection(&prefix(one)), expected.map(prefix), "{other} and {one}");
        }
    }
}
