//! The credentials of an integration's charms, and their renewal.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bg_egress::{CredentialError, CredentialSource, Owner, RequestCharm};
use bg_identity::Secret;
use bg_manifest::CredentialPath;
use bg_poller::{CharmRef, CharmRuntime, RuntimeError, TokenLife, UnixMillis};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::registrations::Registrations;
use crate::text;

/// The credential that a charm runtime renews: the one that Common Tools' OAuth button fills.
const OAUTH_TOKEN: [&str; 2] = ["auth", "token"];

/// A token is renewed at most this often: a server that refuses the new token too would otherwise cause a renewal with
/// every request. A charm whose token has no known end is checked again after this time.
const RENEWAL_PAUSE: Duration = Duration::from_mins(1);

/// The source of credentials for an integration's charms. A request is for a charm, which must be one of its enabled
/// registrations; the secret comes from the charm runtime. An OAuth token that ends soon, or that a server refused, is
/// renewed there, once for all concurrent requests.
pub struct CharmCredentials {
    registrations: Arc<Registrations>,
    tokens: std::sync::Mutex<Tokens>,
}

/// What is known of all charms' tokens.
#[derive(Default)]
struct Tokens {
    by_charm: BTreeMap<CharmRef, Arc<Mutex<Token>>>,
    /// The number of entries at which those without useful information are removed.
    sweep_at: usize,
}

/// What is known of a charm's OAuth token. Locked while it is checked or renewed, so that concurrent requests cause one
/// renewal.
#[derive(Default)]
struct Token {
    /// Until when it need not be checked.
    fresh_until: Option<Instant>,
    /// Until when it is not renewed again.
    paused_until: Option<Instant>,
    /// Why the last renewal failed, if it did.
    failed: Option<Arc<RuntimeError>>,
}

impl Token {
    fn is_fresh(&self) -> bool {
        self.fresh_until.is_some_and(|until| Instant::now() < until)
    }

    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }
}

impl CharmCredentials {
    /// Credentials for one integration, which has these registrations.
    pub fn new(registrations: Arc<Registrations>) -> Self {
        Self { registrations, tokens: std::sync::Mutex::default() }
    }

    fn runtime(&self) -> &dyn CharmRuntime {
        &**self.registrations.runtime()
    }

    /// The charm that a request is for, if it belongs to the integration.
    async fn own(&self, owner: &Owner, charm: &RequestCharm) -> Result<CharmRef, CredentialError> {
        let own = self.registrations.recent().await.map_err(CredentialError::failed)?;
        // Each integration has its own client and source; another owner would be a wiring mistake.
        let is_its = *owner == Owner::Integration(self.registrations.id().clone());
        let named = charm.charm().filter(|named| is_its && own.contains(named));
        named.ok_or_else(|| CredentialError::NotItsCharm { charm: charm.to_string(), owner: owner.clone() })
    }

    async fn secret(&self, owner: &Owner, charm: &CharmRef, path: &CredentialPath) -> Result<Secret, CredentialError> {
        self.runtime().secret(charm, path.path()).await.map_err(|error| match error {
            RuntimeError::NotFound(_) => {
                CredentialError::NotItsCharm { charm: charm.to_string(), owner: owner.clone() }
            }
            error => CredentialError::failed(error),
        })
    }

    fn token(&self, charm: &CharmRef) -> Arc<Mutex<Token>> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.by_charm.get(charm) {
            return token.clone();
        }
        if tokens.by_charm.len() >= tokens.sweep_at {
            // An entry in use stays: a second one for the same charm would allow a second renewal.
            tokens.by_charm.retain(|_, token| {
                Arc::strong_count(token) > 1
                    || token.try_lock().map_or(true, |token| token.is_fresh() || token.is_paused())
            });
            tokens.sweep_at = (2 * tokens.by_charm.len()).max(64);
        }
        tokens.by_charm.entry(charm.clone()).or_default().clone()
    }

    /// Renews a token that ends soon, before it is used. If that fails, the old token is used anyway, and the server
    /// decides.
    async fn keep_fresh(&self, charm: &CharmRef) -> Result<(), RuntimeError> {
        let token = self.token(charm);
        let mut token = token.lock().await;
        if token.is_fresh() {
            return Ok(());
        }
        let view = self.runtime().open(charm).await?;
        let mut life = TokenLife::of(&*view, UnixMillis::now()).await?;
        if matches!(life, TokenLife::EndsSoon | TokenLife::Ended)
            && !token.is_paused()
            && self.renew(charm, &mut token, "ends soon, or has ended,").await.is_ok()
        {
            life = TokenLife::of(&*view, UnixMillis::now()).await?;
        }
        token.fresh_until = match life {
            TokenLife::Fresh(time) => Instant::now().checked_add(time),
            TokenLife::Unknown => Some(Instant::now() + RENEWAL_PAUSE),
            TokenLife::EndsSoon | TokenLife::Ended => token.paused_until,
        };
        Ok(())
    }

    /// Renews a charm's token, which then is not renewed again for a while. Why that fails is logged, and remembered for
    /// all requests that want a new token meanwhile.
    async fn renew(&self, charm: &CharmRef, token: &mut Token, why: &str) -> Result<(), Arc<RuntimeError>> {
        token.paused_until = Some(Instant::now() + RENEWAL_PAUSE);
        let renewed = self.runtime().refresh_auth(charm).await.map_err(Arc::new);
        token.failed = renewed.as_ref().err().cloned();
        if let Err(error) = &renewed {
            let cause = error.cause();
            tracing::warn!(
                target: "egress", integration = %self.registrations.id(), %charm, cause = cause.as_str(),
                fix = cause.fix(charm, self.registrations.id()),
                "The OAuth token of {charm} {why} and cannot be renewed: {}", text::one_line(&error.to_string(), 1024)
            );
        }
        renewed
    }
}

#[async_trait]
impl CredentialSource for CharmCredentials {
    async fn bearer(
        &self,
        owner: &Owner,
        charm: &RequestCharm,
        path: &CredentialPath,
    ) -> Result<Secret, CredentialError> {
        let charm = self.own(owner, charm).await?;
        if path.path() == OAUTH_TOKEN {
            // If this fails, the read below fails too, and reports it.
            let _ = self.keep_fresh(&charm).await;
        }
        self.secret(owner, &charm, path).await
    }

    async fn renewed(
        &self,
        owner: &Owner,
        charm: &RequestCharm,
        path: &CredentialPath,
        refused: &Secret,
    ) -> Result<Option<Secret>, CredentialError> {
        let charm = self.own(owner, charm).await?;
        if path.path() != OAUTH_TOKEN {
            return Ok(None);
        }
        let token = self.token(&charm);
        let mut token = token.lock().await;
        // If another request has renewed the token meanwhile, the new one is found here.
        let now = self.secret(owner, &charm, path).await?;
        if now.expose() != refused.expose() {
            return Ok(Some(now));
        }
        if token.is_paused() {
            return token.failed.clone().map_or(Ok(None), |error| Err(CredentialError::Failed(error)));
        }
        token.fresh_until = None;
        self.renew(&charm, &mut token, "was refused by a server,")
            .await
            .map_err(|error| CredentialError::Failed(error))?;
        Ok(Some(self.secret(owner, &charm, path).await?))
    }
}

/// The error of the charm runtime because of which there is no credential. It names the charm and the path, never the
/// secret.
pub(crate) fn of_runtime(error: &CredentialError) -> Option<&RuntimeError> {
    match error {
        CredentialError::Failed(error) => error.downcast_ref(),
        CredentialError::NotItsCharm { .. } | CredentialError::Missing(_) => None,
    }
}
