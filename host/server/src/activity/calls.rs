//! Totals of component calls.

use std::collections::BTreeMap;

use bg_charm_api::wire::{CallTotals, FunctionCalls};
use bg_egress::Owner;
use bg_poller::{LogLine, OutcomeKind};
use bg_sandbox::CallRecord;

/// All calls, by owner and function. Functions are those of the contract, and integrations those of the operator.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    totals: BTreeMap<Owner, BTreeMap<&'static str, CallTotals>>,
    /// The log of the last failed call, by owner.
    failed: BTreeMap<Owner, Vec<LogLine>>,
}

impl Calls {
    pub(crate) fn note(&mut self, record: &CallRecord) {
        let CallRecord { owner, function, outcome, elapsed, busy, memory, last_lines } = record;
        if *outcome != OutcomeKind::Success && matches!(owner, Owner::Integration(_)) {
            self.failed.insert(owner.clone(), last_lines.clone());
        }
        if !self.totals.contains_key(owner) {
            self.totals.insert(owner.clone(), BTreeMap::new());
        }
        let Some(functions) = self.totals.get_mut(owner) else { return };
        let totals = functions.entry(function).or_default();
        totals.calls += 1;
        totals.failed += u64::from(*outcome != OutcomeKind::Success);
        totals.elapsed = totals.elapsed.saturating_add(*elapsed);
        totals.longest = totals.longest.max(*elapsed);
        totals.busy = totals.busy.saturating_add(*busy);
        totals.memory = totals.memory.max(memory.unwrap_or(0) as u64);
    }

    /// The last lines of its last call that failed.
    pub(crate) fn failed_log(&self, owner: &Owner) -> Vec<LogLine> {
        self.failed.get(owner).cloned().unwrap_or_default()
    }

    pub(crate) fn of(&self, owner: &Owner) -> Vec<FunctionCalls> {
        let functions = self.totals.get(owner).into_iter().flatten();
        functions
            .map(|(function, totals)| FunctionCalls { function: (*function).to_owned(), totals: totals.clone() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bg_poller::{LogLevel, UnixMillis};

    use super::*;

    #[test]
    fn calls_are_added_up_by_owner_and_function() {
        let mut calls = Calls::default();
        let millis = Duration::from_millis;
        let record = |outcome, elapsed, memory| CallRecord {
            owner: Owner::Charms,
            function: "handle",
            outcome,
            elapsed: millis(elapsed),
            busy: millis(elapsed / 2),
            memory,
            last_lines: Vec::new(),
        };
        calls.note(&record(OutcomeKind::Success, 10, Some(64)));
        calls.note(&record(OutcomeKind::Timeout, 40, None));
        let expected =
            CallTotals { calls: 2, failed: 1, elapsed: millis(50), longest: millis(40), busy: millis(25), memory: 64 };
        assert_eq!(
            calls.of(&Owner::Charms),
            [FunctionCalls { function: "handle".to_owned(), totals: expected.clone() }]
        );
        assert_eq!((expected.mean(), CallTotals::default().mean()), (millis(25), Duration::ZERO));
        assert_eq!(calls.of(&Owner::Integration("mail".parse().unwrap())), []);
    }

    #[test]
    fn the_log_of_the_last_call_that_failed_is_kept() {
        let mut calls = Calls::default();
        let owner = Owner::Integration("mail".parse().unwrap());
        let mut note = |outcome, text: &str| {
            let line = LogLine { at: UnixMillis(1), level: LogLevel::Error, text: text.to_owned() };
            calls.note(&CallRecord {
                owner: owner.clone(),
                function: "fetch-charms",
                outcome,
                elapsed: Duration::ZERO,
                busy: Duration::ZERO,
                memory: None,
                last_lines: vec![line],
            });
            calls.failed_log(&owner).into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        assert!(note(OutcomeKind::Success, "fine").is_empty());
        assert_eq!(note(OutcomeKind::Trapped, "one"), ["one"]);
        assert_eq!(note(OutcomeKind::Success, "fine"), ["one"]);
        assert_eq!(note(OutcomeKind::Denied, "two"), ["two"]);
    }
}
