//! What is due when.

use std::collections::BTreeMap;

use super::slots::Slot;

/// Times are whole ticks of this many milliseconds. A poll is at most that late by it, and the number of different
/// times ahead (6,000 in a minute) does not grow with the number of charms.
pub(crate) const TICK_MS: i64 = 10;

/// Due charms by time. Arming and expiring cost the logarithm of the number of *different ticks* ahead, whatever the
/// number of charms; a charm takes four bytes.
///
/// Nothing is ever taken out before its time: the caller of [`expire`](Self::expire) checks whether a slot is still
/// due, which makes removing and moving a charm free.
#[derive(Debug, Default)]
pub(crate) struct DueQueue {
    ticks: BTreeMap<i64, Vec<Slot>>,
}

impl DueQueue {
    /// The tick at or after a time in milliseconds.
    pub(crate) fn tick(ms: i64) -> i64 {
        ms.div_euclid(TICK_MS) + i64::from(ms.rem_euclid(TICK_MS) > 0)
    }

    pub(crate) fn arm(&mut self, ms: i64, slot: Slot) {
        self.ticks.entry(Self::tick(ms)).or_default().push(slot);
    }

    /// When to look again, in milliseconds.
    pub(crate) fn next(&self) -> Option<i64> {
        self.ticks.first_key_value().map(|(tick, _)| tick.saturating_mul(TICK_MS))
    }

    /// Takes out one tick's slots, the oldest first, if its time has come.
    pub(crate) fn expire(&mut self, now_ms: i64) -> Option<Vec<Slot>> {
        let first = self.ticks.first_entry()?;
        (*first.key() <= now_ms.div_euclid(TICK_MS)).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_out_in_order_and_never_early() {
        let mut queue = DueQueue::default();
        for (ms, slot) in [(25, 1), (-7, 2), (30, 3), (21, 4), (1_000, 5)] {
            queue.arm(ms, slot);
        }
        assert_eq!(queue.next(), Some(0));
        assert_eq!(queue.expire(0), Some(vec![2]));
        assert_eq!(queue.expire(29), None);
        assert_eq!(queue.next(), Some(30));
        assert_eq!(queue.expire(30), Some(vec![1, 3, 4]));
        assert_eq!(queue.expire(999), None);
        assert_eq!(queue.expire(5_000), Some(vec![5]));
        assert_eq!((queue.next(), queue.expire(5_000)), (None, None));
    }
}
