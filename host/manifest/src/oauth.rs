//! Where the people of an integration's charms sign in.

use serde::{Deserialize, Deserializer, Serialize, de};

/// More scopes than a person would agree to.
const MAX_SCOPES: usize = 64;

/// What the charms of an integration need a sign-in for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuthEntry {
    /// The provider, such as `google`: one that the host knows, or that the operator configures.
    #[serde(deserialize_with = "provider")]
    pub provider: String,
    /// The scopes that a person is asked for, beside those that every sign-in at the provider asks for. At most 64.
    #[serde(default, deserialize_with = "scopes")]
    pub scopes: Vec<String>,
}

fn provider<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let fits = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits && (1..=32).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Ok(name);
    }
    Err(de::Error::custom("a provider has a name of 1 to 32 of a to z, 0 to 9 and -, a letter first, such as google"))
}

/// RFC 6749, section 3.3.
fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let scopes = Vec::<String>::deserialize(deserializer)?;
    if scopes.len() > MAX_SCOPES {
        return Err(de::Error::custom(format!("it has more than {MAX_SCOPES} scopes")));
    }
    let fits = |scope: &String| {
        (1..=300).contains(&scope.len())
            && scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b','))
    };
    match scopes.iter().find(|scope| !fits(scope)) {
        None => Ok(scopes),
        Some(scope) => Err(de::Error::custom(format!(
            "{scope:?} is not a scope: 1 to 300 visible ASCII characters, without quotes, commas and \\"
        ))),
    }
}
