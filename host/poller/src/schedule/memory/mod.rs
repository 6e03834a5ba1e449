//! The schedule of one process: all registrations in memory, and notes for after a restart.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::IntegrationId;
use tokio::time::Instant;

use self::lease::Leases;
use self::paces::Paces;
use self::slow::SlowCharms;
use self::wakes::Wakes;
use super::{Due, Lease, Schedule, Settled, Settlement};
use crate::charm_list::List;
use crate::due_queue::DueQueue;
use crate::ready::Ready;
use crate::slots::{Entry, GroupId, Slot, Slots};
use crate::{CharmRef, Integration, PollState, PollerOptions, UnixMillis};

mod claim;
mod early;
mod lease;
mod lists;
mod pace;
mod paces;
mod registrations;
mod settle;
mod slow;
mod stamps;
mod status;
mod times;
mod wakes;

pub use crate::outbox::Notes;
pub(crate) use lists::Named;
pub(crate) use status::{StatusChange, in_a_row};

/// All registered charms, and when each is due. One task changes it, in steps: nothing here is shared or locked.
pub struct MemorySchedule {
    options: PollerOptions,
    notes: Arc<dyn Notes>,
    /// Whether the times that the runtime notes are those of the clock here.
    shares_clock: bool,
    /// Zero of the schedule's own time.
    start: Instant,
    groups: Vec<Group>,
    group_ids: HashMap<IntegrationId, GroupId>,
    only: Option<HashSet<CharmRef>>,
    slots: Slots,
    due: DueQueue,
    ready: Ready,
    leases: Leases,
    /// The latest start of a poll by the wall clock, which may have been set back since.
    latest_start: UnixMillis,
    /// What was remembered from before the start, until the first registrations are there.
    stored: HashMap<CharmRef, PollState>,
    /// Charms whose cause may just have been fixed, and which have no time yet.
    hurried: Vec<Slot>,
    wakes: Wakes,
    /// How often registrations were read.
    readings: u32,
    paces: Paces,
    /// When a quick poll last ended.
    quick_at: Option<Instant>,
    /// Integrations without component that the log has named.
    without_component: HashSet<IntegrationId>,
    /// Registrations that are to be enabled or disabled, until the engine asks the runtime to.
    status_changes: Vec<StatusChange>,
}

/// An integration with a component, or all that have none.
struct Group {
    has_component: bool,
    /// Whether its component keeps failing, so that none of its charms is polled.
    paused: bool,
    interval: Duration,
    list: List,
    /// The latest time that was written as the one since when one of its charms is owed a poll.
    owed_written: UnixMillis,
    slow: SlowCharms,
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
    pub(crate) fn group(&self, integration: &IntegrationId) -> GroupId {
        self.group_ids.get(integration).copied().unwrap_or(0)
    }

    /// Registrations, enabled or not.
    pub(crate) fn registrations(&self) -> usize {
        self.slots.len()
    }

    /// Charms that are polled, of one group or of all; counted up to `most`.
    pub(crate) fn active(&self, group: Option<GroupId>, most: usize) -> usize {
        let is_its = |entry: &Entry| entry.is_active() && group.is_none_or(|group| entry.group == group);
        self.slots.iter().filter(|(_, entry)| is_its(entry)).take(most).count()
    }

    /// Whether a charm is polled.
    pub(crate) fn is_active(&self, charm: &CharmRef) -> bool {
        self.slots.slot(charm).and_then(|slot| self.slots.get(slot)).is_some_and(Entry::is_active)
    }

    /// Charms that are due and wait.
    pub(crate) fn queued(&self) -> usize {
        self.ready.queued() + self.paces.held() + self.aside()
    }

    /// Whether registrations were read, and no charm is due at any time.
    pub(crate) fn is_done(&self) -> bool {
        self.readings > 0 && self.ready.queued() == 0 && self.due.next().is_none()
    }

    /// An integration is paused, or works again.
    pub(crate) fn pause(&mut self, group: GroupId, paused: bool) {
        self.groups[group as usize].paused = paused;
    }

    /// The component of an integration was replaced by one with this interval; none if it asks for none.
    pub(crate) fn replace(&mut self, integration: &IntegrationId, interval: Option<Duration>) {
        let (group, before) = (self.group(integration), self.options.interval_of(integration));
        match interval {
            Some(interval) => self.options.intervals.insert(integration.clone(), interval),
            None => self.options.intervals.remove(integration),
        };
        self.groups[group as usize].interval = self.options.interval_of(integration);
        self.groups[group as usize].paused = false;
        self.paces.are_outdated();
        self.another_component(group, before);
    }
}

#[async_trait]
impl Schedule for MemorySchedule {
    async fn claim(&mut self, room: usize) -> Vec<Due> {
        self.claim_due(room)
    }

    async fn settle(&mut self, ended: Vec<Settlement>) -> Vec<Settled> {
        self.end_leases();
        ended.iter().map(|settlement| self.settle_one(settlement)).collect()
    }

    async fn renew(&mut self, leases: &[Lease]) -> Vec<Lease> {
        self.end_leases();
        leases.iter().copied().filter(|lease| !self.leases.renew(*lease)).collect()
    }

    async fn release(&mut self, leases: &[Lease]) {
        for lease in leases {
            if let Some(held) = self.leases.end(*lease) {
                self.give_back(held);
            }
        }
    }

    fn lease_time(&self) -> Option<Duration> {
        self.leases.time()
    }

    fn next_claim(&self) -> Option<Instant> {
        let due = self.due.next().map(|ms| self.start + Duration::from_millis(ms.max(0).unsigned_abs()));
        due.into_iter().chain(self.next_held()).chain(self.leases.next_end()).min()
    }
}
