//! The revision of the registrations, and their newest changes: which revision was about which charm.

use bg_poller::{CharmRef, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::Failure;

/// How many are remembered. Who has missed more reads all registrations.
pub(super) const KEPT: u64 = 1_000;

/// A migration. Each change of one registration has a revision, and a row, of its own; what changes many at once has a
/// revision without a row, so that who has not seen it reads all of them.
pub(super) const CREATE: &str = "
CREATE TABLE registration_changes (revision INTEGER PRIMARY KEY, space TEXT NOT NULL, id TEXT NOT NULL) STRICT;
";

/// A number that rises with every registration, removal, enabling, disabling and other interval; not with what polls
/// note. 0 if it is damaged, until the next of these replaces it.
pub(crate) fn revision(connection: &Connection) -> rusqlite::Result<u64> {
    let found = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'registrations_revision'")?
        .query_row([], |row| Ok(row.get_ref(0)?.as_i64().ok()))
        .optional()?;
    Ok(found
        .flatten()
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| *number <= LAST_REVISION)
        .unwrap_or(0))
}

/// Far more than there will ever be.
const LAST_REVISION: u64 = 1 << 53;

/// Raises the number, and returns it; it becomes the time, which no count reaches, if it is damaged or missing.
fn advance_revision(tx: &Transaction<'_>) -> rusqlite::Result<u64> {
    tx.prepare_cached(
        "INSERT INTO meta (key, value) VALUES ('registrations_revision', ?1) ON CONFLICT (key) DO UPDATE SET value = \
         CASE WHEN typeof(value) = 'integer' AND value BETWEEN 0 AND ?2 THEN value + 1 ELSE excluded.value END",
    )?
    .execute((UnixMillis::now().0, LAST_REVISION - 1))?;
    revision(tx)
}

/// Notes a change of the registration of the charm in that row.
pub(super) fn note(tx: &Transaction<'_>, row: i64) -> Result<(), Failure> {
    let revision = advance_revision(tx)?;
    // Of a charm whose name is damaged there is no row, so that all registrations are read.
    tx.prepare_cached(
        "INSERT OR REPLACE INTO registration_changes (revision, space, id) \
         SELECT ?1, space, id FROM charms WHERE row = ?2 AND typeof(space) = 'text' AND typeof(id) = 'text'",
    )?
    .execute((revision, row))?;
    forget(tx, revision)
}

/// The same by the charm's name.
pub(super) fn note_named(tx: &Transaction<'_>, charm: &CharmRef) -> Result<(), Failure> {
    let revision = advance_revision(tx)?;
    tx.prepare_cached("INSERT OR REPLACE INTO registration_changes (revision, space, id) VALUES (?1, ?2, ?3)")?
        .execute((revision, charm.space.as_str(), charm.charm.as_str()))?;
    forget(tx, revision)
}

fn forget(tx: &Transaction<'_>, revision: u64) -> Result<(), Failure> {
    tx.prepare_cached("DELETE FROM registration_changes WHERE revision <= ?1")?
        .execute([revision.saturating_sub(KEPT)])?;
    Ok(())
}

/// Forgets a charm that is deleted: of it, not even its name is kept. Who has not seen its last changes reads all
/// registrations.
pub(super) fn forget_charm(tx: &Transaction<'_>, row: i64) -> Result<(), Failure> {
    tx.prepare_cached(
        "DELETE FROM registration_changes WHERE (space, id) = (SELECT space, id FROM charms WHERE row = ?1)",
    )?
    .execute([row])?;
    Ok(())
}

/// Notes that the registrations of these charms have changed at once.
pub(super) fn note_all(tx: &Transaction<'_>, rows: &[i64]) -> Result<(), Failure> {
    if rows.len() as u64 >= KEPT {
        advance_revision(tx)?;
        return Ok(());
    }
    rows.iter().try_for_each(|row| note(tx, *row))
}
