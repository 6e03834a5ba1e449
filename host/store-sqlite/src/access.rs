//! Checks of access, as part of the transactions that need it.

use bg_charm_api::{AccessLevel, Acl, Actor};
use bg_identity::{SpaceDid, system_space};
use bg_poller::{CharmRef, RuntimeError};
use bg_store::{Right, StoredCharm, refusals};
use rusqlite::Transaction;

use super::{Failure, charms, spaces};

/// Fails unless the actor has at least `needed` in the space.
pub(crate) fn space(tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid, needed: AccessLevel) -> Result<(), Failure> {
    Ok(acl(tx, actor, space)?.check(space, actor, needed)?)
}

/// What the access list of a space says of the actor.
fn acl(tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid) -> Result<Acl, Failure> {
    let caller = match actor {
        Actor::Did(did) | Actor::Remote(did) => Some(did),
        Actor::Operator | Actor::Anonymous => None,
    };
    spaces::acl_for(tx, space, caller)
}

/// The same for a space that must be there.
pub(crate) fn known_space(
    tx: &Transaction<'_>,
    actor: &Actor,
    did: &SpaceDid,
    needed: AccessLevel,
) -> Result<(), Failure> {
    if !spaces::exists(tx, did)? {
        return Err(refusals::no_space(did).into());
    }
    space(tx, actor, did, needed)
}

/// The same for the system space, where registrations are.
pub(crate) fn system(tx: &Transaction<'_>, actor: &Actor, needed: AccessLevel) -> Result<(), Failure> {
    space(tx, actor, &system_space(), needed)
}

/// Fails unless the actor owns the space, or is the service, which may have the secrets of charms anyway: most spaces
/// let anyone write. `purpose` says what that is for, and begins with "to".
pub(crate) fn owner_or_service(
    tx: &Transaction<'_>,
    actor: &Actor,
    space: &SpaceDid,
    purpose: &str,
) -> Result<(), Failure> {
    if system(tx, actor, AccessLevel::Write).is_ok() {
        return Ok(());
    }
    self::space(tx, actor, space, AccessLevel::Owner).map_err(|error| match error {
        Failure::Refused(error) => refusals::refused_for(error, purpose).into(),
        other => other,
    })
}

/// Finds a charm for an actor who needs access to its space. A caller in a space that does not exist is answered that the charm
/// is not.
pub(crate) fn charm(
    tx: &Transaction<'_>,
    actor: &Actor,
    charm: &CharmRef,
    needed: AccessLevel,
) -> Result<StoredCharm, Failure> {
    charm_and_acl(tx, actor, charm, needed).map(|(stored, _)| stored)
}

/// The same, with what the access list of its space says of the actor.
pub(crate) fn charm_and_acl(
    tx: &Transaction<'_>,
    actor: &Actor,
    charm: &CharmRef,
    needed: AccessLevel,
) -> Result<(StoredCharm, Acl), Failure> {
    let found = charms::find(tx, charm);
    // Where the charm is there, its space is.
    if matches!(found, Err(Failure::Refused(RuntimeError::NotFound(_)))) && !spaces::exists(tx, &charm.space)? {
        return Err(RuntimeError::NotFound(charm.clone()).into());
    }
    let acl = acl(tx, actor, &charm.space)?;
    acl.check(&charm.space, actor, needed)?;
    Ok((found?, acl))
}

/// Who may see a charm's runs and its log: who may read its space, and the service, which sees those of all it polls.
pub(crate) fn observed(tx: &Transaction<'_>, actor: &Actor, charm: &CharmRef) -> Result<StoredCharm, Failure> {
    match system(tx, actor, AccessLevel::Read) {
        Ok(()) => charms::find(tx, charm),
        Err(_) => self::charm(tx, actor, charm, AccessLevel::Read),
    }
}

/// Finds a charm for an actor who has that right.
pub(crate) fn charm_with(
    tx: &Transaction<'_>,
    actor: &Actor,
    name: &CharmRef,
    right: &Right,
) -> Result<StoredCharm, Failure> {
    let level = if let Right::Space(level) = right { *level } else { AccessLevel::Write };
    let stored = charm(tx, actor, name, level)?;
    match right {
        Right::Space(_) => {}
        Right::Service => system(tx, actor, AccessLevel::Write)?,
        Right::OwnerOrService(purpose) => owner_or_service(tx, actor, &name.space, purpose)?,
    }
    Ok(stored)
}

/// Finds a charm for an actor who may replace its program: the owner of the space, or the service. A new program can
/// read all that is in the charm's cells, and all that comes into them later, such as a token of somebody who signs in;
/// and most spaces let anyone write.
pub(crate) fn may_update(tx: &Transaction<'_>, actor: &Actor, charm: &CharmRef) -> Result<StoredCharm, Failure> {
    charm_with(tx, actor, charm, &Right::OwnerOrService(refusals::to_update(charm)))
}

/// Finds a charm for an actor who may delete it: an owner of its space, or the service.
pub(crate) fn may_delete(tx: &Transaction<'_>, actor: &Actor, name: &CharmRef) -> Result<StoredCharm, Failure> {
    match system(tx, actor, AccessLevel::Write) {
        Ok(()) => charms::find(tx, name),
        Err(_) => charm(tx, actor, name, AccessLevel::Owner),
    }
}
