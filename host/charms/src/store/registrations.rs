//! Registrations, the number of their revision, and the integrations' lists of them.

use bg_identity::IntegrationId;
use bg_poller::{CharmRef, Outcome, OutcomeKind, Registration, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::Failure;
use super::charms::charm_ref;

const SELECT: &str = "SELECT space, id, integration, r.created_at, r.updated_at, last_run, disabled_at, status, \
                      (SELECT kind FROM runs WHERE runs.charm = r.charm ORDER BY runs.row DESC LIMIT 1) \
                      FROM registrations r JOIN charms c ON c.row = r.charm";

/// What a status shows of a text, bytes: a list may have a hundred thousand of them, and their texts are of charms' own
/// making. The run history has all of it.
const STATUS_BYTES: usize = 300;

/// A number that rises with every registration, removal, enabling and disabling; not with what polls note.
pub(crate) fn revision(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'registrations_revision'")?
        .query_row([], |row| row.get(0))
}

fn advance_revision(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'registrations_revision'")?.execute([])?;
    Ok(())
}

/// All registrations, oldest first.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Registration>, Failure> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} ORDER BY r.created_at, r.charm"))?;
    statement.query_map([], registration)?.map(|found| found?).collect()
}

/// The registration of the charm in that row.
pub(crate) fn of(tx: &Transaction<'_>, row: i64) -> Result<Option<Registration>, Failure> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} WHERE r.charm = ?1"))?;
    statement.query_row([row], registration).optional()?.transpose()
}

/// The time of a change: never before that of the last one, since a later time is how the poll loop knows that there was one,
/// and the wall clock may have been set back.
const CHANGED_AT: &str = "updated_at = max(?3, registrations.updated_at + 1)";

/// Registers the charm in that row, or re-enables and re-labels its registration.
pub(crate) fn upsert(tx: &Transaction<'_>, row: i64, integration: &IntegrationId) -> Result<(), Failure> {
    tx.prepare_cached(&format!(
        "INSERT INTO registrations (charm, integration, created_at, updated_at, status) \
         VALUES (?1, ?2, ?3, ?3, 'Initializing') ON CONFLICT (charm) DO UPDATE SET \
         integration = excluded.integration, {CHANGED_AT}, disabled_at = 0, status = 'Re-initializing'"
    ))?
    .execute((row, integration.as_str(), UnixMillis::now().0))?;
    Ok(advance_revision(tx)?)
}

/// Disables (with a reason) or enables; false if there is no such registration.
pub(crate) fn set_disabled(tx: &Transaction<'_>, row: i64, reason: Option<&str>) -> Result<bool, Failure> {
    let now = UnixMillis::now();
    let (disabled_at, status) = match reason {
        Some(reason) => (now, format!("Disabled: {}", shown(reason))),
        None => (UnixMillis::NEVER, "Re-initializing".to_owned()),
    };
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE registrations SET disabled_at = ?2, {CHANGED_AT}, status = ?4 WHERE charm = ?1"
        ))?
        .execute((row, disabled_at.0, now.0, status))?;
    if changed > 0 {
        advance_revision(tx)?;
    }
    Ok(changed > 0)
}

/// Removes a registration; false if there is none.
pub(crate) fn remove(tx: &Transaction<'_>, charm: &CharmRef) -> Result<bool, Failure> {
    let removed = tx
        .prepare_cached(
            "DELETE FROM registrations WHERE charm = (SELECT row FROM charms WHERE space = ?1 AND id = ?2)",
        )?
        .execute((charm.space.as_str(), charm.charm.as_str()))?;
    if removed > 0 {
        advance_revision(tx)?;
    }
    Ok(removed > 0)
}

/// Notes a poll; false if there is no such registration. The reason of a disabled one stays readable. Of two polls that are
/// noted the later one counts, unless its time is still to come: then the clock has been set back since.
pub(crate) fn note_run(tx: &Transaction<'_>, row: i64, at: UnixMillis, outcome: &Outcome) -> Result<bool, Failure> {
    let changed = tx
        .prepare_cached(
            "UPDATE registrations SET last_run = CASE WHEN last_run > ?4 THEN ?2 ELSE max(last_run, ?2) END, \
             status = CASE disabled_at WHEN 0 THEN ?3 ELSE status END WHERE charm = ?1",
        )?
        .execute((row, at.0, shown(&outcome.to_string()), UnixMillis::now().0))?;
    Ok(changed > 0)
}

/// Creates the list cell of an integration, unless it is there. What is in the list are its registrations, so that the two
/// cannot disagree.
pub(crate) fn prepare_list(tx: &Transaction<'_>, integration: &IntegrationId) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO integration_lists (integration, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?
    .execute((integration.as_str(), UnixMillis::now().0))?;
    Ok(())
}

/// What is in the list cell of an integration; none if there is no such cell.
pub(crate) fn list(tx: &Transaction<'_>, integration: &IntegrationId) -> Result<Option<Vec<CharmRef>>, Failure> {
    let id = [integration.as_str()];
    if !tx.prepare_cached("SELECT 1 FROM integration_lists WHERE integration = ?1")?.exists(id)? {
        return Ok(None);
    }
    let mut statement =
        tx.prepare_cached(&format!("{SELECT} WHERE integration = ?1 ORDER BY r.created_at, r.charm"))?;
    let charms = statement.query_map(id, registration)?.map(|found| Ok::<_, Failure>(found??.charm));
    charms.collect::<Result<_, _>>().map(Some)
}

/// A row of [`SELECT`].
fn registration(row: &Row<'_>) -> rusqlite::Result<Result<Registration, Failure>> {
    let (space, id, integration): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let [created_at, updated_at, last_run, disabled_at] =
        [row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?].map(UnixMillis);
    let status = row.get(7)?;
    let kind: Option<String> = row.get(8)?;
    // An outcome of a later version is none that this one knows.
    let last_outcome = kind.and_then(|kind| OutcomeKind::ALL.into_iter().find(|known| known.as_str() == kind));
    Ok(charm_ref(&space, &id).and_then(|charm| {
        let integration = integration.parse().map_err(|_| Failure::Damaged(format!("the registration of {charm}")))?;
        Ok(Registration { charm, integration, created_at, updated_at, last_run, disabled_at, status, last_outcome })
    }))
}

/// What a status shows of a text: the start of its first line.
fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.len() <= STATUS_BYTES {
        line.to_owned()
    } else {
        format!("{}…", &line[..line.floor_char_boundary(STATUS_BYTES)])
    }
}
