//! Calls of components, added up.

use std::collections::BTreeMap;

use bg_charms::api::{CallTotals, FunctionCalls};
use bg_egress::Owner;
use bg_poller::OutcomeKind;
use bg_sandbox::CallRecord;

/// All calls, by whose and by function. The functions are those of the contract, and integrations those that the operator has given.
#[derive(Debug, Default)]
pub(crate) struct Calls(BTreeMap<Owner, BTreeMap<&'static str, CallTotals>>);

impl Calls {
    pub(crate) fn note(&mut self, record: &CallRecord) {
        let CallRecord { owner, function, outcome, elapsed, busy, memory } = record;
        if !self.0.contains_key(owner) {
            self.0.insert(owner.clone(), BTreeMap::new());
        }
        let Some(functions) = self.0.get_mut(owner) else { return };
        let totals = functions.entry(function).or_default();
        totals.calls += 1;
        totals.failed += u64::from(*outcome != OutcomeKind::Success);
        totals.elapsed = totals.elapsed.saturating_add(*elapsed);
        totals.longest = totals.longest.max(*elapsed);
        totals.busy = totals.busy.saturating_add(*busy);
        totals.memory = totals.memory.max(memory.unwrap_or(0) as u64);
    }

    pub(crate) fn of(&self, owner: &Owner) -> Vec<FunctionCalls> {
        let functions = self.0.get(owner).into_iter().flatten();
        functions
            .map(|(function, totals)| FunctionCalls { function: (*function).to_owned(), totals: totals.clone() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
}
