//! The host's clocks. `std::time` has none on `wasm32-unknown-unknown`.

use std::ops::Add;
use std::time::Duration;

use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};

/// A moment of a clock that never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// Now.
    pub fn now() -> Self {
        Self(monotonic_clock::now())
    }

    /// The time from now until this instant; zero if it has passed.
    pub fn remaining(self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(Self::now().0))
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        Self::now() >= self
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }
}

/// Milliseconds since the Unix epoch, by the wall clock.
pub fn unix_millis() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds / 1_000_000))
}

/// A duration in the host's form; at most 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_beyond_the_range_saturates() {
        assert_eq!(Instant(5) + Duration::from_nanos(7), Instant(12));
        assert_eq!(Instant(5) + Duration::MAX, Instant(u64::MAX));
    }
}
