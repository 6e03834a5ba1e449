//! How often a charm is polled early because somebody changed something about it.
//!
//! A charm that waits (for a grant, a sign-in, an upstream) is polled early when its cells change, and any charm when
//! it is registered or enabled: the change may be the fix. Anybody with write access may make such a change a thousand
//! times a second. So each early poll is followed by a pause for the next one, which doubles each time, up to the
//! charm's interval. A change during a pause leads to one poll at its end; nothing that somebody fixes is missed.

use std::collections::HashMap;
use std::time::Duration;

use super::slots::Slot;
use crate::policy;

/// The pause after the first early poll. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, also of a charm with a longer interval.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// The early polls of all charms. At most one small entry for each registered charm.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    by_slot: HashMap<Slot, Wake>,
}

/// The early polls of one charm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wake {
    /// When the last early poll was due, or is.
    last: i64,
    /// How many early polls in a row; one less for each full pause without any.
    count: u8,
}

/// The longest pause of a charm with this interval.
fn longest(interval: Duration) -> i64 {
    policy::millis(interval.min(LONGEST_PAUSE)).max(1)
}

impl Wake {
    /// Until when this says something about a charm with this interval: then all steps are taken back.
    pub(super) fn counts_until(&self, interval: Duration) -> i64 {
        self.last.saturating_add(longest(interval).saturating_mul(self.count.into()))
    }
}

impl Wakes {
    /// Something about a charm has changed. Returns when it may be polled for that: `now`, or the end of its pause.
    /// Times are milliseconds.
    pub(super) fn allow(&mut self, slot: Slot, now: i64, interval: Duration) -> i64 {
        let longest = longest(interval);
        let first = Wake { last: i64::MIN, count: 0 };
        let wake = self.by_slot.entry(slot).or_insert(first);
        if wake.last > now {
            // The early poll that is still to come sees this change as well. It may be due after a pause of a longer
            // interval.
            wake.last = wake.last.min(now.saturating_add(longest));
            return wake.last;
        }
        let pause = policy::millis(FIRST_PAUSE).saturating_mul(1 << u32::from(wake.count).min(31)) / 2;
        let pause = if wake.count == 0 { 0 } else { pause.min(longest) };
        let quiet = now.saturating_sub(wake.last);
        let forgiven = u8::try_from(quiet.max(0) / longest).unwrap_or(u8::MAX);
        wake.count = wake.count.saturating_sub(forgiven).saturating_add(1);
        wake.last = now.max(wake.last.saturating_add(pause));
        wake.last
    }

    /// The charm in this slot is no longer registered. Returns what its early polls were.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Wake> {
        self.by_slot.remove(&slot)
    }

    /// A charm that went at one time is registered again, in this slot. An early poll that was to come has not been
    /// made, and comes now if its time has passed.
    pub(super) fn put_back(&mut self, slot: Slot, mut wake: Wake, went: i64, now: i64) {
        if wake.last > went {
            wake.last = wake.last.max(now.saturating_add(1));
        }
        self.by_slot.insert(slot, wake);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn the_first_changes_count_within_a_second_and_a_flood_leads_to_a_poll_an_interval() {
        let mut wakes = Wakes::default();
        let mut polls: Vec<i64> = (0..600_000).map(|now| wakes.allow(1, now, MINUTE)).collect();
        polls.dedup();
        assert_eq!(polls[..8], [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500, 63_500]);
        assert!(polls[8..].windows(2).all(|pair| pair[1] - pair[0] == 60_000), "{polls:?}");
        assert_eq!(wakes.allow(2, 600_000, MINUTE), 600_000, "another charm");
        assert_eq!(wakes.allow(1, 900_000, MINUTE), 900_000, "after a while, a change counts at once");
        let taken = [wakes.take(1), wakes.take(2)].map(Option::unwrap);
        assert!(wakes.by_slot.is_empty());
        assert_eq!(taken.map(|wake| wake.counts_until(MINUTE)), [900_000 + 14 * 60_000, 600_000 + 60_000]);
        wakes.put_back(3, taken[0], 900_000, 900_000);
        assert_eq!(wakes.allow(3, 900_000, MINUTE), 960_000, "in another slot, too");
        let wake = wakes.take(3).unwrap();
        wakes.put_back(3, wake, 901_000, 970_000);
        assert_eq!(wakes.allow(3, 970_000, MINUTE), 970_001, "its early poll was not made");
    }

    #[test]
    fn a_charm_with_a_long_interval_waits_a_quarter_of_an_hour_at_most() {
        let mut wakes = Wakes::default();
        let week = Duration::from_hours(7 * 24);
        let mut polls: Vec<i64> = (0..10_000).map(|second| wakes.allow(1, second * 1_000, week)).collect();
        polls.dedup();
        assert!(polls.windows(2).all(|pair| pair[1] - pair[0] <= 900_000), "{polls:?}");
        // The last one is still to come.
        polls.retain(|at| *at < 10_000_000);
        assert!(polls.len() < 22, "{polls:?}");
    }

    proptest! {
        /// However changes are timed: in the long run there is no more than a poll in an interval, besides those of the
        /// first.
        #[test]
        fn early_polls_are_bounded_and_no_change_waits_longer_than_an_interval(
            gaps in proptest::collection::vec(0_i64..200_000, 1..500), interval_ms in 100_u64..10_000_000,
        ) {
            let interval = Duration::from_millis(interval_ms);
            let longest = policy::millis(interval.min(LONGEST_PAUSE));
            let (mut wakes, mut now, mut polls) = (Wakes::default(), 0, Vec::new());
            for gap in gaps {
                now += gap;
                let at = wakes.allow(7, now, interval);
                prop_assert!((now..=now + longest).contains(&at));
                polls.push(at);
            }
            polls.dedup();
            // Each step costs its own pause, and is given back for a full one.
            let most = 15 + 2 * (now / longest + 1);
            prop_assert!(i64::try_from(polls.len()).unwrap() <= most, "{} of {most}", polls.len());
        }

        /// Also where the interval changes: a poll that is to come is never put off.
        #[test]
        fn no_change_waits_longer_than_the_interval_of_that_time(
            changes in proptest::collection::vec((0_i64..200_000, 100_u64..10_000_000), 1..500),
        ) {
            let (mut wakes, mut now, mut coming) = (Wakes::default(), 0, 0);
            for (gap, interval_ms) in changes {
                now += gap;
                let longest = policy::millis(Duration::from_millis(interval_ms).min(LONGEST_PAUSE));
                let at = wakes.allow(7, now, Duration::from_millis(interval_ms));
                prop_assert!((now..=now + longest).contains(&at), "{at} at {now}, {longest} ahead at most");
                prop_assert!(coming <= now || at <= coming, "put off from {coming} to {at} at {now}");
                coming = at;
            }
        }
    }
}
