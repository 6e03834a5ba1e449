//! Charms whose polls failed because of a server are due again when that server answers somebody.
//!
//! While a server is away, each charm that needs it is tried ever more rarely. When it works again, they come back
//! together with it, not each by its own backoff: the first poll, or call of a component, that succeeds and that the
//! server has answered makes the others due, at the [pace](super::pace) of polls that have lost their times.
//!
//! A caller who makes a server answer cannot have others polled faster than that: a charm is due no sooner than an
//! interval after its last poll, or than the server asked for. Where the charm fails again (the server may answer some
//! and fail others), it waits twice as long the next time, and so on, until it succeeds.
//!
//! A server that refuses a charm's requests may do so for all that sends them, for a while: such a charm waits in the
//! same way until the server accepts a request of somebody.

use tracing::info;

use super::slots::{Entry, Phase, Slot};
use super::state::MemorySchedule;
use crate::report::one_line;
use crate::{Servers, policy};

impl MemorySchedule {
    /// What a poll of this charm says about servers.
    pub(super) fn note_servers(&mut self, slot: Slot, succeeded: bool, servers: &Servers) {
        if succeeded {
            self.outages.forget(slot);
            self.bring_back(servers);
            return;
        }
        self.outages.end_wait(slot);
        self.wait_as_asked(slot, servers);
        let Some(failed) = servers.failed() else { return };
        let waits = |entry: &&Entry| entry.awaits_fix && entry.phase == Phase::Waiting;
        let Some(entry) = self.slots.get(slot).filter(waits) else { return };
        let in_vain = self.outages.in_vain(slot);
        let wait = policy::delay(self.interval(entry), in_vain.into(), 0.0);
        let wait = wait.max(failed.retry_after.unwrap_or_default());
        let (server, not_before) =
            (self.outages.hash(&failed.origin, failed.refused), self.now().saturating_add(policy::millis(wait)));
        self.outages.wait(slot, server, not_before);
    }

    /// A charm that was asked for patience has it, also if its own wait would be shorter.
    fn wait_as_asked(&mut self, slot: Slot, servers: &Servers) {
        let Some(wait) = servers.asked_wait() else { return };
        let until = self.now().saturating_add(policy::millis(wait));
        let is_sooner = |entry: &Entry| entry.awaits_fix && entry.phase == Phase::Waiting && entry.due < until;
        if self.slots.get(slot).is_some_and(is_sooner) {
            self.arm_off_beat(slot, until);
        }
    }

    /// These servers have answered a poll that succeeded, or a call of a component: the charms that wait for them are
    /// due again.
    pub(super) fn bring_back(&mut self, servers: &Servers) {
        if self.outages.is_empty() {
            return;
        }
        let answered = servers.answered().map(|origin| (origin, false, "answers"));
        let accepted = servers.accepted().map(|origin| (origin, true, "accepts requests"));
        for (origin, refuses, does) in answered.chain(accepted) {
            let again = self.outages.works(self.outages.hash(origin, refuses));
            if !again.is_empty() {
                let (origin, charms) = (one_line(origin), again.len());
                info!(
                    target: "poller", charms,
                    "{origin} {does} again; the charms that wait for it are polled again: {charms}"
                );
                self.polled_again(again);
            }
        }
    }

    fn polled_again(&mut self, charms: Vec<(i64, Slot)>) {
        let now = self.now();
        for (not_before, slot) in charms {
            let due = not_before.max(now);
            let is_later = |entry: &Entry| entry.phase == Phase::Waiting && entry.due > due;
            if self.slots.get(slot).is_some_and(is_later) {
                self.arm_off_beat(slot, due);
            }
        }
    }
}
