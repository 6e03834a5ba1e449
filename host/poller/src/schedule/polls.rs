//! A poll as the schedule sees it: from the lease by which it is made to what follows from its end.

use std::time::Duration;

use bg_identity::IntegrationId;
use tokio::time::Instant;

use crate::{CharmRef, Consequence, Servers, UnixMillis};

/// The right to poll one charm once: a number that no other lease has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease(pub u64);

/// A charm that is due, and its lease.
#[derive(Clone, Debug)]
pub struct Due {
    /// The right to poll it.
    pub lease: Lease,
    /// Which charm.
    pub charm: CharmRef,
    /// The integration that it is registered for.
    pub integration: IntegrationId,
    /// How long ago it was due.
    pub late: Duration,
    /// How many polls it has missed since.
    pub missed: u64,
}

/// A poll that has ended, and all that decides about the next one.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The lease that it was made by.
    pub lease: Lease,
    /// When it started, by the wall clock.
    pub started_at: UnixMillis,
    /// When it started, by the clock that cannot be set.
    pub start: Instant,
    /// How long it took.
    pub duration: Duration,
    /// What follows from its outcome; none if that is not known, since the poll was lost: then nothing counts.
    pub consequence: Option<Consequence>,
    /// Whether the cause of its outcome is elsewhere, where somebody may have fixed it meanwhile.
    pub outcome_awaits_a_fix: bool,
    /// Whether the runtime has noted the run.
    pub noted: bool,
    /// What it says about the integration's component.
    pub component: ComponentAnswer,
    /// What it says about servers: because of which one the poll failed, and which ones answered it. Those that
    /// answered a poll that succeeded count as in [`servers_answered`](super::Schedule::servers_answered).
    pub servers: Servers,
}

impl Settlement {
    /// Of a poll of which nothing is known but that it is over.
    pub fn lost(lease: Lease) -> Self {
        Self {
            lease,
            started_at: UnixMillis::NEVER,
            start: Instant::now(),
            duration: Duration::ZERO,
            consequence: None,
            outcome_awaits_a_fix: false,
            noted: false,
            component: ComponentAnswer::default(),
            servers: Servers::default(),
        }
    }

    /// Whether the poll succeeded.
    pub fn succeeded(&self) -> bool {
        self.consequence == Some(Consequence::Clears)
    }
}

/// What a poll says about its integration's component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComponentAnswer {
    /// It answered, and is still the one in use.
    pub answered: bool,
    /// It is to blame for the outcome.
    pub failed: bool,
    /// … and nobody loses anything for that.
    pub excused: bool,
    /// When it last answered for any charm.
    pub last_answer: Option<Instant>,
}

/// The result of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It counts.
    Kept(Kept),
    /// The lease had ended: nothing of the poll is kept.
    Lost,
}

/// What follows from a poll that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Failed polls in a row.
    pub failures: u32,
    /// How soon the charm is polled next, or enabled again; none if neither is planned.
    pub next_in: Option<Duration>,
    /// Whether this failure disables the charm.
    pub disabled: bool,
    /// How many polls the charm has missed by the length of this one.
    pub missed: u64,
}
