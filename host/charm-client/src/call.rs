//! Sends one signed request and interprets its response.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bg_charm_api::TraceContext;
use bg_charm_api::wire::{CHANGES_WAIT_SECONDS, Problem};
use bg_identity::{Identity, http_signature};
use bg_poller::{Cause, RuntimeError};
use bg_server_trust::ServerTrust;
use bg_server_trust::http_client::{self, BodyError};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::cooldown::{self, Cooldown};

/// The prefix of the paths of single charms.
const CHARMS: &str = "/api/v1/charms/";

/// The runtime itself takes milliseconds; the rest is for slow networks.
const TIME: Duration = Duration::from_secs(30);

/// A handler may take 60 s, and may wait for the one before it.
pub(crate) const HANDLER_TIME: Duration = Duration::from_secs(150);

/// The wait itself, plus the time of any request.
pub(crate) const CHANGES_TIME: Duration = Duration::from_secs(CHANGES_WAIT_SECONDS + TIME.as_secs());

/// How often a request is retried when the server asks for it (`Retry-After`), and the longest such wait; a longer one
/// is reported to the caller.
const RETRIES: usize = 2;
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Most responses: names, an outcome with its stack, a token.
const ANSWER_BYTES: usize = 1024 * 1024;

/// A value, of which an integration may get 16 MiB, with its JSON envelope; and a charm's newest runs.
pub(crate) const VALUE_BYTES: usize = 16 * 1024 * 1024 + 1024;

/// Lists of a space's charms, and whole charms.
pub(crate) const LIST_BYTES: usize = 64 * 1024 * 1024;

/// 100,000 registrations take 35 MB if all succeed, and 105 MB with the longest names and error texts.
pub(crate) const REGISTRATIONS_BYTES: usize = 128 * 1024 * 1024;

/// Sends requests to one runtime, signed by one key.
pub(crate) struct Caller {
    url: Url,
    identity: Identity,
    client: reqwest::Client,
    /// Opens a new connection for each request.
    unpooled: reqwest::Client,
    cooldown: Cooldown,
    server: Mutex<NewestServer>,
    pub(crate) trace_context: TraceContext,
}

/// `server` of the response to the newest event that has one.
#[derive(Default)]
struct NewestServer {
    /// How many events were begun.
    begun: u64,
    /// Which of them the response is for.
    event: u64,
    /// `None` for servers that do not support keys.
    server: Option<String>,
}

impl Caller {
    pub(crate) fn new(url: Url, identity: Identity) -> Self {
        Self {
            url,
            identity,
            client: http_client::new(TIME, &ServerTrust::default()),
            unpooled: http_client::unpooled(TIME, &ServerTrust::default()),
            cooldown: Cooldown::default(),
            server: Mutex::default(),
            trace_context: TraceContext::default(),
        }
    }

    pub(crate) fn set_trust(&mut self, trust: &ServerTrust) {
        self.client = http_client::new(TIME, trust);
        self.unpooled = http_client::unpooled(TIME, trust);
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Begins an event: its number, and `server` of the response to the newest event before it.
    pub(crate) fn begin_event(&self) -> (u64, Option<String>) {
        let mut newest = self.newest_server();
        newest.begun += 1;
        (newest.begun, newest.server.clone())
    }

    /// The response to an event has this `server`. Responses to several events arrive in any order.
    pub(crate) fn end_event(&self, event: u64, server: Option<String>) {
        let mut newest = self.newest_server();
        if event > newest.event {
            (newest.event, newest.server) = (event, server);
        }
    }

    fn newest_server(&self) -> MutexGuard<'_, NewestServer> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreachable(&self, problem: &str) -> RuntimeError {
        let url = &self.url;
        RuntimeError::unavailable(match http_client::tls_advice(url, problem) {
            Some(advice) => format!("{url} does not answer as it should: {problem}: {advice}"),
            None => format!("{url} does not answer: {problem}: is `bg-wasm-host serve` running? set API_URL"),
        })
    }

    fn unlike_a_runtime(&self, what: &str) -> RuntimeError {
        RuntimeError::unavailable(format!("{} answers unlike a charm runtime ({what}): check API_URL", self.url))
    }

    /// The error in a response that is not a success. If it is not an error of this API, it says nothing about any
    /// charm: the runtime, or a proxy in front of it, is unavailable.
    fn refusal(&self, status: StatusCode, answer: &[u8]) -> RuntimeError {
        if let Ok(problem) = serde_json::from_slice::<Problem>(answer) {
            return problem.into_error(&self.url);
        }
        let url = &self.url;
        if status == StatusCode::TOO_MANY_REQUESTS {
            let text = format!("{url} asks for fewer requests ({status})");
            return RuntimeError::unavailable_by(Cause::RuntimeBusy, text);
        }
        RuntimeError::unavailable(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                format!(
                    "{url}, or a proxy in front of it, refuses requests ({status}): check API_URL, and what the proxy \
                     requires"
                )
            }
            status if status.is_server_error() => {
                format!("{url}, or a proxy in front of it, fails ({status}): see its log")
            }
            status => return self.unlike_a_runtime(&status.to_string()),
        })
    }
}

/// The response to one request.
struct Attempt {
    status: StatusCode,
    retry_after: Option<Duration>,
    answer: Vec<u8>,
}

/// Whether a response comes from our own server. With `Retry-After`, such a server has not done anything yet.
fn is_problem(answer: &[u8]) -> bool {
    serde_json::from_slice::<Problem>(answer).is_ok()
}

/// A request to send.
pub(crate) struct Call<'a> {
    caller: &'a Caller,
    method: Method,
    url: Url,
    body: Vec<u8>,
    time: Duration,
    limit: usize,
    repeatable: bool,
    /// The body for sending the request again, which says so.
    again: Option<Vec<u8>>,
    /// Whether the request is about one charm. A problem with its response then says nothing about the runtime.
    of_charm: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(caller: &'a Caller, method: Method, path: &str) -> Self {
        let mut url = caller.url.clone();
        url.set_path(&format!("{}{path}", caller.url.path().trim_end_matches('/')));
        url.set_query(None);
        url.set_fragment(None);
        // DELETE reports whether anything was there; a second one would get another response.
        let repeatable = method.is_safe() || method == Method::PUT;
        let of_charm = path.starts_with(CHARMS);
        Self {
            caller,
            method,
            url,
            body: Vec::new(),
            time: TIME,
            limit: ANSWER_BYTES,
            repeatable,
            again: None,
            of_charm,
        }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    pub(crate) fn json<T: Serialize>(mut self, body: &T) -> Result<Self, RuntimeError> {
        self.body = serde_json::to_vec(body).map_err(|error| RuntimeError::Invalid(error.to_string()))?;
        Ok(self)
    }

    pub(crate) fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The longest response in bytes; 1 MiB by default.
    pub(crate) fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Marks the request as idempotent, whatever its method.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Marks the request as idempotent if the second one has this body.
    pub(crate) fn again<T: Serialize>(mut self, body: &T) -> Result<Self, RuntimeError> {
        self.again = Some(serde_json::to_vec(body).map_err(|error| RuntimeError::Invalid(error.to_string()))?);
        Ok(self)
    }

    /// Sends the request and parses the response.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T, RuntimeError> {
        let caller = self.caller;
        let body = self.send().await?;
        serde_json::from_slice(&body).map_err(|error| caller.unlike_a_runtime(&error.to_string()))
    }

    /// Sends the request and expects success, without a body.
    pub(crate) async fn done(self) -> Result<(), RuntimeError> {
        self.send().await.map(drop)
    }

    /// Sends the request, and retries it if the server has done nothing yet and asks for that.
    async fn send(self) -> Result<Vec<u8>, RuntimeError> {
        let mut left = RETRIES;
        let mut lost = false;
        loop {
            let Attempt { status, retry_after, answer } = self.attempt(&mut lost).await?;
            if status.is_success() {
                return Ok(answer);
            }
            let wait = retry_after.filter(|wait| *wait <= LONGEST_RETRY && left > 0 && is_problem(&answer));
            let Some(wait) = wait else {
                self.caller.cooldown.note(retry_after);
                return Err(self.caller.refusal(status, &answer));
            };
            left -= 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// `lost`: whether an earlier request may have arrived although its response was lost. From then on, each request
    /// says that it is sent again.
    async fn attempt(&self, lost: &mut bool) -> Result<Attempt, RuntimeError> {
        let Self { caller, time, limit, of_charm, .. } = self;
        let (time, limit) = (*time, *limit);
        if let Some(left) = caller.cooldown.left() {
            let seconds = left.as_secs() + 1;
            let text = format!("{} asked for no requests for another {seconds} s", caller.url);
            return Err(RuntimeError::unavailable_by(Cause::RuntimeBusy, text));
        }
        let mut sent = self.signed(&caller.client, self.body(*lost))?.send().await;
        if (self.repeatable || self.again.is_some()) && sent.as_ref().is_err_and(http_client::is_lost) {
            tracing::debug!(
                "{} closed a connection without a response to {} {}: sending it again",
                caller.url,
                self.method,
                self.url.path()
            );
            *lost = true;
            // Signed again: the runtime may have seen the first request, and accepts each signature once.
            sent = self.signed(&caller.unpooled, self.body(*lost))?.send().await;
        }
        let mut response = sent.map_err(|error| {
            // The server has accepted the request and is still working on it.
            if *of_charm && error.is_timeout() && !error.is_connect() {
                let text =
                    format!("{} did not respond within {} s to a request for this charm", caller.url, time.as_secs());
                return RuntimeError::unavailable_by(Cause::CharmSlow, text);
            }
            caller.unreachable(&http_client::cause(&error))
        })?;
        let status = response.status();
        if status.is_redirection() {
            let target =
                response.headers().get(LOCATION).and_then(|target| target.to_str().ok()).unwrap_or("somewhere");
            return Err(caller.unlike_a_runtime(&format!("{status}, it redirects to {target:?}")));
        }
        let retry_after = cooldown::retry_after(status, response.headers());
        let answer = match http_client::body(&mut response, limit).await {
            Ok(answer) => answer,
            // Not counted against the charm: a proxy may have made the response longer.
            Err(BodyError::TooLong) if *of_charm && status.is_success() => {
                let text = format!("the response of {} for this charm is longer than {limit} bytes", caller.url);
                return Err(RuntimeError::unavailable_by(Cause::CharmSlow, text));
            }
            Err(BodyError::TooLong) => {
                return Err(caller.unlike_a_runtime(&format!("{status}, longer than {limit} bytes")));
            }
            Err(BodyError::Broken(problem)) => {
                return Err(caller.unreachable(&format!("its response broke off: {problem}")));
            }
        };
        Ok(Attempt { status, retry_after, answer })
    }

    /// The body to send: for the first time, or after a response was `lost`.
    fn body(&self, lost: bool) -> &[u8] {
        self.again.as_ref().filter(|_| lost).unwrap_or(&self.body)
    }

    /// Builds the request, with a fresh signature.
    fn signed(&self, client: &reqwest::Client, body: &[u8]) -> Result<reqwest::RequestBuilder, RuntimeError> {
        let Self { caller, method, url, time, .. } = self;
        let signature = http_signature::sign(&caller.identity, method, url, body, SystemTime::now())
            .map_err(|error| RuntimeError::Invalid(error.to_string()))?;
        let mut request = client.request(method.clone(), url.clone()).timeout(*time);
        for (name, value) in signature {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        let mut carried = HeaderMap::new();
        caller.trace_context.inject(&mut carried);
        Ok(request.headers(carried))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_arrives_late_does_not_replace_that_of_a_newer_event() {
        let caller = Caller::new("http://127.0.0.1:1".parse().unwrap(), Identity::from_passphrase("implicit trust"));
        let server = |name: &str| Some(name.to_owned());
        let (first, none) = caller.begin_event();
        let (second, _) = caller.begin_event();
        assert_eq!(none, None);
        caller.end_event(second, server("a-2"));
        caller.end_event(first, server("a-1"));
        let (third, newest) = caller.begin_event();
        assert_eq!(newest, server("a-2"));
        caller.end_event(third, server("b-1"));
        assert_eq!(caller.begin_event().1, server("b-1"));
    }
}
