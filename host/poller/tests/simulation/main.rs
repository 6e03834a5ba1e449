//! The loop in a world where everything happens that can: a million polls in simulated time, of charms that fail,
//! spaces that are slow, a runtime that goes away, a store that fails, clocks that are set, processes that are killed,
//! and people who register, disable, enable, remove, change and fix. An observer checks every poll against the
//! [rules](model::Model):
//!
//! - *twice at once*: no charm is polled twice at once;
//! - *early*: from the start of one poll to the next it is an interval at least, also over a restart;
//! - *backoff too short*, and *late*: after failures it is what the policy says;
//! - *insisted*: a charm that somebody changes all the time is polled an interval after its last poll, besides a few times at first;
//! - *late*, *forgotten*: every charm that is to be polled is, within a bound that its space and the places set;
//! - *together*: after a stall, polls are no denser than half as much again as in the long run, in no part of the next
//!   intervals;
//! - *polled though disabled*, *though not registered*, *back early*: nothing else is.
//!
//! The same seed makes the same run. `SIMULATION_SEED=7 cargo test --test simulation` runs one seed of each scene.

#![allow(unreachable_pub, reason = "one test program in several files")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests, also where they are no #[test] functions")]

mod load;
mod model;
mod news;
mod rng;
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::{Integration, Poller, PollerOptions};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::model::Disabled;
use crate::rng::Rng;
use crate::world::{Component, INTEGRATIONS, Process, Scene, World, integration};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A few charms over days, so that some are disabled by the loop and come back; and many over hours.
const SCENES: [Scene; 5] = [
    Scene {
        seed: 1,
        charms: 120,
        spaces: 20,
        polls: 300_000,
        interval: MINUTE,
        max_concurrent: 16,
        per_space: 1,
        failures: 5,
        shares_clock: true,
        clock_is_set: false,
        stalls: true,
        calm: false,
        quick: Duration::from_millis(1_500),
        slow: Duration::from_secs(8),
    },
    Scene {
        seed: 2,
        charms: 120,
        spaces: 20,
        polls: 300_000,
        interval: MINUTE,
        max_concurrent: 16,
        per_space: 2,
        failures: 3,
        shares_clock: false,
        clock_is_set: true,
        stalls: true,
        calm: false,
        quick: Duration::from_millis(1_500),
        slow: Duration::from_secs(15),
    },
    Scene {
        seed: 3,
        charms: 3_000,
        spaces: 600,
        polls: 200_000,
        interval: MINUTE,
        max_concurrent: 64,
        per_space: 1,
        failures: 5,
        shares_clock: true,
        clock_is_set: true,
        stalls: true,
        calm: false,
        quick: Duration::from_millis(500),
        slow: Duration::from_secs(10),
    },
    Scene {
        seed: 4,
        charms: 200,
        spaces: 200,
        polls: 200_000,
        interval: Duration::from_secs(10),
        max_concurrent: 32,
        per_space: 1,
        failures: 4,
        shares_clock: true,
        clock_is_set: true,
        stalls: true,
        calm: false,
        quick: Duration::from_millis(800),
        slow: Duration::from_secs(30),
    },
    Scene {
        seed: 5,
        charms: 1_500,
        spaces: 1_500,
        polls: 200_000,
        interval: MINUTE,
        max_concurrent: 64,
        per_space: 1,
        failures: 1_000,
        shares_clock: true,
        clock_is_set: false,
        stalls: true,
        calm: true,
        quick: Duration::from_millis(500),
        slow: Duration::from_millis(500),
    },
];

#[test]
fn a_few_charms_over_days_keep_every_rule() {
    run(SCENES[0]);
}

#[test]
fn a_runtime_with_a_clock_of_its_own_keeps_every_rule() {
    run(SCENES[1]);
}

#[test]
fn many_charms_over_hours_keep_every_rule() {
    run(SCENES[2]);
}

#[test]
fn short_intervals_keep_every_rule() {
    run(SCENES[3]);
}

#[test]
fn after_a_stall_polls_are_as_frequent_as_before_in_every_interval() {
    run(SCENES[4]);
}

fn run(scene: Scene) {
    let seed = std::env::var("SIMULATION_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let scene = Scene { seed: seed.unwrap_or(scene.seed), ..scene };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // Made within it, where time stands still: else the seed alone would not decide what happens.
    let report = runtime.block_on(async { Simulation::new(scene).run().await });
    println!("{report}");
}

/// A service that runs.
struct Service {
    task: JoinHandle<()>,
    shutdown: CancellationToken,
}

struct Simulation {
    scene: Scene,
    world: Arc<World>,
    rng: Rng,
    service: Option<Service>,
    /// Since when all that polls need is there.
    good_since: Instant,
    /// When what is away comes back.
    runtime_back: Option<Instant>,
    store_back: Option<Instant>,
    written_again: Option<Instant>,
    service_back: Option<Instant>,
    /// When the last stall ended.
    stalled: Option<Instant>,
    happened: Happened,
}

/// How often each thing happened.
#[derive(Debug, Default)]
struct Happened {
    kills: u32,
    stops: u32,
    outages: u32,
    full_disks: u32,
    clock_steps: u32,
    stalls: u32,
    changes: u32,
    checks: u64,
}

impl Simulation {
    fn new(scene: Scene) -> Self {
        Self {
            scene,
            world: World::new(scene),
            rng: Rng(scene.seed ^ 0x5eed),
            service: None,
            good_since: Instant::now(),
            runtime_back: None,
            store_back: None,
            written_again: None,
            service_back: None,
            stalled: None,
            happened: Happened::default(),
        }
    }

    async fn run(mut self) -> String {
        let began = Instant::now();
        for number in 0..self.scene.charms * 9 / 10 {
            self.world.want(number);
        }
        if self.scene.calm {
            // Some ask for other intervals, many for one that nobody else has; a component names its charms once in its own.
            for number in (0..self.scene.charms).filter(|number| number % 5 == 0) {
                let alone = number % INTEGRATIONS == 0;
                let own = self.scene.interval * u32::try_from(number).unwrap() / 200;
                let interval = match number % 10 {
                    0 => own + self.scene.interval / if alone { 2 } else { 1 },
                    _ if alone => self.scene.interval / 2,
                    _ => self.scene.interval * 3,
                };
                self.world.another_interval(number, interval);
            }
        }
        self.start();
        let mut next_check = Instant::now();
        loop {
            let pause = SECOND + self.rng.up_to(SECOND * 4);
            if timeout(pause, self.world.delicate.notified()).await.is_ok() {
                sleep(self.rng.up_to(Duration::from_millis(150))).await;
                self.happened.kills += 1;
                self.kill().await;
                self.service_back = Some(Instant::now() + self.rng.up_to(MINUTE));
            }
            self.come_back();
            self.something_happens().await;
            if Instant::now() >= next_check {
                self.check_overdue();
                self.check_together();
                next_check = Instant::now() + self.scene.interval / 4;
            }
            let state = self.world.state();
            let Scene { seed, .. } = self.scene;
            if let Some(first) = state.broken.first() {
                panic!("seed {seed}, after {} polls: {first}\n{:#?}", state.polls, state.past);
            }
            if state.polls >= self.scene.polls {
                break;
            }
        }
        self.stop().await;
        let state = self.world.state();
        let days = began.elapsed().as_secs_f64() / 86_400.0;
        format!("seed {}: {} polls in {days:.2} days: {:?}", self.scene.seed, state.polls, self.happened)
    }

    fn note(&self, what: &str) {
        self.world.state().note(self.world.began, what);
    }

    fn start(&mut self) {
        self.note("starts");
        let generation = {
            let mut state = self.world.state();
            state.generation += 1;
            state.generation
        };
        let process = Arc::new(Process { world: self.world.clone(), generation });
        let component = |number| -> Arc<dyn Integration> {
            Arc::new(Component { world: self.world.clone(), number, id: integration(number) })
        };
        let options = PollerOptions {
            interval: self.scene.interval,
            min_interval: Some(SECOND),
            max_concurrent: self.scene.max_concurrent,
            per_space: self.scene.per_space,
            failures: self.scene.failures,
            log_interval: Duration::ZERO,
            clock: self.world.clone(),
            ..PollerOptions::default()
        };
        let components = (1..INTEGRATIONS).map(component).collect();
        let poller = Poller::new(process, self.world.clone(), components, options);
        let shutdown = CancellationToken::new();
        let stopped = shutdown.clone();
        let task = tokio::spawn(async move {
            // A runtime that is away at the start ends it: then it is started again, as its supervisor does.
            while poller.run(stopped.clone()).await.is_err() {
                sleep(SECOND).await;
            }
        });
        self.service = Some(Service { task, shutdown });
        self.good_since = Instant::now();
    }

    async fn kill(&mut self) {
        let Some(service) = self.service.take() else { return };
        self.note("killed");
        service.task.abort();
        self.ended();
        let _ = service.task.await;
    }

    async fn stop(&mut self) {
        let Some(service) = self.service.take() else { return };
        self.note("stops");
        service.shutdown.cancel();
        service.task.await.expect("the service never panics");
        self.ended();
    }

    /// The process has ended, however it did.
    fn ended(&mut self) {
        let mut state = self.world.state();
        state.generation += 1;
        state.load.clear();
        let unwritten_since = state.unwritten_since;
        for model in &mut state.models {
            model.killed(unwritten_since);
        }
    }

    fn is_good(&self) -> bool {
        self.service.is_some() && self.runtime_back.is_none()
    }

    /// What was away for a while is there again.
    fn come_back(&mut self) {
        let now = Instant::now();
        let over = |back: &mut Option<Instant>| back.take_if(|at| *at <= now).is_some();
        if over(&mut self.store_back) {
            self.note("the store writes again");
            self.world.state().store_fails = false;
            // It is tried again after 30 s at the latest.
            self.written_again = Some(now + Duration::from_secs(35));
        }
        if over(&mut self.written_again) {
            self.world.state().unwritten_since = None;
        }
        if over(&mut self.runtime_back) {
            self.note("the runtime is back");
            self.world.down.store(false, Ordering::Relaxed);
            // The loop asks again after 30 s at the latest.
            self.good_since = now + Duration::from_secs(35);
        }
        if over(&mut self.service_back) {
            self.start();
        }
    }

    /// Something may happen now.
    async fn something_happens(&mut self) {
        let (now, number) = (Instant::now(), self.rng.index(self.scene.charms));
        if self.scene.stalls && self.rng.once_in(if self.scene.calm { 200 } else { 1_000 }) {
            self.stall().await;
            return;
        }
        if self.scene.calm {
            return;
        }
        match self.rng.below(2_000) {
            0..2 if self.service.is_some() => {
                self.happened.kills += 1;
                self.kill().await;
                self.service_back = Some(now + self.rng.up_to(MINUTE * 3));
            }
            2..4 if self.service.is_some() => {
                self.happened.stops += 1;
                self.stop().await;
                self.service_back = Some(Instant::now() + self.rng.up_to(MINUTE * 3));
            }
            4..7 if self.runtime_back.is_none() => {
                self.happened.outages += 1;
                self.note("the runtime goes away");
                self.world.down.store(true, Ordering::Relaxed);
                self.runtime_back = Some(now + self.rng.up_to(MINUTE * 4));
            }
            7..10 if self.store_back.is_none() => {
                self.happened.full_disks += 1;
                self.note("the store fails");
                {
                    let mut state = self.world.state();
                    state.store_fails = true;
                    state.unwritten_since.get_or_insert(now);
                }
                self.written_again = None;
                self.store_back = Some(now + self.rng.up_to(MINUTE * 2));
            }
            10..12 if self.scene.clock_is_set => {
                self.happened.clock_steps += 1;
                let hours = i64::try_from(self.rng.below(7_200_000)).unwrap() - 3_600_000;
                self.note(&format!("the clock is set by {hours} ms"));
                self.world.step_clock(hours);
                for model in &mut self.world.state().models {
                    // One that waits for the runtime has not begun.
                    model.clock_set(self.is_good() && now > self.good_since);
                }
            }
            chance @ 12..200 => {
                self.happened.changes += 1;
                self.change(number, chance);
            }
            _ => {}
        }
    }

    /// Somebody changes something about a charm.
    fn change(&mut self, number: usize, chance: u64) {
        // Most of those that the loop has disabled stay so for their 24 hours.
        let by_loop = matches!(self.world.state().models[number].disabled, Disabled::ByLoop(_));
        if by_loop && !self.rng.once_in(20) {
            return;
        }
        match chance {
            12..50 => self.world.want(number),
            // Most wait for nothing: whatever is there is fixed.
            50..80 => (0..self.scene.charms).for_each(|number| self.world.fix(number)),
            80..110 => self.world.disable(number),
            110..130 => self.world.unregister(number),
            130..150 => {
                let others = [self.scene.interval / 2, self.scene.interval, self.scene.interval * 5];
                let interval = others[self.rng.index(others.len())];
                self.world.another_interval(number, interval);
            }
            150..160 => {
                // Somebody sets a cell of one charm all the time.
                let (world, time) = (self.world.clone(), self.rng.up_to(self.scene.interval * 10));
                tokio::spawn(async move {
                    let until = Instant::now() + time;
                    while Instant::now() < until {
                        world.fix(number);
                        sleep(Duration::from_millis(20)).await;
                    }
                });
            }
            160..170 => {
                let mut state = self.world.state();
                if !state.left_out.remove(&number) {
                    state.left_out.insert(number);
                }
                state.models[number].settled = Instant::now();
            }
            _ => {
                let mut state = self.world.state();
                if !state.poisoned.remove(&number) && state.poisoned.len() < self.scene.charms / 20 {
                    state.poisoned.insert(number);
                }
            }
        }
    }

    /// The process is stopped, for a second or for many intervals.
    async fn stall(&mut self) {
        self.check_together();
        let most = if self.rng.once_in(2) { self.scene.interval } else { self.scene.interval * 5 };
        let time = SECOND + self.rng.up_to(most);
        self.note(&format!("is stopped for {time:?}"));
        self.happened.stalls += 1;
        tokio::time::advance(time).await;
        let now = Instant::now();
        (self.good_since, self.stalled) = (self.good_since.max(now), Some(now));
        self.world.state().starts.clear();
    }

    /// Whether polls came together after a stall, in the intervals since.
    fn check_together(&mut self) {
        if !self.scene.calm || self.stalled.is_none() {
            return;
        }
        let window = self.scene.interval / 20;
        let mut state = self.world.state();
        let state = &mut *state;
        let steady: f64 = state.models.iter().map(|model| model.rate(self.scene.interval)).sum();
        // In whole polls.
        let most = Duration::from_secs_f64(1.5 * steady * window.as_secs_f64()).as_secs();
        for (first, (start, _)) in state.starts.iter().enumerate() {
            let together: Vec<usize> = state.starts[first..]
                .iter()
                .take_while(|(other, _)| *other < *start + window)
                .map(|(_, number)| *number)
                .collect();
            if together.len() as u64 > most {
                let after = *start - self.stalled.unwrap_or(*start);
                let mut kinds = std::collections::BTreeMap::<_, usize>::new();
                for number in &together {
                    let model = &state.models[*number];
                    *kinds.entry((model.integration, model.interval)).or_default() += 1;
                }
                state.broken.push(format!(
                    "together: {} polls within {window:?}, {after:?} after a stall; {most} are allowed; of each integration and interval {kinds:?}",
                    together.len()
                ));
                return;
            }
        }
    }

    /// Whether a charm waits for longer than it may.
    fn check_overdue(&mut self) {
        if !self.is_good() || Instant::now() < self.good_since {
            return;
        }
        self.happened.checks += 1;
        let Scene { interval, quick, slow, spaces, charms, .. } = self.scene;
        let in_space = u32::try_from(charms.div_ceil(spaces)).unwrap();
        let mut state = self.world.state();
        let state = &mut *state;
        for (number, model) in state.models.iter().enumerate() {
            if state.left_out.contains(&number) {
                continue;
            }
            // All others of its space come first, and a change is noticed within seconds.
            let space = if model.space == 0 { slow } else { quick } * in_space;
            // Once more for the list of its integration, of which one in a hundred fails.
            let list = if model.integration == 0 { Duration::ZERO } else { interval * 2 };
            let loses_time = |due| state.load.kept_waiting_since(model, due);
            if let Err(broken) = model.overdue(self.good_since, interval, space + list + SECOND * 5, loses_time) {
                state.broken.push(broken + &model.past());
            }
        }
    }
}
