//! What the loop must do, written down a second time: each charm as an observer outside of the loop knows it, and the
//! rules for when it may be polled and when it must be.

use std::collections::VecDeque;
use std::time::Duration;

use bg_poller::{CharmRef, OutcomeKind};
use tokio::time::Instant;

/// A failing charm is polled at least this often, or once an interval.
const BACKOFF_CAP: Duration = Duration::from_hours(1);
/// A charm that waits for a change is looked at this often, or once an interval.
const LOOK_AGAIN: Duration = Duration::from_hours(1);
/// How long the loop itself disables a charm.
const RETURN_AFTER: Duration = Duration::from_hours(24);
/// How soon the loop tries again to enable a charm.
const RETRY: Duration = Duration::from_mins(1);
/// How soon after it happened a change of a registration must count.
const HEARD: Duration = Duration::from_secs(2);
/// What is not yet written when the process ends.
const UNWRITTEN: Duration = Duration::from_millis(200);
/// The longest wait of a change, also where the interval is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// How many polls for changes may come sooner.
const MOST_EARLY: u32 = 16;

/// A rule that was broken; the name of the rule comes first.
pub type Broken = String;

/// Why a charm is not to be polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    No,
    ByHand(Instant),
    /// Its failures in a row were too many.
    ByLoop(Instant),
}

/// One charm.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each of them is one thing that may have happened")]
pub struct Model {
    pub charm: CharmRef,
    /// When time began.
    began: Instant,
    pub space: usize,
    /// Its integration.
    pub integration: usize,
    pub registered: bool,
    unregistered_at: Option<Instant>,
    pub disabled: Disabled,
    /// The interval that counts for it, and the shortest and longest that have counted since its last poll, until when.
    pub interval: Duration,
    before: Option<(Duration, Duration, Instant)>,
    /// The poll under way.
    running: Option<Instant>,
    /// The start of the last poll whose end the service has seen.
    last: Option<Instant>,
    ended: Option<Instant>,
    failures: u32,
    /// The loop may know of as few as these: notes were lost, or somebody wanted the charm polled again at that moment.
    fewest: u32,
    wanted_at: Option<Instant>,
    /// When somebody last wanted it polled, or changed what it waits for: a poll that starts before the loop hears of
    /// that does not count for it.
    asked_at: Option<Instant>,
    /// Whether the last poll reached nothing.
    unavailable: bool,
    /// Whether the last poll lacked something that only others can change, and whether they have changed it since.
    waiting: bool,
    woken: bool,
    /// Whether that is the last that the runtime knows of it: it has no note of polls that did not reach it.
    denied: bool,
    /// Whether somebody has wanted it polled at once since the last poll.
    wanted: bool,
    /// Whether its last poll may have started before its turn, because its cause may have been fixed: the next one
    /// comes an interval after that turn.
    before_turn: bool,
    /// When it was polled early for a change, since the process began and its interval is the present one.
    early: Vec<Instant>,
    /// Whether what is known of its last poll may be lost, or has times of a clock that was set before this process
    /// began.
    excused: bool,
    /// Whether the clock was set since its last poll, and whether a process has begun since.
    clock_set: bool,
    other_clock: bool,
    /// These three as they were before the poll under way.
    excuses: [bool; 3],
    /// Since when nothing has changed that would be a reason to poll it later.
    pub settled: Instant,
    /// What has happened to it lately, to explain a broken rule.
    past: VecDeque<String>,
}

impl Model {
    pub fn new(charm: CharmRef, space: usize, integration: usize, interval: Duration) -> Self {
        Self {
            charm,
            began: Instant::now(),
            space,
            integration,
            registered: false,
            unregistered_at: None,
            disabled: Disabled::No,
            interval,
            before: None,
            running: None,
            last: None,
            ended: None,
            failures: 0,
            fewest: 0,
            unavailable: false,
            waiting: false,
            woken: false,
            denied: false,
            wanted_at: None,
            asked_at: None,
            wanted: true,
            before_turn: false,
            early: Vec::new(),
            excused: false,
            clock_set: false,
            other_clock: false,
            excuses: [false; 3],
            settled: Instant::now(),
            past: VecDeque::new(),
        }
    }

    fn is_enabled(&self) -> bool {
        self.registered && self.disabled == Disabled::No
    }

    /// Whether somebody has wanted it polled since its last poll.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// How often it is polled in a second, in the long run. With a component, as often as that names it at most.
    pub fn rate(&self, listed: Duration) -> f64 {
        if !self.is_enabled() {
            return 0.0;
        }
        self.interval.max(if self.integration == 0 { Duration::ZERO } else { listed }).as_secs_f64().recip()
    }

    /// What has happened to it lately.
    pub fn past(&self) -> String {
        self.past.iter().fold(String::new(), |all, one| all + "\n    " + one)
    }

    fn note(&mut self, what: &str) {
        if self.past.len() == 20 {
            self.past.pop_front();
        }
        let at = self.began.elapsed().as_secs_f64();
        self.past.push_back(format!("{at:.3} s: {what}, {} failures", self.failures));
    }

    /// Somebody registers or enables it.
    pub fn wanted(&mut self) {
        self.note("wanted");
        let now = Instant::now();
        if !self.registered {
            self.unregistered_at = None;
        }
        (self.registered, self.disabled, self.failures, self.wanted, self.settled) = (true, Disabled::No, 0, true, now);
        (self.fewest, self.wanted_at, self.asked_at) = (0, Some(now), Some(now));
        (self.waiting, self.woken, self.denied) = (false, false, false);
    }

    /// What its last poll lacked is there: it is polled soon, and keeps the failures that are its own. `shares_clock`:
    /// whether the loop can tell that a poll has started since.
    pub fn woken(&mut self, shares_clock: bool) {
        self.note("woken");
        let is_first = !self.woken || self.running.is_some();
        (self.waiting, self.woken, self.wanted) = (false, true, true);
        if !shares_clock {
            self.asked_at = Some(Instant::now());
        }
        if is_first {
            self.settled = Instant::now();
        }
    }

    pub fn disabled_by_hand(&mut self) {
        self.note("disabled by hand");
        if !matches!(self.disabled, Disabled::ByHand(_)) {
            self.disabled = Disabled::ByHand(Instant::now());
        }
        self.failures = 0;
    }

    pub fn unregistered(&mut self) {
        self.note("unregistered");
        (self.registered, self.unregistered_at) = (false, Some(Instant::now()));
        (self.failures, self.disabled) = (0, Disabled::No);
    }

    pub fn set_interval(&mut self, interval: Duration) {
        self.note(&format!("another interval: {interval:?}"));
        let now = Instant::now();
        let (shortest, longest, _) = self.before.unwrap_or((self.interval, self.interval, now));
        self.before = Some((shortest.min(self.interval), longest.max(self.interval), now));
        self.interval = interval;
        self.settled = now;
        self.early.clear();
    }

    /// The shortest and the longest time that the rules allow from one start to the next, after its failures.
    fn waits(&self, interval: Duration) -> (Duration, Duration) {
        if self.waiting {
            return (LOOK_AGAIN.max(interval), LOOK_AGAIN.max(interval));
        }
        let full = |failures: u32| interval.saturating_mul(1 << failures.min(20)).min(BACKOFF_CAP.max(interval));
        let shortest = if self.fewest == 0 { interval } else { full(self.fewest).mul_f64(0.9).max(interval) };
        (shortest, full(self.failures))
    }

    /// A poll starts.
    pub fn starts(&mut self) -> Result<(), Broken> {
        self.note("starts");
        let now = Instant::now();
        if self.running.is_some() {
            return Err(format!("twice at once: {}", self.charm));
        }
        if !self.registered && self.unregistered_at.is_none_or(|at| now > at + HEARD) {
            return Err(format!("polled though not registered: {}", self.charm));
        }
        match self.disabled {
            Disabled::ByHand(at) if now > at + HEARD => {
                return Err(format!("polled though disabled by hand {:?} ago: {}", now - at, self.charm));
            }
            Disabled::ByLoop(at) if !self.excused => {
                return Err(format!("polled though disabled by the loop {:?} ago: {}", now - at, self.charm));
            }
            _ => {}
        }
        let is_asked_for = self.wanted || self.asked_at.is_some_and(|at| now <= at + HEARD);
        let counts_from = if self.failures > 0 || self.waiting { self.ended } else { self.last };
        if let Some(last) = counts_from.filter(|_| !is_asked_for && !self.excused) {
            let mut shortest = self.waits(self.interval).0;
            // One that failed goes on waiting as long as it was to wait, and a poll that reached nothing was none.
            if let Some((interval, _, until)) = self.before
                && (now <= until + HEARD || self.failures > 0 || self.unavailable)
            {
                shortest = shortest.min(self.waits(interval).0);
            }
            if now < last + shortest {
                let rule = if self.failures > 0 { "backoff too short" } else { "early" };
                return Err(format!(
                    "{rule}: {} after {:?} instead of {shortest:?}, {} failures",
                    self.charm,
                    now - last,
                    self.failures
                ));
            }
        }
        if self.excused {
            self.fewest = 0;
            if let Disabled::ByLoop(_) = self.disabled {
                self.disabled = Disabled::No;
            }
        }
        self.note_early(now)?;
        self.excuses = [self.excused, self.clock_set, self.other_clock];
        self.before_turn = self.wanted;
        (self.running, self.wanted, self.excused) = (Some(now), false, false);
        (self.clock_set, self.other_clock) = (false, false);
        self.before = self.before.filter(|(.., until)| now <= *until + HEARD);
        Ok(())
    }

    /// However often somebody changes something about it: besides a few of the first, there is a poll an interval.
    fn note_early(&mut self, now: Instant) -> Result<(), Broken> {
        if !self.woken {
            return Ok(());
        }
        self.early.push(now);
        if self.early.len() > 100 {
            self.early.remove(0);
        }
        let longest = self.interval.min(LONGEST_PAUSE);
        for (index, first) in self.early.iter().enumerate() {
            let polls = u32::try_from(self.early.len() - index).unwrap();
            if longest * polls.saturating_sub(MOST_EARLY) / 2 > now - *first {
                return Err(format!("insisted: {polls} early polls of {} within {:?}", self.charm, now - *first));
            }
        }
        Ok(())
    }

    /// It has ended. So many failures in a row disable it.
    pub fn ends(&mut self, kind: OutcomeKind, disable_at: u32) -> Result<(), Broken> {
        self.note(kind.as_str());
        let now = Instant::now();
        let Some(start) = self.running.take() else { return Err(format!("ended twice: {}", self.charm)) };
        (self.last, self.ended) = (Some(start), Some(now));
        self.unavailable = kind == OutcomeKind::Unavailable;
        // If it was woken while it was polled, it is polled again, even if that poll lacked something.
        self.waiting = kind == OutcomeKind::Denied && !self.wanted;
        self.denied = kind == OutcomeKind::Denied || (self.denied && self.unavailable);
        self.woken &= self.wanted && kind == OutcomeKind::Denied;
        if !self.is_enabled() {
            // Its failures are counted from zero when it is enabled.
            return Ok(());
        }
        match kind {
            OutcomeKind::Success => (self.failures, self.fewest) = (0, 0),
            OutcomeKind::Unavailable | OutcomeKind::Denied => {}
            _ => {
                self.failures += 1;
                let perhaps_before = self.wanted_at.is_some_and(|at| now <= at + HEARD);
                self.fewest = if perhaps_before { 0 } else { self.fewest + 1 };
            }
        }
        if self.failures >= disable_at {
            self.disabled = Disabled::ByLoop(now);
            self.excused = self.fewest < disable_at;
        }
        Ok(())
    }

    /// The loop enables it again.
    pub fn returns(&mut self) -> Result<(), Broken> {
        let now = Instant::now();
        if let Disabled::ByLoop(at) = self.disabled
            && now < at + RETURN_AFTER
            && !self.excused
        {
            return Err(format!("back early: {} was disabled {:?} ago", self.charm, now - at));
        }
        self.wanted();
        Ok(())
    }

    /// The process was killed: polls under way have not been, and the newest notes are lost. `unwritten_since`: since
    /// when nothing could be written.
    pub fn killed(&mut self, unwritten_since: Option<Instant>) {
        self.note("the process ends");
        let now = Instant::now();
        if self.running.take().is_some() {
            // Its last poll was not this one, and who wanted it still does.
            self.wanted = true;
            [self.excused, self.clock_set, self.other_clock] = self.excuses;
        }
        // What it waits for may be there at the next start.
        self.wanted |= self.denied;
        // What was not yet written when the disk became full was not written later either.
        let lost_since = unwritten_since.unwrap_or(now) - UNWRITTEN;
        self.other_clock |= self.clock_set;
        if self.clock_set || self.ended.is_some_and(|ended| ended >= lost_since) {
            self.excused = true;
        }
        self.settled = now;
        self.early.clear();
    }

    /// The wall clock was set, while a process runs or not; a process that starts from now on has times of another
    /// clock.
    pub fn clock_set(&mut self, runs: bool) {
        self.note("clock set");
        (self.clock_set, self.other_clock, self.excused) = (true, self.other_clock || !runs, self.excused || !runs);
    }

    /// A charm that should have been polled by now was not. `loses_time_since` says whether something kept it from
    /// starting at some moment since then. `since` is when all around it was last not as it should be: then polls are
    /// `spread` over so much time. `slack` is how long it may have to wait for others.
    pub fn overdue(
        &self,
        since: Instant,
        spread: Duration,
        slack: Duration,
        loses_time_since: impl Fn(Instant) -> bool,
    ) -> Result<(), Broken> {
        let now = Instant::now();
        if self.running.is_some() {
            return Ok(());
        }
        if let Disabled::ByLoop(at) = self.disabled {
            let back = since.max(at + RETURN_AFTER) + slack + RETRY;
            let is_forgotten = now > back && self.registered && !self.other_clock;
            let late = || format!("forgotten: {} is not back, {:?} after it was disabled", self.charm, now - at);
            return if is_forgotten { Err(late()) } else { Ok(()) };
        }
        if !self.is_enabled() {
            return Ok(());
        }
        let wait = self.waits(self.interval).1;
        let longest = self.before.map_or(wait, |(_, interval, _)| wait.max(self.waits(interval).1));
        // Spread over the interval again after a start, a pause or a registration. One that failed has lost its time:
        // it may have to wait for all others of its kind.
        let by_itself = match (self.last, self.ended) {
            _ if self.woken => self.settled,
            (_, Some(ended)) if self.failures > 0 || self.unavailable || self.waiting => {
                ended + longest + self.interval
            }
            // So has one that could not start in time.
            (Some(last), _) if self.before_turn || loses_time_since(last + longest) => last + longest + self.interval,
            (Some(last), _) => last + longest,
            (None, _) => self.settled + self.interval,
        };
        // By a clock that was set back, it waits once more. What then becomes due at the same moment is spread over an
        // interval, and so is what is in its way.
        let again = spread.max(if self.excused { longest } else { self.interval }) + spread.max(self.interval);
        let due = by_itself.max(since.max(self.settled) + again) + slack;
        if now > due {
            let rule = if now > due + self.interval * 2 { "forgotten" } else { "late" };
            return Err(format!(
                "{rule}: {} of integration {} is {:?} overdue, after {} failures",
                self.charm,
                self.integration,
                now - due,
                self.failures
            ));
        }
        Ok(())
    }
}
