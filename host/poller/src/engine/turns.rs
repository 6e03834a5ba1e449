//! Starting polls, and what follows them.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use tokio::task::{Id, JoinError};
use tokio::time::Instant;
use tracing::{error, info_span, warn};

use super::underway::UnderWay;
use super::{Engine, Link};
use crate::guard::guarded;
use crate::poll::{Task, Turn};
use crate::report::one_line;
use crate::schedule::{Due, Lease, Settled, Settlement, StatusChange, in_a_row};
use crate::{CharmRef, DisabledBy, Limit, OutcomeKind, PollEvent, Registration, Run, RuntimeError, report};

/// Of polls that fail because something does not answer, one is logged in this time.
const UNAVAILABLE_LOG: Duration = Duration::from_mins(1);
/// Enabling or disabling a registration takes one write.
const CHORE_LIMIT: Duration = Duration::from_secs(30);

impl Engine {
    /// Starts due polls while there are places. Claimed is only what can be polled at once: a lease does not wait for
    /// others to end.
    pub(super) async fn start_polls(&mut self) {
        let mut room = self.options.max_concurrent.max(1).saturating_sub(self.polls.len());
        if let Limit::Polls(count) = self.options.limit {
            let left = count.saturating_sub(self.started_polls);
            room = room.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        for due in self.schedule.claim(room).await {
            self.start_poll(due);
        }
    }

    fn start_poll(&mut self, due: Due) {
        let Due { lease, charm, integration, late, missed } = due;
        let group = self.group(&integration);
        self.summary.lateness.add(late);
        self.summary.dropped += missed;
        self.started_polls += 1;
        let task = Task {
            runtime: self.runtime.clone(),
            integration: self.groups[group].component.clone(),
            charm: charm.clone(),
            clock: self.options.clock.clone(),
            timeout: self.options.poll_timeout,
            late,
            component: self.groups[group].replaced,
            span: info_span!(target: "span", "poll", %charm, %integration, outcome = tracing::field::Empty),
        };
        let poll = self.polls.spawn(async move { (lease, task.run().await) });
        self.under_way.insert(poll.id(), UnderWay { lease, charm, integration, group, poll });
    }

    /// Extends the leases of polls that are under way, where leases end. One that has ended may be another claimer's:
    /// its poll is given up.
    pub(super) async fn renew_leases(&mut self) {
        let Some(time) = self.schedule.lease_time() else { return };
        if self.renew_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        let leases: Vec<Lease> = self.under_way.values().map(|poll| poll.lease).collect();
        let ended = self.schedule.renew(&leases).await;
        for poll in self.under_way.values().filter(|poll| ended.contains(&poll.lease)) {
            warn!(target: "poller", "A poll of charm {} is given up: another process may poll it by now", poll.charm);
            poll.poll.abort();
        }
        self.renew_at = Some(Instant::now() + time / 3);
    }

    pub(super) async fn poll_ended(&mut self, ended: Result<(Id, (Lease, Turn)), JoinError>) {
        let (poll, turn) = match ended {
            Ok((id, (_, turn))) => {
                let Some(poll) = self.under_way.remove(&id) else { return };
                (poll, turn)
            }
            Err(problem) => {
                self.poll_lost(&problem).await;
                return;
            }
        };
        self.summary.add(&turn);
        self.component_answered(poll.group).await;
        self.show_validity(poll.group, &turn);
        self.suspect(&poll.charm, &turn);
        let settlement = self.settlement(&poll, &turn);
        let component = settlement.component;
        let settled = self.schedule.settle(vec![settlement]).await.pop();
        let Some(Settled::Kept(kept)) = settled else { return };
        self.blame_component(&poll, &turn, component).await;
        self.summary.dropped += kept.missed;
        self.summary.disabled += u64::from(kept.disabled);
        if !turn.noted && !turn.runtime_failed() {
            self.outbox.note(Run {
                charm: poll.charm.clone(),
                started_at: turn.started_at,
                duration: turn.duration,
                outcome: turn.outcome.clone(),
            });
        }
        let event = PollEvent {
            charm: poll.charm,
            integration: poll.integration,
            stream: turn.stream,
            started_at: turn.started_at,
            duration: turn.duration,
            late: turn.late,
            outcome: turn.outcome,
            failures: kept.failures,
            next_due: kept.next_in.map(|wait| self.options.clock.now() + wait),
            disabled: kept.disabled,
        };
        self.report(&event, kept.next_in);
        if kept.disabled {
            let text = event.outcome.to_string();
            let disable = Some(in_a_row(kept.failures, Some(&text)));
            self.change_status(StatusChange { charm: event.charm, disable });
        }
    }

    /// A turn catches its panics, but what it leaves behind can panic as well. Its charm is polled again an interval
    /// later.
    async fn poll_lost(&mut self, problem: &JoinError) {
        let Some(poll) = self.under_way.remove(&problem.id()) else { return };
        if problem.is_cancelled() {
            // Its lease has ended.
            return;
        }
        let UnderWay { charm, lease, .. } = poll;
        let problem = one_line(&problem.to_string());
        error!(target: "poller", "A poll of charm {charm} was lost, which is a fault of this program: {problem}");
        self.schedule.settle(vec![Settlement::lost(lease)]).await;
    }

    /// Notes a turn that got no answer from the runtime. One charm's trouble stops nobody else: only once it happens to
    /// two different ones (or to the only one) is the runtime asked whether it is there.
    fn suspect(&mut self, charm: &CharmRef, turn: &Turn) {
        if turn.runtime_answered() {
            self.suspects.clear();
        }
        // One that was removed or disabled meanwhile may have got no answer just for that.
        if !turn.runtime_failed() || self.link != Link::Up || !self.schedule.is_active(charm) {
            return;
        }
        if !self.suspects.contains(charm) {
            self.suspects.push(charm.clone());
        }
        let is_alone = self.schedule.active(None, 2) < 2;
        if self.suspects.len() > 1 || is_alone {
            self.suspects.clear();
            self.link = Link::Suspected;
            self.probe.notify_one();
        }
    }

    /// Logs a poll, and calls the hook.
    fn report(&mut self, event: &PollEvent, wait: Option<Duration>) {
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

    /// Has the runtime disable or enable the registrations that the schedule wants to.
    pub(super) fn change_statuses(&mut self) {
        for change in self.schedule.take_status_changes() {
            self.change_status(change);
        }
    }

    fn change_status(&mut self, StatusChange { charm, disable }: StatusChange) {
        let runtime = self.runtime.clone();
        self.chores.spawn(async move {
            let answer = guarded(
                runtime.set_disabled(&charm, disable.as_deref().map(|reason| (DisabledBy::Failures, reason))),
                CHORE_LIMIT,
            )
            .await;
            let answer = answer.unwrap_or_else(|problem| Err(RuntimeError::unavailable(problem)));
            (charm, answer)
        });
    }

    pub(super) async fn chore_ended(
        &mut self,
        done: Result<(CharmRef, Result<Registration, RuntimeError>), JoinError>,
    ) {
        if let Ok((charm, answer)) = done {
            self.schedule.status_changed(&charm, answer).await;
        }
    }
}
