//! What is to be written, in groups.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::guard::guarded;
use crate::{Cause, CharmRef, CharmRuntime, PollState, PollStore, Run, RuntimeError, StoreError};

/// How long the first of a group waits for more. Up to this much is lost with the process; a poll whose note is lost is
/// found by the `last_run` of its registration.
const LINGER: Duration = Duration::from_millis(50);
/// At most this many are written in one go, so that no write holds up other writers of the same database for long.
const GROUP: usize = 2_000;
/// At most this many runs wait while the runtime can't take them. Poll states need no such limit: there is one for each
/// charm.
const MAX_RUNS: usize = 10_000;
/// A write that takes longer has failed.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// Where a schedule leaves what is to survive a restart.
#[async_trait]
pub trait Notes: Send + Sync {
    /// Keeps the state of a charm.
    fn save(&self, state: PollState);
    /// Forgets a charm.
    fn forget(&self, charm: CharmRef);
    /// Waits until all states that were to be kept by now are; false if they cannot be.
    async fn flushed(&self) -> bool;
}

/// Collects what the loop wants written, and writes it from its own task: neither waits for the other.
pub(crate) struct Outbox {
    store: Arc<dyn PollStore>,
    runtime: Arc<dyn CharmRuntime>,
    waiting: Mutex<Waiting>,
    filled: Notify,
    closing: CancellationToken,
    /// How many poll states are written of all that were to be; see [`Waiting::saved`].
    written: watch::Sender<u64>,
}

#[derive(Default)]
struct Waiting {
    states: HashMap<CharmRef, PollState>,
    forget: HashSet<CharmRef>,
    /// How many states were to be written since the start.
    saved: u64,
    runs: Vec<Run>,
    lost_runs: u64,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.states.is_empty() && self.forget.is_empty() && self.runs.is_empty()
    }
}

#[async_trait]
impl Notes for Outbox {
    fn save(&self, state: PollState) {
        let mut waiting = self.lock();
        waiting.forget.remove(&state.charm);
        waiting.states.insert(state.charm.clone(), state);
        waiting.saved += 1;
        self.filled.notify_one();
    }

    fn forget(&self, charm: CharmRef) {
        let mut waiting = self.lock();
        waiting.states.remove(&charm);
        waiting.forget.insert(charm);
        self.filled.notify_one();
    }

    async fn flushed(&self) -> bool {
        let saved = self.lock().saved;
        let mut written = self.written.subscribe();
        let written = written.wait_for(|written| *written >= saved);
        timeout(WRITE_LIMIT, written).await.is_ok_and(|written| written.is_ok())
    }
}

impl Outbox {
    pub(crate) fn new(store: Arc<dyn PollStore>, runtime: Arc<dyn CharmRuntime>) -> Self {
        let closing = CancellationToken::new();
        Self {
            store,
            runtime,
            waiting: Mutex::default(),
            filled: Notify::new(),
            closing,
            written: watch::Sender::new(0),
        }
    }

    /// Notes a run that the runtime does not know of.
    pub(crate) fn note(&self, run: Run) {
        let mut waiting = self.lock();
        if waiting.runs.len() >= MAX_RUNS {
            waiting.lost_runs += 1;
        } else {
            waiting.runs.push(run);
        }
        self.filled.notify_one();
    }

    /// Writes what is left, then ends [`write`](Self::write).
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Writes until it is closed.
    pub(crate) async fn write(&self) {
        let (mut store_fails, mut runs_refused) = (false, false);
        let mut retry = FIRST_RETRY;
        let mut last_tries = 3;
        loop {
            if !self.closing.is_cancelled() {
                tokio::select! {
                    biased;
                    () = self.closing.cancelled() => {}
                    () = async { self.filled.notified().await; sleep(LINGER).await } => {}
                }
            }
            let stored = self.write_states().await;
            let noted = self.write_runs(&mut runs_refused).await;
            match &stored {
                Ok(()) if store_fails => info!(target: "poller", "The poll state can be written again"),
                Err(error) if !store_fails => {
                    let cause = Cause::StorageFails;
                    warn!(
                        target: "poller", blame = cause.blame().as_str(), cause = cause.as_str(), fix = cause.advice(),
                        "{error}; polling goes on, and what is not written is kept in memory and tried again"
                    );
                }
                _ => {}
            }
            store_fails = stored.is_err();
            if stored.is_ok() && noted {
                retry = FIRST_RETRY;
                if self.closing.is_cancelled() && self.lock().is_empty() {
                    return;
                }
                continue;
            }
            if self.closing.is_cancelled() {
                last_tries -= 1;
                if last_tries == 0 {
                    let left = self.lock();
                    let (states, runs) = (left.states.len(), left.runs.len());
                    let cause = if states > 0 { Cause::StorageFails } else { Cause::RuntimeAway };
                    error!(
                        target: "poller", states, runs,
                        blame = cause.blame().as_str(), cause = cause.as_str(), fix = cause.advice(),
                        "The outcomes of the last polls could not be written"
                    );
                    return;
                }
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {}
                () = sleep(retry) => {}
            }
            retry = (retry * 2).min(LAST_RETRY);
            self.filled.notify_one();
        }
    }

    async fn write_states(&self) -> Result<(), StoreError> {
        loop {
            let (forget, states, saved) = {
                let mut waiting = self.lock();
                let forget: Vec<CharmRef> = waiting.forget.iter().take(GROUP).cloned().collect();
                let keys: Vec<CharmRef> = waiting.states.keys().take(GROUP).cloned().collect();
                for charm in &forget {
                    waiting.forget.remove(charm);
                }
                let states: Vec<PollState> = keys.iter().filter_map(|charm| waiting.states.remove(charm)).collect();
                (forget, states, waiting.saved)
            };
            if forget.is_empty() && states.is_empty() {
                self.written.send_replace(saved);
                return Ok(());
            }
            let write = async {
                if !forget.is_empty() {
                    self.store.forget(&forget).await?;
                }
                if states.is_empty() { Ok(()) } else { self.store.save(&states).await }
            };
            let written = guarded(write, WRITE_LIMIT).await.unwrap_or_else(|problem| Err(StoreError(problem)));
            if let Err(error) = written {
                self.put_back(forget, states);
                return Err(error);
            }
        }
    }

    fn put_back(&self, forget: Vec<CharmRef>, states: Vec<PollState>) {
        let mut waiting = self.lock();
        for charm in forget {
            if !waiting.states.contains_key(&charm) {
                waiting.forget.insert(charm);
            }
        }
        for state in states {
            if !waiting.forget.contains(&state.charm) {
                waiting.states.entry(state.charm.clone()).or_insert(state);
            }
        }
    }

    /// Whether all runs are noted or given up. `refused` is whether the runtime refuses them, so that it is logged
    /// once.
    async fn write_runs(&self, refused: &mut bool) -> bool {
        loop {
            let (runs, lost) = {
                let mut waiting = self.lock();
                let count = waiting.runs.len().min(GROUP);
                let runs: Vec<Run> = waiting.runs.drain(..count).collect();
                (runs, std::mem::take(&mut waiting.lost_runs))
            };
            if lost > 0 {
                let cause = Cause::RuntimeAway;
                warn!(
                    target: "poller", lost,
                    blame = cause.blame().as_str(), cause = cause.as_str(), fix = cause.advice(),
                    "Polls are missing from the run history: the charm runtime could not take them"
                );
            }
            if runs.is_empty() {
                return true;
            }
            let answer = guarded(self.runtime.record(&runs), WRITE_LIMIT).await;
            match answer.unwrap_or_else(|problem| Err(RuntimeError::unavailable(problem))) {
                Ok(()) => *refused = false,
                Err(RuntimeError::Unavailable { .. }) => {
                    let mut waiting = self.lock();
                    let newer = std::mem::replace(&mut waiting.runs, runs);
                    waiting.runs.extend(newer);
                    return false;
                }
                Err(error) => {
                    if !std::mem::replace(refused, true) {
                        let cause = error.cause();
                        warn!(
                            target: "poller",
                            blame = cause.blame().as_str(), cause = cause.as_str(), fix = cause.advice(),
                            "Failed polls are missing from the run history: {error}"
                        );
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
