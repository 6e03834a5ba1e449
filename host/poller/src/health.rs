//! Whether an integration's component works, and the pause of one that does not.

use std::time::Duration;

use tokio::time::Instant;

use crate::{CharmRef, OutcomeKind, policy};

/// This many failures in a row pause an integration: as many as disable a charm.
pub(crate) const PAUSE_AFTER: usize = 5;

/// At least this long between two lines about another kind of failure of one function: a little less than the usual
/// interval.
const TELL_AGAIN: Duration = Duration::from_secs(50);

/// The health of an integration's component. Kept in memory only: after a restart, it is healthy.
///
/// A failure counts if the component caused it (see [`is_fault`]): not if the charm runtime was away, nor if the gate
/// denied a request. There are two series of failures, and each pauses the integration:
///
/// - `fetch-charms` failed [`PAUSE_AFTER`] times in a row, and no list can be used any more. An answer ends the series.
/// - `is-valid-charm` failed [`PAUSE_AFTER`] times, for as many *different* charms (or for all charms of the
///   integration, if there are fewer), and for at least an interval it answered for none. An answer for any charm ends
///   the series. So a charm whose data makes the component fail counts once, however often it is polled; and many such
///   charms do not pause it as long as one healthy charm is polled.
///
/// While the integration is paused, none of its functions is called, so none of its charms is polled. The pause is the
/// interval × 2ⁿ, with jitter, up to an hour. Then one `fetch-charms` is the probe: an answer ends the pause, a failure
/// doubles it. After a pause for failures of `is-valid-charm`, n keeps growing until that function has answered: an
/// answer of the other one says nothing about it. Until then, one failure for each different charm is enough for the
/// next pause.
///
/// For the charm, a failure of `is-valid-charm` makes its polls rarer, but disables it only if the component has
/// answered for [another](Self::last_answer) since its last failure. So a broken component disables none of its
/// charms, and a charm that alone breaks a healthy component is disabled like any failing charm. Somebody who can
/// register five charms that break a component can still get it paused while no healthy charm has anything to do.
#[derive(Debug, Default)]
pub(crate) struct Health {
    lists: Row<u64>,
    charms: Row<CharmRef>,
    /// When `is-valid-charm` last answered.
    answered_at: Option<Instant>,
    /// The number of pauses in a row.
    pauses: u32,
    pause: Option<Pause>,
    /// The latest failures of either function, of any kind, to show.
    fetching: Streak,
    validating: Streak,
    /// The kind of the failures of `is-valid-charm` that was logged.
    logged: Option<OutcomeKind>,
    /// The changes of kind of the two functions that were logged.
    fetching_logged: LoggedKinds,
    validating_logged: LoggedKinds,
}

/// The changes from one kind of failure to another that were logged since a function last answered, and when the last
/// one was. Two kinds may alternate for days.
#[derive(Debug, Default)]
struct LoggedKinds {
    changes: Vec<(OutcomeKind, OutcomeKind)>,
    at: Option<Instant>,
}

impl LoggedKinds {
    /// Whether to log this change, which is then noted as logged.
    fn is_news(&mut self, change: (OutcomeKind, OutcomeKind), now: Instant) -> bool {
        let is_news =
            change.0 != change.1 && !self.changes.contains(&change) && self.at.is_none_or(|at| now >= at + TELL_AGAIN);
        if is_news {
            self.changes.push(change);
            self.at = Some(now);
        }
        is_news
    }
}

/// Failures of a function since it last answered.
#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    count: u64,
    kind: Option<OutcomeKind>,
}

/// Failures since the last answer: the first [`PAUSE_AFTER`] different ones, and when the first of them was.
#[derive(Debug)]
struct Row<T> {
    witnesses: Vec<T>,
    /// All failures, also of the same.
    count: usize,
    began: Option<Instant>,
}

impl<T> Default for Row<T> {
    fn default() -> Self {
        Self { witnesses: Vec::new(), count: 0, began: None }
    }
}

impl<T: PartialEq> Row<T> {
    fn add(&mut self, witness: T, now: Instant) {
        self.began.get_or_insert(now);
        self.count += 1;
        if self.witnesses.len() < PAUSE_AFTER && !self.witnesses.contains(&witness) {
            self.witnesses.push(witness);
        }
    }

    fn is_full(&self) -> bool {
        self.witnesses.len() >= PAUSE_AFTER
    }

    fn has_lasted(&self, time: Duration, now: Instant) -> bool {
        self.began.is_some_and(|began| now >= began + time)
    }
}

#[derive(Debug)]
struct Pause {
    function: Function,
    /// When the first of the failures that led to it happened.
    failing_since: Instant,
    since: Instant,
    /// Whether the call that may end it is running.
    probing: bool,
}

/// A function of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    FetchCharms,
    IsValidCharm,
}

impl Function {
    /// As the contract names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FetchCharms => "fetch-charms",
            Self::IsValidCharm => "is-valid-charm",
        }
    }
}

/// A pause that begins, or continues after its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paused {
    pub(crate) function: Function,
    /// For how many different charms `is-valid-charm` failed, if that is the function.
    pub(crate) charms: usize,
    /// For how long.
    pub(crate) wait: Duration,
    /// Since when the component fails.
    pub(crate) failing_since: Instant,
    /// Whether it was paused before.
    pub(crate) again: bool,
}

/// Whether the component itself caused a failure of this kind.
pub(crate) fn is_fault(kind: OutcomeKind) -> bool {
    use OutcomeKind::{HandlerFailed, LimitExceeded, OutOfMemory, Timeout, Trapped};
    matches!(kind, Timeout | OutOfMemory | LimitExceeded | Trapped | HandlerFailed)
}

impl Health {
    pub(crate) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether an answer of `fetch-charms` that comes now belongs to a call from before the pause, and says nothing any
    /// more.
    pub(crate) fn awaits_probe(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| !pause.probing)
    }

    /// A call of `fetch-charms` starts. In a pause, it is the probe.
    pub(crate) fn list_begun(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.probing = true;
        }
    }

    /// `fetch-charms` has answered. If that ends a pause, returns how long it was.
    pub(crate) fn list_answered(&mut self, now: Instant) -> Option<Duration> {
        self.lists = Row::default();
        let pause = self.pause.take()?;
        if pause.function == Function::FetchCharms {
            self.pauses = 0;
        }
        Some(now.duration_since(pause.since))
    }

    /// `fetch-charms` has failed. `has_list`: whether the last list is still in use. Returns the pause that follows.
    pub(crate) fn list_failed(
        &mut self,
        kind: OutcomeKind,
        has_list: bool,
        now: Instant,
        interval: Duration,
        jitter: impl Fn(u32) -> f64,
    ) -> Option<Paused> {
        if let Some(pause) = &mut self.pause {
            pause.probing = false;
            let (function, failing_since) = (pause.function, pause.failing_since);
            // A failure that is not the component's fault says nothing about it: the pause continues, but does not
            // grow.
            self.pauses = self.pauses.saturating_add(u32::from(is_fault(kind)));
            let wait = policy::delay(interval, self.pauses, jitter(self.pauses));
            return Some(Paused { function, charms: 0, wait, failing_since, again: true });
        }
        if !is_fault(kind) {
            return None;
        }
        let number = self.lists.witnesses.len() as u64;
        self.lists.add(number, now);
        (self.lists.is_full() && !has_list).then(|| self.begin(Function::FetchCharms, now, interval, jitter))
    }

    /// `is-valid-charm` has answered, yes or no.
    pub(crate) fn charm_answered(&mut self, now: Instant) {
        self.answered_at = Some(now);
        self.charms = Row::default();
        if self.pause.is_none() {
            self.pauses = 0;
        }
    }

    /// `is-valid-charm` has failed for a charm. `charms`: how many polled charms the integration has, or at least
    /// [`PAUSE_AFTER`]. Counting them looks at all charms, so it is done last. Returns the pause that follows.
    pub(crate) fn charm_failed(
        &mut self,
        charm: &CharmRef,
        charms: impl FnOnce() -> usize,
        kind: OutcomeKind,
        now: Instant,
        interval: Duration,
        jitter: impl Fn(u32) -> f64,
    ) -> Option<Paused> {
        if self.is_paused() || !is_fault(kind) {
            return None;
        }
        self.charms.add(charm.clone(), now);
        let often = self.charms.count >= PAUSE_AFTER || self.pauses > 0;
        let witnesses = self.charms.witnesses.len();
        let is_for_all = || witnesses >= PAUSE_AFTER || witnesses >= charms().clamp(1, PAUSE_AFTER);
        let broken = often && self.charms.has_lasted(interval, now) && is_for_all();
        broken.then(|| self.begin(Function::IsValidCharm, now, interval, jitter))
    }

    /// Whether `is-valid-charm` has answered in the `time` before now.
    fn answered_since(&self, time: Duration, now: Instant) -> bool {
        self.answered_at.is_some_and(|at| now <= at + time)
    }

    /// When `is-valid-charm` last answered.
    pub(crate) fn last_answer(&self) -> Option<Instant> {
        self.answered_at
    }

    fn streak(&mut self, function: Function) -> &mut Streak {
        match function {
            Function::FetchCharms => &mut self.fetching,
            Function::IsValidCharm => &mut self.validating,
        }
    }

    /// A function has failed, for any reason. Returns how often since its last answer, and the kind of the failure
    /// before this one.
    pub(crate) fn fails(&mut self, function: Function, kind: OutcomeKind) -> (u64, Option<OutcomeKind>) {
        let streak = self.streak(function);
        streak.count += 1;
        (streak.count, streak.kind.replace(kind))
    }

    /// Whether to log that `fetch-charms` fails with another kind than before, which is then noted as logged: each such
    /// change once until it answers, and not all at a time.
    pub(crate) fn should_log_change(&mut self, before: OutcomeKind, kind: OutcomeKind, now: Instant) -> bool {
        self.fetching_logged.is_news((before, kind), now)
    }

    /// A function has answered. Returns whether it had failed before.
    pub(crate) fn answers(&mut self, function: Function) -> bool {
        match function {
            Function::FetchCharms => self.fetching_logged = LoggedKinds::default(),
            Function::IsValidCharm => self.validating_logged = LoggedKinds::default(),
        }
        std::mem::take(self.streak(function)).count > 0
    }

    /// The kind of the failures of `is-valid-charm` that was logged since it last answered.
    pub(crate) fn logged(&self) -> Option<OutcomeKind> {
        self.logged
    }

    /// Whether to log that `is-valid-charm` fails with this kind, which is then noted as logged. Not if it fails for
    /// single charms only, nor is any change of kind logged a second time.
    pub(crate) fn should_log(&mut self, kind: OutcomeKind, now: Instant, interval: Duration) -> bool {
        let is_news = !self.answered_since(interval, now)
            && self.logged.is_none_or(|before| self.validating_logged.is_news((before, kind), now));
        if is_news {
            self.logged = Some(kind);
        }
        is_news
    }

    /// `is-valid-charm` has answered. Returns whether its failure was logged.
    pub(crate) fn take_logged(&mut self) -> bool {
        self.logged.take().is_some()
    }

    /// Whether to show the component as failing: its last list failed, or `is-valid-charm` fails and has answered for
    /// no charm during an interval.
    pub(crate) fn is_failing(&self, now: Instant, interval: Duration) -> bool {
        self.fetching.count > 0 || (self.validating.count > 0 && !self.answered_since(interval, now))
    }

    fn begin(&mut self, function: Function, now: Instant, interval: Duration, jitter: impl Fn(u32) -> f64) -> Paused {
        let began = match function {
            Function::FetchCharms => self.lists.began,
            Function::IsValidCharm => self.charms.began,
        };
        let failing_since = began.unwrap_or(now);
        let charms = self.charms.witnesses.len();
        self.lists = Row::default();
        self.charms = Row::default();
        self.pauses = self.pauses.saturating_add(1);
        self.pause = Some(Pause { function, failing_since, since: now, probing: false });
        let wait = policy::delay(interval, self.pauses, jitter(self.pauses));
        Paused { function, charms, wait, failing_since, again: false }
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const TRAP: OutcomeKind = OutcomeKind::Trapped;

    fn charm(number: u32) -> CharmRef {
        CharmRef { space: space_did("a"), charm: CharmId::for_content(&number.to_be_bytes()) }
    }

    fn charm_fails(health: &mut Health, number: u32, charms: usize, now: Instant) -> Option<u64> {
        minutes(health.charm_failed(&charm(number), || charms, TRAP, now, MINUTE, none))
    }

    fn none(_: u32) -> f64 {
        0.0
    }

    /// The waits of pauses, in minutes.
    fn minutes(paused: Option<Paused>) -> Option<u64> {
        paused.map(|paused| paused.wait.as_secs() / 60)
    }

    #[tokio::test(start_paused = true)]
    async fn five_failed_lists_pause_and_each_failed_probe_doubles_the_pause_up_to_an_hour() {
        let (mut health, now) = (Health::default(), Instant::now());
        let waits: Vec<_> = (0..12)
            .map(|_| {
                health.list_begun();
                minutes(health.list_failed(TRAP, false, now, MINUTE, none))
            })
            .collect();
        let expected =
            [None, None, None, None, Some(2), Some(4), Some(8), Some(16), Some(32), Some(60), Some(60), Some(60)];
        assert_eq!(waits, expected);
        health.list_begun();
        assert!(health.list_answered(now).is_some() && !health.is_paused());
        for _ in 0..4 {
            assert_eq!(health.list_failed(TRAP, false, now, MINUTE, none), None);
        }
        assert_eq!(minutes(health.list_failed(TRAP, false, now, MINUTE, none)), Some(2), "from the beginning again");
    }

    #[tokio::test(start_paused = true)]
    async fn while_there_is_a_list_to_go_by_failed_lists_do_not_pause() {
        let (mut health, now) = (Health::default(), Instant::now());
        for _ in 0..20 {
            assert_eq!(health.list_failed(TRAP, true, now, MINUTE, none), None);
        }
        assert_eq!(minutes(health.list_failed(TRAP, false, now, MINUTE, none)), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_the_row_and_what_is_not_the_components_fault_is_no_part_of_it() {
        let (mut health, now) = (Health::default(), Instant::now());
        for kind in [TRAP, TRAP, TRAP, TRAP, OutcomeKind::Unavailable, OutcomeKind::Denied] {
            assert_eq!(health.list_failed(kind, false, now, MINUTE, none), None);
        }
        assert_eq!(health.list_answered(now), None);
        for _ in 0..4 {
            assert_eq!(health.list_failed(TRAP, false, now, MINUTE, none), None);
        }
        assert!(health.list_failed(TRAP, false, now, MINUTE, none).is_some());
        // A probe that failed for another reason makes the pause no longer.
        health.list_begun();
        assert_eq!(minutes(health.list_failed(OutcomeKind::Unavailable, false, now, MINUTE, none)), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_charm_counts_once_however_often_it_fails() {
        let (mut health, start) = (Health::default(), Instant::now());
        for hour in 0..100 {
            let now = start + Duration::from_hours(hour);
            assert_eq!(charm_fails(&mut health, 1, 5, now), None);
        }
        let now = start + Duration::from_hours(100);
        for number in 2..5 {
            assert_eq!(charm_fails(&mut health, number, 5, now), None);
        }
        assert_eq!(charm_fails(&mut health, 5, 5, now), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_than_five_charms_pause_it_once_it_has_failed_for_all_of_them_and_five_times() {
        for charms in 1..PAUSE_AFTER {
            let (mut health, start) = (Health::default(), Instant::now());
            let numbers = (0..).map(|number| number % u32::try_from(charms).unwrap());
            let paused: Vec<_> = numbers
                .zip(0..5)
                .map(|(number, minutes)| charm_fails(&mut health, number, charms, start + MINUTE * minutes))
                .collect();
            assert_eq!(paused, [None, None, None, None, Some(2)], "{charms} charms");
            // It still fails after the pause: once for each of them is enough, after an interval.
            health.list_begun();
            assert!(health.list_answered(start).is_some());
            for number in (0..u32::try_from(charms).unwrap()).cycle().take(PAUSE_AFTER - 1) {
                assert_eq!(charm_fails(&mut health, number, charms, start), None);
            }
            assert_eq!(charm_fails(&mut health, 0, charms, start + MINUTE), Some(4), "{charms} charms");
        }
        // One of them is not asked about: nothing is known of it.
        let (mut health, start) = (Health::default(), Instant::now());
        for minutes in 0..100 {
            assert_eq!(charm_fails(&mut health, minutes % 3, 4, start + MINUTE * minutes), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_charms_do_not_pause_it_within_an_interval_of_an_answer() {
        let (mut health, start) = (Health::default(), Instant::now());
        for interval in 0..50 {
            let now = start + MINUTE * interval;
            for number in 0..100 {
                let at = now + Duration::from_millis(500) * number;
                assert_eq!(charm_fails(&mut health, number, 200, at), None);
            }
            health.charm_answered(now + Duration::from_secs(59));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_for_charms_grows_until_a_charm_is_answered_for() {
        let (mut health, mut now) = (Health::default(), Instant::now());
        let fail = |health: &mut Health, now: &mut Instant| {
            for number in 0..4 {
                assert_eq!(charm_fails(health, number, 5, *now), None);
            }
            *now += MINUTE;
            let paused = charm_fails(health, 4, 5, *now);
            assert!(health.awaits_probe());
            health.list_begun();
            assert!(health.list_answered(*now).is_some());
            paused
        };
        let waits = [(); 3].map(|()| fail(&mut health, &mut now));
        assert_eq!(waits, [Some(2), Some(4), Some(8)]);
        health.charm_answered(now);
        assert_eq!(fail(&mut health, &mut now), Some(2));
    }
}
