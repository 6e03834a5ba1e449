//! The loop's state, and its steps.

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

use self::pace::Paces;
use self::slow::SlowCharms;
use self::wakes::Wakes;
use crate::health::Health;
use crate::membership::List;
use crate::outbox::Outbox;
use crate::policy;
use crate::poll::Turn;
use crate::ready::Ready;
use crate::registry::News;
use crate::service::Changes;
use crate::table::{Asked, Entry, GroupId, Phase, Slot, Table};
use crate::wheel::{TICK_MS, Wheel};
use crate::{
    CharmRef, CharmRuntime, Integration, IntegrationError, Limit, PollRequest, PollState, PollerOptions, Registration,
    Replacement, RuntimeError, Standing, StateError, Summary, UnixMillis, report,
};

mod early;
mod faults;
mod lists;
mod pace;
mod registrations;
mod slow;
mod standing;
mod times;
mod turns;
mod wakes;

/// How long polls that are under way may take after a shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// The loop has stood still, as far as people want to know, if it goes on so much later than it was to.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// All that polls go by. Everything is done by one task, in steps: nothing here is shared or locked.
pub(crate) struct Engine {
    runtime: Arc<dyn CharmRuntime>,
    options: PollerOptions,
    outbox: Arc<Outbox>,
    /// Asks the registry whether the runtime is there.
    probe: Arc<Notify>,
    link: Link,
    /// The charms whose last polls got no answer of the runtime, since it last answered.
    suspects: Vec<Slot>,
    /// Zero of the loop's own time.
    start: Instant,
    groups: Vec<Group>,
    group_ids: HashMap<IntegrationId, GroupId>,
    only: Option<HashSet<CharmRef>>,
    table: Table,
    wheel: Wheel,
    ready: Ready,
    polls: JoinSet<(Slot, Turn)>,
    /// Whose they are.
    under_way: HashMap<Id, Slot>,
    fetches: JoinSet<Fetched>,
    /// Of integrations that have written to their state: until that is kept, or given up.
    keeping: JoinSet<(GroupId, Result<(), StateError>)>,
    /// The latest start of a poll by the wall clock, which may have been set back since.
    latest_start: UnixMillis,
    chores: JoinSet<(CharmRef, Result<Registration, RuntimeError>)>,
    /// What was remembered from before the start, until the first registrations are there.
    stored: HashMap<CharmRef, PollState>,
    /// Charms whose cause may just have been fixed, and which have no time yet.
    hurried: Vec<Slot>,
    wakes: Wakes,
    /// How often registrations were read, all or those that have changed.
    readings: u32,
    started_polls: u64,
    paces: Paces,
    /// When a quick poll last ended.
    quick_at: Option<Instant>,
    /// When the loop was to go on.
    expected: Option<Instant>,
    /// When a poll was last logged that failed because something did not answer.
    unavailable_logged: Option<Instant>,
    /// Integrations without component that were told of.
    without_component: HashSet<IntegrationId>,
    summary: Summary,
}

/// What a `fetch-charms` came to: of which group, of its component after how many replacements.
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
    list: List,
    health: Health,
    next_fetch: Instant,
    fetching: bool,
    /// How often its component was replaced.
    replaced: u32,
    left_out: u64,
    /// The latest time that was written as the one since when one of its charms is owed a poll.
    owed_written: UnixMillis,
    /// Charms that it named when it last wrote to its state, and that are not known to be registered for it.
    unknown: HashSet<CharmRef>,
    /// Whether the last list named charms that are not registered.
    named_unregistered: bool,
    slow: SlowCharms,
}

impl Engine {
    pub(crate) fn new(
        runtime: Arc<dyn CharmRuntime>,
        integrations: &[Arc<dyn Integration>],
        options: PollerOptions,
        outbox: Arc<Outbox>,
        stored: Vec<PollState>,
    ) -> Self {
        let start = Instant::now();
        let group = |component: Option<Arc<dyn Integration>>| Group {
            interval: component.as_ref().map_or(options.interval, |component| options.interval_of(component.id())),
            component,
            list: List::default(),
            health: Health::default(),
            next_fetch: start,
            fetching: false,
            replaced: 0,
            left_out: 0,
            owed_written: UnixMillis::NEVER,
            unknown: HashSet::new(),
            named_unregistered: false,
            slow: SlowCharms::default(),
        };
        for integration in integrations {
            let interval = options.interval_of(integration.id());
            options.gauges.change(integration.id(), |standing| *standing = Standing::new(interval));
        }
        let groups: Vec<Group> =
            std::iter::once(None).chain(integrations.iter().cloned().map(Some)).map(group).collect();
        Self {
            ready: Ready::new(groups.len(), options.max_concurrent, options.per_integration, options.per_space),
            group_ids: (1..=GroupId::MAX)
                .zip(integrations)
                .map(|(group, component)| (component.id().clone(), group))
                .collect(),
            only: options.charms.as_ref().map(|charms| charms.iter().cloned().collect()),
            stored: stored.into_iter().map(|state| (state.charm.clone(), state)).collect(),
            runtime,
            options,
            outbox,
            probe: Arc::default(),
            link: Link::Up,
            suspects: Vec::new(),
            start,
            groups,
            table: Table::default(),
            wheel: Wheel::default(),
            polls: JoinSet::new(),
            under_way: HashMap::new(),
            fetches: JoinSet::new(),
            keeping: JoinSet::new(),
            latest_start: UnixMillis::NEVER,
            chores: JoinSet::new(),
            hurried: Vec::new(),
            wakes: Wakes::default(),
            readings: 0,
            started_polls: 0,
            paces: Paces::default(),
            quick_at: None,
            expected: None,
            unavailable_logged: None,
            without_component: HashSet::new(),
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
            self.advance();
            if self.is_done() {
                return Ok(());
            }
            let wake = self.wake();
            // What is due already is not late yet.
            self.expected = wake.map(|at| at.max(Instant::now()));
            // What is rare comes before polls, of which there is always one that has just ended if there are many. In a fixed order,
            // so that the same events lead to the same run.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                Some(news) = news.recv() => self.hear(news)?,
                Some(replacement) = changes.replacements.recv() => self.replace(replacement),
                Some(PollRequest { charm, answer }) = changes.requests.recv() => {
                    // Who asked may be gone.
                    let _ = answer.send(self.poll_soon(&charm));
                }
                Some(fetched) = self.fetches.join_next() => self.fetch_ended(fetched),
                Some(kept) = self.keeping.join_next() => self.kept(kept),
                Some(done) = self.chores.join_next() => self.chore_ended(done),
                () = async { match &mut totals { Some(totals) => { totals.tick().await; } None => pending().await } } => {
                    report::totals(&self.summary(), self.ready.running(), self.queued());
                }
                Some(ended) = self.polls.join_next_with_id() => {
                    self.poll_ended(ended);
                    while let Some(ended) = self.polls.try_join_next_with_id() {
                        self.poll_ended(ended);
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
            let step = async {
                tokio::select! {
                    biased;
                    Some(ended) = self.polls.join_next_with_id() => (Some(ended), None),
                    Some(done) = self.chores.join_next() => (None, Some(done)),
                }
            };
            match timeout_at(deadline, step).await {
                Ok((Some(ended), _)) => self.poll_ended(ended),
                Ok((_, Some(done))) => self.chore_ended(done),
                Ok((None, None)) => {}
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
        self.fetches.abort_all();
        // What is not kept is not known to be told of, and is named again.
        self.keeping.abort_all();
        self.chores.abort_all();
    }

    /// The totals so far.
    pub(crate) fn summary(&self) -> Summary {
        let active = self.table.iter().filter(|(_, entry)| entry.is_active()).count();
        Summary {
            registrations: self.table.len() as u64,
            enabled: active as u64,
            left_out: self.groups.iter().map(|group| group.left_out).sum(),
            paused: self.groups.iter().filter(|group| group.health.is_paused()).count() as u64,
            uptime: self.start.elapsed(),
            ..self.summary.clone()
        }
    }

    /// Does all that is due now.
    fn advance(&mut self) {
        if self.link != Link::Up {
            self.show_load();
            return;
        }
        self.notice_stall();
        let now = self.elapsed();
        while let Some(slots) = self.wheel.expire(now) {
            for slot in slots {
                self.come_due(slot, now);
            }
        }
        self.begin_fetches();
        self.release_held();
        self.start_polls();
        self.show_load();
    }

    fn come_due(&mut self, slot: Slot, now: i64) {
        let Some(entry) = self.table.get(slot) else { return };
        if Wheel::tick(entry.due) > now.div_euclid(TICK_MS) {
            // Put off since.
            return;
        }
        self.no_longer_early(slot);
        let Some(entry) = self.table.get(slot) else { return };
        match entry.phase {
            Phase::Waiting if self.may_poll(entry) => {
                let lane = entry.lane;
                self.set_phase(slot, Phase::Ready);
                self.ready.push(lane, slot);
            }
            Phase::Waiting => self.set_phase(slot, Phase::LeftOut),
            Phase::Disabled => self.ask(slot, Asked::ToEnable, None),
            Phase::Idle | Phase::Ready | Phase::Held | Phase::Running | Phase::LeftOut => {}
        }
    }

    /// Whether its integration wants it polled now, or once did and no poll has succeeded since; and is not paused.
    fn may_poll(&self, entry: &Entry) -> bool {
        let Group { component, list, health, .. } = &self.groups[entry.group as usize];
        let named = || list.names(entry.named) && list.serves(entry.served) && list.is_usable(Instant::now());
        component.is_none() || (!health.is_paused() && (entry.owed || named()))
    }

    /// When something is due next.
    fn wake(&self) -> Option<Instant> {
        if self.link != Link::Up {
            return None;
        }
        let fetches = self.groups.iter().filter(|group| group.component.is_some() && !group.fetching);
        let poll = self.wheel.next().map(|ms| self.start + Duration::from_millis(ms.max(0).unsigned_abs()));
        fetches.map(|group| group.next_fetch).chain(poll).chain(self.next_held()).min()
    }

    /// Says so if the loop goes on much later than it was to. What is overdue by then is spread by its [`pace`].
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
                let answered = |group: &Group| group.component.is_none() || group.list.has_answered();
                self.link == Link::Up
                    && self.readings > 0
                    && self.polls.is_empty()
                    && self.chores.is_empty()
                    && self.keeping.is_empty()
                    && self.ready.queued() == 0
                    && self.wheel.next().is_none()
                    && self.groups.iter().all(answered)
            }
        }
    }

    /// Goes on with a new component of an integration, as with one that has never failed: its charms have lost nothing by the one before.
    fn replace(&mut self, replacement: Replacement) {
        let Replacement { integration, interval } = replacement;
        let id = integration.id().clone();
        let Some(number) = self.group_ids.get(&id).copied() else { return };
        let before = self.options.interval_of(&id);
        match interval {
            Some(interval) => self.options.intervals.insert(id.clone(), interval),
            None => self.options.intervals.remove(&id),
        };
        let now = Instant::now();
        let group = &mut self.groups[number as usize];
        group.component = Some(integration);
        group.replaced += 1;
        group.health = Health::default();
        group.interval = self.options.interval_of(&id);
        group.next_fetch = now;
        self.paces.are_outdated();
        let interval = group.interval;
        self.options.gauges.change(&id, |standing| {
            let (named, left_out) = (standing.named, standing.left_out);
            *standing = Standing { named, left_out, ..Standing::new(interval) };
        });
        self.another_component(number, before);
        info!(target: "poller", integration = %id, "The integration {id} goes on with its new component");
    }

    /// Takes in what the registry has found out.
    pub(crate) fn hear(&mut self, news: News) -> Result<(), RuntimeError> {
        match news {
            News::Registrations(registrations) => {
                self.runtime_answers();
                self.apply(&registrations);
            }
            News::Changed(changed, removed) => {
                self.runtime_answers();
                self.apply_changes(&changed, &removed);
            }
            News::Refused => self.runtime_answers(),
            News::Unavailable(problem) => {
                if !matches!(self.link, Link::Down(_)) {
                    self.link = Link::Down(Instant::now());
                    let error = RuntimeError::unavailable(problem);
                    if self.options.limit == Limit::Once {
                        return Err(error);
                    }
                    let problem = report::one_line(&error.to_string());
                    error!(target: "poller", "{problem}; polling pauses until it answers, and no failures are counted");
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
