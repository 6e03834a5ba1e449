//! Which charms are polled when: what the loop asks, and what each answer promises.
//!
//! The loop polls; a [`Schedule`] decides what is due. Today there is one, [in memory](memory), for
//! the one process that polls a database. Several processes can share a schedule that is kept in a database: then each
//! *claims* what is due by a lease that ends, and a claimer that is killed holds nobody up for longer. With the
//! feature `suite`, [`suite`] tests every promise; each implementation passes it.

pub mod memory;
#[cfg(feature = "suite")]
pub mod suite;

use std::time::Duration;

use async_trait::async_trait;
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
    /// What it says about servers.
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

/// Which charms are due, and what follows from their polls.
///
/// A charm has at most one lease at a time, of all claimers. So it is never polled twice at once by claimers that keep
/// to their leases.
#[async_trait]
pub trait Schedule: Send {
    /// Hands out at most `room` due charms, each with its own lease.
    ///
    /// - None is handed out before it is due, while it has a lease, or while it is disabled or not registered.
    /// - `room` is the number of polls that the caller can *finish*: its limit, less all polls under way. A caller that
    ///   claims what it can only queue loses the leases before it settles them, and with them all of the work.
    /// - What is due is handed out at some call, also if others are due: in turns, and by the pace of what is late.
    async fn claim(&mut self, room: usize) -> Vec<Due>;

    /// Settles polls that have ended: counts each outcome, and plans the next poll. Answers in the order of the
    /// settlements.
    ///
    /// A lease is settled once. Of a lease that has ended (its time is over, it was settled or released, or its charm
    /// was removed) nothing is kept: no failure, no success, no due time.
    async fn settle(&mut self, ended: Vec<Settlement>) -> Vec<Settled>;

    /// Extends leases that are still held, each by the full time from now on. Returns those that have ended: their
    /// polls should be stopped, since nothing of them will be kept.
    async fn renew(&mut self, leases: &[Lease]) -> Vec<Lease>;

    /// Gives back leases of polls that will not be settled: nothing counts, and the charms are due as they were before.
    /// Leases that have ended are ignored.
    async fn release(&mut self, leases: &[Lease]);

    /// How long a lease lasts that is not renewed. None: until it is settled or released, since it can be held by this
    /// process only, and ends with it. A claimer renews at a third of this time, and starts nothing in its last tenth.
    fn lease_time(&self) -> Option<Duration>;

    /// When a claim may hand out something next; none: not before something else happens. May be early, never late.
    fn next_claim(&self) -> Option<Instant>;
}
