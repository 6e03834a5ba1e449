//! What a server asks before it does anything for a caller: what the caller may do, and what outlives the process.

use bg_charm_api::{AccessLevel, Actor};
use bg_identity::http_signature::FastClock;
use bg_identity::{Did, SpaceDid, system_space};
use bg_poller::{CharmRef, RuntimeError};

use super::handle::LocalHandle;
use super::{LocalRuntime, access, deploy};
use crate::store::{self, Touch};

/// What a request needs, as far as its method and path say it. Whoever does the work checks it again, in the transaction of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Access to a space that must be there.
    Space(SpaceDid, AccessLevel),
    /// Access to a charm that must be there.
    Charm(CharmRef, AccessLevel),
    /// To own the space of a charm that must be there, or to be the service.
    OwnerOrService(CharmRef),
    /// To see the runs and the log of a charm.
    Observe(CharmRef),
    /// To deploy a charm to a space, which may have to be made.
    Deploy(SpaceDid),
    /// To be the operator.
    OwnKey,
}

impl LocalHandle {
    /// Fails unless the caller may do that.
    pub async fn needs(&self, needed: Needed) -> Result<(), RuntimeError> {
        if needed == Needed::OwnKey {
            return self.check_own_key();
        }
        if self.actor == Actor::Operator {
            return Ok(());
        }
        let tenants = self.runtime.tenants.clone();
        self.read(move |tx, actor| match needed {
            Needed::Space(space, level) => access::known_space(tx, actor, &space, level),
            Needed::Charm(charm, level) => access::charm(tx, actor, &charm, level).map(drop),
            Needed::OwnerOrService(charm) => {
                access::charm(tx, actor, &charm, AccessLevel::Write)?;
                access::owner_or_service(tx, actor, &charm.space, "to do that")
            }
            Needed::Observe(charm) => access::observed(tx, actor, &charm).map(drop),
            Needed::Deploy(space) => deploy::may_deploy(tx, &tenants, actor, &space),
            Needed::OwnKey => Ok(()),
        })
        .await
    }

    /// Whether the caller is the operator, by the login token or by the key.
    pub fn is_operator(&self) -> bool {
        self.runtime.is_trusted(&self.actor)
    }

    /// Fails unless the caller is the operator. Access to the system space, which many may have, is not enough.
    pub(super) fn check_own_key(&self) -> Result<(), RuntimeError> {
        let caller = match &self.actor {
            Actor::Operator => return Ok(()),
            actor if self.runtime.is_trusted(actor) => return Ok(()),
            Actor::Did(did) | Actor::Remote(did) => did.to_string(),
            Actor::Anonymous => "an unsigned request".to_owned(),
        };
        let space = system_space();
        let message = format!(
            "{space} (the system space): {caller} is not the operator of the server, whose poll loops alone it shows; start `bg-wasm-host run` \
             with the IDENTITY or OPERATOR_PASS that the server has"
        );
        Err(RuntimeError::Authorization { space, message })
    }
}

/// The keys in the table `meta` under which the times of fast clocks are kept.
const OPERATOR_CLOCK: &str = "signed_until_by_operator";
const OTHER_CLOCKS: &str = "signed_until_by_others";

impl LocalRuntime {
    /// The operator's own key, if there is one.
    pub fn owner(&self) -> Option<&Did> {
        self.owner.as_ref()
    }

    /// Whether the caller is the operator, by the token or by the key.
    pub(super) fn is_trusted(&self, actor: &Actor) -> bool {
        self.tenants.is_operator(actor)
    }

    /// Until when signers with fast clocks may have made requests that an earlier process accepted.
    pub async fn fast_clocks(&self) -> Result<FastClock, RuntimeError> {
        let read = self.database.read(|tx| {
            let time = |key| store::meta::number(tx, key).map(Option::unwrap_or_default);
            Ok(FastClock { operator: time(OPERATOR_CLOCK)?, others: time(OTHER_CLOCKS)? })
        });
        read.await
    }

    /// Writes such a time down.
    pub async fn keep_fast_clock(&self, is_operator: bool, until: u64) -> Result<(), RuntimeError> {
        let key = if is_operator { OPERATOR_CLOCK } else { OTHER_CLOCKS };
        self.database.write_touching(Touch::None, move |tx| store::meta::raise(tx, key, until)).await
    }
}
