//! Rate limits.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Unsigned registrations of one client: this many at once, and then a minute. A page may have some buttons, and a
/// person presses them one by one.
pub(crate) const REGISTRATIONS: NonZeroU32 = NonZeroU32::new(120).expect("it is not zero");
/// Wrong login tokens of one client: this many at once, and then a minute.
pub(crate) const LOGINS: NonZeroU32 = NonZeroU32::new(10).expect("it is not zero");
/// After this many new clients, clients that were idle for long are forgotten.
const MANY: usize = 10_000;
/// How many seconds' worth a client may do at once.
const BURST: u32 = 10;

/// Counts events of clients, by key.
pub(crate) struct Rate<K: Clone + Eq + Hash> {
    limiter: RateLimiter<K, HashMapStateStore<K>, DefaultClock>,
    /// The number of clients at which idle ones are forgotten.
    sweep_at: AtomicUsize,
}

/// A client over its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests by this key, or from this address; try again in {0} s")]
pub(crate) struct TooMany(pub(crate) u64);

impl<K: Clone + Eq + Hash> Rate<K> {
    /// Allows this many at once, and then a minute.
    pub(crate) fn per_minute(many: NonZeroU32) -> Self {
        Self::of(Quota::per_minute(many))
    }

    /// Allows this many a second, and ten times as many at once.
    pub(crate) fn per_second(many: usize) -> Self {
        let many = u32::try_from(many).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Self::of(Quota::per_second(many).allow_burst(many.saturating_mul(NonZeroU32::MIN.saturating_add(BURST - 1))))
    }

    fn of(quota: Quota) -> Self {
        Self { limiter: RateLimiter::hashmap(quota), sweep_at: AtomicUsize::new(MANY) }
    }

    /// Counts an event of that client, unless it is over its rate.
    pub(crate) fn take(&self, client: &K) -> Result<(), TooMany> {
        if self.limiter.len() > self.sweep_at.load(Ordering::Relaxed) {
            self.limiter.retain_recent();
            // Twice the remaining number, so that not every request sweeps if all of them are recent.
            self.sweep_at.store((2 * self.limiter.len()).max(MANY), Ordering::Relaxed);
        }
        self.limiter.check_key(client).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            TooMany((wait + Duration::from_millis(999)).as_secs().max(1))
        })
    }
}

impl<K: Clone + Eq + Hash> fmt::Debug for Rate<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate").field("clients", &self.limiter.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Client;
    use super::*;

    #[test]
    fn a_client_over_its_rate_waits_and_others_do_not() {
        let rate = Rate::per_minute(LOGINS);
        let network = |text: &str| Client::new(text.parse().unwrap()).network();
        let [one, other] = ["2001:db8::1", "2001:db8:0:1::1"].map(network);
        for _ in 0..LOGINS.get() {
            rate.take(&one).unwrap();
        }
        let TooMany(seconds) = rate.take(&network("2001:db8::2")).unwrap_err();
        assert!((1..=6).contains(&seconds), "{seconds}");
        rate.take(&other).unwrap();
        rate.take(&network("192.0.2.1")).unwrap();
    }

    #[test]
    fn a_rate_per_second_allows_a_burst_of_ten_times_as_many() {
        let rate = Rate::per_second(1);
        for _ in 0..BURST {
            rate.take(&"ann").unwrap();
        }
        assert_eq!(rate.take(&"ann"), Err(TooMany(1)));
        rate.take(&"ben").unwrap();
    }

    #[test]
    fn many_clients_at_once_do_not_make_each_other_slow() {
        let rate = Rate::per_second(1);
        for client in 0..=3 * MANY {
            rate.take(&client).unwrap();
        }
        // Nothing could be forgotten, and not every request tries again.
        assert!(rate.sweep_at.load(Ordering::Relaxed) >= 2 * MANY);
    }
}
