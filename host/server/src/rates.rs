//! How often a client may try.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Registrations by unsigned requests from one client, in a row and then a minute: a page may have some buttons, and a person presses them one
/// by one.
pub(crate) const REGISTRATIONS: NonZeroU32 = NonZeroU32::new(120).expect("it is not zero");
/// Wrong login tokens from one client, in a row and then a minute.
pub(crate) const LOGINS: NonZeroU32 = NonZeroU32::new(10).expect("it is not zero");
/// After so many new clients, what is known of those that were away for long is forgotten.
const MANY: usize = 10_000;

/// Counts what clients do. A client is an IPv4 address, or the network of an IPv6 address, of which one client usually has all.
pub(crate) struct Rate(RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>);

/// A client that does too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests from your address; try again in {0} s")]
pub(crate) struct TooMany(pub(crate) u64);

impl Rate {
    /// So many at once, and then as many a minute.
    pub(crate) fn per_minute(many: NonZeroU32) -> Self {
        Self(RateLimiter::hashmap(Quota::per_minute(many)))
    }

    /// Counts one more of that client's, unless it did too much.
    pub(crate) fn take(&self, client: IpAddr) -> Result<(), TooMany> {
        if self.0.len() > MANY {
            self.0.retain_recent();
        }
        let not_until = self.0.check_key(&network(client));
        not_until.map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            TooMany((wait + Duration::from_millis(999)).as_secs().max(1))
        })
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_too_much_waits_and_others_do_not() {
        let rate = Rate::per_minute(LOGINS);
        let [one, other]: [IpAddr; 2] = ["2001:db8::1", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        let same_network: IpAddr = "2001:db8::2".parse().unwrap();
        for _ in 0..LOGINS.get() {
            rate.take(one).unwrap();
        }
        let TooMany(seconds) = rate.take(same_network).unwrap_err();
        assert!((1..=6).contains(&seconds), "{seconds}");
        rate.take(other).unwrap();
        rate.take("192.0.2.1".parse().unwrap()).unwrap();
    }
}
