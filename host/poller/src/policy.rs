//! When a charm is polled next. Pure functions: everything they depend on is an argument.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::{Consequence, UnixMillis};

/// A failing charm is polled at least this often (or once an interval, if that is longer), until it is disabled.
pub(crate) const BACKOFF_CAP: Duration = Duration::from_hours(1);

/// A charm that fails for reasons elsewhere is polled at least this often (or once an interval, if that is longer).
pub(crate) const AGAIN_CAP: Duration = Duration::from_mins(15);

/// A charm that waits for a change is polled this often (or once an interval, if that is longer): the cause may be
/// fixed where this service does not see it, such as at a token service.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// How long a charm stays disabled for its failures. The original's.
pub(crate) const RETURN_AFTER: Duration = Duration::from_hours(24);

/// A backoff is shortened by up to this part, so that charms which failed together do not come back together.
const JITTER: f64 = 0.1;

/// What follows a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next poll starts this long after the start of the one that ended if that was a success, else after its end.
    After(Duration),
    /// The charm waits for a change; without one, it is polled this long after the end of the poll.
    Wait(Duration),
    /// The charm is disabled.
    Disable,
}

/// The counts of a charm's failed polls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Failures in a row that count against it.
    pub(crate) failures: u32,
    /// Polls in a row that failed for reasons elsewhere, and do not count against it.
    pub(crate) tries: u8,
}

/// Decides what follows a poll: the counts after it, and the next step. `disable_at` failures disable the charm; 0 is
/// never.
pub(crate) fn decide(
    consequence: Consequence,
    Count { failures, tries }: Count,
    interval: Duration,
    disable_at: u32,
    jitter: f64,
) -> (Count, Next) {
    let wait = |failures| delay(interval, failures, jitter);
    match consequence {
        Consequence::Clears => (Count::default(), Next::After(interval)),
        Consequence::Counts | Consequence::CountsForIntegration => {
            let failures = failures.saturating_add(1);
            let disables = disable_at > 0 && failures >= disable_at;
            let next = if disables { Next::Disable } else { Next::After(wait(failures)) };
            (Count { failures, tries: 0 }, next)
        }
        Consequence::Waits => (Count { failures, tries: 0 }, Next::Wait(LOOK_AGAIN.max(interval))),
        Consequence::TriesAgain => {
            let tries = tries.saturating_add(1);
            let again = wait(u32::from(tries)).min(AGAIN_CAP.max(interval));
            (Count { failures, tries }, Next::After(again.max(wait(failures))))
        }
        // The runtime's failure is not the charm's: nothing about the charm changes.
        Consequence::AsksTheRuntime => (Count { failures, tries }, Next::After(wait(failures))),
    }
}

/// How long a charm waits after `failures` in a row: the interval × 2ⁿ, less up to a tenth by `jitter` (0 to 1); at
/// most [`BACKOFF_CAP`], and never less than the interval.
pub(crate) fn delay(interval: Duration, failures: u32, jitter: f64) -> Duration {
    if failures == 0 {
        return interval;
    }
    let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    let full = interval.saturating_mul(factor).min(BACKOFF_CAP.max(interval));
    full.mul_f64(1.0 - JITTER * jitter.clamp(0.0, 1.0)).max(interval)
}

/// A jitter from 0 to 1 that depends only on what fails (a charm, an integration) and how often. Random numbers would
/// be no better, and this way the time of a poll can be computed.
pub(crate) fn jitter(who: &impl Hash, failures: u32) -> f64 {
    let mut hasher = DefaultHasher::new();
    (who, failures).hash(&mut hasher);
    let [high, low, ..] = hasher.finish().to_be_bytes();
    f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
}

/// When a charm that is registered at the start of the service is due: milliseconds from `now`, negative if its time
/// has passed.
///
/// `stored` is its stored state: the next due time, and the failures. The runtime stores `last_run` together with what
/// the poll wrote, while the stored state may have been lost with the process: so the poll is never due before an
/// interval has passed since then. Nor is it due later than the policy allows: the wall clock may have been set back.
pub(crate) fn first_due(
    stored: Option<(UnixMillis, u32)>,
    last_run: UnixMillis,
    interval: Duration,
    now: UnixMillis,
) -> i64 {
    let after_last = if last_run.is_never() || last_run > now { UnixMillis::NEVER } else { last_run + interval };
    let (due, failures) = match stored {
        Some((due, failures)) => (due.max(after_last), failures),
        None if after_last.is_never() => (now, 0),
        None => (after_last, 0),
    };
    let offset = i128::from(due.0) - i128::from(now.0);
    let offset = offset.clamp(i128::from(i32::MIN), i128::from(millis(delay(interval, failures, 0.0))));
    i64::try_from(offset).expect("it was clamped to that range")
}

/// Spreads charms over an interval in which `of` charms are polled in all: one after `first`, each further one an `of`th
/// of the interval later, none before its time, and none sooner than `gap` after the one before: their last polls may
/// have been made at once. Times are milliseconds. The earliest due comes first, so none is forgotten.
pub(crate) fn smear(due: &mut [(i64, u32)], now: i64, interval: Duration, of: usize, first: Duration, gap: Duration) {
    due.sort_unstable();
    let micros = |duration: Duration| i128::try_from(duration.as_micros()).unwrap_or(i128::MAX);
    let (interval, of, mut free) = (micros(interval), of.max(due.len()).max(1) as i128, i128::MIN);
    for (place, (at, _)) in due.iter_mut().enumerate() {
        let turn = i128::from(now) * 1_000 + micros(first) + interval * place as i128 / of;
        let start = turn.max(i128::from(*at) * 1_000).max(free);
        free = start + micros(gap);
        *at = i64::try_from(start / 1_000).unwrap_or(i64::MAX);
    }
}

/// Parts from 0 to 1 of which any number in a row are spread evenly: multiples of the golden ratio, without their whole parts.
pub(crate) fn part(number: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    (f64::from(number) * GOLDEN).fract()
}

/// A duration in milliseconds; some 292 million years at most.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Blame, OutcomeKind};

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn each_failure_doubles_the_wait_up_to_an_hour() {
        let waits: Vec<u64> = (0..9).map(|failures| delay(MINUTE, failures, 0.0).as_secs() / 60).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn jitter_takes_off_a_tenth_at_most() {
        assert_eq!(delay(MINUTE, 3, 1.0), Duration::from_secs(432));
        assert_eq!(delay(MINUTE, 0, 1.0), MINUTE);
    }

    #[test]
    fn an_interval_longer_than_the_cap_is_kept() {
        let day = Duration::from_hours(24);
        assert_eq!(delay(day, 4, 1.0), day);
    }

    fn counted(failures: u32, tries: u8) -> Count {
        Count { failures, tries }
    }

    #[test]
    fn a_success_clears_failures_and_what_is_not_the_charms_fault_does_not_count() {
        use Consequence::{AsksTheRuntime, Clears, TriesAgain, Waits};
        let cases = [
            (Clears, counted(4, 3), counted(0, 0), Next::After(MINUTE)),
            (AsksTheRuntime, counted(4, 3), counted(4, 3), Next::After(16 * MINUTE)),
            (AsksTheRuntime, counted(0, 0), counted(0, 0), Next::After(MINUTE)),
            (Waits, counted(4, 3), counted(4, 0), Next::Wait(60 * MINUTE)),
            (TriesAgain, counted(0, 0), counted(0, 1), Next::After(2 * MINUTE)),
            (TriesAgain, counted(0, 2), counted(0, 3), Next::After(8 * MINUTE)),
            (TriesAgain, counted(0, u8::MAX), counted(0, u8::MAX), Next::After(15 * MINUTE)),
            (TriesAgain, counted(4, 0), counted(4, 1), Next::After(16 * MINUTE)),
        ];
        for (consequence, before, after, next) in cases {
            assert_eq!(decide(consequence, before, MINUTE, 1, 0.0), (after, next), "{consequence:?}");
        }
        let day = Duration::from_hours(24);
        assert_eq!(decide(Waits, counted(0, 0), day, 5, 0.0).1, Next::Wait(day));
        assert_eq!(decide(TriesAgain, counted(0, 0), day, 5, 0.0).1, Next::After(day));
    }

    #[test]
    fn the_last_allowed_failure_disables() {
        let counts = |failures, disable_at| decide(Consequence::Counts, counted(failures, 2), MINUTE, disable_at, 0.0);
        assert_eq!(counts(3, 5), (counted(4, 0), Next::After(16 * MINUTE)));
        assert_eq!(counts(4, 5), (counted(5, 0), Next::Disable));
        assert_eq!(counts(1_000, 0), (counted(1_001, 0), Next::After(60 * MINUTE)));
    }

    #[test]
    fn a_stored_due_time_is_kept_within_reason() {
        let now = UnixMillis(10_000_000);
        let at = |offset: i64| UnixMillis(now.0.saturating_add_signed(offset));
        // (stored due and failures, last run, when it is due)
        let cases = [
            (None, UnixMillis::NEVER, 0),
            (None, at(-20_000), 40_000),
            (None, at(-80_000), -20_000),
            (Some((at(30_000), 0)), at(-30_000), 30_000),
            (Some((at(-5_000), 0)), at(-65_000), -5_000),
            // Triggered, but the process ended before the next due time was written.
            (Some((at(-5_000), 0)), at(-5_000), 55_000),
            // The wall clock was set back by a day.
            (Some((at(86_400_000), 0)), at(86_340_000), 60_000),
            (Some((at(86_400_000), 2)), at(86_340_000), 240_000),
        ];
        for (stored, last_run, expected) in cases {
            assert_eq!(first_due(stored, last_run, MINUTE, now), expected, "{stored:?} {last_run:?}");
        }
    }

    #[test]
    fn charms_are_spread_over_the_interval_the_oldest_first() {
        let mut due = [(0, 1), (-500, 2), (100_000, 3), (0, 4)];
        smear(&mut due, 0, MINUTE, 4, Duration::ZERO, Duration::ZERO);
        assert_eq!(due, [(0, 2), (15_000, 1), (30_000, 4), (100_000, 3)]);
        smear(&mut due[..2], 0, MINUTE, 2, Duration::from_secs(7), Duration::ZERO);
        assert_eq!(due[..2], [(7_000, 2), (37_000, 1)]);
    }

    #[test]
    fn any_number_of_parts_in_a_row_is_spread_evenly() {
        for count in 1..500 {
            let mut parts: Vec<f64> = (0..count).map(part).chain([1.0]).collect();
            parts.sort_unstable_by(f64::total_cmp);
            let widest = parts.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            assert!(widest * f64::from(u32::try_from(count).unwrap()) < 2.0, "{count}: {widest}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_the_interval_nor_longer_than_the_cap(
            interval in 1_u64..200_000_000, failures: u32, jitter in 0.0..=1.0_f64,
        ) {
            let interval = Duration::from_millis(interval);
            let wait = delay(interval, failures, jitter);
            prop_assert!(wait >= interval);
            prop_assert!(wait <= BACKOFF_CAP.max(interval));
        }

        #[test]
        fn more_failures_never_mean_a_shorter_wait(interval in 1_u64..10_000_000, failures in 0_u32..100, jitter in 0.0..=1.0_f64) {
            let interval = Duration::from_millis(interval);
            prop_assert!(delay(interval, failures + 1, jitter) >= delay(interval, failures, jitter));
        }

        #[test]
        fn failures_are_counted_only_where_they_count(
            kind in proptest::sample::select(OutcomeKind::ALL.to_vec()),
            blame in proptest::option::of(proptest::sample::select(Blame::ALL.to_vec())),
            failures in 0_u32..10, tries: u8, disable_at in 0_u32..10,
        ) {
            let consequence = Consequence::of(kind, blame);
            let (after, next) = decide(consequence, counted(failures, tries), MINUTE, disable_at, 0.5);
            let counts = matches!(consequence, Consequence::Counts | Consequence::CountsForIntegration);
            match consequence {
                Consequence::Clears => prop_assert_eq!(after.failures, 0),
                _ if counts => prop_assert_eq!(after.failures, failures + 1),
                _ => prop_assert_eq!(after.failures, failures),
            }
            prop_assert_eq!(next == Next::Disable, counts && disable_at > 0 && after.failures >= disable_at);
            prop_assert_eq!(matches!(next, Next::Wait(_)), consequence == Consequence::Waits);
        }

        #[test]
        fn a_charm_found_at_start_is_due_within_its_wait_and_never_within_an_interval_of_its_last_run(
            due: Option<(u64, u32)>, last_run: u64, interval in 1_u64..10_000_000, now in 1_u64..u64::MAX / 2,
        ) {
            let interval = Duration::from_millis(interval);
            let stored = due.map(|(due, failures)| (UnixMillis(due), failures));
            let offset = first_due(stored, UnixMillis(last_run), interval, UnixMillis(now));
            prop_assert!(offset <= millis(delay(interval, stored.map_or(0, |(_, failures)| failures), 0.0)));
            if last_run > 0 && last_run <= now {
                prop_assert!(i128::from(offset) >= (i128::from(last_run) + interval.as_millis().cast_signed() - i128::from(now)).max(i128::from(i32::MIN)));
            }
        }

        #[test]
        fn smearing_starts_no_charm_early_none_later_than_an_interval_and_none_together(
            offsets in proptest::collection::vec(-100_000_i64..60_000, 1..200), more in 0_usize..100,
        ) {
            let mut due: Vec<(i64, u32)> = offsets.iter().copied().zip(0..).collect();
            let of = due.len() + more;
            let gap = MINUTE.mul_f64(0.8) / u32::try_from(of).unwrap();
            smear(&mut due, 1_000, MINUTE, of, Duration::ZERO, gap);
            for (at, slot) in &due {
                let wanted = offsets[*slot as usize];
                prop_assert!(*at >= wanted && *at >= 1_000 && *at <= (wanted + 48_000).max(1_000 + 60_000));
            }
            let gap = i64::try_from(gap.as_millis()).unwrap();
            prop_assert!(due.windows(2).all(|pair| pair[1].0 - pair[0].0 >= gap));
            // In any window, no more are started than the long-run rate allows, of those that were overdue.
            let overdue = offsets.iter().filter(|at| **at <= 1_000).count();
            let mut starts: Vec<i64> = due.iter().map(|(at, _)| *at).collect();
            starts.sort_unstable();
            if overdue > 1 {
                prop_assert!(starts[overdue - 1] >= 1_000 + 60_000 * i64::try_from(overdue - 1).unwrap() / i64::try_from(of).unwrap());
            }
        }
    }
}
