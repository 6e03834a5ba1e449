//! Renewing a charm's OAuth token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_charm_api::Actor;
use bg_identity::Secret;
use bg_poller::{Cause as FailureCause, CharmRef, RuntimeError, Scope, UnixMillis};
use bg_server_trust::{ServerTrust, http_client};
use bg_store::document::Document;
use bg_store::paths::at;
use bg_store::{Cause, CellEdit, CellUpdate, Editor, Right};
use http::StatusCode;
use serde_json::{Map, Value, json};
use url::Url;

use super::LocalRuntime;

/// The cell that Common Tools' OAuth button fills.
const AUTH: &str = "auth";

/// For the whole exchange. Google's takes some hundred milliseconds.
const TIME: Duration = Duration::from_secs(10);

/// Tokens take a few kilobytes at most.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The client of the service that renews tokens.
pub(super) struct Refresher {
    url: Url,
    client: reqwest::Client,
}

impl Refresher {
    pub(super) fn new(url: Url) -> Self {
        Self { url, client: http_client::new(TIME, &ServerTrust::PublicRoots) }
    }

    /// What to put into the `auth` cell. Errors name neither the token nor what the service said beside an error code.
    async fn refresh(&self, token: &Secret) -> Result<Map<String, Value>, RuntimeError> {
        let request = self.client.post(self.url.clone()).json(&json!({"refreshToken": token.expose()}));
        let mut response = request
            .send()
            .await
            .map_err(|error| self.fails(&format!("does not answer: {}", http_client::cause(&error))))?;
        let body = http_client::body(&mut response, MAX_ANSWER_BYTES)
            .await
            .map_err(|problem| self.fails(&format!("broke off its answer: {problem}")))?;
        self.read(response.status(), &serde_json::from_slice(&body).unwrap_or_default())
    }

    /// What an answer means. Only a code that the standards of OAuth have for it says that it is the charm's credential
    /// that has ended, or the operator's client that is wrong. All else may be better in a moment: the original's own
    /// server, for one, answers 400 without a code to every trouble.
    fn read(&self, status: StatusCode, answer: &Value) -> Result<Map<String, Value>, RuntimeError> {
        let url = &self.url;
        let is_passing = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
        // Some services answer 200 to an error, too.
        let code = answer.get("error").and_then(Value::as_str).filter(|code| is_code(code) && !is_passing);
        match code {
            Some(code) if ENDED.contains(&code) => {
                return Err(RuntimeError::unmet(
                    FailureCause::SignInEnded,
                    format!(
                        "the token service {url} says {status} ({code}): the authorization has ended; authorize the \
                         charm again"
                    ),
                ));
            }
            Some(code) if WRONG_CLIENT.contains(&code) => {
                return Err(RuntimeError::unmet(
                    FailureCause::WrongClient,
                    format!(
                        "the token service {url} says {status} ({code}): it does not accept the OAuth client; check \
                         the client that it is set up with, and --oauth-refresh-url"
                    ),
                ));
            }
            Some(code) => return Err(self.fails(&format!("says {status} ({code})"))),
            None if status.is_server_error() => return Err(self.fails(&format!("says {status}"))),
            None if is_passing => {
                return Err(self.fails_by(FailureCause::TokenServiceBusy, &format!("says {status}")));
            }
            None if status == StatusCode::BAD_REQUEST => {
                let how = format!("says {status}, without a reason; if that lasts, authorize the charm again");
                return Err(self.fails_by(FailureCause::TokenServiceSilent, &how));
            }
            // A server that is no token service, or another path of one. A sign-in would not help.
            None if !status.is_success() => {
                let how = format!("says {status}, as one that renews no tokens does; check --oauth-refresh-url");
                return Err(self.fails(&how));
            }
            None => {}
        }
        match answer.get("tokenInfo") {
            Some(Value::Object(info)) if has_text(info, "token") => Ok(kept(info.clone(), UnixMillis::now())),
            _ => Err(self.fails("answers without a tokenInfo.token")),
        }
    }

    /// The service fails, which is no fault of the charm, nor of the operator.
    fn fails(&self, how: &str) -> RuntimeError {
        self.fails_by(FailureCause::TokenServiceFails, how)
    }

    fn fails_by(&self, cause: FailureCause, how: &str) -> RuntimeError {
        RuntimeError::unavailable_by(cause, format!("the token service {} {how}", self.url))
    }
}

/// The codes of a credential that has ended: that of RFC 6749, those of `OpenID` Connect that ask for a person, and
/// GitHub's.
const ENDED: [&str; 9] = [
    "access_denied",
    "account_selection_required",
    "bad_refresh_token",
    "consent_required",
    "interaction_required",
    "invalid_grant",
    "invalid_token",
    "login_required",
    "token_expired",
];

/// The codes of a client, or of its requests, that the service will never accept as they are.
const WRONG_CLIENT: [&str; 7] = [
    "incorrect_client_credentials",
    "invalid_client",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
];

/// The members of a renewal that are kept. What is null or, of tokens, empty says nothing of what the cell has: a
/// service that does not rotate refresh tokens may well send such a one. A time to live is kept as the time when it
/// ends; without either, that of the last token does not count any more.
fn kept(mut info: Map<String, Value>, now: UnixMillis) -> Map<String, Value> {
    let lives = lives(&info);
    info.retain(|name, value| match name.as_str() {
        "refreshToken" => value.as_str().is_some_and(|token| !token.is_empty()),
        _ => !value.is_null(),
    });
    if !info.get("expiresAt").is_some_and(Value::is_number) {
        let ends = lives.map_or(0, |life| (now + life).0);
        info.insert("expiresAt".to_owned(), ends.into());
    }
    info
}

/// How many seconds a token says that it is good for: a number, or a text of one.
fn lives(info: &Map<String, Value>) -> Option<Duration> {
    let seconds = match info.get("expiresIn")? {
        Value::String(text) => text.parse().ok()?,
        value => value.as_f64()?,
    };
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

fn has_text(info: &Map<String, Value>, name: &str) -> bool {
    info.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

/// Whether a text is an error code such as `invalid_grant`, and not a message that may quote something.
fn is_code(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn refresh_token_of(info: &Map<String, Value>) -> Option<Secret> {
    Some(Secret::new(info.get("refreshToken")?.as_str()?.to_owned()))
}

/// How long a new token is good for.
fn life_of(info: &Map<String, Value>) -> Option<Duration> {
    let at = info.get("expiresAt").and_then(Value::as_f64).filter(|at| *at > 0.0)?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits for 285,000 years")]
    let left = (at - UnixMillis::now().0 as f64) / 1_000.0;
    Duration::try_from_secs_f64(left.max(0.0)).ok()
}

impl LocalRuntime {
    /// Renews the token of a charm, in its turn, unless that was [done or tried](super::renewals) a moment ago: then
    /// the answer is what came of that. It goes on when the caller no longer waits for it, since the service may have
    /// replaced the refresh token by then.
    pub(super) async fn refresh_auth(
        self: &Arc<Self>,
        actor: &Actor,
        charm: &CharmRef,
        cause: Cause,
    ) -> Result<(), RuntimeError> {
        let (runtime, actor, charm) = (Arc::clone(self), actor.clone(), charm.clone());
        let renewal = tokio::spawn(async move {
            // Held to the end: a handler that runs meanwhile would find its cells changed.
            let _turn = runtime.turns.take(&charm).await?;
            let links = runtime.links_in_use(&actor, &charm).await?;
            for link in &links {
                runtime.refresh_linked(link, cause).await?;
            }
            if !links.is_empty() {
                return Ok(());
            }
            let token = runtime.refresh_token(&actor, &charm).await?;
            runtime.renew(&charm, &token, cause).await
        });
        renewal.await.unwrap_or_else(|error| {
            Err(RuntimeError::unavailable_in(Scope::Charm, format!("the renewal did not end: {error}")))
        })
    }

    async fn renew(&self, charm: &CharmRef, token: &Secret, cause: Cause) -> Result<(), RuntimeError> {
        let Some(refresher) = &self.oauth else {
            return Err(RuntimeError::unmet(
                FailureCause::NoRefreshUrl,
                format!(
                    "the OAuth token of {charm} cannot be renewed: it is of no account of this host, and no \
                     --oauth-refresh-url names a service that renews it"
                ),
            ));
        };
        if let Some(last) = self.renewals.paused(charm, token, cause == Cause::Poll, Instant::now()) {
            return last;
        }
        let answer = refresher.refresh(token).await;
        let (next, life) = answer.as_ref().map_or((None, None), |info| (refresh_token_of(info), life_of(info)));
        let result = match answer {
            Ok(info) => self.keep_renewed(charm, info, cause).await,
            Err(error) => Err(error),
        };
        let fixed = self.renewals.note(charm, next.as_ref().unwrap_or(token), life, &result, Instant::now());
        self.wake(fixed).await;
        result
    }

    /// Has those charms polled again soon whose tokens could not be renewed: the token service works now, for another
    /// one.
    pub(super) async fn wake(&self, charms: Vec<CharmRef>) {
        if charms.is_empty() {
            return;
        }
        if let Err(error) = self.store.wake(&charms).await {
            // They are polled at their own times.
            tracing::warn!("Charms that wait for the token service cannot be woken: {error}");
        }
    }

    async fn keep_renewed(&self, charm: &CharmRef, info: Map<String, Value>, cause: Cause) -> Result<(), RuntimeError> {
        let edit = move |found: Editor<'_>| Ok(found.document?.unwrap_or_default().with_members(info.clone()));
        let edit = CellEdit { cell: AUTH.to_owned(), edit: Box::new(edit), update: CellUpdate::Renewal(cause) };
        self.store.edit(&Actor::Operator, charm, edit).await
    }

    async fn refresh_token(&self, actor: &Actor, charm: &CharmRef) -> Result<Secret, RuntimeError> {
        let purpose = format!("to renew the OAuth token of {charm}, which sends its refresh token");
        let (_, cells) = self.store.cells(actor, charm, &Right::OwnerOrService(purpose), &[AUTH.to_owned()]).await?;
        let auth = cells.get(AUTH).map_or_else(|| Ok(Document::default()), |text| Document::parse(text));
        let auth = auth.map_err(|_| self.store.damaged_cell(charm, AUTH))?;
        match at(auth.node(), &["refreshToken".to_owned()]) {
            Some(Value::String(token)) if !token.is_empty() => Ok(Secret::new(token.clone())),
            _ => Err(RuntimeError::unmet(
                FailureCause::SignInMissing,
                format!(
                    "the OAuth token of {charm} cannot be renewed: it has no auth.refreshToken; authorize it again"
                ),
            )),
        }
    }
}
