//! Until when each signer's events may have been forgotten.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

/// How many signers are remembered; of the others, only the latest time in total is.
const SIGNERS: usize = 4_096;

/// When the newest event ended that was forgotten, by signer.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    newest: HashMap<String, Instant>,
    by_time: BTreeSet<(Instant, String)>,
    /// The newest of the signers that are no longer in `newest`.
    others: Option<Instant>,
}

impl Forgotten {
    /// Records that an event of `signer` is forgotten, which ended at `ended`.
    pub(super) fn add(&mut self, signer: &str, ended: Instant) {
        let newest = self.newest.entry(signer.to_owned()).or_insert(ended);
        self.by_time.remove(&(*newest, signer.to_owned()));
        *newest = ended.max(*newest);
        self.by_time.insert((*newest, signer.to_owned()));
        while self.newest.len() > SIGNERS
            && let Some((ended, signer)) = self.by_time.pop_first()
        {
            self.newest.remove(&signer);
            self.others = self.others.max(Some(ended));
        }
    }

    /// Whether an event of `signer` may be forgotten that ended at `time` or later.
    pub(super) fn any_since(&self, signer: &str, time: Instant) -> bool {
        self.newest.get(signer).copied().or(self.others).is_some_and(|ended| ended >= time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_one_signer_forgot_says_nothing_about_others() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut forgotten = Forgotten::default();
        assert!(!forgotten.any_since("ann", start));
        forgotten.add("ann", start + second);
        assert!(forgotten.any_since("ann", start) && forgotten.any_since("ann", start + second));
        assert!(!forgotten.any_since("ann", start + 2 * second));
        assert!(!forgotten.any_since("ben", start));
        forgotten.add("ann", start);
        assert!(forgotten.any_since("ann", start + second), "the newest counts, in any order");
    }

    #[test]
    fn endless_signers_take_bounded_memory_and_no_forgotten_event_counts_as_known() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut forgotten = Forgotten::default();
        let time = |number: usize| start + second * u32::try_from(number).unwrap();
        for number in 0..2 * SIGNERS {
            forgotten.add(&number.to_string(), time(number));
        }
        assert_eq!((forgotten.newest.len(), forgotten.by_time.len()), (SIGNERS, SIGNERS));
        for number in 0..2 * SIGNERS {
            assert!(forgotten.any_since(&number.to_string(), time(number)), "{number}");
        }
        assert!(!forgotten.any_since("new", time(SIGNERS)));
    }
}
