//! The events that have ended, and which to forget first: the oldest of a signer over its share, or of the signer with
//! the most.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::EventKey;
use super::forgotten::Forgotten;

/// The limits of what is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) time: Duration,
    /// Bytes for one signer, and for all.
    pub(super) share: usize,
    pub(super) all: usize,
}

/// The keys of events that have ended. Every operation looks at the front of a queue only.
#[derive(Debug)]
pub(super) struct Kept {
    room: Room,
    next: u64,
    /// All of them, oldest first.
    by_age: BTreeMap<u64, Ended>,
    signers: HashMap<String, Signer>,
    /// The signers, by their bytes.
    by_size: BTreeSet<(usize, String)>,
    bytes: usize,
    forgotten: Forgotten,
}

#[derive(Debug)]
struct Ended {
    at: Instant,
    key: EventKey,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Signer {
    /// Its events in `by_age`, oldest first.
    order: VecDeque<u64>,
    bytes: usize,
}

impl Kept {
    pub(super) fn new(room: Room) -> Self {
        let (by_age, signers, by_size, forgotten) = Default::default();
        Self { room, next: 0, by_age, signers, by_size, bytes: 0, forgotten }
    }

    /// Keeps an event that has ended now. Returns the events to forget, for which there is no more room.
    pub(super) fn add(&mut self, key: EventKey, bytes: usize) -> Vec<EventKey> {
        let (number, name) = (self.next, key.signer.clone());
        self.next += 1;
        self.by_age.insert(number, Ended { at: Instant::now(), key, bytes });
        self.change(&name, |signer| {
            signer.order.push_back(number);
            signer.bytes += bytes;
        });
        self.bytes += bytes;
        let mut gone = Vec::new();
        while self.signers.get(&name).is_some_and(|signer| signer.bytes > self.room.share) {
            gone.extend(self.drop_oldest_of(&name));
        }
        while self.bytes > self.room.all {
            let Some((_, most)) = self.by_size.last().cloned() else { break };
            gone.extend(self.drop_oldest_of(&most));
        }
        gone
    }

    /// Returns the events to forget because their time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<EventKey> {
        let mut gone = Vec::new();
        while let Some((_, oldest)) = self.by_age.first_key_value()
            && now.duration_since(oldest.at) >= self.room.time
        {
            // The oldest of all is the oldest of its signer.
            let name = oldest.key.signer.clone();
            gone.extend(self.drop_oldest_of(&name));
        }
        gone
    }

    /// Whether an event of `signer` that ended at `time` or later may be forgotten.
    pub(super) fn has_forgotten_since(&self, signer: &str, time: Instant) -> bool {
        self.forgotten.any_since(signer, time)
    }

    fn drop_oldest_of(&mut self, name: &str) -> Option<EventKey> {
        let number = self.signers.get(name)?.order.front().copied()?;
        let Ended { at, key, bytes } = self.by_age.remove(&number)?;
        self.forgotten.add(name, at);
        self.change(name, |signer| {
            signer.order.pop_front();
            signer.bytes -= bytes;
        });
        self.bytes -= bytes;
        Some(key)
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Signer)) {
        let signer = self.signers.entry(name.to_owned()).or_default();
        self.by_size.remove(&(signer.bytes, name.to_owned()));
        change(signer);
        if signer.order.is_empty() {
            self.signers.remove(name);
        } else {
            self.by_size.insert((signer.bytes, name.to_owned()));
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self, events: usize) {
        assert!(self.bytes <= self.room.all && self.by_age.len() == events);
        assert_eq!(self.by_size.len(), self.signers.len());
        assert!(self.signers.iter().all(|(name, one)| {
            let bytes: usize = one.order.iter().map(|number| self.by_age[number].bytes).sum();
            one.bytes == bytes && bytes <= self.room.share && self.by_size.contains(&(bytes, name.clone()))
        }));
        assert_eq!(self.signers.values().map(|one| one.order.len()).sum::<usize>(), events);
        assert_eq!(self.signers.values().map(|one| one.bytes).sum::<usize>(), self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use bg_poller::CharmRef;

    use super::*;

    const ROOM: Room = Room { time: Duration::from_mins(1), share: 40, all: 100 };

    fn key(signer: &str, key: u64) -> EventKey {
        let charm = CharmRef { space: space_did("mine"), charm: CharmId::for_content(b"a") };
        EventKey { signer: signer.to_owned(), charm, key: key.to_string() }
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_signer_loses_its_oldest_first_and_everything_expires() {
        let mut kept = Kept::new(ROOM);
        for number in 0..4 {
            assert_eq!(kept.add(key("ann", number), 10), []);
        }
        assert_eq!(kept.add(key("ann", 4), 10), [key("ann", 0)], "more than a share");
        assert_eq!(kept.add(key("ben", 0), 35), []);
        assert_eq!(kept.add(key("cid", 0), 20), []);
        tokio::time::advance(ROOM.time / 2).await;
        assert_eq!(kept.add(key("cid", 1), 10), [key("ann", 1)], "more than there is for all: ann has most");
        kept.check(6);
        assert_eq!(kept.expire(Instant::now()), []);
        tokio::time::advance(ROOM.time / 2).await;
        let ended = [key("ann", 2), key("ann", 3), key("ann", 4), key("ben", 0), key("cid", 0)];
        assert_eq!(kept.expire(Instant::now()), ended);
        kept.check(1);
        assert_eq!(kept.add(key("eve", 0), 41), [key("eve", 0)], "more than a share alone");
        kept.check(1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_signers_take_no_more_memory_than_few() {
        let mut kept = Kept::new(Room { all: 100_000, ..ROOM });
        let mut gone = 0;
        for number in 0..60_000 {
            gone += kept.add(key(&number.to_string(), 0), 10).len();
        }
        assert_eq!(gone, 50_000);
        kept.check(10_000);
        tokio::time::advance(ROOM.time).await;
        assert_eq!(kept.expire(Instant::now()).len(), 10_000);
        kept.check(0);
    }
}
