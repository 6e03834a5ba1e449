//! What the schedule in memory knows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bg_identity::IntegrationId;
use tokio::time::Instant;

use super::due_queue::DueQueue;
use super::forgotten::Forgotten;
use super::gone::Gone;
use super::leases::Leases;
use super::list::List;
use super::outages::Outages;
use super::paces::Paces;
use super::ready::Ready;
use super::slots::{Entry, GroupId, Slot, Slots};
use super::slow_charms::SlowCharms;
use super::wakes::Wakes;
use crate::outbox::Notes;
use crate::schedule::StatusChange;
use crate::{CharmRef, Integration, PollState, PollerOptions, UnixMillis};

/// All registered charms, and when each is due. One task changes it, in steps: nothing here is shared or locked.
pub struct MemorySchedule {
    pub(super) options: PollerOptions,
    pub(super) notes: Arc<dyn Notes>,
    /// Whether the times that the runtime notes are those of the clock here.
    pub(super) shares_clock: bool,
    /// Zero of the schedule's own time.
    pub(super) start: Instant,
    pub(super) groups: Vec<Group>,
    pub(super) group_ids: HashMap<IntegrationId, GroupId>,
    pub(super) only: Option<HashSet<CharmRef>>,
    pub(super) slots: Slots,
    pub(super) due: DueQueue,
    pub(super) ready: Ready,
    pub(super) leases: Leases,
    /// The latest start of a poll by the wall clock, which may have been set back since.
    pub(super) latest_start: UnixMillis,
    /// What was remembered from before the start, until the first registrations are there.
    pub(super) stored: HashMap<CharmRef, PollState>,
    /// Charms whose cause may just have been fixed, and which have no time yet.
    pub(super) hurried: Vec<Slot>,
    pub(super) wakes: Wakes,
    pub(super) forgotten: Forgotten,
    pub(super) outages: Outages,
    /// How often registrations were read.
    pub(super) readings: u32,
    pub(super) paces: Paces,
    /// When a quick poll last ended.
    pub(super) quick_at: Option<Instant>,
    /// Integrations without component that the log has named.
    pub(super) without_component: HashSet<IntegrationId>,
    /// Registrations that are to be enabled or disabled, until the engine asks the runtime to.
    pub(super) status_changes: Vec<StatusChange>,
}

/// An integration with a component, or all that have none.
pub(super) struct Group {
    pub(super) has_component: bool,
    /// Whether its component keeps failing, so that none of its charms is polled.
    pub(super) paused: bool,
    pub(super) interval: Duration,
    pub(super) list: List,
    /// The charms that have gone from it since the last call of `fetch-charms` started.
    pub(super) gone: Gone,
    /// The latest time that was written as the one since when one of its charms is owed a poll.
    pub(super) owed_written: UnixMillis,
    pub(super) slow: SlowCharms,
}

impl MemorySchedule {
    /// A schedule of charms of these integrations; those of others have no component. `shares_clock`: whether the
    /// runtime notes times of the clock here. `stored`: what was noted before the start.
    pub fn new(
        integrations: &[Arc<dyn Integration>],
        options: PollerOptions,
        notes: Arc<dyn Notes>,
        shares_clock: bool,
        stored: Vec<PollState>,
    ) -> Self {
        let group = |id: Option<&IntegrationId>| Group {
            has_component: id.is_some(),
            paused: false,
            interval: id.map_or(options.interval, |id| options.interval_of(id)),
            list: List::default(),
            gone: Gone::default(),
            owed_written: UnixMillis::NEVER,
            slow: SlowCharms::default(),
        };
        let ids = integrations.iter().map(|component| component.id());
        let groups: Vec<Group> = std::iter::once(None).chain(ids.clone().map(Some)).map(group).collect();
        Self {
            ready: Ready::new(groups.len(), options.max_concurrent, options.per_integration, options.per_space),
            group_ids: (1..=GroupId::MAX).zip(ids).map(|(group, id)| (id.clone(), group)).collect(),
            only: options.charms.as_ref().map(|charms| charms.iter().cloned().collect()),
            stored: stored.into_iter().map(|state| (state.charm.clone(), state)).collect(),
            options,
            notes,
            shares_clock,
            start: Instant::now(),
            groups,
            slots: Slots::default(),
            due: DueQueue::default(),
            leases: Leases::default(),
            latest_start: UnixMillis::NEVER,
            hurried: Vec::new(),
            wakes: Wakes::default(),
            forgotten: Forgotten::default(),
            outages: Outages::default(),
            readings: 0,
            paces: Paces::default(),
            quick_at: None,
            without_component: HashSet::new(),
            status_changes: Vec::new(),
        }
    }

    /// The same for several claimers: a lease that is not renewed ends after this time.
    #[must_use]
    pub fn with_lease_time(mut self, time: Duration) -> Self {
        self.leases = Leases::lasting(time);
        self
    }

    /// The group of an integration: its own if it has a component, else that of all others.
    pub(super) fn group(&self, integration: &IntegrationId) -> GroupId {
        self.group_ids.get(integration).copied().unwrap_or(0)
    }

    /// Charms that are polled, of one group or of all; counted up to `most`.
    pub(super) fn count_active(&self, group: Option<GroupId>, most: usize) -> usize {
        let is_its = |entry: &Entry| entry.is_active() && group.is_none_or(|group| entry.group == group);
        self.slots.iter().filter(|(_, entry)| is_its(entry)).take(most).count()
    }
}
