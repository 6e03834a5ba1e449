//! What an integration's component last said of which charms to poll.

use tokio::time::Instant;

use crate::schedule::{LIST_LIFE, ListChange};

/// The state of one integration's list. The lists themselves are numbers at the charms (see [`names`](Self::names)).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct List {
    begun: u32,
    in_force: u32,
    good_at: Option<Instant>,
    trouble: Option<ListChange>,
}

impl List {
    /// A call of `fetch-charms` starts; its number. Only one is under way at a time.
    pub(crate) fn begin(&mut self) -> u32 {
        self.begun += 1;
        self.begun
    }

    /// The number of the call that started last. A charm registered after it started can't be named by it: it counts as
    /// named until the next list.
    pub(crate) fn begun(&self) -> u32 {
        self.begun
    }

    /// That call has answered; its list is in force.
    pub(crate) fn succeed(&mut self, now: Instant) -> Option<ListChange> {
        self.in_force = self.begun;
        self.good_at = Some(now);
        self.trouble.take().map(|_| ListChange::Works)
    }

    /// That call has failed.
    pub(crate) fn fail(&mut self, now: Instant) -> Option<ListChange> {
        let usable = self.good_at.is_some_and(|at| now < at + LIST_LIFE);
        let change = if usable { ListChange::Fails } else { ListChange::Stopped };
        (self.trouble.replace(change) != Some(change)).then_some(change)
    }

    /// Whether there is a list to go by.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        self.good_at.is_some_and(|at| self.trouble.is_none() || now < at + LIST_LIFE)
    }

    /// The number of the call whose list is in force.
    pub(crate) fn in_force(&self) -> u32 {
        self.in_force
    }

    /// Whether the list in force names a charm that was last named by the call of this number.
    pub(crate) fn names(&self, named: u32) -> bool {
        named >= self.in_force
    }

    /// Whether the list in force still gives a poll to a charm whose last poll went by the list of this number. A list
    /// is good for one poll, or a charm with nothing new would be polled again while the next list is under way; but it
    /// is good for more while there is no next one.
    pub(crate) fn serves(&self, served: u32) -> bool {
        served < self.in_force || self.trouble.is_some()
    }

    /// Whether any call has ended.
    pub(crate) fn has_answered(&self) -> bool {
        self.good_at.is_some() || self.trouble.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_list_is_used_for_five_minutes_after_failures_and_each_change_is_told_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut list = List::default();
        assert!(!list.is_usable(at(0)) && !list.has_answered());
        list.begin();
        assert_eq!(list.succeed(at(0)), None);
        assert!(list.is_usable(at(100_000)), "a list is good as long as nothing failed");
        for (seconds, change, usable) in [
            (60, Some(ListChange::Fails), true),
            (120, None, true),
            (300, Some(ListChange::Stopped), false),
            (360, None, false),
        ] {
            list.begin();
            assert_eq!(list.fail(at(seconds)), change, "{seconds} s");
            assert_eq!(list.is_usable(at(seconds)), usable, "{seconds} s");
        }
        list.begin();
        assert_eq!(list.succeed(at(420)), Some(ListChange::Works));
        assert!(list.is_usable(at(420)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_list_a_failure_stops_at_once() {
        let mut list = List::default();
        list.begin();
        assert_eq!(list.fail(Instant::now()), Some(ListChange::Stopped));
        assert!(!list.is_usable(Instant::now()) && list.has_answered());
    }

    #[test]
    fn a_charm_registered_since_the_call_counts_as_named() {
        let mut list = List::default();
        let first = list.begin();
        list.in_force = first;
        assert!(list.names(list.begun()));
        let second = list.begin();
        let registered_meanwhile = list.begun();
        list.in_force = second;
        assert!(list.names(registered_meanwhile));
        assert!(!list.names(first));
    }
}
