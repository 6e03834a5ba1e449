//! Starting polls, and what follows them.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use tokio::task::{Id, JoinError};
use tokio::time::Instant;
use tracing::{error, info, info_span, warn};

use super::{Engine, Link};
use crate::guard::guarded;
use crate::policy::{self, Next, RETURN_AFTER};
use crate::poll::{Task, Turn};
use crate::report::one_line;
use crate::table::{Asked, Entry, Phase, Slot};
use crate::{CharmRef, DisabledBy, Limit, OutcomeKind, PollEvent, Registration, Run, RuntimeError, UnixMillis, report};

/// Of polls that fail because something does not answer, one is logged in this time.
const UNAVAILABLE_LOG: Duration = Duration::from_mins(1);
/// Enabling or disabling a registration takes one write.
const CHORE_LIMIT: Duration = Duration::from_secs(30);
/// When to try again to enable a charm whose time has come.
const ENABLE_RETRY_MS: i64 = 60_000;

impl Engine {
    /// Starts due polls while there are places.
    pub(super) fn start_polls(&mut self) {
        loop {
            if matches!(self.options.limit, Limit::Polls(count) if self.started_polls >= count) {
                return;
            }
            let Some(slot) = self.ready.take().or_else(|| self.take_early()) else { return };
            let entry = self.table.get(slot).expect("a charm leaves the queue before it leaves the table");
            let place = entry.lane;
            if !self.may_poll(entry) {
                // A list or a pause has come since it was queued.
                self.set_phase(slot, Phase::LeftOut);
                self.ready.release(place);
                continue;
            }
            let late = Duration::from_millis(u64::try_from(self.elapsed() - entry.due).unwrap_or(0));
            if !(self.leaves_places(slot) && self.keeps_pace(slot, late)) {
                self.set_phase(slot, Phase::Held);
                self.ready.release(place);
                continue;
            }
            self.slow_started(slot);
            let Some(entry) = self.table.get(slot) else { return };
            self.summary.lateness.add(late);
            self.summary.dropped += missed(late, self.interval(entry));
            self.started_polls += 1;
            let task = Task {
                runtime: self.runtime.clone(),
                integration: self.groups[entry.group as usize].component.clone(),
                charm: self.table.charm(entry),
                clock: self.options.clock.clone(),
                timeout: self.options.poll_timeout,
                late,
                component: self.groups[entry.group as usize].replaced,
                span: info_span!(
                    target: "span", "poll", charm = %self.table.charm(entry), integration = %self.table.integration(entry),
                    outcome = tracing::field::Empty,
                ),
            };
            let served = self.groups[entry.group as usize].list.in_force();
            if let Some(entry) = self.table.get_mut(slot) {
                entry.phase = Phase::Running;
                entry.wanted = false;
                entry.off_beat = false;
                entry.served = served;
            }
            let poll = self.polls.spawn(async move { (slot, task.run().await) });
            self.under_way.insert(poll.id(), slot);
        }
    }

    pub(super) fn poll_ended(&mut self, ended: Result<(Id, (Slot, Turn)), JoinError>) {
        let (slot, turn) = match ended {
            Ok((id, ended)) => {
                self.under_way.remove(&id);
                ended
            }
            Err(problem) => {
                self.poll_lost(&problem);
                return;
            }
        };
        let Some(entry) = self.table.get_mut(slot) else { return };
        entry.phase = Phase::Idle;
        let lane = entry.lane;
        self.ready.release(lane);
        self.slow_ended(slot, Some(turn.duration));
        self.summary.add(&turn);
        self.show_validity(slot, &turn);
        self.suspect(slot, &turn);
        let Some(entry) = self.table.get(slot) else { return };
        let (charm, integration) = (self.table.charm(entry), self.table.integration(entry).clone());
        let goes_on = entry.is_active();
        self.note_owed(slot, &turn);
        let (failures, next) = self.judge(slot, &turn);
        let disabled = goes_on && next == Next::Disable;
        self.order_next(slot, &turn, next);
        if !turn.noted && !turn.runtime_failed() {
            self.outbox.note(Run {
                charm: charm.clone(),
                started_at: turn.started_at,
                duration: turn.duration,
                outcome: turn.outcome.clone(),
            });
        }
        let next_due = self.table.get(slot).filter(|_| goes_on).map(|entry| entry.due);
        let event = PollEvent {
            charm,
            integration,
            stream: turn.stream,
            started_at: turn.started_at,
            duration: turn.duration,
            late: turn.late,
            outcome: turn.outcome,
            failures,
            next_due: next_due.map(|due| self.wall_time(due)),
            disabled,
        };
        self.tell(&event, next_due);
        if disabled {
            let text = event.outcome.to_string();
            self.ask(slot, Asked::ToDisable, Some(in_a_row(failures, Some(&text))));
        }
        self.settle(slot);
    }

    /// A turn catches its panics, but what it leaves behind can panic as well. Its charm is polled again an interval later.
    fn poll_lost(&mut self, problem: &JoinError) {
        let Some(slot) = self.under_way.remove(&problem.id()) else { return };
        let Some(entry) = self.table.get_mut(slot) else { return };
        entry.phase = Phase::Idle;
        let (lane, goes_on) = (entry.lane, entry.is_active());
        self.ready.release(lane);
        self.slow_ended(slot, None);
        let Some(entry) = self.table.get(slot) else { return };
        let (charm, wait) = (self.table.charm(entry), policy::millis(self.interval(entry)));
        error!(target: "poller", "A poll of charm {charm} was lost, which is a fault of this program: {}", one_line(&problem.to_string()));
        if goes_on && self.options.limit != Limit::Once {
            self.arm_off_beat(slot, self.now().saturating_add(wait));
        }
        self.settle(slot);
    }

    /// Takes notice of a turn that got no answer of the runtime. One charm's trouble stops nobody else: only once it happens to two different ones
    /// (or to the only one) is the runtime asked whether it is there.
    fn suspect(&mut self, slot: Slot, turn: &Turn) {
        if turn.runtime_answered() {
            self.suspects.clear();
        }
        if !turn.runtime_failed() || self.link != Link::Up {
            return;
        }
        if !self.suspects.contains(&slot) {
            self.suspects.push(slot);
        }
        let is_alone = self.table.iter().filter(|(_, entry)| entry.is_active()).take(2).count() < 2;
        if self.suspects.len() > 1 || is_alone {
            self.suspects.clear();
            self.link = Link::Suspected;
            self.probe.notify_one();
        }
    }

    /// When the charm is polled next, if it is. After a success it waits from the start of the poll, or every poll would shift its times; a
    /// success that took longer than the wait is followed at once. Else it waits from the end, or one that took long would be followed at
    /// once as well.
    fn order_next(&mut self, slot: Slot, turn: &Turn, next: Next) {
        let (started, now, wall) = (self.ms(turn.start), self.now(), self.options.clock.now());
        let once = self.options.limit == Limit::Once;
        let Some(entry) = self.table.get(slot).filter(|entry| !entry.removed) else { return };
        let interval = self.interval(entry);
        // One that was polled before its turn keeps that for the next poll.
        let from = if turn.outcome.is_success() { started.max(entry.due) } else { now };
        let mut off_beat = !turn.outcome.is_success() && !entry.wanted;
        let (phase, due) = match next {
            // Its cause was fixed while it was being polled.
            _ if entry.wanted && turn.outcome.consequence().awaits_a_fix() => {
                (Phase::Waiting, self.wakes.allow(slot, now, interval))
            }
            Next::After(wait) => {
                let wait = if entry.failures == 0 { self.jittered(entry, wait, turn) } else { wait };
                let due = from.saturating_add(policy::millis(wait));
                self.summary.dropped += missed(Duration::from_millis(u64::try_from(now - due).unwrap_or(0)), wait);
                off_beat |= due < now;
                (Phase::Waiting, due.max(now))
            }
            Next::Wait(wait) => (Phase::Waiting, from.saturating_add(policy::millis(wait))),
            Next::Disable => (Phase::Disabled, now.saturating_add(policy::millis(RETURN_AFTER))),
        };
        let Some(entry) = self.table.get_mut(slot) else { return };
        entry.due = due;
        // Who wanted it polled while it was being polled has that poll.
        entry.wanted &= !turn.outcome.is_success();
        if entry.is_active() {
            if next == Next::Disable {
                entry.disabled_at = wall;
                self.summary.disabled += 1;
            }
            if once {
                self.set_phase(slot, Phase::Idle);
            } else if off_beat && phase == Phase::Waiting {
                self.arm_off_beat(slot, due);
            } else {
                self.arm(slot, phase, due);
            }
        } else if !entry.disabled_at.is_never() && !once {
            // The answer to its being disabled came while it was being polled after all.
            self.arm(slot, Phase::Disabled, now.saturating_add(policy::millis(RETURN_AFTER)));
        }
        self.save_news(slot, turn);
    }

    /// A wait that is longer by the jitter that the operator has set.
    fn jittered(&self, entry: &Entry, wait: Duration, turn: &Turn) -> Duration {
        let most = self.options.jitter.clamp(0.0, 1.0);
        if most.is_nan() || most == 0.0 {
            return wait;
        }
        wait.mul_f64(1.0 + most * policy::jitter(&(self.table.charm(entry), turn.started_at), 0))
    }

    /// Logs a poll, and calls who wants to know.
    fn tell(&mut self, event: &PollEvent, next_due: Option<i64>) {
        let wait = next_due.map(|due| Duration::from_millis(u64::try_from(due - self.now()).unwrap_or(0)));
        let quiet = event.outcome.kind == OutcomeKind::Unavailable
            && self.unavailable_logged.is_some_and(|at| at.elapsed() < UNAVAILABLE_LOG);
        if !quiet {
            if event.outcome.kind == OutcomeKind::Unavailable {
                self.unavailable_logged = Some(Instant::now());
            }
            report::poll(event, wait);
        }
        if let Some(hook) = &self.options.on_poll
            && std::panic::catch_unwind(AssertUnwindSafe(|| hook(event))).is_err()
        {
            error!(target: "poller", "What shows polls has panicked, and is not called again");
            self.options.on_poll = None;
        }
    }

    /// After a poll: does what had to wait for its end.
    fn settle(&mut self, slot: Slot) {
        let Some(entry) = self.table.get(slot) else { return };
        if entry.removed {
            self.forget(slot);
        } else {
            self.sort_in(slot);
        }
    }

    /// Asks the runtime to disable (for a reason) or enable a registration; its answer comes to [`chore_ended`](Self::chore_ended).
    pub(super) fn ask(&mut self, slot: Slot, what: Asked, reason: Option<String>) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        entry.asked = what;
        if what == Asked::ToEnable {
            entry.phase = Phase::Idle;
        }
        let Some(charm) = self.table.get(slot).map(|entry| self.table.charm(entry)) else { return };
        let runtime = self.runtime.clone();
        self.chores.spawn(async move {
            let answer = guarded(
                runtime.set_disabled(&charm, reason.as_deref().map(|reason| (DisabledBy::Failures, reason))),
                CHORE_LIMIT,
            )
            .await;
            let answer = answer.unwrap_or_else(|problem| Err(RuntimeError::unavailable(problem)));
            (charm, answer)
        });
    }

    pub(super) fn chore_ended(&mut self, done: Result<(CharmRef, Result<Registration, RuntimeError>), JoinError>) {
        let Ok((charm, answer)) = done else { return };
        let Some(slot) = self.table.slot(&charm) else { return };
        let Some(entry) = self.table.get_mut(slot) else { return };
        let asked = std::mem::replace(&mut entry.asked, Asked::Nothing);
        match answer {
            // Somebody has registered, enabled or disabled the charm since.
            Ok(registration) if registration.updated_at < entry.changed_at => {}
            Ok(registration) if registration.is_enabled() => {
                entry.changed_at = registration.updated_at;
                if asked == Asked::ToEnable {
                    info!(target: "poller", "Charm {charm} is polled again after 24 hours");
                    self.begin_anew(slot, true);
                }
            }
            Ok(registration) => self.disabled_by_loop(slot, &registration),
            Err(RuntimeError::NotFound(_)) => {}
            Err(error) if asked == Asked::ToEnable => {
                warn!(target: "poller", "Charm {charm} cannot be enabled yet: {}", one_line(&error.to_string()));
                let again = self.now() + ENABLE_RETRY_MS;
                self.arm(slot, Phase::Disabled, again);
            }
            // It stays disabled here all the same.
            Err(error) => {
                warn!(target: "poller", "Charm {charm} cannot be marked as disabled: {}", one_line(&error.to_string()));
            }
        }
    }

    /// The registration says now that the charm is disabled, and it was the loop that did it.
    fn disabled_by_loop(&mut self, slot: Slot, registration: &Registration) {
        let wall: UnixMillis = self.options.clock.now();
        let returns = self.now().saturating_add(policy::millis(RETURN_AFTER));
        let Some(entry) = self.table.get_mut(slot) else { return };
        let Entry { phase, disabled_at, .. } = entry;
        entry.changed_at = registration.updated_at;
        entry.enabled = false;
        // By the runtime's clock, so that a later change of the registration is told from this one.
        *disabled_at = registration.updated_at.max(if disabled_at.is_never() { wall } else { *disabled_at });
        if *phase != Phase::Disabled && *phase != Phase::Running && self.options.limit != Limit::Once {
            self.unqueue(slot);
            self.arm(slot, Phase::Disabled, returns);
        }
        self.save(slot);
    }
}

/// Why the loop disables a charm, for people.
pub(super) fn in_a_row(failures: u32, last: Option<&str>) -> String {
    let last = last.map_or(String::new(), |last| format!(": {last}"));
    format!("{failures} failures in a row{last}")
}

/// How many polls fell into the time that one is late.
pub(super) fn missed(late: Duration, interval: Duration) -> u64 {
    u64::try_from(late.as_millis() / interval.as_millis().max(1)).unwrap_or(u64::MAX)
}
