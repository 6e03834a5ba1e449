//! Calls that end at about the same time are kept in one transaction: a commit waits for the disk, and what it costs
//! the server is shared by all that are in it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bg_poller::{CharmRef, Outcome, RuntimeError};
use bg_seal::Key;
use bg_store::{Finished, Touch, Writes};
use tokio::sync::{Semaphore, oneshot};

use super::claims::{Ended, Settled};
use super::error::Failure;
use super::keep::{self, Fence, Kept, Pending};
use super::session::Database;
use super::tenants::Tenants;
use super::watch::Watch;

/// How many calls one commit may have: others wait for the first of them as long as for the last.
const MOST: usize = 256;
/// How many bytes one commit may write, but for the last call's.
const MOST_BYTES: usize = 16 << 20;
/// How many commits may be under way. While they are, calls gather for the next.
const AT_ONCE: usize = 3;

type Waiting = (Pending, oneshot::Sender<Kept>);

/// Where calls wait to be kept.
pub(crate) struct Keeper {
    pub(crate) database: Arc<Database>,
    pub(crate) key: Arc<Key>,
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) watch: Arc<Watch>,
    writes: Arc<Writes>,
    waiting: Mutex<VecDeque<Waiting>>,
    turns: Arc<Semaphore>,
}

impl Keeper {
    pub(crate) fn new(
        database: Arc<Database>,
        key: Arc<Key>,
        tenants: Arc<Tenants>,
        watch: Arc<Watch>,
        writes: Arc<Writes>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { database, key, tenants, watch, writes, waiting: Mutex::default(), turns }
    }

    /// Keeps calls, each for itself: none if the cells of its charm were changed since it began.
    pub(crate) async fn keep(self: &Arc<Self>, finished: Vec<Finished>) -> Vec<Result<Option<Outcome>, RuntimeError>> {
        let calls = finished.into_iter().map(|finished| Pending { finished, fence: None });
        let kept = self.pend(calls.collect()).await.into_iter().map(|kept| match kept? {
            Settled::Kept(outcome) => Ok(outcome),
            Settled::Lost => Ok(None),
        });
        kept.collect()
    }

    /// Keeps polls that were made by leases.
    pub(crate) async fn settle(self: &Arc<Self>, ended: Vec<Ended>) -> Vec<Kept> {
        let calls = ended.into_iter().map(|ended| {
            let next_in = i64::try_from(ended.next_in.as_millis()).unwrap_or(i64::MAX);
            let fence = Fence { lease: ended.lease, next_in, failures: ended.failures };
            Pending { finished: ended.finished, fence: Some(fence) }
        });
        self.pend(calls.collect()).await
    }

    /// They are kept also if the caller stops waiting.
    async fn pend(self: &Arc<Self>, calls: Vec<Pending>) -> Vec<Kept> {
        let mut answers = Vec::with_capacity(calls.len());
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for one in calls {
                let (answer, answered) = oneshot::channel();
                waiting.push_back((one, answer));
                answers.push(answered);
            }
        }
        let keeper = Arc::clone(self);
        // Each call has a task that keeps it, and all that wait with it, unless another's has done so by then.
        tokio::spawn(async move {
            // It is never closed.
            let Ok(_turn) = Arc::clone(&keeper.turns).acquire_owned().await else { return };
            while let Some(group) = keeper.next() {
                keeper.keep_group(group).await;
            }
        });
        let gone = || RuntimeError::unavailable("what keeps calls has panicked, which is a fault of this program");
        let mut kept = Vec::with_capacity(answers.len());
        for answer in answers {
            kept.push(answer.await.unwrap_or_else(|_| Err(gone())));
        }
        kept
    }

    /// The calls of the next commit: of each charm one. Others of it wait for the next but one.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut group, mut later, mut rows) = (Vec::new(), VecDeque::new(), std::collections::HashSet::new());
        let mut bytes = 0;
        while group.len() < MOST
            && bytes < MOST_BYTES
            && let Some(one) = waiting.pop_front()
        {
            if rows.insert(one.0.finished.charm.row) {
                bytes += one.0.finished.writes.values().map(String::len).sum::<usize>();
                group.push(one);
            } else {
                later.push_back(one);
            }
        }
        while let Some(one) = later.pop_back() {
            waiting.push_front(one);
        }
        // In one order, so that two commits that write the same rows do not wait for each other in a circle.
        group.sort_by_key(|(call, _)| call.finished.charm.row);
        (!group.is_empty()).then_some(group)
    }

    async fn keep_group(&self, group: Vec<Waiting>) {
        let (calls, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let charms: Vec<CharmRef> = calls.iter().map(|call| call.finished.charm.summary.charm.clone()).collect();
        let kept = self.kept(calls).await;
        // Also if that failed: it does not always say whether anything was written.
        for charm in charms {
            self.writes.note(&Touch::Charm(charm));
        }
        for (answer, kept) in answers.into_iter().zip(kept) {
            // The caller may have stopped waiting.
            let _ = answer.send(kept);
        }
    }

    async fn kept(&self, calls: Vec<Pending>) -> Vec<Kept> {
        match self.together(calls.clone()).await {
            Ok(kept) => kept,
            // One of them has something that cannot be kept: each by itself.
            Err(failure) if failure.is_of_values() && calls.len() > 1 => {
                let mut all = Vec::with_capacity(calls.len());
                for call in calls {
                    let kept = self.together(vec![call]).await.map_err(|failure| self.database.failed(failure));
                    all.push(kept.and_then(|kept| kept.into_iter().next().unwrap_or(Ok(Settled::Lost))));
                }
                all
            }
            Err(failure) => {
                let error = self.database.failed(failure);
                calls.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn together(&self, calls: Vec<Pending>) -> Result<Vec<Kept>, Failure> {
        let mut session = self.database.session().await?;
        match keep::keep(&mut session, &self.key, &self.tenants, calls).await {
            Ok((kept, revision)) => {
                if let Some(revision) = revision {
                    self.watch.committed(revision);
                }
                Ok(kept)
            }
            Err(failure) => {
                // If this fails, the connection is closed, and the server undoes it.
                let _ = session.roll_back().await;
                Err(failure)
            }
        }
    }
}
