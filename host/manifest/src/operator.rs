//! Grants as an operator writes them.

use std::fmt;
use std::str::FromStr;

use bg_identity::{IntegrationId, ParseIntegrationIdError};

use crate::grant::{HttpGrant, ParseGrantError};
use crate::text::text_serde;

/// A grant to one integration, or to all: `[NAME=]GRANT`, such as `gmail=https://gmail.googleapis.com/gmail/v1/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorGrant {
    /// The integration; `None` means all.
    pub integration: Option<IntegrationId>,
    /// The grant.
    pub grant: HttpGrant,
}

/// A text that is not a grant to an integration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseOperatorGrantError {
    /// The part before the `=` is not a name.
    #[error(transparent)]
    Name(#[from] ParseIntegrationIdError),
    /// The part after it is not a grant.
    #[error("{0}; with NAME= in front, it is for that integration only")]
    Grant(ParseGrantError),
}

impl OperatorGrant {
    /// Whether it is for that integration.
    pub fn is_for(&self, integration: &IntegrationId) -> bool {
        self.integration.as_ref().is_none_or(|own| own == integration)
    }
}

impl FromStr for OperatorGrant {
    type Err = ParseOperatorGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A URL's path may contain a `=`, too, but a name contains neither of these characters.
        let (integration, grant) = match text.split_once('=').filter(|(name, _)| !name.contains([':', '/'])) {
            Some((name, grant)) => (Some(name.trim().parse()?), grant),
            None => (None, text),
        };
        Ok(Self { integration, grant: grant.parse().map_err(ParseOperatorGrantError::Grant)? })
    }
}

impl fmt::Display for OperatorGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(integration) = &self.integration {
            write!(f, "{integration}=")?;
        }
        write!(f, "{}", self.grant)
    }
}

text_serde!(OperatorGrant);

/// An option and its value, ready to paste into a shell. The value may contain text from a component's author, so
/// anything that a shell could interpret is quoted.
pub fn command_line_option(option: &str, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:=,@%+".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        format!("{option} {value}")
    } else {
        format!("{option} '{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_front_is_distinguished_from_a_url() {
        let cases = [
            ("gmail=https://a.example/x=y", Some("gmail"), "https://a.example/x=y"),
            ("https://a.example/x=y", None, "https://a.example/x=y"),
            ("gmail=GET,POST https://a.example/", Some("gmail"), "GET,POST https://a.example/"),
            ("GET https://a.example/x=y", None, "GET https://a.example/x=y"),
        ];
        for (text, name, grant) in cases {
            let parsed: OperatorGrant = text.parse().unwrap();
            assert_eq!(parsed.integration.as_ref().map(IntegrationId::as_str), name, "{text}");
            assert_eq!(parsed.grant.to_string(), grant, "{text}");
            assert_eq!(parsed.to_string().parse::<OperatorGrant>().unwrap(), parsed);
        }
    }

    #[test]
    fn a_bad_name_and_a_bad_grant_have_different_errors() {
        assert!(matches!("=https://a.example/".parse::<OperatorGrant>(), Err(ParseOperatorGrantError::Name(_))));
        assert!(matches!("a b=https://a.example/".parse::<OperatorGrant>(), Err(ParseOperatorGrantError::Name(_))));
        assert!(matches!("gmail".parse::<OperatorGrant>(), Err(ParseOperatorGrantError::Grant(_))));
        assert!(matches!("gmail=".parse::<OperatorGrant>(), Err(ParseOperatorGrantError::Grant(_))));
    }

    #[test]
    fn an_option_can_be_pasted_into_a_shell() {
        let cases = [
            ("gmail=https://a.example/v1/", "--x gmail=https://a.example/v1/"),
            ("GET https://a.example/", "--x 'GET https://a.example/'"),
            ("https://*.a.example/", "--x 'https://*.a.example/'"),
            ("https://a.example/$(id)'", r"--x 'https://a.example/$(id)'\'''"),
            ("", "--x ''"),
        ];
        for (value, expected) in cases {
            assert_eq!(command_line_option("--x", value), expected);
        }
    }
}
