//! Reports the cost of each call.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// What a call has used so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effort(Arc<Mutex<Spent>>);

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// For how long it held a thread.
    busy: Duration,
    /// For how long that thread had a processor meanwhile.
    computed: Duration,
    /// For how long it waited for something other than a processor.
    waited: Duration,
    /// Since when it waits for such a thing.
    waits_since: Option<Instant>,
    /// It interrupts itself so that others get a turn, and could go on at once.
    gives_way: bool,
}

impl Effort {
    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds up what `work` uses.
    pub(crate) async fn measure<F: Future>(self, work: F) -> F::Output {
        Measured { work: pin!(work), effort: &self }.await
    }

    /// For how long the call held a thread.
    pub(crate) fn busy(&self) -> Duration {
        self.spent().busy
    }

    /// For how long it had a processor.
    pub(crate) fn computed(&self) -> Duration {
        self.spent().computed
    }

    /// The call gives others a turn, and could go on at once.
    pub(crate) fn gives_way(&self) {
        self.spent().gives_way = true;
    }

    /// From now until it goes on, the call waits for something other than a processor.
    pub(crate) fn waits(&self) {
        self.spent().waits_since.get_or_insert_with(Instant::now);
    }

    /// Whether it waits for something other than a processor.
    pub(crate) fn is_waiting(&self) -> bool {
        self.spent().waits_since.is_some()
    }

    /// Whether the call, which has taken `time` until `now`, waited for more than half of that.
    pub(crate) fn has_waited(&self, time: Duration, now: Instant) -> bool {
        let Spent { waited, waits_since, .. } = *self.spent();
        waited + waits_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)) > time / 2
    }

    /// Whether it had hardly a processor, although it could have computed for half of that time.
    pub(crate) fn was_starved(&self, time: Duration, now: Instant) -> bool {
        time >= SHORTEST && !self.has_waited(time, now) && self.computed() < time / ENOUGH
    }
}

/// One part in this many of its time on a processor is enough for a call to be to blame when its time ends. The
/// [slow lane](crate::lane) has a tenth of a processor that others want, too. A call that computes without an end gets
/// more than this part even if ten others do the same, so it passes for a starved one only where the machine is
/// overloaded indeed.
const ENOUGH: u32 = 50;

/// Of a shorter time nothing can be said: any machine with other work may let a thread wait for that long.
const SHORTEST: Duration = Duration::from_secs(1);

struct Measured<'a, F> {
    work: Pin<&'a mut F>,
    effort: &'a Effort,
}

impl<F: Future> Future for Measured<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let started = Instant::now();
        {
            let mut spent = self.effort.spent();
            let since = spent.waits_since.take();
            spent.waited += since.map_or(Duration::ZERO, |since| started.saturating_duration_since(since));
            spent.gives_way = false;
        }
        let computed = on_processor();
        let done = self.work.as_mut().poll(context);
        let (computed, ended) = (computed.zip(on_processor()), Instant::now());
        let busy = ended.duration_since(started);
        let mut spent = self.effort.spent();
        spent.busy += busy;
        // Without a clock of processors, a thread that is held counts.
        spent.computed += computed.map_or(busy, |(before, after)| after.saturating_sub(before));
        if !spent.gives_way {
            spent.waits_since = Some(ended);
        }
        done
    }
}

/// For how long this thread had a processor.
#[cfg(unix)]
fn on_processor() -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(unix))]
fn on_processor() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_holds_no_thread() {
        let effort = Effort::default();
        let work = async {
            std::thread::sleep(Duration::from_millis(20));
            tokio::time::sleep(Duration::from_millis(400)).await;
            std::thread::sleep(Duration::from_millis(20));
            7
        };
        let started = Instant::now();
        assert_eq!(effort.clone().measure(work).await, 7);
        let busy = effort.busy();
        assert!(busy >= Duration::from_millis(40), "{busy:?}");
        assert!(busy + Duration::from_millis(400) <= started.elapsed(), "{busy:?}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_thread_that_sleeps_has_no_processor() {
        let effort = Effort::default();
        effort.clone().measure(async { std::thread::sleep(Duration::from_millis(400)) }).await;
        assert!(effort.computed() < Duration::from_millis(200), "{effort:?}");
        assert!(effort.busy() >= Duration::from_millis(400), "{effort:?}");
    }

    #[test]
    fn only_a_call_that_could_have_computed_and_had_hardly_a_processor_was_starved() {
        let (time, start) = (Duration::from_secs(10), Instant::now());
        let end = start + time;
        let spent = |computed: u64, waited: u64, waits_since: Option<u64>| {
            let millis = Duration::from_millis;
            let waits_since = waits_since.map(|since| start + millis(since));
            let spent = Spent { computed: millis(computed), waited: millis(waited), waits_since, ..Spent::default() };
            Effort(Arc::new(Mutex::new(spent))).was_starved(time, end)
        };
        assert!(spent(0, 0, None), "it never ran");
        assert!(spent(199, 4_000, None), "it was interrupted all the time");
        assert!(!spent(200, 0, None), "it had its part");
        assert!(!spent(1, 6_000, None), "it waited most of the time");
        assert!(!spent(1, 0, Some(100)), "it waits for something");
        assert!(!spent(1, 3_000, Some(7_000)), "both");
        assert!(spent(1, 3_000, Some(9_000)));
        assert!(!Effort::default().was_starved(SHORTEST / 2, end), "it had little time");
    }

    #[tokio::test]
    async fn a_call_that_gives_way_does_not_wait() {
        let poll = |gives_way: bool| {
            let effort = Effort::default();
            let inner = effort.clone();
            let mut work = pin!(effort.clone().measure(async move {
                if gives_way {
                    inner.gives_way();
                }
                std::future::pending::<()>().await;
            }));
            assert!(work.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
            effort.spent().waits_since.is_some()
        };
        assert!(!poll(true));
        assert!(poll(false));
    }
}
