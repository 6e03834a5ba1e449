//! HTTP clients for the operator's own services: no proxy, no redirects.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, retry};
use url::Url;

use crate::trust::ServerTrust;

/// The time limit for connecting.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// A client for a server that `trust` identifies. Its requests may take `time`, unless they set their own limit.
pub fn new(time: Duration, trust: &ServerTrust) -> Client {
    build(Client::builder(), time, trust)
}

/// The same, but each request has its own connection.
pub fn unpooled(time: Duration, trust: &ServerTrust) -> Client {
    build(Client::builder().pool_max_idle_per_host(0), time, trust)
}

/// A client for requests to `host` that go to `addresses` and nowhere else, each over its own connection.
pub fn pinned(time: Duration, trust: &ServerTrust, host: &str, addresses: &[SocketAddr]) -> Client {
    build(Client::builder().pool_max_idle_per_host(0).resolve_to_addrs(host, addresses), time, trust)
}

fn build(client: ClientBuilder, time: Duration, trust: &ServerTrust) -> Client {
    client
        .tls_backend_preconfigured(trust.client_config())
        .no_proxy()
        .redirect(Policy::none())
        // A signature is valid for one request.
        .retry(retry::never())
        .connect_timeout(CONNECT_TIME)
        .timeout(time)
        .build()
        .expect("with a finished TLS configuration and no proxy, building a client cannot fail")
}

/// Whether an established connection was lost before an answer to this request began. A server may close a kept-alive
/// connection at the very moment at which it is used.
pub fn is_lost(error: &reqwest::Error) -> bool {
    if !error.is_request() || error.is_connect() || error.is_timeout() {
        return false;
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_closed() || error.is_canceled())
        {
            return true;
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
            return matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset);
        }
        next = cause.source();
    }
    false
}

/// The innermost cause of an error: "connection refused" rather than "error sending request".
pub fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A hint for a server at `url` that answers, but whose `problem` is TLS: its certificate is not trusted, or it expects
/// TLS and gets none.
pub fn tls_advice(url: &Url, problem: &str) -> Option<String> {
    match url.scheme() {
        // The prefix of all of rustls's messages about a certificate.
        "https" if problem.starts_with("invalid peer certificate") => Some(
            "its certificate is not trusted; on the server's machine, leave out API_URL and --api-url: commands \
            recognize the server by its \
             data directory"
                .to_owned(),
        ),
        // hyper's message for the alert of a server that expects TLS.
        "http" if problem == "invalid HTTP version parsed" => {
            let rest = url.as_str().trim_start_matches("http");
            Some(format!("it may speak TLS; then its URL is https{rest}"))
        }
        _ => None,
    }
}

/// Why there is no body.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It exceeds its limit.
    #[error("it is too long")]
    TooLong,
    /// It was incomplete; the reason.
    #[error("{0}")]
    Broken(String),
}

/// The body of a response, up to `limit` bytes.
pub async fn body(response: &mut Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| BodyError::Broken(cause(&error)))? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
