//! A charm runtime, a store and integrations in memory, of which tests can say how they behave.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::{CharmId, IntegrationId, Secret, space_did};
use bg_poller::*;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The wall clock when a test starts.
pub const WALL: u64 = 1_800_000_000_000;

pub fn charm(space: &str, name: &str) -> CharmRef {
    CharmRef { space: space_did(space), charm: CharmId::for_content(name.as_bytes()) }
}

pub fn integration(name: &str) -> IntegrationId {
    name.parse().unwrap()
}

/// How a charm behaves: what its polls come to (the last for ever), and how long they take.
#[derive(Clone)]
pub struct Behaviour {
    pub takes: Duration,
    /// If not empty: how long they take, in turns.
    pub turns: VecDeque<Duration>,
    pub outcomes: VecDeque<Result<Outcome, RuntimeError>>,
    pub streams: Vec<&'static str>,
    pub auth_expires: Option<Value>,
    pub panics: bool,
    /// Whether what is left of it panics, once it is given up.
    pub panics_late: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            takes: Duration::from_millis(50),
            turns: VecDeque::new(),
            outcomes: [Ok(Outcome::success())].into(),
            streams: vec!["bgUpdater"],
            auth_expires: None,
            panics: false,
            panics_late: false,
        }
    }
}

#[derive(Default)]
pub struct State {
    pub registrations: BTreeMap<CharmRef, Registration>,
    pub behaviours: HashMap<CharmRef, Behaviour>,
    /// Charm and start of every poll, seconds since the test began.
    pub starts: Vec<(CharmRef, f64)>,
    pub streams: Vec<String>,
    pub running: Vec<CharmRef>,
    pub most_running: usize,
    pub recorded: Vec<Run>,
    pub refreshed: usize,
    pub listed: usize,
    /// What was answered of registrations, by their revisions.
    read: BTreeMap<u64, BTreeMap<CharmRef, Registration>>,
    pub events: Vec<PollEvent>,
}

pub struct World {
    began: Instant,
    state: Mutex<State>,
    revision: watch::Sender<u64>,
    pub down: AtomicBool,
    pub refuses: AtomicBool,
    pub oauth_down: AtomicBool,
    /// Until when handlers wait for something that they share.
    pub held_up: Mutex<Option<Instant>>,
    /// Whether the times it notes are those of the service's clock.
    pub shares_clock: AtomicBool,
    /// Seconds by which the wall clock was set forward.
    pub wall_step: std::sync::atomic::AtomicI64,
    pub logs: Logs,
    _logging: tracing::subscriber::DefaultGuard,
}

impl World {
    pub fn new() -> Arc<Self> {
        // If a thread without a subscriber were the first to reach an event, no thread would be asked about it again.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        let logs = Logs::default();
        let writer = logs.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone()).finish();
        Arc::new(Self {
            began: Instant::now(),
            state: Mutex::default(),
            revision: watch::Sender::new(1),
            down: AtomicBool::default(),
            refuses: AtomicBool::default(),
            oauth_down: AtomicBool::default(),
            held_up: Mutex::default(),
            shares_clock: AtomicBool::default(),
            wall_step: std::sync::atomic::AtomicI64::default(),
            _logging: tracing::subscriber::set_default(subscriber),
            logs,
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn wall(&self) -> UnixMillis {
        let millis = WALL + u64::try_from(self.began.elapsed().as_millis()).unwrap();
        UnixMillis(millis.saturating_add_signed(self.wall_step.load(Ordering::Relaxed) * 1_000))
    }

    fn bump(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Registers a charm, as a person does.
    pub fn register(&self, charm: &CharmRef, name: &str) {
        let now = self.wall();
        let mut state = self.state();
        let old = state.registrations.get(charm);
        let registration = Registration {
            charm: charm.clone(),
            integration: integration(name),
            created_at: now,
            updated_at: now,
            last_run: old.map_or(UnixMillis::NEVER, |old| old.last_run),
            disabled_at: UnixMillis::NEVER,
            interval: old.and_then(|old| old.interval),
            status: "Initializing".into(),
            last_success: UnixMillis::NEVER,
            woken_at: UnixMillis::NEVER,
            last_outcome: None,
            last_blame: None,
            last_cause: None,
            disabled_by: None,
        };
        state.registrations.insert(charm.clone(), registration);
        drop(state);
        self.bump();
    }

    pub fn unregister(&self, charm: &CharmRef) {
        self.state().registrations.remove(charm);
        self.bump();
    }

    /// Puts a registration back as it was.
    pub fn restore(&self, registration: Registration) {
        self.state().registrations.insert(registration.charm.clone(), registration);
        self.bump();
    }

    /// Disables or enables a charm, as a person does.
    pub fn set(&self, charm: &CharmRef, disabled: Option<(DisabledBy, &str)>) -> Option<Registration> {
        let now = self.wall();
        let mut state = self.state();
        let registration = state.registrations.get_mut(charm)?;
        registration.updated_at = now;
        registration.disabled_at = disabled.map_or(UnixMillis::NEVER, |_| now);
        registration.disabled_by = disabled.map(|(by, _)| by);
        registration.status = disabled.map_or("Re-initializing".into(), |(_, reason)| format!("Disabled: {reason}"));
        let registration = registration.clone();
        drop(state);
        self.bump();
        Some(registration)
    }

    /// What the charm's last poll lacked may be there now.
    pub fn wake(&self, charm: &CharmRef) {
        let now = self.wall();
        self.state().registrations.get_mut(charm).unwrap().woken_at = now;
        self.bump();
    }

    /// Sets the interval of its own that a registration asks for.
    pub fn asks(&self, charm: &CharmRef, interval: Duration) {
        self.state().registrations.get_mut(charm).unwrap().interval = Some(interval);
        self.bump();
    }

    pub fn behave(&self, charm: &CharmRef, behaviour: Behaviour) {
        self.state().behaviours.insert(charm.clone(), behaviour);
    }

    /// From now on every poll of it fails.
    pub fn fail(&self, charm: &CharmRef) {
        let outcome = Ok(Outcome::failure(OutcomeKind::HandlerFailed, "TypeError: x is not a function"));
        self.behave(charm, Behaviour { outcomes: [outcome].into(), ..Behaviour::default() });
    }

    /// When a charm's polls started: whole seconds since the test began.
    pub fn starts(&self, charm: &CharmRef) -> Vec<u64> {
        let state = self.state();
        let starts = state.starts.iter().filter(|(of, _)| of == charm);
        starts.map(|(_, at)| format!("{:.0}", at.floor()).parse().unwrap()).collect()
    }

    pub fn options(self: &Arc<Self>) -> PollerOptions {
        let world = self.clone();
        PollerOptions {
            clock: self.clone(),
            on_poll: Some(Arc::new(move |event| world.state().events.push(event.clone()))),
            ..PollerOptions::default()
        }
    }

    pub fn start(self: &Arc<Self>) -> Service {
        self.start_with(&Store::new(), Vec::new(), self.options())
    }

    pub fn start_with(
        self: &Arc<Self>,
        store: &Arc<Store>,
        integrations: Vec<Arc<dyn Integration>>,
        options: PollerOptions,
    ) -> Service {
        let (_, none) = tokio::sync::mpsc::channel(1);
        self.start_with_replacements(store, integrations, options, none)
    }

    pub fn start_with_replacements(
        self: &Arc<Self>,
        store: &Arc<Store>,
        integrations: Vec<Arc<dyn Integration>>,
        options: PollerOptions,
        replacements: tokio::sync::mpsc::Receiver<Replacement>,
    ) -> Service {
        let shutdown = CancellationToken::new();
        let (requests, asked) = tokio::sync::mpsc::channel(1);
        let poller = Poller::new(self.clone(), store.clone(), integrations, options)
            .with_replacements(replacements)
            .with_requests(asked);
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { poller.run(shutdown).await }
        });
        Service { shutdown, task, requests }
    }

    /// From now on handlers end no sooner than this.
    pub fn hold_up(&self, time: Duration) {
        *self.held_up.lock().unwrap() = Some(Instant::now() + time);
    }

    fn reachable(&self) -> Result<(), RuntimeError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(RuntimeError::unavailable("connection refused"));
        }
        Ok(())
    }
}

/// A running service.
pub struct Service {
    pub shutdown: CancellationToken,
    pub task: JoinHandle<Result<Summary, PollerError>>,
    requests: tokio::sync::mpsc::Sender<PollRequest>,
}

impl Service {
    /// Asks for a poll of a charm, at once; answers whether there will be one.
    pub async fn request(&self, charm: &CharmRef) -> bool {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let request = PollRequest { charm: charm.clone(), answer };
        assert!(self.requests.send(request).await.is_ok(), "the service runs");
        answered.await.unwrap()
    }

    /// Shuts it down.
    pub async fn stop(self) -> Summary {
        self.shutdown.cancel();
        self.end().await.unwrap()
    }

    /// Waits until it ends by itself.
    pub async fn end(self) -> Result<Summary, PollerError> {
        self.task.await.expect("the service never panics")
    }

    /// Ends it as `kill -9` does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

impl Clock for World {
    fn now(&self) -> UnixMillis {
        self.wall()
    }
}

struct Open {
    charm: CharmRef,
    behaviour: Behaviour,
}

#[async_trait]
impl Charm for Open {
    fn charm_ref(&self) -> &CharmRef {
        &self.charm
    }

    async fn keys(&self) -> Result<Vec<String>, RuntimeError> {
        Ok(self.behaviour.streams.iter().map(ToString::to_string).collect())
    }

    async fn has_stream(&self, name: &str) -> Result<bool, RuntimeError> {
        Ok(self.behaviour.streams.contains(&name))
    }

    async fn get(&self, path: &[String]) -> Result<Lookup, RuntimeError> {
        assert_eq!(path, ["auth", "expiresAt"]);
        Ok(self.behaviour.auth_expires.clone().map_or(Lookup::Absent, Lookup::Value))
    }
}

#[async_trait]
impl CharmRuntime for World {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        self.reachable()?;
        if self.refuses.load(Ordering::Relaxed) {
            let space = bg_identity::system_space();
            let message = format!("{space} is not for you; run: bg-wasm-host add-admin-charm");
            return Err(RuntimeError::Authorization { space, message });
        }
        let mut state = self.state();
        state.listed += 1;
        let all = state.registrations.clone();
        state.read.insert(*self.revision.borrow(), all);
        Ok(state.registrations.values().cloned().collect())
    }

    async fn changes(&self, seen: u64) -> Result<RegistrationChanges, RuntimeError> {
        let before = self.state().read.get(&seen).cloned();
        let mut registrations = self.registrations().await?;
        let revision = Some(*self.revision.borrow());
        let removed = before.map(|mut before| {
            registrations.retain(|one| before.remove(&one.charm).is_none_or(|before| before != *one));
            before.into_keys().collect()
        });
        Ok(RegistrationChanges { revision, registrations, removed })
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        self.reachable()?;
        let mut revision = self.revision.subscribe();
        let _ = tokio::time::timeout(Duration::from_secs(20), revision.wait_for(|now| *now != seen)).await;
        self.reachable()?;
        Ok(*self.revision.borrow())
    }

    fn shares_clock(&self) -> bool {
        self.shares_clock.load(Ordering::Relaxed)
    }

    async fn register(&self, charm: &CharmRef, name: &IntegrationId) -> Result<Registration, RuntimeError> {
        World::register(self, charm, name.as_ref());
        Ok(self.state().registrations[charm].clone())
    }

    async fn set_disabled(
        &self,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        self.reachable()?;
        self.set(charm, disabled).ok_or_else(|| RuntimeError::NotFound(charm.clone()))
    }

    async fn set_interval(&self, charm: &CharmRef, interval: Option<Duration>) -> Result<Registration, RuntimeError> {
        let mut state = self.state();
        let registration = state.registrations.get_mut(charm).ok_or_else(|| RuntimeError::NotFound(charm.clone()))?;
        registration.interval = interval;
        let registration = registration.clone();
        drop(state);
        self.bump();
        Ok(registration)
    }

    async fn counters(&self, _charm: &CharmRef) -> Result<Counters, RuntimeError> {
        Ok(Counters::default())
    }

    async fn remove(&self, charm: &CharmRef) -> Result<bool, RuntimeError> {
        self.unregister(charm);
        Ok(true)
    }

    async fn record(&self, runs: &[Run]) -> Result<(), RuntimeError> {
        self.reachable()?;
        let mut state = self.state();
        for run in runs {
            if let Some(registration) = state.registrations.get_mut(&run.charm) {
                registration.last_run = run.started_at;
                (registration.last_outcome, registration.last_blame) = (Some(run.outcome.kind), run.outcome.blame());
                registration.last_cause = run.outcome.cause;
            }
        }
        state.recorded.extend_from_slice(runs);
        Ok(())
    }

    async fn runs(&self, _charm: &CharmRef, _limit: usize) -> Result<Vec<Run>, RuntimeError> {
        Ok(Vec::new())
    }

    async fn prepare_list(&self, _integration: &IntegrationId) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError> {
        self.reachable()?;
        let behaviour = self.state().behaviours.get(charm).cloned().unwrap_or_default();
        Ok(Arc::new(Open { charm: charm.clone(), behaviour }))
    }

    async fn trigger(&self, charm: &CharmRef, stream: &str, event: &Value) -> Result<Outcome, RuntimeError> {
        self.reachable()?;
        assert_eq!(event, &json!({}));
        let behaviour = {
            let mut state = self.state();
            assert!(!state.running.contains(charm), "polled twice at once");
            state.starts.push((charm.clone(), self.began.elapsed().as_secs_f64()));
            state.streams.push(stream.to_owned());
            state.running.push(charm.clone());
            state.most_running = state.most_running.max(state.running.len());
            let behaviour = state.behaviours.entry(charm.clone()).or_default();
            if let Some(takes) = behaviour.turns.pop_front() {
                behaviour.takes = takes;
                behaviour.turns.push_back(takes);
            }
            let now = behaviour.clone();
            if behaviour.outcomes.len() > 1 {
                behaviour.outcomes.pop_front();
            }
            now
        };
        // Also where the poll is given up.
        let _running = Running { world: self, charm };
        let _late = PanicsLate(behaviour.panics_late);
        let started = self.wall();
        assert!(!behaviour.panics, "this charm panics");
        sleep(behaviour.takes).await;
        let held_up = *self.held_up.lock().unwrap();
        if let Some(until) = held_up {
            tokio::time::sleep_until(until).await;
        }
        self.reachable()?;
        if let Some(registration) = self.state().registrations.get_mut(charm) {
            registration.last_run = started;
            if let Ok(outcome) = &behaviour.outcomes[0] {
                (registration.last_outcome, registration.last_blame) = (Some(outcome.kind), outcome.blame());
                registration.last_cause = outcome.cause;
            }
        }
        behaviour.outcomes[0].clone()
    }

    async fn refresh_auth(&self, charm: &CharmRef) -> Result<(), RuntimeError> {
        if self.oauth_down.load(Ordering::Relaxed) {
            return Err(RuntimeError::unavailable_in(Scope::Upstream, "no token service"));
        }
        let expires = self.wall() + Duration::from_hours(1);
        let mut state = self.state();
        state.refreshed += 1;
        state.behaviours.get_mut(charm).unwrap().auth_expires = Some(json!(expires.0));
        Ok(())
    }

    async fn secret(&self, charm: &CharmRef, _path: &[String]) -> Result<Secret, RuntimeError> {
        Err(RuntimeError::NotFound(charm.clone()))
    }
}

struct Running<'world> {
    world: &'world World,
    charm: &'world CharmRef,
}

struct PanicsLate(bool);

impl Drop for PanicsLate {
    fn drop(&mut self) {
        assert!(!self.0, "what is left of it panics");
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // A poisoned lock means that the test has failed already.
        if let Ok(mut state) = self.world.state.lock() {
            state.running.retain(|other| other != self.charm);
        }
    }
}

/// Remembers states across services.
#[derive(Default)]
pub struct Store {
    pub states: Mutex<HashMap<CharmRef, PollState>>,
    pub writes: AtomicUsize,
    pub fails: AtomicBool,
}

impl Store {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn get(&self, charm: &CharmRef) -> Option<PollState> {
        self.states.lock().unwrap().get(charm).cloned()
    }
}

#[async_trait]
impl PollStore for Store {
    async fn load(&self) -> Result<Vec<PollState>, StoreError> {
        Ok(self.states.lock().unwrap().values().cloned().collect())
    }

    async fn save(&self, states: &[PollState]) -> Result<(), StoreError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError("the disk is full".into()));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.states.lock().unwrap().extend(states.iter().map(|state| (state.charm.clone(), state.clone())));
        Ok(())
    }

    async fn forget(&self, charms: &[CharmRef]) -> Result<(), StoreError> {
        let mut states = self.states.lock().unwrap();
        for charm in charms {
            states.remove(charm);
        }
        Ok(())
    }
}

/// What an integration answers next.
pub type Answer = Result<Vec<CharmRef>, IntegrationError>;

/// An integration that a test answers for.
pub struct Component {
    id: IntegrationId,
    pub answer: Mutex<Answer>,
    pub takes: Mutex<Duration>,
    pub asked: AtomicUsize,
    /// When `fetch-charms` was called, whole seconds since the component was made.
    pub asked_at: Mutex<Vec<u64>>,
    pub initialized: AtomicUsize,
    pub valid: AtomicBool,
    /// Why it is not, if it says.
    pub reason: Mutex<Option<String>>,
    /// How `is-valid-charm` fails: for these charms, or (none) for all others.
    pub breaks: Mutex<HashMap<Option<CharmRef>, OutcomeKind>>,
    /// How often `is-valid-charm` was called.
    pub judged: AtomicUsize,
    /// What it writes to its state in a call, what of it is not kept yet, and what is.
    pub writes: Mutex<Option<String>>,
    pub unkept: Mutex<Option<String>>,
    /// The servers that answer its calls.
    pub servers: Mutex<Vec<String>>,
    pub kept: Mutex<Vec<String>>,
    made: Instant,
}

impl Component {
    pub fn new(name: &str, charms: &[&CharmRef]) -> Arc<Self> {
        Arc::new(Self {
            id: integration(name),
            answer: Mutex::new(Ok(charms.iter().copied().cloned().collect())),
            takes: Mutex::default(),
            asked: AtomicUsize::default(),
            asked_at: Mutex::default(),
            initialized: AtomicUsize::default(),
            valid: AtomicBool::new(true),
            reason: Mutex::default(),
            breaks: Mutex::default(),
            judged: AtomicUsize::default(),
            writes: Mutex::default(),
            unkept: Mutex::default(),
            servers: Mutex::default(),
            kept: Mutex::default(),
            made: Instant::now(),
        })
    }

    pub fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn fails(&self) {
        self.answers(Err(IntegrationError::new(OutcomeKind::Timeout, "5 s are over")));
    }

    /// From now on `is-valid-charm` ends so: for that charm, or for all that are not named here.
    pub fn breaks(&self, charm: Option<&CharmRef>, kind: OutcomeKind) {
        self.breaks.lock().unwrap().insert(charm.cloned(), kind);
    }

    /// It works for all.
    pub fn is_fixed(&self) {
        self.breaks.lock().unwrap().clear();
    }

    pub fn asked_at(&self) -> Vec<u64> {
        self.asked_at.lock().unwrap().clone()
    }
}

#[async_trait]
impl Integration for Component {
    fn id(&self) -> &IntegrationId {
        &self.id
    }

    async fn initialize(&self) -> Result<(), IntegrationError> {
        self.initialized.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn fetch_charms(&self) -> Result<Vec<CharmRef>, IntegrationError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.asked_at.lock().unwrap().push(self.made.elapsed().as_secs());
        let takes = *self.takes.lock().unwrap();
        sleep(takes).await;
        self.unkept.lock().unwrap().clone_from(&self.writes.lock().unwrap());
        self.answer.lock().unwrap().clone()
    }

    fn has_unkept_state(&self) -> bool {
        self.unkept.lock().unwrap().is_some()
    }

    async fn keep_state(&self) -> Result<(), StateError> {
        self.kept.lock().unwrap().extend(self.unkept.lock().unwrap().take());
        Ok(())
    }

    fn take_servers(&self) -> Servers {
        Servers { answered: self.servers.lock().unwrap().clone(), ..Servers::default() }
    }

    async fn is_valid_charm(&self, charm: Arc<dyn Charm>) -> Result<Fitness, IntegrationError> {
        self.judged.fetch_add(1, Ordering::Relaxed);
        let breaks = self.breaks.lock().unwrap();
        if let Some(kind) = breaks.get(&Some(charm.charm_ref().clone())).or_else(|| breaks.get(&None)) {
            return Err(IntegrationError::new(*kind, "wasm trap: unreachable"));
        }
        if self.valid.load(Ordering::Relaxed) {
            return Ok(Fitness::Fit);
        }
        Ok(Fitness::Unfit(self.reason.lock().unwrap().clone()))
    }
}

/// Everything that was logged.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// How many lines have this in them.
    pub fn count(&self, text: &str) -> usize {
        self.text().lines().filter(|line| line.contains(text)).count()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
