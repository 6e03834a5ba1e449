//! Totals.

use std::time::Duration;

use crate::{Histogram, OutcomeKind, poll::Turn};

/// What the loop has done since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Polls that have ended.
    pub polls: u64,
    /// How many of them ended with each kind of outcome, in the order of [`OutcomeKind::ALL`].
    pub outcomes: [u64; OutcomeKind::ALL.len()],
    /// The time of all polls together.
    pub total_duration: Duration,
    /// The shortest poll; none if there was none.
    pub shortest: Option<Duration>,
    /// The longest poll.
    pub longest: Duration,
    /// The poll that ended last; zero if there was none.
    pub last: Duration,
    /// Of every poll that was started: the time from when it was due to then.
    pub lateness: Histogram,
    /// Polls that were not made since the one before was still under way, or waiting for its turn, when they would have
    /// been due: a charm that is so late is polled once, not several times.
    pub dropped: u64,
    /// How often a charm was disabled for its failures.
    pub disabled: u64,
    /// How often a `fetch-charms` failed.
    pub failed_lists: u64,
    /// Integrations that are paused since their components keep failing.
    pub paused: u64,
    /// How often an integration named a charm that is not registered for it.
    pub named_unregistered: u64,
    /// Enabled charms that their integrations did not name the last time; zero without components.
    pub left_out: u64,
    /// Polls that had not ended when the time to drain was over. Their charms are polled again at the next start.
    pub abandoned: u64,
    /// Registrations at the end, enabled and disabled.
    pub registrations: u64,
    /// Those to be polled.
    pub enabled: u64,
    /// How long the loop ran.
    pub uptime: Duration,
}

impl Summary {
    /// How many polls ended with this kind of outcome.
    pub fn count(&self, kind: OutcomeKind) -> u64 {
        self.outcomes[kind as usize]
    }

    /// Polls that failed, although everything that they need answered, by any cause.
    pub fn failed(&self) -> u64 {
        self.polls - self.count(OutcomeKind::Success) - self.count(OutcomeKind::Unavailable)
    }

    /// The mean time of a poll; zero if there was none.
    pub fn mean(&self) -> Duration {
        let nanos = self.total_duration.as_nanos().checked_div(u128::from(self.polls)).unwrap_or_default();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    pub(crate) fn add(&mut self, turn: &Turn) {
        self.polls += 1;
        self.outcomes[turn.outcome.kind as usize] += 1;
        self.total_duration = self.total_duration.saturating_add(turn.duration);
        self.shortest = Some(self.shortest.map_or(turn.duration, |shortest| shortest.min(turn.duration)));
        self.longest = self.longest.max(turn.duration);
        self.last = turn.duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_at_their_place_in_the_list_of_all() {
        for (index, kind) in OutcomeKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
