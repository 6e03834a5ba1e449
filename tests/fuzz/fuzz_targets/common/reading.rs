//! Interpretations of URLs, independent of the parser under test.

use percent_encoding::percent_decode_str;

/// The part between `://` and the path.
pub struct Authority<'t> {
    /// The host as written.
    pub host: &'t str,
    /// The port, if there is one.
    pub port: Option<u16>,
}

/// The authority of an absolute URL without a user name.
pub fn authority(text: &str) -> Option<Authority<'_>> {
    let (_, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = &rest[..end];
    // The colons of an IPv6 address come before its bracket.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (authority, None),
    };
    (!host.contains('@')).then_some(Authority { host, port })
}

/// The ways in which servers are known to read a path: not decoded, decoded once or twice, with full-width characters
/// made ASCII or not, with or without what follows a `;`, and always with `\` as `/`, slashes merged and dots resolved.
pub fn paths(path: &str) -> Vec<String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let once = decode(path);
    let twice = decode(&once);
    let narrow = ascii(&once);
    let narrow_decoded = decode(&narrow);
    let mut readings = Vec::new();
    for text in [path.to_owned(), once, ascii(&twice), twice, narrow, ascii(&narrow_decoded), narrow_decoded] {
        for parameters in [true, false] {
            let text = text.replace('\\', "/");
            let mut parts: Vec<&str> = Vec::new();
            for part in text.split('/') {
                let part = if parameters { part } else { part.split(';').next().unwrap_or_default() };
                match part.trim_matches(|c: char| c.is_whitespace() || c == '\0') {
                    "" | "." => {}
                    ".." => {
                        parts.pop();
                    }
                    _ => parts.push(part),
                }
            }
            readings.push(format!("/{}", parts.join("/")));
        }
    }
    readings
}

/// Maps full-width characters and dots to ASCII.
fn ascii(text: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{2024}' | '\u{fe52}' => '.',
        '\u{fe68}' => '\\',
        other => other,
    };
    text.chars().map(narrow).collect::<String>().replace('\u{2025}', "..")
}

/// Whether a path read this way is `prefix`, or below it.
pub fn is_within(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    // Granted names may contain what is decoded here: `/a%20b` is granted, and read as `/a b`.
    paths(prefix).iter().any(|prefix| {
        let prefix = prefix.trim_end_matches('/');
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
