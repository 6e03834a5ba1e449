//! Conditions on registrations, in the SQL that all databases have.

use std::sync::LazyLock;

use bg_poller::{Blame, Consequence, OutcomeKind};

/// Whether the last outcome of a registration was no success.
pub static FAILED: LazyLock<String> = LazyLock::new(|| last_outcome_that(|one| one != Consequence::Clears));

/// Whether a registration waits for a change, unless it is disabled or has changed since.
pub static WAITS: LazyLock<String> = LazyLock::new(|| last_outcome_that(|one| one == Consequence::Waits));

/// Whether the cause of the last outcome is elsewhere, where somebody may fix it.
pub static AWAITS_A_FIX: LazyLock<String> = LazyLock::new(|| last_outcome_that(Consequence::awaits_a_fix));

/// A condition of registrations whose last outcome has such a consequence, made of what [`Consequence::of`] says, so
/// that the two cannot differ. As where a row is read, a kind that is not known is none, and a blame that is not known
/// is not said.
fn last_outcome_that(is_so: impl Fn(Consequence) -> bool) -> String {
    let quoted = |words: Vec<&str>| words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    let known = quoted(Blame::ALL.map(Blame::as_str).to_vec());
    let conditions = OutcomeKind::ALL.into_iter().filter_map(|kind| {
        let blames = Blame::ALL.into_iter().filter(|blame| is_so(Consequence::of(kind, Some(*blame))));
        let blames: Vec<&str> = blames.map(Blame::as_str).collect();
        let unsaid = is_so(Consequence::of(kind, None));
        let is_one = match (blames.is_empty(), unsaid) {
            (true, false) => return None,
            (false, false) => format!("last_blame IN ({})", quoted(blames)),
            (true, true) => format!("(last_blame IS NULL OR last_blame NOT IN ({known}))"),
            (false, true) => {
                format!("(last_blame IN ({}) OR last_blame IS NULL OR last_blame NOT IN ({known}))", quoted(blames))
            }
        };
        Some(format!("last_kind = '{kind}' AND {is_one}"))
    });
    format!("coalesce({}, FALSE)", conditions.collect::<Vec<_>>().join(" OR "))
}
