//! The service: the loop with all that belongs to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bg_identity::IntegrationId;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::engine::Engine;
use crate::guard::guarded;
use crate::messages::{Changes, PollRequest, Replacement};
use crate::outbox::{Notes, Outbox};
use crate::registry::{self, News};
use crate::report;
use crate::schedule::Schedule;
use crate::schedule::memory::MemorySchedule;
use crate::{
    CharmRuntime, Integration, IntegrationError, PollState, PollStore, PollerOptions, RuntimeError, StoreError, Summary,
};

/// Initializing an integration takes 30 s at most by its own limit.
const INITIALIZE_LIMIT: Duration = Duration::from_mins(1);
/// How long the last writes may take after the last poll has ended.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Why polling ended, or did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollerError {
    /// The charm runtime does not answer, or refuses.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// What was remembered cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Two components say they are the same integration.
    #[error("two components are the integration {0}: each integration can have one")]
    TwoComponents(IntegrationId),
}

/// Polls registered charms.
pub struct Poller {
    runtime: Arc<dyn CharmRuntime>,
    store: Arc<dyn PollStore>,
    integrations: Vec<Arc<dyn Integration>>,
    options: PollerOptions,
    changes: Mutex<Changes>,
}

impl Poller {
    /// A poller of all charms that `runtime` has registrations of. `integrations` are those that have a component;
    /// charms of others are polled without being asked for.
    pub fn new(
        runtime: Arc<dyn CharmRuntime>,
        store: Arc<dyn PollStore>,
        integrations: Vec<Arc<dyn Integration>>,
        options: PollerOptions,
    ) -> Self {
        Self { runtime, store, integrations, options, changes: Mutex::new(Changes::none()) }
    }

    /// The same, with components that may be replaced while it runs.
    #[must_use]
    pub fn with_replacements(self, replacements: mpsc::Receiver<Replacement>) -> Self {
        self.with(|changes| changes.replacements = replacements)
    }

    /// The same, with somebody who may have charms polled at once.
    #[must_use]
    pub fn with_requests(self, requests: mpsc::Receiver<PollRequest>) -> Self {
        self.with(|changes| changes.requests = requests)
    }

    fn with(mut self, change: impl FnOnce(&mut Changes)) -> Self {
        change(self.changes.get_mut().unwrap_or_else(PoisonError::into_inner));
        self
    }

    /// Polls until `shutdown` (then lets polls end, for 10 s at most), or until the limit of the options is reached.
    ///
    /// A runtime that is unavailable at first is an error; one that becomes so later pauses polling. One that refuses
    /// access to the registrations is asked again every 2 s, unless the limit is [`Once`](crate::Limit::Once) or
    /// [`Polls`](crate::Limit::Polls): then that is an error, too.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<Summary, PollerError> {
        for (place, integration) in self.integrations.iter().enumerate() {
            if self.integrations[..place].iter().any(|other| other.id() == integration.id()) {
                return Err(PollerError::TwoComponents(integration.id().clone()));
            }
        }
        let stored = self.store.load().await?;
        let Some((seen, registrations)) = registry::first(&*self.runtime, self.options.limit, &shutdown).await? else {
            return Ok(Summary::default());
        };
        if self.options.initialize {
            tokio::select! {
                () = self.initialize() => {}
                () = shutdown.cancelled() => return Ok(Summary::default()),
            }
        }
        let outbox = Arc::new(Outbox::new(self.store.clone(), self.runtime.clone()));
        let schedule = self.schedule(outbox.clone(), stored);
        let mut engine =
            Engine::new(self.runtime.clone(), &self.integrations, self.options.clone(), outbox.clone(), schedule);
        let (sender, mut news) = mpsc::channel(2);
        let mut changes = {
            let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *changes, Changes::none())
        };
        // Dropped at the end, also if this future is: then nothing goes on behind its back.
        let mut tasks = JoinSet::new();
        let watching = tasks.spawn(registry::watch(self.runtime.clone(), engine.probe(), sender, seen));
        tasks.spawn({
            let outbox = outbox.clone();
            async move { outbox.write().await }
        });
        let ended = match engine.hear(News::Registrations(registrations)).await {
            Ok(()) => engine.run(&mut news, &mut changes, &shutdown).await,
            refused => refused,
        };
        watching.abort();
        drop(news);
        engine.drain().await;
        outbox.close();
        let written = timeout(LAST_WRITES, async { while tasks.join_next().await.is_some() {} }).await;
        if written.is_err() {
            error!(target: "poller", "The outcomes of the last polls could not be written within {LAST_WRITES:?}");
        }
        let summary = engine.summary();
        report::totals(&summary, 0, 0);
        ended?;
        Ok(summary)
    }

    /// The schedule that the loop works with.
    fn schedule(&self, notes: Arc<dyn Notes>, stored: Vec<PollState>) -> Box<dyn Schedule> {
        let shares_clock = self.runtime.shares_clock();
        Box::new(MemorySchedule::new(&self.integrations, self.options.clone(), notes, shares_clock, stored))
    }

    async fn initialize(&self) {
        join_all(self.integrations.iter().map(|integration| async {
            let id = integration.id();
            let answer = guarded(integration.initialize(), INITIALIZE_LIMIT).await;
            match answer.unwrap_or_else(|problem| Err(IntegrationError::unanswered(problem))) {
                Ok(()) => info!(target: "poller", integration = %id, "The integration {id} is initialized"),
                Err(error) => report::uninitialized(id, &error),
            }
        }))
        .await;
    }
}
