//! One signed request, and what its answer means.

use std::time::{Duration, SystemTime};

use bg_identity::{Identity, http_signature};
use bg_poller::RuntimeError;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::http_client;
use crate::api::{CHANGES_WAIT_SECONDS, ErrorBody};

/// What the runtime does by itself takes milliseconds; a slow network the rest.
const TIME: Duration = Duration::from_secs(30);

/// A handler may take 60 s, and may have to wait for the one before it.
pub(super) const HANDLER_TIME: Duration = Duration::from_secs(150);

/// The wait itself, and as much as any request.
pub(super) const CHANGES_TIME: Duration = Duration::from_secs(CHANGES_WAIT_SECONDS + TIME.as_secs());

/// 100,000 registrations take 40 MB.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Sends requests to one runtime, signed by one key.
pub(super) struct Caller {
    url: Url,
    identity: Identity,
    client: reqwest::Client,
}

impl Caller {
    pub(super) fn new(url: Url, identity: Identity) -> Self {
        Self { url, identity, client: http_client::new(TIME) }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    fn unreachable(&self, problem: &str) -> RuntimeError {
        RuntimeError::Unavailable(format!(
            "{} does not answer: {problem}: is `bg-wasm-host serve` running? set API_URL",
            self.url
        ))
    }

    fn unlike_a_runtime(&self, what: &str) -> RuntimeError {
        RuntimeError::Unavailable(format!("{} answers unlike a charm runtime ({what}): check API_URL", self.url))
    }
}

/// A request to be sent.
pub(super) struct Call<'a> {
    caller: &'a Caller,
    method: Method,
    url: Url,
    body: Vec<u8>,
    time: Duration,
}

impl<'a> Call<'a> {
    pub(super) fn new(caller: &'a Caller, method: Method, path: &str) -> Self {
        let mut url = caller.url.clone();
        url.set_path(&format!("{}{path}", caller.url.path().trim_end_matches('/')));
        url.set_query(None);
        url.set_fragment(None);
        Self { caller, method, url, body: Vec::new(), time: TIME }
    }

    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    pub(super) fn json<T: Serialize>(mut self, body: &T) -> Result<Self, RuntimeError> {
        self.body = serde_json::to_vec(body).map_err(|error| RuntimeError::Invalid(error.to_string()))?;
        Ok(self)
    }

    pub(super) fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sends it, and reads the answer.
    pub(super) async fn answer<T: DeserializeOwned>(self) -> Result<T, RuntimeError> {
        let caller = self.caller;
        let body = self.send().await?;
        serde_json::from_slice(&body).map_err(|error| caller.unlike_a_runtime(&error.to_string()))
    }

    /// Sends it, and expects nothing but success.
    pub(super) async fn done(self) -> Result<(), RuntimeError> {
        self.send().await.map(drop)
    }

    async fn send(self) -> Result<Vec<u8>, RuntimeError> {
        let Self { caller, method, url, body, time } = self;
        let signature = http_signature::sign(&caller.identity, &method, &url, &body, SystemTime::now())
            .map_err(|error| RuntimeError::Invalid(error.to_string()))?;
        let mut request = caller.client.request(method, url.clone()).timeout(time);
        for (name, value) in signature {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await.map_err(|error| caller.unreachable(&http_client::cause(&error)))?;
        let status = response.status();
        if status.is_redirection() {
            let target =
                response.headers().get(LOCATION).and_then(|target| target.to_str().ok()).unwrap_or("somewhere");
            return Err(caller.unlike_a_runtime(&format!("{status}, it redirects to {target:?}")));
        }
        let answer = http_client::body(&mut response, MAX_ANSWER_BYTES)
            .await
            .map_err(|problem| caller.unreachable(&format!("its answer broke off: {problem}")))?;
        if status.is_success() { Ok(answer) } else { Err(refusal(caller, status, &answer)) }
    }
}

/// The error in an answer that is not a success.
fn refusal(caller: &Caller, status: StatusCode, answer: &[u8]) -> RuntimeError {
    match serde_json::from_slice::<ErrorBody>(answer) {
        Ok(body) => body.into_error(&caller.url),
        Err(_) => caller.unlike_a_runtime(&status.to_string()),
    }
}
