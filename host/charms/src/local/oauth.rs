//! Renewing a charm's OAuth token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_identity::Secret;
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use serde_json::{Map, Value, json};
use url::Url;

use super::{LocalRuntime, access};
use crate::paths::at;
use crate::remote::{ServerTrust, http_client};
use crate::store::{self, Cells};
use crate::{AccessLevel, Actor};

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

    /// What to put into the `auth` cell. That the service is away is no fault of the charm; that it refuses the token is.
    /// Errors name neither the token nor what the service said beside an error code.
    async fn refresh(&self, token: &Secret) -> Result<Map<String, Value>, RuntimeError> {
        let away = |what: String| RuntimeError::Unavailable(format!("the token service {} {what}", self.url));
        let request = self.client.post(self.url.clone()).json(&json!({"refreshToken": token.expose()}));
        let mut response =
            request.send().await.map_err(|error| away(format!("does not answer: {}", http_client::cause(&error))))?;
        let body = http_client::body(&mut response, MAX_ANSWER_BYTES)
            .await
            .map_err(|problem| away(format!("broke off its answer: {problem}")))?;
        let status = response.status();
        let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_client_error() {
            let code = answer["error"].as_str().filter(|code| is_code(code));
            let code = code.map_or(String::new(), |code| format!(" ({code})"));
            let url = &self.url;
            return Err(RuntimeError::Unfit(format!(
                "the token service {url} says {status}{code}; authorize the charm again"
            )));
        }
        if !status.is_success() {
            return Err(away(format!("says {status}")));
        }
        match answer["tokenInfo"].take() {
            Value::Object(info) if info.get("token").is_some_and(Value::is_string) => Ok(info),
            _ => Err(away("answers without a tokenInfo.token".to_owned())),
        }
    }
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
    let left = match info.get("expiresAt").and_then(Value::as_f64) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits for 285,000 years")]
        Some(at) => (at - UnixMillis::now().0 as f64) / 1_000.0,
        None => info.get("expiresIn").and_then(Value::as_f64)?,
    };
    Duration::try_from_secs_f64(left.max(0.0)).ok()
}

impl LocalRuntime {
    /// Renews the token of a charm, in its turn, unless that was [done or tried](super::renewals) a moment ago: then the answer is what came of
    /// that. It goes on when the caller no longer waits for it, since the service may have replaced the refresh token by then.
    pub(super) async fn refresh_auth(self: &Arc<Self>, actor: &Actor, charm: &CharmRef) -> Result<(), RuntimeError> {
        let (runtime, actor, charm) = (Arc::clone(self), actor.clone(), charm.clone());
        let renewal = tokio::spawn(async move {
            // Held to the end: a handler that runs meanwhile would find its cells changed.
            let _turn = runtime.turns.take(&charm).await;
            let token = runtime.refresh_token(&actor, &charm).await?;
            runtime.renew(&charm, &token).await
        });
        renewal
            .await
            .unwrap_or_else(|error| Err(RuntimeError::Unavailable(format!("the renewal came to no end: {error}"))))
    }

    async fn renew(&self, charm: &CharmRef, token: &Secret) -> Result<(), RuntimeError> {
        let Some(refresher) = &self.oauth else {
            return Err(RuntimeError::Unfit(format!(
                "the OAuth token of {charm} cannot be renewed: say where with --oauth-refresh-url, such as \
                 http://localhost:8000/api/integrations/google-oauth/refresh"
            )));
        };
        if let Some(last) = self.renewals.paused(charm, token, Instant::now()) {
            return last;
        }
        let answer = refresher.refresh(token).await;
        let (next, life) = answer.as_ref().map_or((None, None), |info| (refresh_token_of(info), life_of(info)));
        let result = match answer {
            Ok(info) => self.keep_token(charm, info).await,
            Err(error) => Err(error),
        };
        self.renewals.note(charm, next.as_ref().unwrap_or(token), life, &result, Instant::now());
        result
    }

    async fn keep_token(&self, charm: &CharmRef, info: Map<String, Value>) -> Result<(), RuntimeError> {
        let (sealer, charm) = (self.sealer.clone(), charm.clone());
        let merged = self.database.write(move |tx| {
            let stored = store::charms::find(tx, &charm)?;
            let cells = Cells::of(tx, &sealer, &stored);
            let auth = cells.value(AUTH)?.unwrap_or_default().with_members(info);
            cells.set(&[(AUTH.to_owned(), auth.text())].into())?;
            store::charms::advance(tx, stored.row, stored.version)?;
            store::charms::note_change(tx, &stored, AUTH)
        });
        merged.await
    }

    async fn refresh_token(&self, actor: &Actor, charm: &CharmRef) -> Result<Secret, RuntimeError> {
        let (sealer, actor, charm) = (self.sealer.clone(), actor.clone(), charm.clone());
        let read = self.database.read(move |tx| {
            let stored = access::charm(tx, &actor, &charm, AccessLevel::Write)?;
            let purpose = format!("to renew the OAuth token of {charm}, which sends its refresh token");
            access::owner_or_service(tx, &actor, &charm.space, &purpose)?;
            let auth = Cells::of(tx, &sealer, &stored).value(AUTH)?.unwrap_or_default();
            match at(auth.node(), &["refreshToken".to_owned()]) {
                Some(Value::String(token)) if !token.is_empty() => Ok(Secret::new(token.clone())),
                _ => {
                    let text = format!("the OAuth token of {charm} cannot be renewed: it has no auth.refreshToken");
                    Err(RuntimeError::Unfit(text).into())
                }
            }
        });
        read.await
    }
}
