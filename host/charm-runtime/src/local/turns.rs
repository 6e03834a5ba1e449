//! One call of a charm at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bg_poller::{CharmRef, RuntimeError, Scope};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

/// For how long a call waits for those before it. A handler may take 60 s; with this it has ended before a remote
/// caller, who waits for 150 s, gives up.
const LONGEST_WAIT: Duration = Duration::from_secs(80);

/// Lets the calls of each charm run one after the other, in the order they came.
#[derive(Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    locks: HashMap<CharmRef, Weak<Lock>>,
    /// How many there may be before those that nobody waits for are dropped.
    sweep_at: usize,
}

type Lock = AsyncMutex<()>;

/// A charm's turn; ends when it is dropped.
pub(super) struct Turn(#[expect(dead_code, reason = "held")] OwnedMutexGuard<()>);

impl Turns {
    /// Waits for the charm's turn, though not for ever: others may have queued up before.
    pub(super) async fn take(&self, charm: &CharmRef) -> Result<Turn, RuntimeError> {
        let lock = self.lock_of(charm);
        let taken = timeout(LONGEST_WAIT, lock.lock_owned()).await;
        taken.map(Turn).map_err(|_| {
            let seconds = LONGEST_WAIT.as_secs();
            let text = format!("other calls of {charm} have kept it busy for {seconds} s; try again later");
            RuntimeError::unavailable_in(Scope::Charm, text)
        })
    }

    fn lock_of(&self, charm: &CharmRef) -> Arc<Lock> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = state.locks.get(charm).and_then(Weak::upgrade) {
            return lock;
        }
        if state.locks.len() >= state.sweep_at {
            state.locks.retain(|_, lock| lock.strong_count() > 0);
            state.sweep_at = (2 * state.locks.len()).max(64);
        }
        let lock = Arc::default();
        state.locks.insert(charm.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use futures::poll_once;

    use super::*;

    mod futures {
        use std::pin::Pin;
        use std::task::{Context, Poll, Waker};

        pub(super) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
            future.poll(&mut Context::from_waker(Waker::noop()))
        }
    }

    fn charm(number: usize) -> CharmRef {
        CharmRef { space: space_did("my-space"), charm: CharmId::for_content(&number.to_be_bytes()) }
    }

    #[tokio::test]
    async fn a_charm_has_one_turn_at_a_time_and_others_do_not_wait_for_it() {
        let turns = Turns::default();
        let name = charm(0);
        let first = turns.take(&name).await.unwrap();
        let mut second = Box::pin(turns.take(&name));
        assert!(poll_once(second.as_mut()).is_pending());
        drop(turns.take(&charm(1)).await.unwrap());
        drop(first);
        let second = second.await.unwrap();
        assert!(poll_once(std::pin::pin!(turns.take(&name))).is_pending());
        drop(second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_does_not_come_is_the_charms_trouble_and_nobody_elses() {
        let turns = Turns::default();
        let _held = turns.take(&charm(0)).await.unwrap();
        let error = turns.take(&charm(0)).await.err().unwrap();
        assert!(matches!(error, RuntimeError::Unavailable { scope: Scope::Charm, .. }), "{error}");
        assert!(turns.take(&charm(1)).await.is_ok());
    }

    #[tokio::test]
    async fn turns_that_nobody_takes_are_forgotten() {
        let turns = Turns::default();
        let held = turns.take(&charm(usize::MAX)).await.unwrap();
        for number in 0..1_000 {
            drop(turns.take(&charm(number)).await.unwrap());
        }
        assert!(turns.0.lock().unwrap().locks.len() <= 65);
        assert!(poll_once(std::pin::pin!(turns.take(&charm(usize::MAX)))).is_pending());
        drop(held);
    }
}
