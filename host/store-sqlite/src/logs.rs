//! What charms logged.

use bg_charm_api::LogEntry;
use bg_poller::{CharmRef, LogLevel, LogLine};
use bg_store::{LINES_KEPT, sound};
use rusqlite::{Row, Rows, Transaction};

use super::Failure;
use super::column::Columns as _;

const COLUMNS: &str = "row, at, level, text";

/// Adds lines of the charm in that row, and drops the oldest over [`LINES_KEPT`].
pub(crate) fn add(tx: &Transaction<'_>, row: i64, lines: &[LogLine]) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut insert = tx.prepare_cached("INSERT INTO logs (charm, at, level, text) VALUES (?1, ?2, ?3, ?4)")?;
    for line in lines {
        insert.execute((row, line.at.0, line.level.as_str(), &line.text))?;
    }
    // With the number in its text: SQLite would compile it again each time, since a bound limit may decide how a
    // statement is run.
    tx.prepare_cached(&format!(
        "DELETE FROM logs WHERE charm = ?1 AND row <= \
         (SELECT row FROM logs WHERE charm = ?1 ORDER BY row DESC LIMIT 1 OFFSET {LINES_KEPT})"
    ))?
    .execute([row])?;
    Ok(())
}

/// The first `limit` lines after the one that a cursor names.
pub(crate) fn after(
    tx: &Transaction<'_>,
    row: i64,
    charm: &CharmRef,
    cursor: u64,
    limit: usize,
) -> Result<Vec<LogEntry>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM logs WHERE charm = ?1 AND row > ?2 ORDER BY row LIMIT ?3");
    let mut statement = tx.prepare_cached(&sql)?;
    // No line has a number that SQLite cannot count to.
    let cursor = i64::try_from(cursor).unwrap_or(i64::MAX);
    entries(statement.query((row, cursor, limit.min(LINES_KEPT)))?, charm)
}

/// The newest `limit` lines, oldest first.
pub(crate) fn newest(tx: &Transaction<'_>, row: i64, charm: &CharmRef, limit: usize) -> Result<Vec<LogEntry>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM logs WHERE charm = ?1 ORDER BY row DESC LIMIT ?2");
    let mut statement = tx.prepare_cached(&sql)?;
    let mut entries = entries(statement.query((row, limit.min(LINES_KEPT)))?, charm)?;
    entries.reverse();
    Ok(entries)
}

fn entries(mut rows: Rows<'_>, charm: &CharmRef) -> Result<Vec<LogEntry>, Failure> {
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.extend(sound(entry(row), || format!("the log of {charm}"))?);
    }
    Ok(entries)
}

/// A row of [`COLUMNS`].
fn entry(row: &Row<'_>) -> Result<LogEntry, Failure> {
    let of_name = |name: &str| LogLevel::ALL.into_iter().find(|known| known.as_str() == name);
    let line = LogLine { at: row.time(1)?, level: row.parse(2, of_name)?, text: row.column(3)? };
    Ok(LogEntry { cursor: row.column(0)?, line })
}
