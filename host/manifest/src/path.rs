//! Which paths a grant covers.

use std::fmt;

use bg_identity::is_hidden;
use icu_normalizer::ComposingNormalizerBorrowed;
use percent_encoding::percent_decode_str;

/// A path, and everything below it. `/v1` covers `/v1` and `/v1/…`; `/v1/` covers only `/v1/…`; `/` covers everything.
///
/// Paths are compared as they are sent: upper and lower case differ, and so do two encodings of one character, so that
/// `/V1` and `/%761` are not within `/v1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(String);

/// Why a path is not within a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathMismatch {
    /// It is another path.
    #[error("the path is not within {0}")]
    Outside(PathPrefix),
    /// A server may read it as another path than it seems to be. Refused only if the path matters, so not within `/`.
    #[error(
        "the path has an empty part, or a part that a server may read as another path (such as .., %2f, ;) and so may \
        lie outside {0}"
    )]
    Ambiguous(PathPrefix),
}

impl PathPrefix {
    /// The prefix of all paths.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The prefix for a path from a URL parser; `None` if a server may read it as another path.
    pub(crate) fn new(path: &str) -> Option<Self> {
        (path == "/" || is_clear(path)).then(|| Self(path.into()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks whether `path`, from a URL parser, is within the prefix.
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

    /// The paths that both cover; `None` if there are none.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        if self.contains(&other.0) { Some(other.clone()) } else { other.contains(&self.0).then(|| self.clone()) }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether every server reads `path` the same way: it is absolute, only its last part may be empty, and no part is
/// ambiguous.
fn is_clear(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut segments = rest.split('/');
    // There is always a last part: splitting yields at least one.
    let last = segments.next_back().unwrap_or_default();
    (last.is_empty() || is_clear_segment(last))
        && segments.all(|segment| !segment.is_empty() && is_clear_segment(segment))
}

/// Whether a part of a path remains one part, in its place, however a server reads it: whether it decodes repeatedly,
/// normalizes compatible characters (NFKC) before or after that, drops invisible characters, reads `\` as `/`, drops
/// what follows a `;` or a `:`, or drops dots and blanks at the end.
fn is_clear_segment(segment: &str) -> bool {
    if !is_well_encoded(segment) {
        return false;
    }
    let mut text = segment.to_owned();
    loop {
        // Each round computes every form that a server may have reached so far, none of which may be ambiguous. An
        // ambiguous text stays ambiguous when it is normalized or decoded, so the server's order of steps does not
        // matter.
        let normal = NFKC.normalize(&text).into_owned();
        if [&text, &normal].into_iter().any(|text| is_in_doubt(text)) {
            return false;
        }
        // Invalid UTF-8 may be an overlong form of a dot or a slash.
        match percent_decode_str(&normal).decode_utf8() {
            Err(_) => return false,
            Ok(decoded) if decoded == text => return true,
            // Normalized, or shorter than before, so the loop ends.
            Ok(decoded) => text = decoded.into_owned(),
        }
    }
}

/// Unicode's normal form that merges compatible characters: `％` is `%`, and `．` is `.`.
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();

/// Whether a server may read a text as several parts of a path, or as one that leads elsewhere.
fn is_in_doubt(text: &str) -> bool {
    // Some servers accept an escape for two-byte characters, `%u002e`.
    let has_wide_escape = text.as_bytes().windows(2).any(|pair| pair[0] == b'%' && pair[1].eq_ignore_ascii_case(&b'u'));
    let name = text.split([';', ':']).next().unwrap_or_default();
    has_wide_escape
        || text.contains(['/', '\\'])
        || text.chars().any(|c| is_hidden(c) || is_like_a_dot_or_slash(c))
        || name.chars().all(|c| c == '.' || c.is_whitespace())
}

/// Whether every `%` is followed by two hexadecimal digits.
fn is_well_encoded(text: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    (0..bytes.len())
        .filter(|&at| bytes[at] == b'%')
        .all(|at| is_digit(bytes.get(at + 1)) && is_digit(bytes.get(at + 2)))
}

/// Characters that are not a dot or a slash even in NFKC, but become one in a server that converts text to an old
/// Windows character set, which substitutes similar characters ("best fit"). Also characters that take the place of one
/// in such a set, like the yen sign in the Japanese one.
fn is_like_a_dot_or_slash(c: char) -> bool {
    matches!(
        c,
        '\u{3002}' | '\u{ff61}' // dots
            | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{29f5}' | '\u{2216}' | '\u{2571}' | '\u{2572}' | '\u{20e5}' // slashes
            | '\u{337}' | '\u{338}' | '\u{a5}' | '\u{20a9}' // slashes that strike through, the yen and the won
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_a_server_may_fold_into_a_dot_or_a_slash_are_ambiguous() {
        for path in [
            "/v1/%u002e%u002e/admin",
            "/v1/%25u002e%25u002e/admin",
            "/v1/%ef%bc%8e%ef%bc%8e/admin",
            "/v1/..%ef%bc%8fx",
            "/v1/..%e2%88%95x",
            "/v1/.%e2%80%8b./x",
            // A full-width percent sign, digits and letters.
            "/v1/%ef%bc%852e%ef%bc%852e/admin",
            "/v1/%ef%bc%85%ef%bc%92%ef%bd%85%ef%bc%85%ef%bc%92%ef%bd%85/admin",
            "/v1/%25ef%25bc%258e%25ef%25bc%258e/admin",
            "/v1/..%ef%bc%852fx",
            "/v1/%ef%bc%85%ef%bd%95002e",
            "/v1/..%ef%bc%9bx/admin",
            // One-dot and two-dot leaders, an ellipsis, the sign for "care of", a small dot, a small backslash.
            "/v1/%e2%80%a4%e2%80%a4/x",
            "/v1/%e2%80%a5/x",
            "/v1/%e2%80%a6/x",
            "/v1/a%e2%84%85b",
            "/v1/%ef%b9%92%ef%b9%92/x",
            "/v1/..%ef%b9%a8x",
            // Characters that replace the backslash in old character sets, and a fraction with its slash.
            "/v1/..%c2%a5x",
            "/v1/..%ef%bf%a6x",
            "/v1/..%c2%bdx",
            // Blanks and dots at the end, a file stream, invisible letters.
            "/v1/..%20./x",
            "/v1/.%c2%a0./x",
            "/v1/..::$DATA/x",
            "/v1/..%3a$i30/x",
            "/v1/.%cd%8f./x",
            "/v1/.%e3%85%a4./x",
            "/v1/%U002e%U002e/x",
            "/v1/%zz",
            "/v1/a%",
            "/v1/a%2",
        ] {
            assert!(matches!(prefix("/v1/").check(path), Err(PathMismatch::Ambiguous(_))), "{path}");
        }
        for path in [
            "/v1/%c3%bc",
            "/v1/u%cc%88",
            "/v1/a%20b",
            "/v1/%e2%82%ac",
            "/v1/urn:a:b",
            "/v1/%e6%97%a5%e6%9c%ac",
            "/v1/%ef%bc%a1%ef%bd%82",
            "/v1/%f0%9f%93%a7",
            "/v1/%ef%ac%81le",
        ] {
            assert_eq!(prefix("/v1/").check(path), Ok(()), "{path}");
        }
    }

    fn prefix(text: &str) -> PathPrefix {
        PathPrefix::new(text).unwrap()
    }

    #[test]
    fn a_prefix_matches_whole_parts_only() {
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
    fn ordinary_paths_are_not_ambiguous() {
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
    fn a_path_that_a_server_may_read_differently_is_refused() {
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
