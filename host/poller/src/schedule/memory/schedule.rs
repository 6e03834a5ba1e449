//! What the loop asks of the schedule in memory.

use std::time::Duration;

use async_trait::async_trait;
use bg_identity::IntegrationId;
use tokio::time::Instant;

use super::slots::Entry;
use super::state::MemorySchedule;
use crate::schedule::{Due, Lease, ListChange, Named, Owed, Schedule, Settled, Settlement, StatusChange};
use crate::{CharmRef, Registration, RuntimeError, Servers};

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

    async fn read_all(&mut self, registrations: &[Registration]) {
        self.apply(registrations);
    }

    async fn read_changes(&mut self, changed: &[Registration], removed: &[CharmRef]) {
        self.apply_changes(changed, removed);
    }

    async fn poll_soon(&mut self, charm: &CharmRef) -> bool {
        self.want(charm)
    }

    async fn servers_answered(&mut self, servers: &Servers) {
        self.bring_back(servers);
    }

    fn take_status_changes(&mut self) -> Vec<StatusChange> {
        std::mem::take(&mut self.status_changes)
    }

    async fn status_changed(&mut self, charm: &CharmRef, answer: Result<Registration, RuntimeError>) {
        self.note_status(charm, answer);
    }

    async fn list_begins(&mut self, integration: &IntegrationId) {
        let id = self.group(integration);
        let group = &mut self.groups[id as usize];
        group.list.begin();
        group.gone.begin();
    }

    async fn list_names(&mut self, integration: &IntegrationId, charms: &[CharmRef], resumes: bool) -> Named {
        self.named(self.group(integration), charms, resumes)
    }

    async fn list_fails(&mut self, integration: &IntegrationId) -> Option<ListChange> {
        self.list_failed(self.group(integration))
    }

    async fn owe(&mut self, integration: &IntegrationId, charms: &[CharmRef]) -> Owed {
        self.write_owed(self.group(integration), charms)
    }

    async fn pause(&mut self, integration: &IntegrationId, paused: bool) {
        let id = self.group(integration);
        self.groups[id as usize].paused = paused;
    }

    async fn replace(&mut self, integration: &IntegrationId, interval: Option<Duration>) {
        let (id, before) = (self.group(integration), self.options.interval_of(integration));
        match interval {
            Some(interval) => self.options.intervals.insert(integration.clone(), interval),
            None => self.options.intervals.remove(integration),
        };
        let group = &mut self.groups[id as usize];
        (group.interval, group.paused) = (self.options.interval_of(integration), false);
        self.paces.are_outdated();
        self.another_component(id, before);
    }

    fn has_list(&self, integration: &IntegrationId) -> bool {
        self.groups[self.group(integration) as usize].list.is_usable(Instant::now())
    }

    fn registrations(&self) -> usize {
        self.slots.len()
    }

    fn active(&self, of: Option<&IntegrationId>, most: usize) -> usize {
        self.count_active(of.map(|integration| self.group(integration)), most)
    }

    fn is_active(&self, charm: &CharmRef) -> bool {
        self.slots.slot(charm).and_then(|slot| self.slots.get(slot)).is_some_and(Entry::is_active)
    }

    fn queued(&self) -> usize {
        self.ready.queued() + self.paces.held() + self.aside()
    }

    fn is_done(&self) -> bool {
        let all_answered = self.groups.iter().all(|group| !group.has_component || group.list.has_answered());
        self.readings > 0 && self.ready.queued() == 0 && self.due.next().is_none() && all_answered
    }
}
