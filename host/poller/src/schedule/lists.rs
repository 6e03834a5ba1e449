//! What a schedule says of the lists of integrations.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::CharmRef;

/// How long the last good list is used after `fetch-charms` failed. The original's.
pub const LIST_LIFE: Duration = Duration::from_mins(5);

/// What has changed with the lists of an integration, for the log, which says it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListChange {
    /// `fetch-charms` works again.
    Works,
    /// It failed; the last good list is still used.
    Fails,
    /// It failed, and there is no list that could be used.
    Stopped,
}

/// What a list has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// What it says of `fetch-charms`, if that is news.
    pub change: Option<ListChange>,
    /// How many named charms are not registered for the integration.
    pub unregistered: u64,
    /// How many enabled charms of the integration it does not name.
    pub left_out: u64,
}

/// That charms are owed a poll, on its way to where it survives a restart.
pub struct Owed {
    /// The charms that are not known to be registered for the integration.
    pub unknown: HashSet<CharmRef>,
    /// Ends when it is written of all others; false if it cannot be.
    pub written: BoxFuture<'static, bool>,
}

impl fmt::Debug for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owed").field("unknown", &self.unknown).finish_non_exhaustive()
    }
}
