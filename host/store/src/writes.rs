//! Numbers by which a process knows that what it has read may be outdated.

use std::sync::atomic::{AtomicU64, Ordering};

use bg_poller::CharmRef;

/// How many counters of writes there are: two charms that share one are read once more than necessary.
const GROUPS: usize = 256;

/// What a write may change of what is read of charms.
#[derive(Clone, Debug)]
pub enum Touch {
    /// Of this charm alone.
    Charm(CharmRef),
    /// Of any.
    Any,
    /// Of none.
    None,
}

/// Numbers that rise with what this process writes.
#[derive(Debug)]
pub struct Writes {
    any: AtomicU64,
    groups: [AtomicU64; GROUPS],
}

impl Writes {
    /// A number that has changed once something of that charm may have been written.
    pub fn of(&self, charm: &CharmRef) -> u64 {
        self.any.load(Ordering::SeqCst) + self.group(charm).load(Ordering::SeqCst)
    }

    /// Notes what a write may have changed.
    pub fn note(&self, touch: &Touch) {
        match touch {
            Touch::Charm(charm) => self.group(charm).fetch_add(1, Ordering::SeqCst),
            Touch::Any => self.any.fetch_add(1, Ordering::SeqCst),
            Touch::None => return,
        };
    }

    fn group(&self, charm: &CharmRef) -> &AtomicU64 {
        // The last characters of an ID are those of a digest.
        let bytes = charm.charm.as_str().bytes().rev().take(8);
        let number = bytes.fold(0_usize, |number, byte| number.wrapping_mul(31).wrapping_add(usize::from(byte)));
        &self.groups[number % GROUPS]
    }
}

impl Default for Writes {
    fn default() -> Self {
        Self { any: AtomicU64::new(0), groups: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_of_one_charm_is_news_of_that_charm() {
        let charm = |name: &str| CharmRef {
            space: bg_identity::space_did("a"),
            charm: bg_identity::CharmId::for_content(name.as_bytes()),
        };
        let (writes, one, other) = (Writes::default(), charm("one"), charm("other"));
        writes.note(&Touch::Charm(one.clone()));
        writes.note(&Touch::None);
        assert_eq!((writes.of(&one), writes.of(&other)), (1, 0));
        writes.note(&Touch::Any);
        assert_eq!((writes.of(&one), writes.of(&other)), (2, 1));
    }
}
