//! What is still known of charms that are no longer registered.
//!
//! Anybody who may register a charm may also delete it and register it again, within moments and without a limit. A
//! charm that comes back therefore does not count as new: the limit of its [early polls](super::wakes) goes on, and so does
//! what is known of how long its polls take.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::wakes::Wake;
use crate::{CharmRef, UnixMillis};

/// How many charms are known at most; each takes some 100 bytes. To have one of them forgotten sooner, somebody must
/// register and delete that many others, each of which is polled once for that.
const MOST: usize = 50_000;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Until when that says something, milliseconds from the start of the loop.
    pub(super) until: i64,
    pub(super) wake: Option<Wake>,
    /// When it went.
    pub(super) gone_at: i64,
    pub(super) slow: u8,
    /// Its failures, when it was due, and the change of its registration that they are of: they count if it comes back
    /// with the same registration.
    pub(super) failures: u32,
    pub(super) next_due: UnixMillis,
    pub(super) updated_at: UnixMillis,
}

/// The charms that were unregistered lately, and of which something is worth knowing. Of a charm, whose name a guest
/// chooses, there is a hash.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    hasher: RandomState,
    by_charm: HashMap<u64, Known>,
    /// The same in the order in which they came; with some that have gone, or have come again since.
    order: VecDeque<(u64, i64)>,
}

impl Forgotten {
    /// A charm is no longer registered.
    pub(super) fn note(&mut self, charm: &CharmRef, known: Known, now: i64) {
        let hash = self.hasher.hash_one(charm);
        self.by_charm.insert(hash, known);
        self.order.push_back((hash, known.until));
        while let Some(place) = self.order.front().copied() {
            let is_current = self.is_current(place);
            if is_current && place.1 > now && self.by_charm.len() <= MOST {
                break;
            }
            self.order.pop_front();
            if is_current {
                self.by_charm.remove(&place.0);
            }
        }
        if self.order.len() > self.by_charm.len() * 2 + 16 {
            let order = std::mem::take(&mut self.order);
            self.order = order.into_iter().filter(|place| self.is_current(*place)).collect();
        }
    }

    fn is_current(&self, (hash, until): (u64, i64)) -> bool {
        self.by_charm.get(&hash).is_some_and(|known| known.until == until)
    }

    /// A charm is registered again: what is still known of it.
    pub(super) fn take(&mut self, charm: &CharmRef, now: i64) -> Option<Known> {
        self.by_charm.remove(&self.hasher.hash_one(charm)).filter(|known| known.until > now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use bg_identity::{CharmId, SpaceDid, space_did};

    use super::*;

    fn charm(number: u32) -> CharmRef {
        static SPACE: LazyLock<SpaceDid> = LazyLock::new(|| space_did("a"));
        CharmRef { space: SPACE.clone(), charm: CharmId::for_content(&number.to_be_bytes()) }
    }

    fn known(until: i64) -> Known {
        let (next_due, updated_at) = (UnixMillis::NEVER, UnixMillis::NEVER);
        Known { until, wake: None, gone_at: 0, slow: 1, failures: 0, next_due, updated_at }
    }

    #[test]
    fn what_is_known_of_a_charm_is_kept_until_it_says_nothing_more_and_taken_once() {
        let mut forgotten = Forgotten::default();
        forgotten.note(&charm(1), known(100), 0);
        forgotten.note(&charm(2), known(50), 0);
        assert!(forgotten.take(&charm(1), 99).is_some());
        assert!(forgotten.take(&charm(1), 99).is_none() && forgotten.take(&charm(2), 50).is_none());
        // One that comes and goes is known by its newest.
        forgotten.note(&charm(1), known(100), 0);
        forgotten.note(&charm(1), known(200), 0);
        forgotten.note(&charm(3), known(300), 150);
        assert!(forgotten.take(&charm(1), 150).is_some());
    }

    #[test]
    fn one_charm_that_comes_and_goes_all_the_time_has_no_other_forgotten() {
        let mut forgotten = Forgotten::default();
        forgotten.note(&charm(1), known(1_000_000), 0);
        for now in 0..20_000 {
            forgotten.note(&charm(2), known(now + 1_000), now);
            forgotten.take(&charm(2), now);
        }
        assert!(forgotten.order.len() < 100 && forgotten.take(&charm(1), 20_000).is_some());
    }

    #[test]
    fn a_flood_of_charms_takes_bounded_memory_and_drops_the_oldest() {
        let mut forgotten = Forgotten::default();
        let most = u32::try_from(MOST).unwrap();
        for number in 0..most * 2 {
            forgotten.note(&charm(number), known(1_000), 0);
            // One comes and goes all the time.
            forgotten.take(&charm(0), 0);
            forgotten.note(&charm(0), known(1_000), 0);
        }
        assert!(forgotten.by_charm.len() <= MOST && forgotten.order.len() <= MOST * 2 + 16);
        assert!(forgotten.take(&charm(1), 0).is_none() && forgotten.take(&charm(most * 2 - 1), 0).is_some());
        forgotten.note(&charm(1), known(2_000), 1_000);
        assert_eq!((forgotten.by_charm.len(), forgotten.order.len()), (1, 1));
    }
}
