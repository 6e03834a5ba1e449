//! What callers are allowed, beyond single spaces and charms.

use bg_charm_api::{AccessLevel, Actor};
use bg_identity::SpaceDid;
use bg_store::{Needed, Right};
use rusqlite::Transaction;

use super::tenancy::Tenants;
use super::{Failure, access, spaces};

/// Fails unless the actor is allowed that.
pub(crate) fn check(tx: &Transaction<'_>, tenants: &Tenants, actor: &Actor, needed: &Needed) -> Result<(), Failure> {
    match needed {
        Needed::Space(did, level) => access::known_space(tx, actor, did, *level),
        Needed::Charm(name, level) => access::charm(tx, actor, name, *level).map(drop),
        Needed::OwnerOrService(name) => {
            access::charm_with(tx, actor, name, &Right::OwnerOrService("to do that".to_owned())).map(drop)
        }
        Needed::Update(name) => access::may_update(tx, actor, name).map(drop),
        Needed::Observe(name) => access::observed(tx, actor, name).map(drop),
        Needed::Deploy(did) => may_deploy(tx, tenants, actor, did),
        Needed::Registrations(level) => access::system(tx, actor, *level),
        Needed::OwnKey => Ok(()),
    }
}

/// Fails unless the actor may deploy into a space, or may make it where it does not exist.
pub(crate) fn may_deploy(
    tx: &Transaction<'_>,
    tenants: &Tenants,
    actor: &Actor,
    did: &SpaceDid,
) -> Result<(), Failure> {
    if spaces::exists(tx, did)? || *actor == Actor::Anonymous {
        return access::space(tx, actor, did, AccessLevel::Write);
    }
    Ok(tenants.rules.may_make(actor, did)?)
}
