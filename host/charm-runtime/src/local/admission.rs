//! What a server asks before it does anything for a caller: what the caller may do, and what outlives the process.

use bg_charm_api::Actor;
use bg_identity::http_signature::FastClock;
use bg_identity::{Did, system_space};
use bg_poller::RuntimeError;
use bg_store::Needed;

use super::LocalRuntime;
use super::handle::LocalHandle;

impl LocalHandle {
    /// Fails unless the caller may do that.
    pub async fn needs(&self, needed: Needed) -> Result<(), RuntimeError> {
        if needed == Needed::OwnKey {
            return self.check_own_key();
        }
        if self.actor == Actor::Operator {
            return Ok(());
        }
        self.runtime.store.check(&self.actor, &needed).await
    }

    /// Whether the caller is the operator, by the login token or by the key.
    pub fn is_operator(&self) -> bool {
        self.runtime.is_trusted(&self.actor)
    }

    /// Fails unless the caller is the operator. Access to the system space, which many may have, is not enough.
    pub(super) fn check_own_key(&self) -> Result<(), RuntimeError> {
        self.check_operator(
            "whose poll loops alone it shows; start `bg-wasm-host run` with the IDENTITY or OPERATOR_PASS that the \
             server has",
        )
    }

    /// The same for accounts.
    pub(super) fn check_accounts(&self) -> Result<(), RuntimeError> {
        self.check_operator(
            "who alone has accounts and clients there; set the IDENTITY or OPERATOR_PASS that the server has",
        )
    }

    fn check_operator(&self, why: &str) -> Result<(), RuntimeError> {
        let caller = match &self.actor {
            Actor::Operator => return Ok(()),
            actor if self.runtime.is_trusted(actor) => return Ok(()),
            Actor::Did(did) | Actor::Remote(did) => did.to_string(),
            Actor::Anonymous => "an unsigned request".to_owned(),
        };
        let space = system_space();
        let message = format!("{space} (the system space): {caller} is not the operator of the server, {why}");
        Err(RuntimeError::Authorization { space, message })
    }
}

impl LocalRuntime {
    /// The operator's own key, if there is one.
    pub fn owner(&self) -> Option<&Did> {
        self.owner.as_ref()
    }

    /// Whether the caller is the operator, by the token or by the key.
    pub(super) fn is_trusted(&self, actor: &Actor) -> bool {
        self.rules.is_operator(actor)
    }

    /// Until when signers with fast clocks may have made requests that an earlier process accepted.
    pub async fn fast_clocks(&self) -> Result<FastClock, RuntimeError> {
        self.store.fast_clocks().await
    }

    /// Writes such a time down.
    pub async fn keep_fast_clock(&self, is_operator: bool, until: u64) -> Result<(), RuntimeError> {
        self.store.keep_fast_clock(is_operator, until).await
    }
}
