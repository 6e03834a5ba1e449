//! Requests to providers: over TLS, to checked addresses, without redirects, with short answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bg_egress::{Resolver, SystemResolver, refused};
use bg_identity::retry_after;
use bg_manifest::{Origin, Scheme, command_line_option};
use bg_server_trust::{ServerTrust, http_client};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Host;
use zeroize::Zeroizing;

use crate::{Endpoint, OAuthError};

/// Tokens and discovery documents take a few kilobytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// More than any provider has.
const MAX_ADDRESSES: usize = 64;

/// How requests to providers are sent.
#[derive(Clone)]
pub struct HttpOptions {
    /// Looks up their names.
    pub resolver: Arc<dyn Resolver>,
    /// Origins that may have a private address. Those on this machine may be without TLS.
    pub allow_private: Vec<Origin>,
    /// For the lookup, and again for the whole exchange.
    pub time: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let resolver = Arc::new(SystemResolver::default());
        Self { resolver, allow_private: Vec::new(), time: Duration::from_secs(10) }
    }
}

/// Sends requests to providers. Each has its own connection, to an address that was checked for it.
#[derive(Clone)]
pub struct Http {
    options: HttpOptions,
}

/// A request, before it is sent.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) to: &'a Endpoint,
    pub(crate) headers: HeaderMap,
    /// The type, and the text.
    pub(crate) body: Option<(&'static str, Zeroizing<String>)>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    /// Who answered.
    pub(crate) origin: String,
    pub(crate) status: StatusCode,
    pub(crate) is_form: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, to: &'a Endpoint) -> Self {
        let mut headers = HeaderMap::new();
        // GitHub answers with a form otherwise.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // GitHub refuses requests without one.
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("bg-wasm-host/", env!("CARGO_PKG_VERSION"))));
        Self { method, to, headers, body: None }
    }

    /// The same, with a secret in the header `Authorization`.
    pub(crate) fn authorized(mut self, value: &Zeroizing<String>) -> Result<Self, OAuthError> {
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| {
            OAuthError::odd(self.to.origin().to_string(), "its token cannot be sent: it has characters of no token")
        })?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }
}

impl Http {
    /// A sender with these options.
    pub fn new(options: HttpOptions) -> Self {
        Self { options }
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Answer, OAuthError> {
        let origin = request.to.origin();
        let unreachable = |problem: String| OAuthError::Unreachable { origin: origin.to_string(), problem };
        let addresses = self.addresses(origin).await?;
        let host = request.to.url().host_str().unwrap_or_default();
        let client = http_client::pinned(self.options.time, &ServerTrust::PublicRoots, host, &addresses);
        let mut sent = client.request(request.method, request.to.url().clone()).headers(request.headers);
        if let Some((kind, text)) = &request.body {
            sent = sent.header(CONTENT_TYPE, *kind).body(text.as_bytes().to_vec());
        }
        let mut response = sent.send().await.map_err(|error| unreachable(http_client::cause(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let body = http_client::body(&mut response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
            http_client::BodyError::TooLong => {
                OAuthError::odd(origin.to_string(), format!("it is longer than {} KiB", MAX_ANSWER_BYTES / 1024))
            }
            http_client::BodyError::Broken(problem) => unreachable(problem),
        })?;
        Ok(Answer {
            origin: origin.to_string(),
            status,
            is_form: kind.starts_with("application/x-www-form-urlencoded"),
            retry_after: retry_after(&headers),
            body: Zeroizing::new(body),
        })
    }

    /// The addresses of an origin, all of them checked: one refused address refuses them all.
    async fn addresses(&self, origin: &Origin) -> Result<Vec<SocketAddr>, OAuthError> {
        let is_named = self.options.allow_private.contains(origin);
        let plain = || OAuthError::Plain { origin: origin.to_string() };
        if origin.scheme() != Scheme::Https && !is_named {
            return Err(plain());
        }
        let addresses = match origin.host() {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) if name == "localhost" => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            Host::Domain(name) => self.lookup(origin, name).await?,
        };
        for address in &addresses {
            if let Some(found) = refused(*address, is_named) {
                let option = found.can_be_allowed.then(|| command_line_option("--allow-private", &origin.to_string()));
                let (origin, address, what) = (origin.to_string(), *address, found.what);
                return Err(OAuthError::Address { origin, address, what, option });
            }
            if origin.scheme() != Scheme::Https && !address.is_loopback() {
                return Err(plain());
            }
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, origin.port())).collect())
    }

    async fn lookup(&self, origin: &Origin, name: &str) -> Result<Vec<IpAddr>, OAuthError> {
        let failed = |problem: String| OAuthError::Unreachable { origin: origin.to_string(), problem };
        let found = match tokio::time::timeout(self.options.time, self.options.resolver.lookup(name)).await {
            Err(_) => return Err(failed("its name is not found in time".to_owned())),
            Ok(found) => found.map_err(|error| failed(error.to_string()))?,
        };
        match found.len() {
            0 => Err(failed("it has no addresses".to_owned())),
            1..=MAX_ADDRESSES => Ok(found),
            _ => Err(OAuthError::odd(origin.to_string(), format!("it has more than {MAX_ADDRESSES} addresses"))),
        }
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("allow_private", &self.options.allow_private).finish_non_exhaustive()
    }
}
