//! After a stall: what became due meanwhile is spread over the interval, as at a start.
//!
//! Whatever keeps the loop, or the polls, from going on (the process was stopped, its container frozen, the machine suspended; the runtime
//! did not answer; a clock jumped) makes everything due at once. Polled at once, it would stay together in all intervals that follow.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::Engine;
use super::turns::missed;
use crate::table::{Entry, Phase, Slot};
use crate::wheel::Wheel;
use crate::{Limit, policy};

/// How far the loop may be behind its times. What is due within this time starts at once, which is a quarter more than usual in one
/// second.
const BEHIND: Duration = Duration::from_millis(250);
/// The loop may be behind by this many times what spreading takes: otherwise spreading a million charms would lead to the next one.
const COST_FACTOR: u32 = 4;
/// A stall is worth a line in the log, and polls that get stuck are a stall, from this time on.
const WORTH_A_LINE: Duration = Duration::from_secs(1);
/// A part of the interval: a stall that is shorter than it brings few charms together.
const SMALL_PART: u32 = 10;

impl Engine {
    /// Spreads what is overdue if the loop has not gone on when something was due.
    pub(super) fn notice_stall(&mut self) {
        let due = self.wheel.next().unwrap_or(i64::MAX);
        let behind = Duration::from_millis(u64::try_from(self.elapsed().saturating_sub(due)).unwrap_or(0));
        if self.options.limit == Limit::Once || behind <= BEHIND.max(self.spread_cost * COST_FACTOR) {
            return;
        }
        if behind >= WORTH_A_LINE {
            info!(
                target: "poller", behind_ms = policy::millis(behind),
                "The poll loop stood still for {:.1} s; polls are spread over the interval again", behind.as_secs_f64()
            );
        }
        self.spread_all(behind);
    }

    /// All places for polls are taken, or not. Called after polls were started.
    pub(super) fn note_full(&mut self) {
        if self.ready.is_full() && self.ready.queued() > 0 {
            self.full_since.get_or_insert_with(Instant::now);
        } else {
            self.full_since = None;
        }
    }

    /// A poll has ended. If none did for long, while all places were taken and others waited for one, they would now all start as fast
    /// as they can: they are spread.
    pub(super) fn note_progress(&mut self) {
        let Some(stuck) = self.full_since.take().map(|since| since.elapsed()) else { return };
        if self.options.limit == Limit::Once || stuck < WORTH_A_LINE.max(self.options.interval / SMALL_PART) {
            return;
        }
        info!(
            target: "poller", stuck_ms = policy::millis(stuck),
            "No poll ended for {:.1} s while all places were taken; polls are spread over the interval again", stuck.as_secs_f64()
        );
        self.spread_all(stuck);
    }

    /// Gives every charm that waits a new time, after a stall of so long: those in the queue in the order of their turns, then the
    /// others in the order of their times. Takes time in proportion to the number of charms, whatever their integrations.
    pub(super) fn spread_all(&mut self, stall: Duration) {
        let (began, now) = (Instant::now(), self.elapsed());
        let mut due: Vec<(i64, Slot)> = (i64::MIN..).zip(self.ready.withdraw_all()).collect();
        let waits = |entry: &Entry| match entry.phase {
            Phase::Waiting => true,
            // Enabled again, they are polled at once.
            Phase::Disabled => entry.due <= now,
            Phase::Idle | Phase::Ready | Phase::Running | Phase::LeftOut => false,
        };
        due.extend(self.table.iter().filter(|(_, entry)| waits(entry)).map(|(slot, entry)| (entry.due, slot)));
        for (_, slot) in &due {
            let Some(entry) = self.table.get(*slot).filter(|entry| entry.is_active()) else { continue };
            let late = Duration::from_millis(u64::try_from(now.saturating_sub(entry.due)).unwrap_or(0));
            self.summary.dropped += missed(late, self.interval(entry));
        }
        let later = |entry: &Entry| entry.phase == Phase::Disabled && entry.due > now;
        let later: Vec<(i64, Slot)> =
            self.table.iter().filter(|(_, entry)| later(entry)).map(|(slot, entry)| (entry.due, slot)).collect();
        // The times from before are of nobody any more; those that have passed would look like a stall.
        self.wheel = Wheel::default();
        for (at, slot) in later {
            self.wheel.arm(at, slot);
        }
        self.spread(due, &HashMap::new());
        for group in &mut self.groups {
            // Its next list may name many charms at once that had nothing new before.
            group.is_stale |= stall > group.interval / SMALL_PART;
        }
        self.spread_cost = began.elapsed();
    }

    /// At the start: charms whose time to be enabled again passed while the loop did not run.
    pub(super) fn spread_returning(&mut self) {
        let now = self.now();
        let returns = |entry: &Entry| entry.phase == Phase::Disabled && entry.due <= now;
        let due =
            self.table.iter().filter(|(_, entry)| returns(entry)).map(|(slot, entry)| (entry.due, slot)).collect();
        self.spread(due, &HashMap::new());
    }
}
