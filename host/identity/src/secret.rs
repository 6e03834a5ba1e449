//! Texts that must not be shown.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A secret text, such as a bearer token. It can't be printed or serialized by accident, and its memory is cleared when
/// it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text` as a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text. Callers must not let it reach a log, an error or a guest.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password" })
    }
}

/// Shown in place of a secret.
pub const SECRET_MASK: &str = "(secret)";

/// In bytes. No service accepts shorter texts as secrets, and they would match all over a message.
const SHORTEST: usize = 6;

/// The text, with [`SECRET_MASK`] in place of each of these secrets, plain or JSON-escaped. Secrets of less than 6
/// bytes are ignored.
pub fn mask<'a>(text: &'a str, secrets: &[Secret]) -> Cow<'a, str> {
    let in_json: Vec<Zeroizing<String>> = secrets.iter().filter_map(in_json).collect();
    let mut found: Vec<&str> =
        secrets.iter().map(Secret::expose).chain(in_json.iter().map(|form| form.as_str())).collect();
    found.retain(|secret| secret.len() >= SHORTEST && text.contains(secret));
    // Longer ones first: otherwise a secret that contains another one would be masked only in part.
    found.sort_unstable_by_key(|secret| Reverse(secret.len()));
    let mut masked = Cow::Borrowed(text);
    for secret in found {
        masked = Cow::Owned(masked.replace(secret, SECRET_MASK));
    }
    masked
}

/// A secret as escaped in JSON, if that differs: for example, a key with line breaks that is logged as part of an
/// object.
fn in_json(secret: &Secret) -> Option<Zeroizing<String>> {
    let text = secret.expose();
    if text.len() < SHORTEST || !text.contains(|c: char| c.is_ascii_control() || c == '"' || c == '\\') {
        return None;
    }
    let json = Zeroizing::new(serde_json::to_string(text).ok()?);
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    Some(Zeroizing::new(inside.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("ya29.token".into());
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "Secret(…) Some(\n    Secret(…),\n)");
        assert_eq!(secret.expose(), "ya29.token");
    }

    /// Inspects the memory where the secret was. The allocator may have written to its first bytes meanwhile.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_secrets_memory_is_cleared_when_it_is_dropped() {
        use std::os::unix::fs::FileExt as _;
        const LENGTH: usize = 4096;
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let rest_of = |address: u64| {
            let mut bytes = vec![0; LENGTH - 64];
            memory.read_exact_at(&mut bytes, address + 64).unwrap();
            bytes
        };
        let secret = Secret::new("s".repeat(LENGTH));
        let address = secret.expose().as_ptr() as u64;
        assert!(rest_of(address).iter().all(|byte| *byte == b's'));
        drop(secret);
        assert!(!rest_of(address).contains(&b's'));
        // An ordinary text is found there.
        let text = "t".repeat(LENGTH);
        let address = text.as_ptr() as u64;
        drop(text);
        assert!(rest_of(address).contains(&b't'));
    }

    #[test]
    fn longer_secrets_are_masked_first_and_the_shortest_not_at_all() {
        let secrets = ["no", "ya29.token", "ya29.token-2", "", "secret"].map(|text| Secret::new(text.into()));
        let masked = mask("401 for ya29.token-2 and ya29.token, no", &secrets);
        assert_eq!(masked, "401 for (secret) and (secret), no");
        assert!(matches!(mask("nothing", &secrets), Cow::Borrowed("nothing")));
    }

    #[test]
    fn a_secret_is_masked_in_its_json_form_too() {
        let key = "-----BEGIN KEY-----\nMIIE\"\\vQ\n-----END KEY-----\n";
        let secrets = ["a\nb", key].map(|text| Secret::new(text.into()));
        let json = serde_json::json!({"key": key, "user": "ann", "short": "a\nb"}).to_string();
        assert_eq!(mask(&json, &secrets), r#"{"key":"(secret)","short":"a\nb","user":"ann"}"#);
        assert_eq!(mask(&format!("as it is: {key}"), &secrets), "as it is: (secret)");
    }
}
