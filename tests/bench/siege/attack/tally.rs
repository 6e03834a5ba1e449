//! The results of attacks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Attack;

/// The results of one attack, by kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Answers, and what was achieved.
    answers: BTreeMap<String, u64>,
    /// What succeeded and should have been refused.
    breaches: BTreeMap<String, u64>,
}

/// Counts while the attack runs.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one result.
    pub(super) fn count(&self, what: &str) {
        self.add(what, 1);
    }

    /// Counts several results, or an amount.
    pub(super) fn add(&self, what: &str, more: u64) {
        *self.lock().answers.entry(what.to_owned()).or_default() += more;
    }

    /// Counts something that succeeded and should have been refused.
    pub(super) fn breach(&self, what: &str) {
        *self.lock().breaches.entry(what.to_owned()).or_default() += 1;
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }
}

/// The latest report of the attackers' process.
#[derive(Debug, Default)]
pub(crate) struct Tallies(BTreeMap<Attack, Counts>);

impl Tallies {
    /// Parses a line of the report; other lines are for people.
    pub(crate) fn read(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(counts) => self.0 = counts,
            Err(_) => eprintln!("attackers: {line}"),
        }
    }

    /// The counts of one attack.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52 of anything")]
    pub(crate) fn answers(&self, attack: Attack) -> Vec<(&str, f64)> {
        let counts = self.0.get(&attack).into_iter().flat_map(|counts| &counts.answers);
        counts.map(|(what, count)| (what.as_str(), *count as f64)).collect()
    }

    /// Whether each attack was answered, or cut off, at least once.
    pub(crate) fn all_happened(&self, attacks: &[Attack]) -> bool {
        let is_answer =
            |what: &str| what.ends_with("closed") || what.split(&[':', ' ']).any(|word| word.parse::<u16>().is_ok());
        attacks.iter().all(|attack| self.answers(*attack).iter().any(|(what, _)| is_answer(what)))
    }

    /// What succeeded and should have been refused, over all attacks.
    pub(crate) fn breaches(&self) -> BTreeMap<String, u64> {
        let all = self.0.iter().flat_map(|(attack, counts)| {
            counts.breaches.iter().map(|(what, count)| (format!("{}: {what}", attack.name()), *count))
        });
        all.collect()
    }
}
