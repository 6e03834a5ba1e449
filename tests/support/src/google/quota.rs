//! Gmail's quota: units per minute.

use std::collections::VecDeque;

use axum::http::{Method, Uri};

/// Today's quota per user and minute.
const UNITS: u64 = 6_000;
const MINUTE_MS: u64 = 60_000;

/// The units that a user has spent.
pub(crate) struct Quota {
    pub(crate) units_a_minute: u64,
    /// The last minute: times, and the units spent then.
    spent: VecDeque<(u64, u64)>,
    total: u64,
    most_a_minute: u64,
}

impl Quota {
    pub(crate) fn new() -> Self {
        Self { units_a_minute: UNITS, spent: VecDeque::new(), total: 0, most_a_minute: 0 }
    }

    /// Spends units; returns false, and spends nothing, if too few are left in the minute.
    pub(crate) fn spend(&mut self, units: u64, now_ms: u64) -> bool {
        while self.spent.front().is_some_and(|(at, _)| at + MINUTE_MS <= now_ms) {
            self.spent.pop_front();
        }
        let spent = units + self.spent.iter().map(|(_, units)| units).sum::<u64>();
        if spent > self.units_a_minute {
            return false;
        }
        self.spent.push_back((now_ms, units));
        self.total += units;
        self.most_a_minute = self.most_a_minute.max(spent);
        true
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn most_a_minute(&self) -> u64 {
        self.most_a_minute
    }
}

/// The cost of a request; `None` if it is not one of Gmail's.
pub(crate) fn cost(method: &Method, uri: &Uri) -> Option<u64> {
    let path = uri.path().strip_prefix("/gmail/v1/users/")?;
    let (_, what) = path.split_once('/')?;
    Some(match what.split_once('/') {
        Some(("messages", _)) if method == Method::GET => 20,
        None if what == "messages" => 5,
        None if what == "history" => 2,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_over_the_last_minute() {
        let mut quota = Quota::new();
        assert!(quota.spend(5_990, 0) && !quota.spend(11, 59_999) && quota.spend(10, 59_999));
        assert!(quota.spend(5_990, 60_000) && !quota.spend(1, 60_000), "the first of them are a minute ago");
        assert_eq!((quota.total(), quota.most_a_minute()), (11_990, 6_000));
    }

    #[test]
    fn each_of_gmails_methods_has_its_price() {
        for (path, units) in [
            ("profile", Some(1)),
            ("messages?q=a", Some(5)),
            ("messages/abc?format=metadata", Some(20)),
            ("history?startHistoryId=1", Some(2)),
        ] {
            let uri = format!("/gmail/v1/users/me/{path}").parse().unwrap();
            assert_eq!(cost(&Method::GET, &uri), units, "{path}");
        }
        assert_eq!(cost(&Method::GET, &"/calendar/v3/calendars/primary/events".parse().unwrap()), None);
    }
}
