//! One signed request, and what its answer means.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bg_charm_api::TraceContext;
use bg_charm_api::wire::{CHANGES_WAIT_SECONDS, Problem};
use bg_identity::{Identity, http_signature};
use bg_poller::{RuntimeError, Scope};
use bg_server_trust::ServerTrust;
use bg_server_trust::http_client::{self, BodyError};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::rest::{self, Rest};

/// What the paths of single charms start with.
const CHARMS: &str = "/api/v1/charms/";

/// What the runtime does by itself takes milliseconds; a slow network the rest.
const TIME: Duration = Duration::from_secs(30);

/// A handler may take 60 s, and may have to wait for the one before it.
pub(crate) const HANDLER_TIME: Duration = Duration::from_secs(150);

/// The wait itself, and as much as any request.
pub(crate) const CHANGES_TIME: Duration = Duration::from_secs(CHANGES_WAIT_SECONDS + TIME.as_secs());

/// How often a request is sent again that the server asks to be sent in a moment, and how long that is at most: rather than to wait longer, who
/// asks hears of it.
const RETRIES: usize = 2;
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Most answers: names, an outcome with its stack, a token.
const ANSWER_BYTES: usize = 1024 * 1024;

/// A value, which an integration can be given up to 16 MiB of, with what is around it; and a charm's newest runs.
pub(crate) const VALUE_BYTES: usize = 16 * 1024 * 1024 + 1024;

/// The charms of a space, and whole charms.
pub(crate) const LIST_BYTES: usize = 64 * 1024 * 1024;

/// 100,000 registrations take 35 MB if all is well, and 105 MB if each has names and an error text as long as they may be.
pub(crate) const REGISTRATIONS_BYTES: usize = 128 * 1024 * 1024;

/// Sends requests to one runtime, signed by one key.
pub(crate) struct Caller {
    url: Url,
    identity: Identity,
    client: reqwest::Client,
    /// Makes a connection for each request.
    unpooled: reqwest::Client,
    rest: Rest,
    /// Which server has answered last that knows the keys of events.
    server: Mutex<Option<String>>,
    pub(crate) trace_context: TraceContext,
}

impl Caller {
    pub(crate) fn new(url: Url, identity: Identity) -> Self {
        Self {
            url,
            identity,
            client: http_client::new(TIME, &ServerTrust::default()),
            unpooled: http_client::unpooled(TIME, &ServerTrust::default()),
            rest: Rest::default(),
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

    /// Which server has answered last that knows the keys of events.
    pub(crate) fn server(&self) -> Option<String> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_server(&self, server: Option<String>) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
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

    /// The error in an answer that is not a success. What is not the API's own error says nothing of any charm: then it is the
    /// runtime that is unavailable, or a proxy before it that is in the way.
    fn refusal(&self, status: StatusCode, answer: &[u8]) -> RuntimeError {
        if let Ok(problem) = serde_json::from_slice::<Problem>(answer) {
            return problem.into_error(&self.url);
        }
        let url = &self.url;
        RuntimeError::unavailable(match status {
            StatusCode::TOO_MANY_REQUESTS => format!("{url} asks for fewer requests ({status})"),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                format!(
                    "{url}, or a proxy before it, refuses requests ({status}): check API_URL, and what the proxy asks for"
                )
            }
            status if status.is_server_error() => format!("{url}, or a proxy before it, fails ({status}): see its log"),
            status => return self.unlike_a_runtime(&status.to_string()),
        })
    }
}

/// What came of one request.
struct Attempt {
    status: StatusCode,
    retry_after: Option<Duration>,
    answer: Vec<u8>,
}

/// Whether an answer is our own server's, which has done nothing if it asks to be asked again.
fn is_problem(answer: &[u8]) -> bool {
    serde_json::from_slice::<Problem>(answer).is_ok()
}

/// A request to be sent.
pub(crate) struct Call<'a> {
    caller: &'a Caller,
    method: Method,
    url: Url,
    body: Vec<u8>,
    time: Duration,
    limit: usize,
    repeatable: bool,
    /// The body of the same request once more, which says that it is that.
    again: Option<Vec<u8>>,
    /// Whether it is about one charm. What is wrong with the answer to it alone says nothing of the runtime.
    of_charm: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(caller: &'a Caller, method: Method, path: &str) -> Self {
        let mut url = caller.url.clone();
        url.set_path(&format!("{}{path}", caller.url.path().trim_end_matches('/')));
        url.set_query(None);
        url.set_fragment(None);
        // What deletes says whether there was anything: of a second request that is another answer.
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

    /// The longest answer, bytes; 1 MiB if not set.
    pub(crate) fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Doing it twice is doing it once, whatever its method says.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Doing it twice is doing it once, if the second request has this body.
    pub(crate) fn again<T: Serialize>(mut self, body: &T) -> Result<Self, RuntimeError> {
        self.again = Some(serde_json::to_vec(body).map_err(|error| RuntimeError::Invalid(error.to_string()))?);
        Ok(self)
    }

    /// Sends it, and reads the answer.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T, RuntimeError> {
        let caller = self.caller;
        let body = self.send().await?;
        serde_json::from_slice(&body).map_err(|error| caller.unlike_a_runtime(&error.to_string()))
    }

    /// Sends it, and expects nothing but success.
    pub(crate) async fn done(self) -> Result<(), RuntimeError> {
        self.send().await.map(drop)
    }

    /// Sends it; and again, if the server says that it did nothing yet and is to be asked in a moment.
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
                self.caller.rest.note(retry_after);
                return Err(self.caller.refusal(status, &answer));
            };
            left -= 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// `lost`: whether an earlier request may have arrived, whose answer was lost. From then on, each request says that it
    /// is sent again.
    async fn attempt(&self, lost: &mut bool) -> Result<Attempt, RuntimeError> {
        let Self { caller, time, limit, of_charm, .. } = self;
        let (time, limit) = (*time, *limit);
        if let Some(left) = caller.rest.left() {
            let seconds = left.as_secs() + 1;
            return Err(RuntimeError::unavailable(format!(
                "{} asked for no requests for {seconds} s more",
                caller.url
            )));
        }
        let mut sent = self.signed(&caller.client, self.body(*lost))?.send().await;
        if (self.repeatable || self.again.is_some()) && sent.as_ref().is_err_and(http_client::is_lost) {
            tracing::debug!(
                "{} closed a connection without an answer to {} {}: asking again",
                caller.url,
                self.method,
                self.url.path()
            );
            *lost = true;
            // Signed again: the runtime may have seen the first one, and takes each signature once.
            sent = self.signed(&caller.unpooled, self.body(*lost))?.send().await;
        }
        let mut response = sent.map_err(|error| {
            // The server took the request, and is at it.
            if *of_charm && error.is_timeout() && !error.is_connect() {
                let text = format!("{} gave no answer about it within {} s", caller.url, time.as_secs());
                return RuntimeError::unavailable_in(Scope::Charm, text);
            }
            caller.unreachable(&http_client::cause(&error))
        })?;
        let status = response.status();
        if status.is_redirection() {
            let target =
                response.headers().get(LOCATION).and_then(|target| target.to_str().ok()).unwrap_or("somewhere");
            return Err(caller.unlike_a_runtime(&format!("{status}, it redirects to {target:?}")));
        }
        let retry_after = rest::retry_after(status, response.headers());
        let answer = match http_client::body(&mut response, limit).await {
            Ok(answer) => answer,
            // Nothing is counted against the charm for it: whoever is between may have made it longer.
            Err(BodyError::TooLong) if *of_charm && status.is_success() => {
                let text = format!("what {} says of it is longer than {limit} bytes", caller.url);
                return Err(RuntimeError::unavailable_in(Scope::Charm, text));
            }
            Err(BodyError::TooLong) => {
                return Err(caller.unlike_a_runtime(&format!("{status}, longer than {limit} bytes")));
            }
            Err(BodyError::Broken(problem)) => {
                return Err(caller.unreachable(&format!("its answer broke off: {problem}")));
            }
        };
        Ok(Attempt { status, retry_after, answer })
    }

    /// What to send: the first time, or after an answer was `lost`.
    fn body(&self, lost: bool) -> &[u8] {
        self.again.as_ref().filter(|_| lost).unwrap_or(&self.body)
    }

    /// The request, with a signature of its own.
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
