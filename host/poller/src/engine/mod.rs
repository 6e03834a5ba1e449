//! The loop's state, and its steps. What is due, and what follows from a poll, is its [schedule](crate::schedule)'s.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bg_identity::IntegrationId;
use tokio::sync::{Notify, mpsc};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::underway::{GroupId, UnderWay};
use crate::health::Health;
use crate::messages::{Changes, PollRequest, Replacement};
use crate::outbox::Outbox;
use crate::policy;
use crate::poll::Turn;
use crate::registry::News;
use crate::schedule::{Lease, Schedule};
use crate::{
    CharmRef, CharmRuntime, Integration, IntegrationError, Limit, PollerOptions, Registration, RuntimeError, Standing,
    StateError, Summary, report,
};

mod faults;
mod lists;
mod standing;
#[cfg(test)]
mod tests;
mod turns;
mod underway;

/// How long polls that are under way may take after a shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// The log says that the loop stood still if it continues this much later than planned.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// The loop. One task does everything, in steps: nothing here is shared or locked.
pub(crate) struct Engine {
    runtime: Arc<dyn CharmRuntime>,
    options: PollerOptions,
    outbox: Arc<Outbox>,
    schedule: Box<dyn Schedule>,
    /// Asks the registry whether the runtime is there.
    probe: Arc<Notify>,
    link: Link,
    /// The charms whose last polls got no answer of the runtime, since it last answered.
    suspects: Vec<CharmRef>,
    start: Instant,
    groups: Vec<Group>,
    group_ids: HashMap<IntegrationId, GroupId>,
    polls: JoinSet<(Lease, Turn)>,
    /// All polls that are under way: their leases and charms.
    under_way: HashMap<Id, UnderWay>,
    fetches: JoinSet<Fetched>,
    /// Of integrations that have written to their state: until that is kept, or given up.
    keeping: JoinSet<(GroupId, Result<(), StateError>)>,
    chores: JoinSet<(CharmRef, Result<Registration, RuntimeError>)>,
    started_polls: u64,
    /// When the loop was to go on.
    expected: Option<Instant>,
    /// When leases are renewed next, if they end.
    renew_at: Option<Instant>,
    /// When a poll was last logged that failed because something did not answer.
    unavailable_logged: Option<Instant>,
    summary: Summary,
}

/// The result of a `fetch-charms`: of which group, of its component after how many replacements.
type Fetched = (GroupId, u32, Result<Vec<CharmRef>, IntegrationError>);

/// Whether the runtime is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// Polls of two charms got no answer; no others start until the registry has asked as well.
    Suspected,
    /// The registry got none either.
    Down(Instant),
}

/// An integration with a component, or all that have none.
struct Group {
    component: Option<Arc<dyn Integration>>,
    interval: Duration,
    health: Health,
    next_fetch: Instant,
    fetching: bool,
    /// How often its component was replaced.
    replaced: u32,
    left_out: u64,
    /// Charms that it named when it last wrote to its state, and that are not known to be registered for it.
    unknown: HashSet<CharmRef>,
    /// Whether the last list named charms that are not registered.
    named_unregistered: bool,
}

impl Engine {
    pub(crate) fn new(
        runtime: Arc<dyn CharmRuntime>,
        integrations: &[Arc<dyn Integration>],
        options: PollerOptions,
        outbox: Arc<Outbox>,
        schedule: Box<dyn Schedule>,
    ) -> Self {
        let start = Instant::now();
        let group = |component: Option<Arc<dyn Integration>>| Group {
            interval: component.as_ref().map_or(options.interval, |component| options.interval_of(component.id())),
            component,
            health: Health::default(),
            next_fetch: start,
            fetching: false,
            replaced: 0,
            left_out: 0,
            unknown: HashSet::new(),
            named_unregistered: false,
        };
        for integration in integrations {
            let interval = options.interval_of(integration.id());
            options.gauges.change(integration.id(), |standing| *standing = Standing::new(interval));
        }
        Self {
            groups: std::iter::once(None).chain(integrations.iter().cloned().map(Some)).map(group).collect(),
            group_ids: (1..).zip(integrations).map(|(id, component)| (component.id().clone(), id)).collect(),
            schedule,
            runtime,
            options,
            outbox,
            probe: Arc::default(),
            link: Link::Up,
            suspects: Vec::new(),
            start,
            polls: JoinSet::new(),
            under_way: HashMap::new(),
            fetches: JoinSet::new(),
            keeping: JoinSet::new(),
            chores: JoinSet::new(),
            started_polls: 0,
            expected: None,
            renew_at: None,
            unavailable_logged: None,
            summary: Summary::default(),
        }
    }

    pub(crate) fn probe(&self) -> Arc<Notify> {
        self.probe.clone()
    }

    /// Polls until it is shut down or its limit is reached.
    pub(crate) async fn run(
        &mut self,
        news: &mut mpsc::Receiver<News>,
        changes: &mut Changes,
        shutdown: &CancellationToken,
    ) -> Result<(), RuntimeError> {
        let log_every = self.options.log_interval;
        let mut totals = (!log_every.is_zero()).then(|| interval_at(Instant::now() + log_every, log_every));
        if let Some(totals) = &mut totals {
            totals.set_missed_tick_behavior(MissedTickBehavior::Skip);
        }
        loop {
            self.advance().await;
            if self.is_done() {
                return Ok(());
            }
            let wake = self.wake();
            // What is due already is not late yet.
            self.expected = wake.map(|at| at.max(Instant::now()));
            // What is rare comes before polls, of which there is always one that has just ended if there are many. In a
            // fixed order, so that the same events lead to the same run.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                Some(news) = news.recv() => self.hear(news).await?,
                Some(replacement) = changes.replacements.recv() => self.replace(replacement).await,
                Some(PollRequest { charm, answer }) = changes.requests.recv() => {
                    // The caller may be gone.
                    let _ = answer.send(self.schedule.poll_soon(&charm).await);
                }
                Some(fetched) = self.fetches.join_next() => self.fetch_ended(fetched).await,
                Some(kept) = self.keeping.join_next() => self.kept(kept),
                Some(done) = self.chores.join_next() => self.chore_ended(done).await,
                () = async { match &mut totals { Some(totals) => { totals.tick().await; } None => pending().await } } => {
                    report::totals(&self.summary(), self.polls.len(), self.schedule.queued());
                }
                Some(ended) = self.polls.join_next_with_id() => {
                    self.poll_ended(ended).await;
                    while let Some(ended) = self.polls.try_join_next_with_id() {
                        self.poll_ended(ended).await;
                    }
                }
                () = async { match wake { Some(at) => sleep_until(at).await, None => pending().await } } => {}
            }
        }
    }

    /// Lets what is under way come to its end, for a while, and starts nothing.
    pub(crate) async fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN;
        while !(self.polls.is_empty() && self.chores.is_empty()) {
            self.renew_leases().await;
            let until = self.renew_at.map_or(deadline, |at| at.min(deadline));
            let step = async {
                tokio::select! {
                    biased;
                    Some(ended) = self.polls.join_next_with_id() => (Some(ended), None),
                    Some(done) = self.chores.join_next() => (None, Some(done)),
                }
            };
            match timeout_at(until, step).await {
                Ok((Some(ended), _)) => self.poll_ended(ended).await,
                Ok((_, Some(done))) => self.chore_ended(done).await,
                Ok((None, None)) => {}
                Err(_) if until < deadline => {}
                Err(_) => break,
            }
        }
        if !self.polls.is_empty() {
            self.summary.abandoned = self.polls.len() as u64;
            let polls = self.polls.len();
            warn!(target: "poller", polls, "Polls that were still running after {DRAIN:?} are given up; nothing they wrote is kept, and their charms are polled again at the next start");
        }
        // What is cancelled ends at its next await; what has none is not waited for.
        self.polls.abort_all();
        let leases: Vec<Lease> = self.under_way.drain().map(|(_, poll)| poll.lease).collect();
        self.schedule.release(&leases).await;
        self.fetches.abort_all();
        // A component whose state was not kept names its charms again.
        self.keeping.abort_all();
        self.chores.abort_all();
    }

    /// The totals so far.
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            registrations: self.schedule.registrations() as u64,
            enabled: self.schedule.active(None, usize::MAX) as u64,
            left_out: self.groups.iter().map(|group| group.left_out).sum(),
            paused: self.groups.iter().filter(|group| group.health.is_paused()).count() as u64,
            uptime: self.start.elapsed(),
            ..self.summary.clone()
        }
    }

    /// Does everything that is due now.
    async fn advance(&mut self) {
        // Polls that are under way go on while the runtime is away.
        self.renew_leases().await;
        if self.link == Link::Up {
            self.notice_stall();
            self.begin_fetches().await;
            self.start_polls().await;
        }
        self.change_statuses();
        self.show_load();
    }

    /// The group of an integration: its own if it has a component, else that of all others.
    fn group(&self, integration: &IntegrationId) -> GroupId {
        self.group_ids.get(integration).copied().unwrap_or(0)
    }

    /// When something is due next.
    fn wake(&self) -> Option<Instant> {
        if self.link != Link::Up {
            return self.renew_at;
        }
        let fetches = self.groups.iter().filter(|group| group.component.is_some() && !group.fetching);
        let fetches = fetches.map(|group| group.next_fetch);
        fetches.chain(self.schedule.next_claim()).chain(self.renew_at).min()
    }

    /// Says so if the loop goes on much later than it was to. What is overdue by then is spread by the schedule.
    fn notice_stall(&self) {
        let behind = self.expected.map_or(Duration::ZERO, |expected| expected.elapsed());
        if self.options.limit != Limit::Once && behind >= WORTH_A_LINE {
            info!(
                target: "poller", behind_ms = policy::millis(behind),
                "The poll loop stood still for {:.1} s; polls that are overdue are spread over the interval", behind.as_secs_f64()
            );
        }
    }

    fn is_done(&self) -> bool {
        match self.options.limit {
            Limit::None => false,
            Limit::Polls(count) => self.summary.polls >= count,
            Limit::Once => {
                self.link == Link::Up
                    && self.polls.is_empty()
                    && self.chores.is_empty()
                    && self.keeping.is_empty()
                    && self.schedule.is_done()
            }
        }
    }

    /// Goes on with a new component of an integration, as with one that has never failed: its charms have lost nothing
    /// by the one before.
    async fn replace(&mut self, replacement: Replacement) {
        let Replacement { integration, interval } = replacement;
        let id = integration.id().clone();
        let number = self.group(&id);
        if number == 0 {
            return;
        }
        match interval {
            Some(interval) => self.options.intervals.insert(id.clone(), interval),
            None => self.options.intervals.remove(&id),
        };
        let now = Instant::now();
        let group = &mut self.groups[number];
        group.component = Some(integration);
        group.replaced += 1;
        group.health = Health::default();
        group.interval = self.options.interval_of(&id);
        group.next_fetch = now;
        let new_interval = group.interval;
        self.options.gauges.change(&id, |standing| {
            let (named, left_out) = (standing.named, standing.left_out);
            *standing = Standing { named, left_out, ..Standing::new(new_interval) };
        });
        self.schedule.replace(&id, interval).await;
        info!(target: "poller", integration = %id, "The integration {id} goes on with its new component");
    }

    /// Takes in what the registry has found out.
    pub(crate) async fn hear(&mut self, news: News) -> Result<(), RuntimeError> {
        match news {
            News::Registrations(registrations) => {
                self.runtime_answers();
                self.schedule.read_all(&registrations).await;
            }
            News::Changed(changed, removed) => {
                self.runtime_answers();
                self.schedule.read_changes(&changed, &removed).await;
            }
            News::Refused => self.runtime_answers(),
            News::Unavailable(cause, problem) => {
                if !matches!(self.link, Link::Down(_)) {
                    self.link = Link::Down(Instant::now());
                    let error = RuntimeError::unavailable(problem);
                    if self.options.limit == Limit::Once {
                        return Err(error);
                    }
                    let problem = report::one_line(&error.to_string());
                    error!(
                        target: "poller", blame = cause.blame().as_str(), cause = cause.as_str(), fix = cause.advice(),
                        "{problem}; polling pauses until it answers, and no failures are counted"
                    );
                }
            }
        }
        Ok(())
    }

    fn runtime_answers(&mut self) {
        self.suspects.clear();
        if let Link::Down(since) = std::mem::replace(&mut self.link, Link::Up) {
            let seconds = since.elapsed().as_secs();
            info!(target: "poller", "The charm runtime answers again after {seconds} s; polling goes on");
        }
    }
}
