//! Where an attached credential comes from.

use std::fmt;
use std::str::FromStr;

use crate::scheme::CredentialScheme;
use crate::text::text_serde;

const MAX_PARTS: usize = 8;
const MAX_PART_CHARS: usize = 64;

/// What the gate adds to a request: a secret of the charm that the request is made for, and how it is sent. Written as
/// the path alone if it is sent as a bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Where the secret is.
    pub path: CredentialPath,
    /// How it is sent.
    pub scheme: CredentialScheme,
}

impl From<CredentialPath> for Credential {
    fn from(path: CredentialPath) -> Self {
        Self { path, scheme: CredentialScheme::Bearer }
    }
}

impl FromStr for Credential {
    type Err = ParseCredentialPathError;

    /// A path: a bearer token.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(CredentialPath::into)
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)?;
        if self.scheme.is_bearer() { Ok(()) } else { write!(f, " as {}", self.scheme) }
    }
}

/// Where the gate finds a secret: a path within the charm that the request is made for, written
/// `charm.auth.token`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialPath(Vec<String>);

/// A text that is not the path of a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a credential is named by a path within the charm, such as charm.auth.token: \"charm\", then 1 to 8 names of \
    letters, \
     digits, _ and -, with dots between them"
)]
pub struct ParseCredentialPathError;

impl CredentialPath {
    /// The path within the charm, such as `auth` and `token`.
    pub fn path(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for CredentialPath {
    type Err = ParseCredentialPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<String> =
            text.strip_prefix("charm.").ok_or(ParseCredentialPathError)?.split('.').map(str::to_owned).collect();
        let fits = |part: &String| {
            (1..=MAX_PART_CHARS).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        };
        if parts.len() <= MAX_PARTS && parts.iter().all(fits) { Ok(Self(parts)) } else { Err(ParseCredentialPathError) }
    }
}

impl fmt::Display for CredentialPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "charm.{}", self.0.join("."))
    }
}

text_serde!(CredentialPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_parsed_and_printed() {
        let path: CredentialPath = "charm.auth.token".parse().unwrap();
        assert_eq!(path.path(), ["auth", "token"]);
        assert_eq!(path.to_string(), "charm.auth.token");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "charm",
            "charm.",
            "charm..token",
            "env.HOME",
            "auth.token",
            "charm.a b",
            "charm.a/b",
            "charm.1.2.3.4.5.6.7.8.9",
        ] {
            assert_eq!(text.parse::<CredentialPath>(), Err(ParseCredentialPathError), "{text}");
        }
    }
}
