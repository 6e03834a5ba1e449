//! The run history.

use std::time::Duration;

use bg_poller::{Blame, Cause, CharmRef, Outcome, OutcomeKind, Run};
use bg_store::{kept_millis, sound};
use rusqlite::{Row, Transaction};

use super::Failure;
use super::column::Columns;

/// Adds a run of the charm in that row, and drops the oldest if there are more than `kept` then.
pub(crate) fn add(tx: &Transaction<'_>, row: i64, run: &Run, kept: u32) -> Result<(), Failure> {
    let (outcome, millis) = (&run.outcome, kept_millis(run.duration));
    tx.prepare_cached(
        "INSERT INTO runs (charm, started_at, duration_ms, kind, message, stack, blame, cause) VALUES (?1, ?2, ?3, ?4, \
         ?5, ?6, ?7, ?8)",
    )?
    .execute((
        row,
        run.started_at.0,
        millis,
        outcome.kind.as_str(),
        &outcome.message,
        &outcome.stack,
        outcome.blame().map(Blame::as_str),
        outcome.cause.map(Cause::as_str),
    ))?;
    // With the number in its text: SQLite would compile it again each time, since a bound limit may decide how a
    // statement is run.
    tx.prepare_cached(&format!(
        "DELETE FROM runs WHERE charm = ?1 AND row <= \
         (SELECT row FROM runs WHERE charm = ?1 ORDER BY row DESC LIMIT 1 OFFSET {kept})"
    ))?
    .execute([row])?;
    Ok(())
}

/// Whether the history has this very run of the charm in that row.
pub(crate) fn has(tx: &Transaction<'_>, row: i64, run: &Run) -> Result<bool, Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT 1 FROM runs WHERE charm = ?1 AND started_at = ?2 AND duration_ms = ?3 AND kind = ?4 AND message IS ?5",
    )?;
    let Outcome { kind, message, .. } = &run.outcome;
    Ok(statement.exists((row, run.started_at.0, kept_millis(run.duration), kind.as_str(), message))?)
}

/// The kind of an outcome by its name; none if it is one of a later version of this program.
pub(super) fn known_kind(name: &str) -> Option<OutcomeKind> {
    OutcomeKind::ALL.into_iter().find(|known| known.as_str() == name)
}

/// The newest runs of the charm in that row, newest first.
pub(crate) fn newest(tx: &Transaction<'_>, row: i64, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT started_at, duration_ms, kind, message, stack, blame, cause FROM runs WHERE charm = ?1 ORDER BY row \
         DESC LIMIT ?2",
    )?;
    // There are never more.
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query((row, limit))?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.extend(sound(run(row, charm), || format!("the run history of {charm}"))?);
    }
    Ok(runs)
}

fn run(row: &Row<'_>, charm: &CharmRef) -> Result<Run, Failure> {
    let kind = row.parse(2, known_kind)?;
    let blame = row.column::<Option<String>>(5)?.and_then(|name| Blame::of_name(&name));
    let cause = row.column::<Option<String>>(6)?.and_then(|name| Cause::of_name(&name));
    Ok(Run {
        charm: charm.clone(),
        started_at: row.time(0)?,
        duration: Duration::from_millis(row.column(1)?),
        outcome: Outcome { kind, blame, cause, message: row.column(3)?, stack: row.column(4)?, ..Outcome::success() },
    })
}
