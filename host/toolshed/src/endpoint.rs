//! Where a server is.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::error::{Error, shown};

/// The address of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
}

/// Where the original's server offers the memory protocol.
const PATH: &str = "/api/storage/memory";

impl Endpoint {
    pub(crate) fn host(&self) -> &str {
        // Brackets of an IPv6 address are part of the URL, not of the address.
        self.url.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// The URL of the WebSocket for a space.
    pub(crate) fn socket(&self, space: &str) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("space", space);
        url
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(address: &str) -> Result<Self, Error> {
        let wrong = |problem| Error::Address { address: shown(address), problem };
        let mut url = Url::parse(address).map_err(|_| wrong("it is not a URL"))?;
        let scheme = match url.scheme() {
            "http" | "ws" => "ws",
            "https" | "wss" => "wss",
            _ => return Err(wrong("its scheme is neither http nor https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            // Not shown again: it has a password in it.
            return Err(Error::Address { address: "…".to_owned(), problem: "it has a user name or a password" });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a query or a fragment"));
        }
        url.set_scheme(scheme).map_err(|()| wrong("its scheme cannot be a WebSocket's"))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("it has no host"));
        }
        if url.path() == "/" {
            url.set_path(PATH);
        }
        Ok(Self { url })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.url.host_str().unwrap_or_default(), self.port())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.url, f)
    }
}
