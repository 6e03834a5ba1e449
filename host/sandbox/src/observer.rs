//! Reports the cost of each call.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bg_egress::Owner;
use bg_poller::{LogLine, OutcomeKind};

/// What one call of a component took.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// The integration, or the charms.
    pub owner: Owner,
    /// The function's name in the contract.
    pub function: &'static str,
    /// How it ended. A function's own answer is a success, even if it is "no".
    pub outcome: OutcomeKind,
    /// From its first instruction to its end, including waits.
    pub elapsed: Duration,
    /// The time in which it held a thread: its own computation, and the host's work for it.
    pub busy: Duration,
    /// The memory that it had at its end, in bytes; `None` for a call that was cut off.
    pub memory: Option<usize>,
    /// The last lines that an integration logged in it, if it failed; oldest first.
    pub last_lines: Vec<LogLine>,
}

type Observe = dyn Fn(&CallRecord) + Send + Sync;

/// Called with every call at its end, from whichever task made it; must not block.
#[derive(Clone, Default)]
pub struct CallObserver(Option<Arc<Observe>>);

impl CallObserver {
    /// An observer that calls `observe`.
    pub fn new(observe: impl Fn(&CallRecord) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    pub(crate) fn tell(&self, record: impl FnOnce() -> CallRecord) {
        if let Some(observe) = &self.0 {
            observe(&record());
        }
    }
}

impl fmt::Debug for CallObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallObserver").field(&self.0.is_some()).finish()
    }
}

/// How long a future held a thread. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy(Arc<AtomicU64>);

impl Busy {
    /// Adds up the time for which `work` holds a thread.
    pub(crate) async fn measure<F: Future>(self, work: F) -> F::Output {
        Measured { work: pin!(work), busy: &self }.await
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

struct Measured<'a, F> {
    work: Pin<&'a mut F>,
    busy: &'a Busy,
}

impl<F: Future> Future for Measured<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let started = Instant::now();
        let done = self.work.as_mut().poll(context);
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.busy.0.fetch_add(nanos, Ordering::Relaxed);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_holds_no_thread() {
        let busy = Busy::default();
        let work = async {
            std::thread::sleep(Duration::from_millis(20));
            tokio::time::sleep(Duration::from_millis(400)).await;
            std::thread::sleep(Duration::from_millis(20));
            7
        };
        let started = Instant::now();
        assert_eq!(busy.clone().measure(work).await, 7);
        let busy = busy.time();
        assert!(busy >= Duration::from_millis(40), "{busy:?}");
        assert!(busy + Duration::from_millis(400) <= started.elapsed(), "{busy:?}");
    }
}
