//! No news is lost: the loop, the component and the process end at random moments while polls fail, the charm runtime
//! goes away and the disk is full; in the end every charm has seen the newest change of all that was ever announced of
//! it.
//!
//! The component announces each change once: it remembers the newest version that it has announced, as one with
//! conditional requests does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::{CharmId, IntegrationId, Secret, space_did};
use bg_poller::testing::{Opened, registration};
use bg_poller::{
    Charm, CharmRef, CharmRuntime, Clock, Counters, DisabledBy, Fitness, Integration, IntegrationError, Outcome,
    OutcomeKind, PollState, PollStore, Poller, PollerOptions, Registration, Replacement, Run, RuntimeError, StateError,
    StoreError, UnixMillis,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::rng::Rng;

const CHARMS: usize = 40;
const MINUTE: Duration = Duration::from_mins(1);
/// After this time without any failure, every charm has been polled, also if it was disabled for a day.
const CALM: Duration = Duration::from_hours(26);

/// What outlives the process: the service behind the charms, their cells, their registrations, and what the loop and
/// the component keep.
struct Outside {
    rng: Rng,
    /// The newest version of what each charm follows.
    versions: Vec<u64>,
    /// The version that each charm has seen.
    cells: Vec<u64>,
    registrations: Vec<Registration>,
    numbers: HashMap<CharmRef, usize>,
    states: HashMap<CharmRef, PollState>,
    /// The newest version of each charm that the component has announced.
    announced: Vec<u64>,
    changes: u64,
    polls: u64,
    failed: u64,
    is_down: bool,
    is_full: bool,
    /// Whether handlers fail now and then.
    is_rough: bool,
}

#[derive(Clone)]
struct World {
    outside: Arc<Mutex<Outside>>,
    began: Instant,
    shares_clock: bool,
}

impl World {
    fn new(seed: u64, shares_clock: bool) -> Self {
        let registration = |number: usize| {
            let space = space_did(&format!("space {}", number % 9));
            registration(CharmRef { space, charm: CharmId::for_content(&number.to_be_bytes()) }, id())
        };
        let registrations: Vec<Registration> = (0..CHARMS).map(registration).collect();
        let outside = Outside {
            rng: Rng(seed),
            versions: vec![0; CHARMS],
            cells: vec![0; CHARMS],
            numbers: registrations.iter().enumerate().map(|(number, one)| (one.charm.clone(), number)).collect(),
            registrations,
            states: HashMap::new(),
            announced: vec![0; CHARMS],
            changes: 0,
            polls: 0,
            failed: 0,
            is_down: false,
            is_full: false,
            is_rough: true,
        };
        Self { outside: Arc::new(Mutex::new(outside)), began: Instant::now(), shares_clock }
    }

    fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside.lock().unwrap()
    }

    fn reachable(&self) -> Result<(), RuntimeError> {
        if self.outside().is_down { Err(RuntimeError::unavailable("connection refused")) } else { Ok(()) }
    }

    /// A while, in which the process may end.
    async fn a_while(&self) {
        let time = self.outside().rng.up_to(Duration::from_millis(40));
        sleep(time).await;
    }
}

fn id() -> IntegrationId {
    "news".parse().unwrap()
}

impl Clock for World {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_800_000_000_000) + self.began.elapsed()
    }
}

#[async_trait]
impl CharmRuntime for World {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        self.reachable()?;
        Ok(self.outside().registrations.clone())
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        self.reachable()?;
        sleep(Duration::from_secs(20)).await;
        Ok(seen + 1)
    }

    fn shares_clock(&self) -> bool {
        self.shares_clock
    }

    async fn register(&self, _: &CharmRef, _: &IntegrationId) -> Result<Registration, RuntimeError> {
        unimplemented!()
    }

    async fn set_disabled(
        &self,
        charm: &CharmRef,
        by: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        self.a_while().await;
        self.reachable()?;
        let now = self.now();
        let registration = {
            let mut outside = self.outside();
            let number = outside.numbers[charm];
            let registration = &mut outside.registrations[number];
            registration.updated_at = now;
            registration.disabled_at = by.map_or(UnixMillis::NEVER, |_| now);
            registration.disabled_by = by.map(|(by, _)| by);
            registration.status = by.map_or("Re-initializing".to_owned(), |(_, reason)| format!("Disabled: {reason}"));
            registration.clone()
        };
        self.a_while().await;
        Ok(registration)
    }

    async fn set_interval(&self, _: &CharmRef, _: Option<Duration>) -> Result<Registration, RuntimeError> {
        unimplemented!()
    }

    async fn remove(&self, _: &CharmRef) -> Result<bool, RuntimeError> {
        unimplemented!()
    }

    async fn record(&self, runs: &[Run]) -> Result<(), RuntimeError> {
        self.a_while().await;
        self.reachable()?;
        let mut outside = self.outside();
        for run in runs {
            let number = outside.numbers[&run.charm];
            let registration = &mut outside.registrations[number];
            registration.last_run = registration.last_run.max(run.started_at);
            registration.last_outcome = Some(run.outcome.kind);
        }
        Ok(())
    }

    async fn runs(&self, _: &CharmRef, _: usize) -> Result<Vec<Run>, RuntimeError> {
        unimplemented!()
    }

    async fn counters(&self, _: &CharmRef) -> Result<Counters, RuntimeError> {
        unimplemented!()
    }

    async fn prepare_list(&self, _: &IntegrationId) -> Result<(), RuntimeError> {
        unimplemented!()
    }

    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError> {
        self.reachable()?;
        Ok(Arc::new(Opened(charm.clone())))
    }

    /// The handler asks what is new, works for a while, and may fail.
    async fn trigger(&self, charm: &CharmRef, _: &str, _: &Value) -> Result<Outcome, RuntimeError> {
        let started_at = self.now();
        let (number, found, takes, kind) = {
            let mut outside = self.outside();
            let number = outside.numbers[charm];
            let takes = outside.rng.up_to(Duration::from_secs(2));
            let fails = outside.is_rough && outside.rng.once_in(3);
            let kind = if fails { OutcomeKind::HandlerFailed } else { OutcomeKind::Success };
            (number, outside.versions[number], takes, kind)
        };
        sleep(takes).await;
        self.reachable()?;
        let mut outside = self.outside();
        outside.polls += 1;
        outside.registrations[number].last_run = started_at;
        outside.registrations[number].last_outcome = Some(kind);
        if kind == OutcomeKind::Success {
            outside.cells[number] = found;
            return Ok(Outcome::success());
        }
        outside.failed += 1;
        Ok(Outcome::failure(kind, "it throws"))
    }

    async fn refresh_auth(&self, _: &CharmRef) -> Result<(), RuntimeError> {
        unimplemented!()
    }

    async fn secret(&self, _: &CharmRef, _: &[String]) -> Result<Secret, RuntimeError> {
        unimplemented!()
    }
}

#[async_trait]
impl PollStore for World {
    async fn load(&self) -> Result<Vec<PollState>, StoreError> {
        Ok(self.outside().states.values().cloned().collect())
    }

    async fn save(&self, states: &[PollState]) -> Result<(), StoreError> {
        self.a_while().await;
        {
            let mut outside = self.outside();
            if outside.is_full {
                return Err(StoreError("the disk is full".into()));
            }
            outside.states.extend(states.iter().map(|state| (state.charm.clone(), state.clone())));
        }
        self.a_while().await;
        Ok(())
    }

    async fn forget(&self, _: &[CharmRef]) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Tells of each version of a charm once.
struct Component {
    world: World,
    id: IntegrationId,
    unkept: Mutex<Option<Vec<u64>>>,
}

impl Component {
    fn new(world: &World) -> Arc<Self> {
        Arc::new(Self { world: world.clone(), id: id(), unkept: Mutex::default() })
    }
}

#[async_trait]
impl Integration for Component {
    fn id(&self) -> &IntegrationId {
        &self.id
    }

    async fn initialize(&self) -> Result<(), IntegrationError> {
        Ok(())
    }

    async fn fetch_charms(&self) -> Result<Vec<CharmRef>, IntegrationError> {
        self.unkept.lock().unwrap().take();
        self.world.a_while().await;
        let (versions, charms) = {
            let outside = self.world.outside();
            let has_news = |number: &usize| outside.versions[*number] > outside.announced[*number];
            let news = (0..CHARMS).filter(|number| outside.registrations[*number].is_enabled()).filter(has_news);
            let mut announced = outside.announced.clone();
            let charms = news
                .map(|number| {
                    announced[number] = outside.versions[number];
                    outside.registrations[number].charm.clone()
                })
                .collect();
            (announced, charms)
        };
        self.world.a_while().await;
        if self.world.outside().rng.once_in(20) {
            return Err(IntegrationError::new(OutcomeKind::Trapped, "unreachable"));
        }
        *self.unkept.lock().unwrap() = Some(versions);
        Ok(charms)
    }

    fn has_unkept_state(&self) -> bool {
        self.unkept.lock().unwrap().is_some()
    }

    async fn keep_state(&self) -> Result<(), StateError> {
        self.world.a_while().await;
        {
            let mut outside = self.world.outside();
            if outside.is_full {
                return Err(StateError::Unavailable("the disk is full".into()));
            }
            if let Some(versions) = self.unkept.lock().unwrap().take() {
                outside.announced = versions;
            }
        }
        self.world.a_while().await;
        Ok(())
    }

    async fn is_valid_charm(&self, _: Arc<dyn Charm>) -> Result<Fitness, IntegrationError> {
        if self.world.outside().is_rough && self.world.outside().rng.once_in(20) {
            return Err(IntegrationError::new(OutcomeKind::Trapped, "unreachable"));
        }
        Ok(Fitness::Fit)
    }
}

/// A process that runs, and the way to put another component in.
struct Process {
    task: tokio::task::JoinHandle<()>,
    shutdown: CancellationToken,
    replace: mpsc::Sender<Replacement>,
}

impl Process {
    fn start(world: &World) -> Self {
        let (replace, mut replacements) = mpsc::channel(1);
        let shutdown = CancellationToken::new();
        let (world, stopped) = (world.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            loop {
                let (runtime, store) = (Arc::new(world.clone()), Arc::new(world.clone()));
                let options = PollerOptions {
                    interval: MINUTE,
                    log_interval: Duration::ZERO,
                    clock: Arc::new(world.clone()),
                    ..PollerOptions::default()
                };
                let taken = std::mem::replace(&mut replacements, mpsc::channel(1).1);
                let poller =
                    Poller::new(runtime, store, vec![Component::new(&world)], options).with_replacements(taken);
                // A runtime that is away at the start ends it.
                if poller.run(stopped.clone()).await.is_ok() {
                    return;
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
        Self { task, shutdown, replace }
    }
}

#[derive(Debug, Default)]
struct Happened {
    kills: u64,
    stops: u64,
    new_components: u64,
    outages: u64,
    full_disks: u64,
}

async fn run(seed: u64, shares_clock: bool, kills: u64) -> String {
    let (world, mut rng, mut happened) = (World::new(seed, shares_clock), Rng(seed ^ 0x5eed), Happened::default());
    let mut process = Process::start(&world);
    while happened.kills < kills {
        sleep(rng.up_to(Duration::from_secs(3))).await;
        let number = rng.index(CHARMS);
        match rng.below(100) {
            0..40 => {
                let mut outside = world.outside();
                outside.versions[number] += 1;
                outside.changes += 1;
            }
            40..42 => {
                happened.kills += 1;
                process.task.abort();
                let _ = process.task.await;
                sleep(rng.up_to(MINUTE)).await;
                process = Process::start(&world);
            }
            42 => {
                happened.stops += 1;
                process.shutdown.cancel();
                process.task.await.unwrap();
                process = Process::start(&world);
            }
            43 => {
                happened.new_components += 1;
                let integration = Component::new(&world);
                let _ = process.replace.try_send(Replacement { integration, interval: None });
            }
            44 => {
                let is_down = rng.once_in(3);
                happened.outages += u64::from(is_down);
                world.outside().is_down = is_down;
            }
            45..48 => {
                let is_full = rng.once_in(3);
                happened.full_disks += u64::from(is_full);
                world.outside().is_full = is_full;
            }
            _ => {}
        }
    }
    {
        let mut outside = world.outside();
        (outside.is_down, outside.is_full, outside.is_rough) = (false, false, false);
    }
    sleep(CALM).await;
    process.shutdown.cancel();
    process.task.await.unwrap();
    let outside = world.outside();
    let lost: Vec<_> = (0..CHARMS)
        .filter(|number| outside.cells[*number] != outside.versions[*number])
        .map(|number| (number, outside.cells[number], outside.versions[number], outside.announced[number]))
        .collect();
    assert!(lost.is_empty(), "seed {seed}: (charm, has seen, is there, was announced) {lost:?}, {happened:?}");
    let Outside { changes, polls, failed, .. } = *outside;
    assert!(failed > 0 && polls > failed);
    format!("seed {seed}: {changes} changes, all seen; {polls} polls, {failed} of them failed; {happened:?}")
}

/// `NEWS_KILLS` makes it longer.
#[test]
fn every_change_that_was_announced_is_seen_whatever_ends_and_fails_meanwhile() {
    let kills = std::env::var("NEWS_KILLS").map_or(400, |kills| kills.parse().expect("a number"));
    for (seed, shares_clock) in [(1, true), (2, false)] {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        println!("{}", tokio.block_on(run(seed, shares_clock, kills)));
    }
}
