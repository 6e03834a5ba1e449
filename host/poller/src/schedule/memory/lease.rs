//! Who holds which charm.

use super::leases::{Held, Urgency};
use super::slots::{Phase, Slot};
use super::state::MemorySchedule;
use crate::schedule::Lease;

impl MemorySchedule {
    /// Makes the charms of leases that have ended by themselves due again.
    pub(super) fn end_leases(&mut self) {
        for held in self.leases.over() {
            self.give_back(held);
        }
    }

    /// Gives out the lease of a charm that is polled now; none if it is not registered.
    pub(super) fn lease(&mut self, slot: Slot) -> Option<Lease> {
        let entry = self.slots.get_mut(slot)?;
        entry.phase = Phase::Running;
        let was = Urgency::take(entry);
        Some(self.leases.give(slot, was))
    }

    /// Makes a charm due as it was before its lease: nothing of a poll counts.
    pub(super) fn give_back(&mut self, Held { slot, was, .. }: Held) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.phase = Phase::Idle;
        // Its list still gives it a poll.
        entry.served = 0;
        let (lane, due, is_active) = (entry.lane, entry.due, entry.is_active());
        self.ready.release(lane);
        // It has had its turn.
        self.paces.pass(slot, due);
        self.slow_ended(slot, None);
        if is_active {
            self.arm(slot, Phase::Waiting, due);
        } else {
            self.arm_return(slot);
        }
        if let Some(entry) = self.slots.get_mut(slot) {
            was.give_back(entry);
        }
        self.sort_out(slot);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use tokio::time::advance;

    use super::*;
    use crate::schedule::memory::Notes;
    use crate::schedule::memory::slots::tests::registration;
    use crate::schedule::{Due, Schedule, Settlement};
    use crate::{CharmRef, Consequence, DisabledBy, PollState, PollerOptions, Registration, UnixMillis};

    const MINUTE: Duration = Duration::from_mins(1);
    const DAY: Duration = Duration::from_hours(24);

    struct NoNotes;

    #[async_trait]
    impl Notes for NoNotes {
        fn save(&self, _: PollState) {}

        fn forget(&self, _: CharmRef) {}

        async fn flushed(&self) -> bool {
            true
        }
    }

    /// A schedule of one charm, which the first failure disables.
    fn schedule(registration: &Registration) -> MemorySchedule {
        let options = PollerOptions { failures: 1, ..PollerOptions::default() };
        let mut schedule = MemorySchedule::new(&[], options, Arc::new(NoNotes), false, Vec::new());
        schedule.apply(std::slice::from_ref(registration));
        schedule
    }

    fn settlement(lease: Lease, consequence: Consequence) -> Settlement {
        Settlement { consequence: Some(consequence), noted: true, ..Settlement::lost(lease) }
    }

    async fn claim(schedule: &mut MemorySchedule, after: Duration) -> Due {
        advance(after).await;
        schedule.claim(1).await.pop().expect("the charm is due")
    }

    #[tokio::test(start_paused = true)]
    async fn a_charm_that_the_loop_has_disabled_returns_after_a_day_however_its_lease_ends() {
        for released in [true, false] {
            let mut one = registration(0, 0, 0);
            let mut schedule = schedule(&one);
            let lease = claim(&mut schedule, MINUTE).await.lease;
            schedule.settle(vec![settlement(lease, Consequence::Counts)]).await;
            // Somebody registers it again, and it is polled, before the runtime has disabled it for that failure.
            one.updated_at = UnixMillis(2);
            schedule.apply_changes(std::slice::from_ref(&one), &[]);
            let lease = claim(&mut schedule, MINUTE).await.lease;
            (one.updated_at, one.disabled_at) = (UnixMillis(3), UnixMillis(3));
            one.disabled_by = Some(DisabledBy::Failures);
            schedule.status_changed(&one.charm, Ok(one.clone())).await;
            if released {
                schedule.release(&[lease]).await;
            } else {
                schedule.settle(vec![Settlement::lost(lease)]).await;
            }
            advance(DAY.saturating_sub(MINUTE)).await;
            assert!(schedule.claim(1).await.is_empty() && schedule.take_status_changes().is_empty());
            advance(MINUTE * 2).await;
            assert!(schedule.claim(1).await.is_empty(), "the runtime enables it first");
            let asked = schedule.take_status_changes();
            assert!(matches!(&asked[..], [change] if change.disable.is_none()), "{released}: {asked:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_charm_whose_polls_take_long_is_still_known_for_that_after_a_poll_that_was_not_settled() {
        let one = registration(0, 0, 0);
        let mut schedule = schedule(&one);
        let lease = claim(&mut schedule, MINUTE).await.lease;
        let took = Duration::from_secs(20);
        schedule.settle(vec![Settlement { duration: took, ..settlement(lease, Consequence::Clears) }]).await;
        let slot = schedule.slots.slot(&one.charm).unwrap();
        for _ in 0..3 {
            let lease = claim(&mut schedule, MINUTE * 2).await.lease;
            schedule.release(&[lease]).await;
            assert_eq!(schedule.slots.get(slot).unwrap().slow, 8);
        }
        for left in (0..8).rev() {
            let lease = claim(&mut schedule, MINUTE * 2).await.lease;
            schedule.settle(vec![settlement(lease, Consequence::Clears)]).await;
            assert_eq!(schedule.slots.get(slot).unwrap().slow, left);
        }
    }
}
