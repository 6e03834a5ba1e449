//! Handing out what is due.

use std::time::Duration;

use tokio::time::Instant;

use super::due_queue::{DueQueue, TICK_MS};
use super::slots::{Asked, Entry, Phase, Slot};
use super::state::{Group, MemorySchedule};
use crate::schedule::Due;

impl MemorySchedule {
    pub(super) fn claim_due(&mut self, room: usize) -> Vec<Due> {
        self.end_leases();
        let now = self.elapsed();
        while let Some(slots) = self.due.expire(now) {
            for slot in slots {
                self.come_due(slot, now);
            }
        }
        self.release_held();
        let mut claimed = Vec::new();
        while claimed.len() < room
            && let Some(due) = self.claim_one()
        {
            claimed.push(due);
        }
        claimed
    }

    fn come_due(&mut self, slot: Slot, now: i64) {
        let Some(entry) = self.slots.get(slot) else { return };
        if DueQueue::tick(entry.due) > now.div_euclid(TICK_MS) {
            // Put off since.
            return;
        }
        self.no_longer_early(slot);
        let Some(entry) = self.slots.get(slot) else { return };
        match entry.phase {
            Phase::Waiting if self.may_poll(entry) => {
                let lane = entry.lane;
                self.set_phase(slot, Phase::Ready);
                self.ready.push(lane, slot);
            }
            Phase::Waiting => self.set_phase(slot, Phase::LeftOut),
            Phase::Disabled => self.ask(slot, Asked::ToEnable, None),
            Phase::Idle | Phase::Ready | Phase::Held | Phase::Running | Phase::LeftOut => {}
        }
    }

    /// Whether its integration wants it polled now, or once did and no poll has succeeded since; and is not paused.
    pub(super) fn may_poll(&self, entry: &Entry) -> bool {
        let Group { has_component, paused, list, .. } = &self.groups[entry.group as usize];
        let named = || list.names(entry.named) && list.serves(entry.served) && list.is_usable(Instant::now());
        !has_component || (!paused && (entry.owed || named()))
    }

    /// The next charm to poll, if there is one and a place for it.
    fn claim_one(&mut self) -> Option<Due> {
        loop {
            let slot = self.ready.take().or_else(|| self.take_early())?;
            let entry = self.slots.get(slot).expect("a charm leaves the queue before it leaves the slots");
            let lane = entry.lane;
            if !self.may_poll(entry) {
                // A list or a pause has come since it was queued.
                self.set_phase(slot, Phase::LeftOut);
                self.ready.release(lane);
                continue;
            }
            let lateness = Duration::from_millis(u64::try_from(self.elapsed() - entry.due).unwrap_or(0));
            if !(self.keeps_pace(slot, lateness) && self.leaves_places(slot)) {
                self.set_phase(slot, Phase::Held);
                self.ready.release(lane);
                continue;
            }
            self.slow_started(slot);
            self.pace_started(slot);
            let entry = self.slots.get(slot)?;
            let (charm, integration) = (self.slots.charm(entry), self.slots.integration(entry).clone());
            let missed = missed(lateness, self.interval(entry));
            let served = self.groups[entry.group as usize].list.in_force();
            let entry = self.slots.get_mut(slot)?;
            entry.served = served;
            let lease = self.lease(slot)?;
            return Some(Due { lease, charm, integration, late: lateness, missed });
        }
    }
}

/// How many polls fell into the time that one is late.
pub(super) fn missed(late: Duration, interval: Duration) -> u64 {
    u64::try_from(late.as_millis() / interval.as_millis().max(1)).unwrap_or(u64::MAX)
}
