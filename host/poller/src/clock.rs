//! The wall clock, so that tests can set it.

use crate::UnixMillis;

/// Tells the time of day. Only what is stored or compared with what others wrote goes by it; how long something takes,
/// and when a poll is due while the service runs, goes by tokio's monotonic clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> UnixMillis;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::now()
    }
}
