//! HTTP clients for the operator's own services: no proxy, no redirects.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, retry};
use url::Url;

use crate::trust::ServerTrust;

/// For reaching a server at all.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// A client of a server that is known by `trust`, whose requests may take `time`, if they don't say otherwise.
pub fn new(time: Duration, trust: &ServerTrust) -> Client {
    build(Client::builder(), time, trust)
}

/// The same, but each request has a connection of its own.
pub fn unpooled(time: Duration, trust: &ServerTrust) -> Client {
    build(Client::builder().pool_max_idle_per_host(0), time, trust)
}

fn build(client: ClientBuilder, time: Duration, trust: &ServerTrust) -> Client {
    client
        .tls_backend_preconfigured(trust.client_config())
        .no_proxy()
        .redirect(Policy::none())
        // A signed request is good for one time.
        .retry(retry::never())
        .connect_timeout(CONNECT_TIME)
        .timeout(time)
        .build()
        .expect("a client with a finished TLS configuration, and without a proxy, has nothing to fail on")
}

/// Whether a connection that stood was lost before an answer to this request began. A server closes connections that it kept when it has too
/// many, maybe at the very moment at which one is used.
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

/// What lies at the bottom of an error: "connection refused" rather than "error sending request".
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

/// What to do about a server at `url` that does answer, where its `problem` is TLS: with a certificate that is not trusted, or where no TLS is
/// spoken to a server that does.
pub fn tls_advice(url: &Url, problem: &str) -> Option<String> {
    match url.scheme() {
        // As rustls names all that can be wrong with a certificate.
        "https" if problem.starts_with("invalid peer certificate") => Some(
            "its certificate is not trusted; on the machine of the server, leave out API_URL and --api-url: commands know the server by its \
             data directory"
                .to_owned(),
        ),
        // As hyper names the alert of a server that waits for TLS.
        "http" if problem == "invalid HTTP version parsed" => {
            let rest = url.as_str().trim_start_matches("http");
            Some(format!("it may speak TLS; then its URL is https{rest}"))
        }
        _ => None,
    }
}

/// Why the body of an answer was not had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than it may be.
    #[error("it is too long")]
    TooLong,
    /// It did not come whole; says why.
    #[error("{0}")]
    Broken(String),
}

/// The body of an answer, up to `limit` bytes.
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
