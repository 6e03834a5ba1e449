//! What the loop keeps of a poll that is under way.

use bg_identity::IntegrationId;
use tokio::task::AbortHandle;

use crate::CharmRef;
use crate::schedule::Lease;

/// A place in the groups of the engine: an integration with a component, or all that have none (0).
pub(super) type GroupId = usize;

/// A poll that is under way.
pub(super) struct UnderWay {
    pub(super) lease: Lease,
    pub(super) charm: CharmRef,
    pub(super) integration: IntegrationId,
    pub(super) group: GroupId,
    pub(super) poll: AbortHandle,
}
