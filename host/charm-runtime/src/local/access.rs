//! Checks of access, as part of the transactions that need it.

use bg_charm_api::{AccessLevel, Acl, Actor};
use bg_identity::{SpaceDid, system_space};
use bg_poller::{CharmRef, RuntimeError};
use rusqlite::Transaction;

use crate::store::{self, Failure, StoredCharm};

/// Fails unless the actor has at least `needed` in the space.
pub(super) fn space(tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid, needed: AccessLevel) -> Result<(), Failure> {
    Ok(acl(tx, actor, space)?.check(space, actor, needed)?)
}

/// What the access list of a space says of the actor.
fn acl(tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid) -> Result<Acl, Failure> {
    let caller = match actor {
        Actor::Did(did) | Actor::Remote(did) => Some(did),
        Actor::Operator | Actor::Anonymous => None,
    };
    store::spaces::acl_for(tx, space, caller)
}

/// The same for a space that must be there.
pub(super) fn known_space(
    tx: &Transaction<'_>,
    actor: &Actor,
    did: &SpaceDid,
    needed: AccessLevel,
) -> Result<(), Failure> {
    if !store::spaces::exists(tx, did)? {
        let message = format!(
            "there is no space {did}; `bg-wasm-host space new NAME` makes one, and so does deploying a charm to it where the caller may"
        );
        return Err(RuntimeError::Invalid(message).into());
    }
    space(tx, actor, did, needed)
}

/// The same for the system space, where registrations are.
pub(super) fn system(tx: &Transaction<'_>, actor: &Actor, needed: AccessLevel) -> Result<(), Failure> {
    space(tx, actor, &system_space(), needed)
}

/// Fails unless the actor owns the space, or is the service, which may have the secrets of charms anyway: most spaces let anyone write.
/// `purpose` says what that is for, and begins with "to".
pub(super) fn owner_or_service(
    tx: &Transaction<'_>,
    actor: &Actor,
    space: &SpaceDid,
    purpose: &str,
) -> Result<(), Failure> {
    if system(tx, actor, AccessLevel::Write).is_ok() {
        return Ok(());
    }
    self::space(tx, actor, space, AccessLevel::Owner).map_err(|error| match error {
        Failure::Refused(RuntimeError::Authorization { space, message }) => {
            RuntimeError::Authorization { space, message: format!("{message} {purpose}") }.into()
        }
        other => other,
    })
}

/// Finds a charm for an actor who needs access to its space. Who asks in a space that is not there hears that the charm is not.
pub(super) fn charm(
    tx: &Transaction<'_>,
    actor: &Actor,
    charm: &CharmRef,
    needed: AccessLevel,
) -> Result<StoredCharm, Failure> {
    charm_and_acl(tx, actor, charm, needed).map(|(stored, _)| stored)
}

/// The same, with what the access list of its space says of the actor.
pub(super) fn charm_and_acl(
    tx: &Transaction<'_>,
    actor: &Actor,
    charm: &CharmRef,
    needed: AccessLevel,
) -> Result<(StoredCharm, Acl), Failure> {
    let found = store::charms::find(tx, charm);
    // Where the charm is there, its space is.
    if matches!(found, Err(Failure::Refused(RuntimeError::NotFound(_)))) && !store::spaces::exists(tx, &charm.space)? {
        return Err(RuntimeError::NotFound(charm.clone()).into());
    }
    let acl = acl(tx, actor, &charm.space)?;
    acl.check(&charm.space, actor, needed)?;
    Ok((found?, acl))
}

/// Who may see a charm's runs and its log: who may read its space, and the service, which sees those of all it polls.
pub(super) fn observed(tx: &Transaction<'_>, actor: &Actor, charm: &CharmRef) -> Result<StoredCharm, Failure> {
    match system(tx, actor, AccessLevel::Read) {
        Ok(()) => store::charms::find(tx, charm),
        Err(_) => self::charm(tx, actor, charm, AccessLevel::Read),
    }
}
