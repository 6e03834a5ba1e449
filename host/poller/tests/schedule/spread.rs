//! Whatever makes many charms due at once: polls stay as far apart as in the long run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::IntegrationId;
use bg_poller::schedule::memory::MemorySchedule;
use bg_poller::schedule::suite::{charms, settlement};
use bg_poller::schedule::{Schedule, Settlement};
use bg_poller::testing::registration;
use bg_poller::{
    Charm, CharmRef, Clock, Consequence, Fitness, Integration, IntegrationError, PollerOptions, Registration,
    UnixMillis,
};
use tokio::time::{Instant, advance, sleep_until};

use crate::NoNotes;

/// The scenes of a test run, each with its seed. `SPREAD_SEED=7` runs the two of that seed instead.
const SCENES: [(u64, Intervals); 7] = [
    (10, Intervals::Any),
    (190, Intervals::AboutTheSame),
    (87, Intervals::AboutTheSame),
    (131, Intervals::AboutTheSame),
    (90, Intervals::Any),
    (136, Intervals::Any),
    (174, Intervals::Any),
];
const TIME: Duration = Duration::from_mins(50);
/// From here on all charms were polled, and everything that happens may bring them together.
const SETTLED: Duration = Duration::from_mins(20);
/// Polls in a window in the long run: with fewer, chance decides.
const IN_WINDOW: f64 = 100.0;
const ROOM: usize = 100_000;

/// A component whose lists the test names itself.
struct Component(IntegrationId);

#[async_trait]
impl Integration for Component {
    fn id(&self) -> &IntegrationId {
        &self.0
    }

    async fn initialize(&self) -> Result<(), IntegrationError> {
        Ok(())
    }

    async fn fetch_charms(&self) -> Result<Vec<CharmRef>, IntegrationError> {
        Ok(Vec::new())
    }

    async fn is_valid_charm(&self, _: Arc<dyn Charm>) -> Result<Fitness, IntegrationError> {
        Ok(Fitness::Fit)
    }
}

/// A wall clock that goes as the simulated time does.
struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_800_000_000_000) + self.0.elapsed()
    }
}

/// Of the charms of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intervals {
    Any,
    /// Many differ by less than an eighth from others.
    AboutTheSame,
}

/// The same seed makes the same scene.
struct Dice(u64);

impl Dice {
    /// Below this number.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_secs(from + self.below(to - from))
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// An integration with a component, and its call of `fetch-charms`.
struct Lists {
    id: IntegrationId,
    interval: Duration,
    next: Instant,
    arrives: Option<Instant>,
}

struct Known {
    integration: IntegrationId,
    /// That it asks for.
    asks: Duration,
    /// From one poll to the next in the long run.
    interval: Duration,
    last: Option<Instant>,
    failed: bool,
    removed: bool,
}

struct World {
    dice: Dice,
    schedule: MemorySchedule,
    lists: Vec<Lists>,
    charms: BTreeMap<CharmRef, Known>,
    starts: Vec<Instant>,
    /// When the last stall ended.
    stalled: Instant,
    /// What the scene is, to explain a broken rule.
    what: String,
}

impl World {
    fn new(seed: u64, intervals: Intervals) -> Self {
        let (mut dice, mut others) = (Dice(seed), Dice(!seed));
        let mut what = format!("SPREAD_SEED={seed}, {intervals:?}");
        let now = Instant::now();
        let clock = Arc::new(Wall(now));
        let last_run = clock.now();
        let mut options = PollerOptions {
            clock,
            min_interval: Some(Duration::from_secs(1)),
            failures: 0,
            max_concurrent: ROOM,
            ..PollerOptions::default()
        };
        let mut lists = Vec::new();
        for number in 0..dice.below(4) {
            let id: IntegrationId = format!("component-{number}").parse().unwrap();
            let interval = if dice.one_in(3) { dice.seconds(10, 200) } else { options.interval };
            options.intervals.insert(id.clone(), interval);
            lists.push(Lists { id, interval, next: now, arrives: None });
        }
        let components: Vec<Arc<dyn Integration>> =
            lists.iter().map(|list| -> Arc<dyn Integration> { Arc::new(Component(list.id.clone())) }).collect();
        let mut all = charms(5_000, Duration::ZERO).into_iter().map(|(charm, _)| charm);
        let (mut known, mut registrations, mut before) = (BTreeMap::new(), Vec::new(), None);
        for _ in 0..2 + dice.below(6) {
            let of = usize::try_from(dice.below(lists.len() as u64 + 1)).unwrap().checked_sub(1).map(|of| &lists[of]);
            let integration = of.map_or_else(|| "none".parse().unwrap(), |list| list.id.clone());
            let (count, mut shortest) = (dice.one_of(&[1, 3, 30, 150, 600]), dice.seconds(20, 600));
            if let Some(before) = before.filter(|_| intervals == Intervals::AboutTheSame && others.one_in(2)) {
                shortest = before + others.seconds(0, 2 + Duration::as_secs(&before) / 8);
            }
            before = Some(shortest);
            let has_own = dice.one_in(4);
            let _ = write!(what, "; {count} of {integration}: {shortest:?}{}", if has_own { " and more" } else { "" });
            for charm in all.by_ref().take(count) {
                let asks = if has_own { shortest + dice.seconds(0, shortest.as_secs()) } else { shortest };
                let registration = Registration {
                    interval: Some(asks),
                    // So that nobody waits for its first poll.
                    last_run,
                    ..registration(charm.clone(), integration.clone())
                };
                let listed = of.map_or(Duration::ZERO, |list| list.interval);
                let interval = asks.max(listed);
                let integration = integration.clone();
                known.insert(charm, Known { integration, asks, interval, last: None, failed: false, removed: false });
                registrations.push(registration);
            }
        }
        let mut schedule = MemorySchedule::new(&components, options, Arc::new(NoNotes), false, Vec::new());
        schedule.apply(&registrations);
        Self { dice, schedule, lists, charms: known, starts: Vec::new(), stalled: now, what }
    }

    /// Polls in a second in the long run; one is always allowed.
    fn rate(&self) -> f64 {
        self.charms.values().map(|known| known.interval.as_secs_f64().recip()).sum::<f64>().max(1.0)
    }

    async fn begin_lists(&mut self) {
        let now = Instant::now();
        for list in self.lists.iter_mut().filter(|list| list.arrives.is_none() && list.next <= now) {
            self.schedule.list_begins(&list.id).await;
            // Some come late.
            let takes = if self.dice.one_in(50) {
                self.what += "; a late list";
                self.dice.below(20_000)
            } else {
                self.dice.below(20)
            };
            (list.next, list.arrives) = (now + list.interval, Some(now + Duration::from_millis(takes)));
        }
    }

    async fn end_lists(&mut self) {
        let now = Instant::now();
        for list in self.lists.iter_mut().filter(|list| list.arrives.is_some_and(|at| at <= now)) {
            list.arrives = None;
            if self.dice.one_in(100) {
                let _ = write!(self.what, "; a list fails {:?} after a stall", now - self.stalled);
                self.schedule.list_fails(&list.id).await;
                continue;
            }
            let is_named = |known: &Known| known.integration == list.id && !known.removed;
            let named: Vec<CharmRef> =
                self.charms.iter().filter(|(_, known)| is_named(known)).map(|(charm, _)| charm.clone()).collect();
            self.schedule.list_names(&list.id, &named, false).await;
        }
    }

    /// Polls what is due. All polls take no time.
    async fn poll(&mut self) {
        let now = Instant::now();
        for due in self.schedule.claim(ROOM).await {
            let known = self.charms.get_mut(&due.charm).unwrap();
            assert!(!known.removed, "{}: {} is polled though it is removed", self.what, due.charm);
            let gap = known.last.map_or(known.asks, |last| now - last);
            assert!(gap >= known.asks, "{}: {} is polled {gap:?} after its last poll", self.what, due.charm);
            (known.last, known.failed) = (Some(now), self.dice.one_in(50));
            let consequence = if known.failed { Consequence::Counts } else { Consequence::Clears };
            self.starts.push(now);
            self.schedule.settle(vec![Settlement { start: now, ..settlement(due.lease, consequence) }]).await;
        }
    }

    /// Nothing goes on for a while, and some charms may be removed meanwhile.
    async fn stall(&mut self) {
        let time = self.dice.one_of(&[1, 5, 30, 100, 400]) + self.dice.below(30);
        let _ = write!(self.what, "; a stall of {time} s");
        advance(Duration::from_secs(time)).await;
        self.stalled = Instant::now();
        if self.dice.one_in(3) {
            let mut gone = Vec::new();
            for (charm, known) in &mut self.charms {
                if self.dice.one_in(10) {
                    known.removed = true;
                    gone.push(charm.clone());
                }
            }
            self.schedule.read_changes(&[], &gone).await;
        }
    }

    /// Each charm has its turn: within an interval of its due time, and of the end of a stall.
    fn check_forgotten(&self) {
        let now = Instant::now();
        for (charm, known) in self.charms.iter().filter(|(_, known)| !known.removed && !known.failed) {
            let listed = self.lists.iter().find(|list| list.id == known.integration);
            let slack = listed.map_or(Duration::ZERO, |list| list.interval * 2) + Duration::from_secs(30);
            let Some(last) = known.last else { continue };
            let latest = (last + known.interval).max(self.stalled) + known.interval + slack;
            assert!(
                now <= latest,
                "{}: {charm}, polled each {:?}, is forgotten since {:?}, {:?} after the stall, queued {}",
                self.what,
                known.interval,
                now - last,
                now - self.stalled,
                self.schedule.queued()
            );
        }
    }

    /// In no window there are more than half as many polls again as in the long run.
    fn check_together(&self, since: Instant) {
        let window = Duration::from_secs_f64(IN_WINDOW / self.rate());
        let starts: Vec<Instant> = self.starts.iter().copied().filter(|at| *at >= since).collect();
        let mut first = 0;
        let (mut most, mut most_at) = (0, since);
        for (last, at) in starts.iter().enumerate() {
            while starts[first] + window <= *at {
                first += 1;
            }
            if last + 1 - first > most {
                (most, most_at) = (last + 1 - first, *at);
            }
        }
        let most_allowed = 1.5 * IN_WINDOW;
        let what = format!("{}: {most} polls within {window:?}, {:?} from the start", self.what, most_at - since);
        assert!(f64::from(u32::try_from(most).unwrap()) <= most_allowed, "{what}");
    }

    async fn run(mut self) {
        let begin = Instant::now();
        let end = begin + TIME;
        let mut next_stall = begin + SETTLED + self.dice.seconds(0, 300);
        let mut next_check = begin;
        while Instant::now() < end {
            if Instant::now() >= next_stall {
                self.stall().await;
                next_stall = Instant::now() + self.dice.seconds(5, 800);
            }
            self.begin_lists().await;
            self.poll().await;
            self.end_lists().await;
            if Instant::now() >= next_check {
                self.check_forgotten();
                next_check = Instant::now() + Duration::from_secs(10);
            }
            let lists = self.lists.iter().map(|list| list.arrives.unwrap_or(list.next));
            let wake = lists.chain(self.schedule.next_claim()).chain([next_stall, end]).min().unwrap();
            sleep_until(wake.max(Instant::now() + Duration::from_millis(1))).await;
        }
        self.check_together(begin);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_makes_many_charms_due_at_once_their_polls_stay_apart() {
    let seed = std::env::var("SPREAD_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let of_seed = |seed| vec![(seed, Intervals::Any), (seed, Intervals::AboutTheSame)];
    for (seed, intervals) in seed.map_or_else(|| SCENES.to_vec(), of_seed) {
        World::new(seed, intervals).run().await;
    }
}
