//! How long to wait before the next connection.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that lasted this long was a good one. A server that accepts and drops is not asked more often than one
/// that does not answer.
const GOOD: Duration = Duration::from_secs(10);

/// Waits that double, with a random part, so that the sessions of a server that returns do not all connect at once.
pub(crate) struct Backoff {
    next: Duration,
    connected: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST, connected: None }
    }

    /// A session is open.
    pub(crate) fn connected(&mut self) {
        self.connected = Some(Instant::now());
    }

    /// The wait after a failure: between half of it and all of it.
    pub(crate) fn wait(&mut self) -> Duration {
        if self.connected.take().is_some_and(|connected| connected.elapsed() >= GOOD) {
            self.next = FIRST;
        }
        let longest = self.next;
        self.next = (longest * 2).min(LONGEST);
        let random = getrandom::u32().unwrap_or(u32::MAX);
        longest / 2 + (longest / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_half_a_minute_and_start_again_after_a_good_connection_only() {
        let mut backoff = Backoff::new();
        let mut bound = FIRST;
        for _ in 0..12 {
            let wait = backoff.wait();
            assert!(wait >= bound / 2 && wait <= bound, "{wait:?} of {bound:?}");
            bound = (bound * 2).min(LONGEST);
        }
        backoff.connected();
        tokio::time::advance(GOOD / 2).await;
        assert!(backoff.wait() >= LONGEST / 2, "a server that drops connections is asked as seldom as before");
        backoff.connected();
        tokio::time::advance(GOOD).await;
        assert!(backoff.wait() <= FIRST);
    }
}
