//! Where a secret of charms may go, as an operator writes it.

use std::fmt;
use std::str::FromStr;

use crate::credential::CredentialPath;
use crate::grant::{HttpGrant, ParseGrantError};
use crate::path::PathPrefix;
use crate::text::text_serde;

/// A secret of charms, and an origin that their handlers may send it to: `PATH=ORIGIN`, such as
/// `auth.token=https://gmail.googleapis.com`. The path is that of a [`CredentialPath`], without the leading `charm.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CharmCredential {
    /// The secret's path in a charm.
    pub path: CredentialPath,
    /// The origin, or all hosts under a name: a grant of any method and path there.
    pub origin: HttpGrant,
}

/// A text that is not of that form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCharmCredentialError {
    /// There is no `=` in it, or the part before it is not a path.
    #[error(
        "expected PATH=ORIGIN, such as auth.token=https://gmail.googleapis.com: 1 to 8 names of letters, digits, _ \
        and -, with dots \
         between them, and an origin"
    )]
    Path,
    /// The part after it is not an origin.
    #[error("{0}; for a secret, give only the origin: PATH=https://example.com")]
    Origin(ParseGrantError),
    /// It names more than an origin.
    #[error("a secret is granted to a whole origin: leave out methods, and the path {0}")]
    MoreThanOrigin(String),
}

impl FromStr for CharmCredential {
    type Err = ParseCharmCredentialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, origin) = text.split_once('=').ok_or(ParseCharmCredentialError::Path)?;
        let path = format!("charm.{}", path.trim()).parse().map_err(|_| ParseCharmCredentialError::Path)?;
        let origin: HttpGrant = origin.parse().map_err(ParseCharmCredentialError::Origin)?;
        if *origin.path() != PathPrefix::root() || !origin.methods().is_any() {
            return Err(ParseCharmCredentialError::MoreThanOrigin(origin.path().as_str().to_owned()));
        }
        Ok(Self { path, origin })
    }
}

impl fmt::Display for CharmCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.to_string();
        write!(f, "{}={}", self.path.path().join("."), origin.trim_end_matches('/'))
    }
}

text_serde!(CharmCredential);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_an_origin_are_parsed_and_printed() {
        for (text, printed) in [
            ("auth.token=https://gmail.googleapis.com", "auth.token=https://gmail.googleapis.com"),
            ("auth.token = https://a.example:443/", "auth.token=https://a.example"),
            ("a_b.0.x-y=http://127.0.0.1:8080", "a_b.0.x-y=http://127.0.0.1:8080"),
            ("auth.token=https://*.example.com", "auth.token=https://*.example.com"),
        ] {
            let parsed: CharmCredential = text.parse().unwrap();
            assert_eq!(parsed.to_string(), printed);
            assert_eq!(printed.parse(), Ok(parsed));
        }
    }

    #[test]
    fn an_error_explains_what_is_wrong() {
        for (text, expected) in [
            ("", "PATH=ORIGIN"),
            ("auth.token", "PATH=ORIGIN"),
            ("=https://a.example", "PATH=ORIGIN"),
            ("auth..token=https://a.example", "PATH=ORIGIN"),
            ("auth.token=a.example", "https://"),
            ("auth.token=https://a.example/v1/", "the path /v1/"),
            ("auth.token=GET https://a.example", "leave out methods"),
        ] {
            let error = text.parse::<CharmCredential>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
