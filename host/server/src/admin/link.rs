//! Addresses of pages.

use bg_poller::CharmRef;
use sha2::{Digest, Sha256};
use url::form_urlencoded::Serializer;

/// The page of a charm. A DID and an ID need no escaping in a path.
pub(super) fn charm(charm: &CharmRef) -> String {
    format!("/admin/charms/{}/{}", charm.space, charm.charm)
}

/// A page with a query; empty values are left out.
pub(super) fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The address of the login page, which shows `said` and continues to `next`.
pub(super) fn login(said: &str, next: &str) -> String {
    let next = if next == "/admin" { "" } else { next };
    with_query("/admin/login", &[("said", said), ("next", next)])
}

/// The ID of a charm's row in a page: short, and without special characters.
pub(super) fn key(charm: &CharmRef) -> String {
    let digest = Sha256::digest(charm.to_string().as_bytes());
    format!("r{}", data_encoding::HEXLOWER.encode(&digest[..8]))
}

/// Whether this is an address of these pages, not of another server.
pub(super) fn is_own(address: &str) -> bool {
    let rest = address.strip_prefix("/admin");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        && address.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_these_pages_only() {
        for (address, own) in [
            ("/admin", true),
            ("/admin?state=failing&search=a%20b", true),
            ("/admin/charms/a/b", true),
            ("/administer", false),
            ("//evil.example/admin", false),
            ("https://evil.example/admin", false),
            ("/admin\\..", false),
            ("/admin?\r\nx", false),
            ("", false),
        ] {
            assert_eq!(is_own(address), own, "{address}");
        }
    }

    #[test]
    fn a_query_leaves_out_empty_values() {
        assert_eq!(with_query("/admin", &[("a", ""), ("b", "c d&e")]), "/admin?b=c+d%26e");
        assert_eq!(with_query("/admin", &[("a", "")]), "/admin");
    }
}
