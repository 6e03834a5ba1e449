//! The URL of a provider's endpoint.

use std::fmt;
use std::str::FromStr;

use bg_manifest::{Origin, Scheme, parse_target};
use serde::{Deserialize, Serialize};
use url::Url;

/// An endpoint: an https URL, or an http URL of this machine, whose use the operator must allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    url: Url,
    origin: Origin,
}

/// A text that is not the URL of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is not a URL.
    #[error("{0}")]
    Url(String),
    /// It is not protected by TLS.
    #[error("an endpoint's URL starts with https://; http:// is for addresses of this machine")]
    Plain,
}

impl Endpoint {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = parse_target(text).map_err(|error| EndpointError::Url(error.to_string()))?;
        let origin = Origin::of(&url).map_err(|error| EndpointError::Url(error.to_string()))?;
        if origin.scheme() != Scheme::Https && !origin.is_loopback() {
            return Err(EndpointError::Plain);
        }
        Ok(Self { url, origin })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.url.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_tls_or_is_on_this_machine() {
        for text in ["https://a.example/token", "http://127.0.0.1:8080/token", "http://localhost/token"] {
            assert!(text.parse::<Endpoint>().is_ok(), "{text}");
        }
        assert_eq!("http://a.example/token".parse::<Endpoint>(), Err(EndpointError::Plain));
        for text in ["javascript:alert(1)", "file:///etc/passwd", "a.example", "https://u:p@a.example/"] {
            assert!(matches!(text.parse::<Endpoint>(), Err(EndpointError::Url(_))), "{text}");
        }
    }
}
