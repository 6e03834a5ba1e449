//! Where calls run: on the threads of their caller as long as their component keeps to its [`Share`], and then on
//! separate threads with a lower priority.
//!
//! A guest that computes yields at each tick, but on the service's threads that is not enough: many such guests, a tick
//! each, delay everything between them, most of all timers, which tokio checks only between tasks. Honest calls take
//! far less than a tick. They stay where they are, since moving a call to another thread and back takes as long as the
//! call.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::thread::available_parallelism;
use std::time::Instant;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::PollSemaphore;
use tracing::instrument::WithSubscriber;

use crate::observer::Effort;
use crate::share::Share;

/// The niceness of these threads: they get a tenth of a contended processor, and all of an idle one.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// How many tasks run before these threads check timers and sockets: a task takes a tick here, so with the default of
/// 61 they would check twice a second.
const TASKS_BETWEEN_EVENTS: u32 = 4;

/// The threads for calls that exceed their component's share; created on first use.
#[derive(Debug, Default)]
pub(crate) struct SlowLane(OnceLock<Option<Runtime>>);

impl SlowLane {
    /// Does a call's work: on the caller's thread while some of `share` is left, then on the slow threads. Dropping the
    /// future ends the work: at once on the caller's thread, otherwise at the next tick.
    pub(crate) async fn run<F>(&self, work: F, share: &Share, effort: &Effort) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let mut work = Box::pin(work);
        if share.is_left(Instant::now())
            && let Some(done) = while_in_share(work.as_mut(), share).await
        {
            return done;
        }
        let work = in_turns(work, share.turn(), effort.clone()).with_current_subscriber();
        let mut task = match self.runtime() {
            Some(runtime) => Task(runtime.spawn(work)),
            None => Task(Handle::current().spawn(work)),
        };
        match (&mut task.0).await {
            Ok(done) => done,
            // The panic continues where it would have happened without this.
            Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
            // These threads stop only with the sandbox, and so with the process: nothing waits for this result.
            Err(_) => std::future::pending().await,
        }
    }

    fn runtime(&self) -> Option<&Runtime> {
        let start = || {
            let mut builder = Builder::new_multi_thread();
            builder
                .worker_threads(available_parallelism().map_or(1, usize::from))
                .event_interval(TASKS_BETWEEN_EVENTS)
                .thread_name("guests")
                .on_thread_start(give_way)
                .enable_all();
            builder
                .build()
                .inspect_err(|error| {
                    tracing::warn!(
                        %error,
                        "no threads for guests that compute for long; they run on the same threads as everything else"
                    );
                })
                .ok()
        };
        self.0.get_or_init(start).as_ref()
    }
}

/// A runtime's drop blocks on its tasks, but a sandbox may be dropped anywhere, including inside a runtime.
impl Drop for SlowLane {
    fn drop(&mut self) {
        if let Some(Some(runtime)) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Works until the share is used up; `None` if it is.
async fn while_in_share<F: Future>(mut work: Pin<&mut F>, share: &Share) -> Option<F::Output> {
    poll_fn(|context| {
        let started = Instant::now();
        let done = work.as_mut().poll(context);
        let now = Instant::now();
        let is_left = share.spend(now.duration_since(started), now);
        match done {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if is_left => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    })
    .await
}

/// Works while it is this call's turn among those of its component.
async fn in_turns<F: Future>(mut work: Pin<Box<F>>, turn: Arc<Semaphore>, effort: Effort) -> F::Output {
    let mut turn = PollSemaphore::new(turn);
    poll_fn(move |context| {
        let Poll::Ready(_turn) = turn.poll_acquire(context) else {
            effort.waits();
            return Poll::Pending;
        };
        work.as_mut().poll(context)
    })
    .await
}

/// A task that is aborted when this is dropped.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(target_os = "linux")]
fn give_way() {
    // On Linux this applies to the calling thread. If it is not permitted, guests only compete harder.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "guests that compute for long run with the usual priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn thread_name() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    #[tokio::test]
    async fn short_work_stays_and_long_work_moves() {
        let (lane, share) = (SlowLane::default(), Share::new());
        let here = thread_name();
        assert_eq!(lane.run(async { thread_name() }, &share, &Effort::default()).await, here);
        let long = async {
            thread::sleep(Duration::from_millis(30));
            tokio::task::yield_now().await;
            thread_name()
        };
        assert_eq!(lane.run(long, &share, &Effort::default()).await.as_deref(), Some("guests"));
        // The share is used up, so the next one moves at once.
        assert_eq!(lane.run(async { thread_name() }, &share, &Effort::default()).await.as_deref(), Some("guests"));
    }

    #[tokio::test]
    async fn calls_of_one_component_take_turns() {
        let (lane, share, effort) = (SlowLane::default(), Share::new(), Effort::default());
        share.spend(Duration::from_secs(1), Instant::now());
        let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls = (0..8).map(|_| {
            let (working, most) = (working.clone(), most.clone());
            lane.run(
                async move {
                    for _ in 0..5 {
                        most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(2));
                        working.fetch_sub(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                    }
                },
                &share,
                &effort,
            )
        });
        for call in calls.collect::<Vec<_>>() {
            call.await;
        }
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller() {
        let (lane, share) = (SlowLane::default(), Share::new());
        share.spend(Duration::from_secs(1), Instant::now());
        let panicking = tokio::spawn(async move { lane.run(async { panic!("so") }, &share, &Effort::default()).await });
        assert!(panicking.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn work_ends_when_its_caller_gives_up() {
        let (lane, share) = (SlowLane::default(), Share::new());
        share.spend(Duration::from_secs(1), Instant::now());
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        let endless = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        assert!(
            tokio::time::timeout(Duration::from_millis(50), lane.run(endless, &share, &Effort::default()))
                .await
                .is_err()
        );
        assert!(dropped.await.is_err());
    }
}
