//! How a credential is sent.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use http::header::AUTHORIZATION;

use crate::text::text_serde;

/// How the gate sends a credential: as what, in which header. Written `bearer`, `bot`, `token`, `basic`, or
/// `header:NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum CredentialScheme {
    /// `Authorization: Bearer …`.
    #[default]
    Bearer,
    /// `Authorization: Bot …`, as Discord's bots send it.
    Bot,
    /// `Authorization: token …`, as older APIs want it.
    Token,
    /// `Authorization: Basic …`: the secret is `user:password`.
    Basic,
    /// The secret alone, in this header.
    Header(HeaderName),
}

/// A text that is not a scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCredentialSchemeError {
    /// It is unknown.
    #[error("a credential is sent as `bearer`, `bot`, `token`, `basic` or `header:NAME`")]
    Unknown,
    /// The header describes something else than a credential.
    #[error("a credential cannot be sent in the header {0:?}")]
    Header(String),
}

/// Headers that describe the message, the connection or the client. The gate refuses further ones.
const NEVER: [&str; 19] = [
    "accept",
    "accept-encoding",
    "bg-charm",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

impl CredentialScheme {
    /// The header that it is sent in.
    pub fn header(&self) -> HeaderName {
        match self {
            Self::Header(name) => name.clone(),
            _ => AUTHORIZATION,
        }
    }

    /// Whether it is the usual one.
    pub(crate) fn is_bearer(&self) -> bool {
        *self == Self::Bearer
    }
}

impl FromStr for CredentialScheme {
    type Err = ParseCredentialSchemeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "bearer" => Self::Bearer,
            "bot" => Self::Bot,
            "token" => Self::Token,
            "basic" => Self::Basic,
            _ => {
                let name = text.strip_prefix("header:").ok_or(ParseCredentialSchemeError::Unknown)?;
                let refused = || ParseCredentialSchemeError::Header(name.chars().take(64).collect());
                let header = HeaderName::try_from(name).map_err(|_| refused())?;
                let is_fit = header.as_str().len() <= 64
                    && !NEVER.contains(&header.as_str())
                    && !["sec-", "proxy-", "if-"].iter().any(|start| header.as_str().starts_with(start));
                if is_fit { Self::Header(header) } else { return Err(refused()) }
            }
        })
    }
}

impl fmt::Display for CredentialScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("bearer"),
            Self::Bot => f.write_str("bot"),
            Self::Token => f.write_str("token"),
            Self::Basic => f.write_str("basic"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

text_serde!(CredentialScheme);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_parsed_and_printed() {
        for (text, header) in [
            ("bearer", "authorization"),
            ("bot", "authorization"),
            ("token", "authorization"),
            ("basic", "authorization"),
            ("header:x-api-key", "x-api-key"),
            // The key alone, as Linear wants it.
            ("header:authorization", "authorization"),
        ] {
            let scheme: CredentialScheme = text.parse().unwrap();
            assert_eq!((scheme.to_string().as_str(), scheme.header().as_str()), (text, header));
        }
        assert_eq!("header:X-Api-Key".parse::<CredentialScheme>().unwrap().to_string(), "header:x-api-key");
    }

    #[test]
    fn a_header_that_means_something_else_is_refused() {
        for text in [
            "",
            "Bearer",
            "digest",
            "header",
            "header:",
            "header:a b",
            "header:a\r\nb",
            "header:Host",
            "header:content-length",
            "header:Sec-Fetch-Site",
            "header:proxy-authorization",
            "header:bg-charm",
        ] {
            assert!(text.parse::<CredentialScheme>().is_err(), "{text}");
        }
    }
}
