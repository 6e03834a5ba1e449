//! How much of the service's own threads a component may use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// What a component may use in one go: a tick of the epochs, before which no guest is interrupted. Almost all calls of
/// honest components take far less.
const BURST: Duration = crate::engine::TICK;
/// A component may use one part in this many of the elapsed time. An honest integration with a thousand charms uses
/// less than half of that; a hundred hostile ones together leave room on two processors.
const PART: u32 = 50;

/// A component's share of the service's own threads. A component that has used it up runs [elsewhere](crate::lane)
/// until time has refilled it.
#[derive(Debug)]
pub(crate) struct Share {
    left: Mutex<Left>,
    /// Held by the one call that runs elsewhere at the time.
    turn: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug)]
struct Left {
    time: Duration,
    /// What was used beyond the share, since a guest cannot be interrupted at any time.
    debt: Duration,
    at: Instant,
}

impl Share {
    pub(crate) fn new() -> Self {
        let left = Mutex::new(Left { time: BURST, debt: Duration::ZERO, at: Instant::now() });
        Self { left, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Its calls that run elsewhere take turns, so that a component gains nothing by making many of them.
    pub(crate) fn turn(&self) -> Arc<Semaphore> {
        self.turn.clone()
    }

    /// Whether some is left at `now`.
    pub(crate) fn is_left(&self, now: Instant) -> bool {
        self.with(now, |left| !left.time.is_zero())
    }

    /// Takes `used` away. Returns whether some is left.
    pub(crate) fn spend(&self, used: Duration, now: Instant) -> bool {
        self.with(now, |left| {
            left.debt += used.saturating_sub(left.time);
            left.time = left.time.saturating_sub(used);
            !left.time.is_zero()
        })
    }

    fn with<T>(&self, now: Instant, then: impl FnOnce(&mut Left) -> T) -> T {
        // A panic while it was locked left nothing inconsistent that matters.
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = now.saturating_duration_since(left.at) / PART;
        let saved = earned.saturating_sub(left.debt);
        left.debt = left.debt.saturating_sub(earned);
        left.time = (left.time + saved).min(BURST);
        left.at = left.at.max(now);
        then(&mut left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_used_up_and_refilled_by_time() {
        let (share, start) = (Share::new(), Instant::now());
        assert!(share.is_left(start));
        assert!(share.spend(BURST / 2, start));
        assert!(!share.spend(BURST / 2, start));
        assert!(!share.is_left(start));
        assert!(share.is_left(start + Duration::from_millis(1)));
    }

    #[test]
    fn overuse_is_paid_back_first() {
        let (share, start) = (Share::new(), Instant::now());
        assert!(!share.spend(BURST * 3, start));
        assert!(!share.is_left(start + BURST * 2 * PART));
        assert!(share.is_left(start + BURST * 2 * PART + Duration::from_millis(1)));
    }

    #[test]
    fn an_idle_component_saves_up_at_most_one_burst() {
        let (share, start) = (Share::new(), Instant::now());
        let later = start + Duration::from_hours(1);
        assert!(!share.spend(BURST, later));
    }
}
