//! What an operation needs its caller to be allowed. A store checks it in the transaction of the operation.

use bg_charm_api::AccessLevel;
use bg_identity::SpaceDid;
use bg_poller::CharmRef;

/// What a request needs, as far as its method and path say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Access to a space that must exist.
    Space(SpaceDid, AccessLevel),
    /// Access to a charm that must exist.
    Charm(CharmRef, AccessLevel),
    /// To own the space of a charm that must exist, or to be the service.
    OwnerOrService(CharmRef),
    /// To replace the program of a charm.
    Update(CharmRef),
    /// To see the runs and the log of a charm.
    Observe(CharmRef),
    /// To deploy a charm to a space, which may have to be made.
    Deploy(SpaceDid),
    /// Access to the registrations.
    Registrations(AccessLevel),
    /// To be the operator.
    OwnKey,
}

/// What a caller must be allowed to do with a charm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// Access to its space.
    Space(AccessLevel),
    /// To write in its space and in the system space, as the service may.
    Service,
    /// To write in its space, and to own that or be the service; with what it is for, which begins with "to".
    OwnerOrService(String),
}
