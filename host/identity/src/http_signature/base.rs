//! The text that is signed.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use sfv::{InnerList, ListEntry, ListSerializer};
use sha2::{Digest, Sha256};

/// The covered components, in the order in which we sign them. Verification accepts any order.
pub(super) const COMPONENTS: [&str; 5] = ["@method", "@authority", "@path", "@query", "content-digest"];

/// The values of the covered components of one request.
pub(super) struct Components<'a> {
    pub(super) method: &'a Method,
    /// In lower case; with the port only if it is not the scheme's default.
    pub(super) authority: &'a str,
    /// Never empty.
    pub(super) path: &'a str,
    /// Without its question mark; an absent query equals an empty one.
    pub(super) query: &'a str,
    /// The value of the header `content-digest`.
    pub(super) digest: &'a str,
}

impl Components<'_> {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "@method" => Some(self.method.to_string()),
            "@authority" => Some(self.authority.to_owned()),
            "@path" => Some(self.path.to_owned()),
            "@query" => Some(format!("?{}", self.query)),
            "content-digest" => Some(self.digest.to_owned()),
            _ => None,
        }
    }

    /// The text that is signed (RFC 9421, section 2.5) for the covered components `list` and its parameters. `None` if
    /// one of them is unknown.
    pub(super) fn signature_base(&self, list: &InnerList) -> Option<String> {
        let mut base = String::new();
        for item in &list.items {
            let name = item.bare_item.as_string()?.as_str();
            for part in ["\"", name, "\": ", &self.value(name)?, "\n"] {
                base.push_str(part);
            }
        }
        Some(format!("{base}\"@signature-params\": {}", serialized(list)))
    }
}

/// A list of covered components as text, in its canonical form.
pub(super) fn serialized(list: &InnerList) -> String {
    let mut serializer = ListSerializer::new();
    serializer.members([&ListEntry::InnerList(list.clone())]);
    serializer.finish().expect("a list with one member is never omitted")
}

/// The value of `content-digest` for a body.
pub(super) fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// Whole seconds since 1970, the unit of the parameters `created` and `expires`.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
