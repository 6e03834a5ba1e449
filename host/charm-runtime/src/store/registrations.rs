//! Registrations, the number of their revision, and the integrations' lists of them.

use std::time::Duration;

use bg_identity::{IntegrationId, SpaceDid, SpaceReader};
use bg_poller::{Blame, CharmRef, Consequence, Counters, DisabledBy, Registration, Run, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Params, Row, ToSql, Transaction};

use super::charms::charm_ref;
use super::{Failure, What, changes, runs};

/// With the names of charms from the index that has nothing else in it: their rows have their programs, and reading those of a
/// hundred thousand charms takes seconds.
const SELECT: &str = "SELECT c.space, c.id, r.integration, r.created_at, r.updated_at, r.last_run, r.disabled_at, r.status, \
                      r.last_kind, r.interval_ms, r.last_blame, r.disabled_by, r.charm, r.last_success \
                      FROM charms c INDEXED BY sqlite_autoindex_charms_1 CROSS JOIN registrations r ON r.charm = c.row";

/// What a status shows of a text, bytes: a list may have a hundred thousand of them, and their texts are of charms' own
/// making. The run history has all of it.
const STATUS_BYTES: usize = 300;

/// Whether a registration waits for a change, unless it is disabled: what [`bg_poller::Consequence`] says of its last outcome. A macro, so that
/// other constants can have it in them.
macro_rules! waits {
    () => {
        "coalesce(last_blame IN ('credential', 'configuration'), FALSE)"
    };
}
pub(super) use waits;

/// A number that rises with every registration, removal, enabling, disabling and other interval; not with what polls note.
pub(crate) fn revision(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'registrations_revision'")?
        .query_row([], |row| row.get(0))
}

/// Raises the number; answers it. Only [`changes`] does, which notes what it is for.
pub(super) fn advance_revision(tx: &Transaction<'_>) -> rusqlite::Result<u64> {
    tx.prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'registrations_revision'")?.execute([])?;
    revision(tx)
}

/// All registrations, oldest first.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Registration>, Failure> {
    selected(tx, SELECT, [])
}

/// The enabled registrations of an integration, oldest first.
pub(crate) fn enabled_with_polls(
    tx: &Transaction<'_>,
    integration: &IntegrationId,
) -> Result<Vec<Registration>, Failure> {
    let select = format!("{SELECT} WHERE r.integration = ?1 AND r.disabled_at = 0");
    selected(tx, &select, [integration.as_str()])
}

fn selected(tx: &Transaction<'_>, select: &str, parameters: impl Params) -> Result<Vec<Registration>, Failure> {
    let mut spaces = SpaceReader::default();
    let mut statement = tx.prepare_cached(select)?;
    let mut rows = statement.query(parameters)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        match registration(row, &mut spaces) {
            Ok(registration) => all.push((row.get::<_, i64>("charm")?, registration)),
            // One that is damaged keeps nobody from the others.
            Err(Failure::Damaged(what @ What::OfCharm(_))) => {
                pass_over(&what);
            }
            Err(error) => return Err(error),
        }
    }
    all.sort_unstable_by_key(|(row, registration)| (registration.created_at, *row));
    Ok(all.into_iter().map(|(_, registration)| registration).collect())
}

/// Says that a registration is damaged.
pub(super) fn pass_over(what: &What) {
    tracing::warn!("{what} is damaged, and passed over: put back a backup of the database, or remove it");
}

/// The charms of the enabled registrations of an integration, oldest first.
pub(crate) fn enabled(tx: &Transaction<'_>, integration: &IntegrationId) -> Result<Vec<CharmRef>, Failure> {
    named(tx, integration, "r.integration = ?1 AND r.disabled_at = 0")
}

/// The charms of the registrations for which that holds of the integration, oldest first.
fn named(tx: &Transaction<'_>, integration: &IntegrationId, condition: &str) -> Result<Vec<CharmRef>, Failure> {
    let mut spaces = SpaceReader::default();
    let mut statement = tx.prepare_cached(&format!(
        "SELECT c.space, c.id, r.created_at, r.charm \
         FROM charms c INDEXED BY sqlite_autoindex_charms_1 CROSS JOIN registrations r ON r.charm = c.row WHERE {condition}"
    ))?;
    let mut rows = statement.query([integration.as_str()])?;
    let mut charms = Vec::new();
    while let Some(row) = rows.next()? {
        let order: (i64, i64) = (row.get(2)?, row.get(3)?);
        charms.push((order, charm_ref(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, &mut spaces)?));
    }
    charms.sort_unstable_by_key(|(order, _)| *order);
    Ok(charms.into_iter().map(|(_, charm)| charm).collect())
}

/// The registration of the charm in that row.
pub(crate) fn of(tx: &Transaction<'_>, row: i64) -> Result<Option<Registration>, Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT c.space, c.id, r.integration, r.created_at, r.updated_at, r.last_run, r.disabled_at, r.status, \
         r.last_kind, r.interval_ms, r.last_blame, r.disabled_by, r.charm, r.last_success \
         FROM registrations r JOIN charms c ON c.row = r.charm WHERE r.charm = ?1",
    )?;
    let mut rows = statement.query([row])?;
    rows.next()?.map(|row| registration(row, &mut SpaceReader::default())).transpose()
}

/// The time of a change: never before that of the last one, since a later time is how the poll loop knows that there was one,
/// and the wall clock may have been set back.
const CHANGED_AT: &str = "updated_at = max(?3, registrations.updated_at + 1)";

/// Registers the charm in that row, or re-enables and re-labels its registration.
pub(crate) fn upsert(tx: &Transaction<'_>, row: i64, integration: &IntegrationId) -> Result<(), Failure> {
    tx.prepare_cached(&format!(
        "INSERT INTO registrations (charm, integration, created_at, updated_at, status) \
         VALUES (?1, ?2, ?3, ?3, 'Initializing') ON CONFLICT (charm) DO UPDATE SET \
         integration = excluded.integration, {CHANGED_AT}, disabled_at = 0, disabled_by = NULL, status = 'Re-initializing'"
    ))?
    .execute((row, integration.as_str(), UnixMillis::now().0))?;
    changes::note(tx, row)
}

/// Disables (by somebody, with a reason) or enables; false if there is no such registration.
pub(crate) fn set_disabled(
    tx: &Transaction<'_>,
    row: i64,
    disabled: Option<(DisabledBy, &str)>,
) -> Result<bool, Failure> {
    let changed = write_disabled(tx, row, disabled)?;
    if changed {
        changes::note(tx, row)?;
    }
    Ok(changed)
}

/// Enables those in these rows.
pub(super) fn enable_all(tx: &Transaction<'_>, rows: &[i64]) -> Result<(), Failure> {
    for row in rows {
        write_disabled(tx, *row, None)?;
    }
    changes::note_all(tx, rows)
}

fn write_disabled(tx: &Transaction<'_>, row: i64, disabled: Option<(DisabledBy, &str)>) -> Result<bool, Failure> {
    let now = UnixMillis::now();
    let (disabled_at, by, status) = match disabled {
        Some((by, reason)) => (now, Some(by.as_str()), format!("Disabled: {}", shown(reason))),
        None => (UnixMillis::NEVER, None, "Re-initializing".to_owned()),
    };
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE registrations SET disabled_at = ?2, {CHANGED_AT}, status = ?4, disabled_by = ?5 WHERE charm = ?1"
        ))?
        .execute((row, disabled_at.0, now.0, status, by))?;
    Ok(changed > 0)
}

/// Something has changed that a charm may wait for: its cells, or access to its space. If one of these does wait, the poll loop begins with it
/// again, as if somebody had enabled it. `whose` says which registrations, with `?1` in it.
fn cause_fixed(tx: &Transaction<'_>, whose: &str, which: impl ToSql) -> Result<(), Failure> {
    let mut statement = tx.prepare_cached(&format!(
        "UPDATE registrations SET updated_at = max(?2, updated_at + 1) WHERE {whose} AND disabled_at = 0 AND {} RETURNING charm",
        waits!()
    ))?;
    let changed = statement.query_map((which, UnixMillis::now().0), |row| row.get(0))?;
    changes::note_all(tx, &changed.collect::<Result<Vec<i64>, _>>()?)
}

/// The cells of the charm in that row were changed from outside.
pub(crate) fn cells_changed(tx: &Transaction<'_>, row: i64) -> Result<(), Failure> {
    cause_fixed(tx, "charm = ?1", row)
}

/// What charms are allowed may have changed: this process starts, with the configuration as it is now.
pub(crate) fn configuration_changed(tx: &Transaction<'_>) -> Result<(), Failure> {
    cause_fixed(tx, "?1", true)
}

/// The access list of a space was changed.
pub(crate) fn access_changed(tx: &Transaction<'_>, space: &SpaceDid) -> Result<(), Failure> {
    cause_fixed(tx, "charm IN (SELECT row FROM charms WHERE space = ?1)", space.as_str())
}

/// Removes a registration; false if there is none.
pub(crate) fn remove(tx: &Transaction<'_>, charm: &CharmRef) -> Result<bool, Failure> {
    let removed = tx
        .prepare_cached(
            "DELETE FROM registrations WHERE charm = (SELECT row FROM charms WHERE space = ?1 AND id = ?2)",
        )?
        .execute((charm.space.as_str(), charm.charm.as_str()))?;
    if removed > 0 {
        changes::note_named(tx, charm)?;
    }
    Ok(removed > 0)
}

/// Sets the interval that a registration asks for; none is no interval of its own. False if there is no such registration.
pub(crate) fn set_interval(tx: &Transaction<'_>, row: i64, interval: Option<Duration>) -> Result<bool, Failure> {
    let changed = tx
        .prepare_cached("UPDATE registrations SET interval_ms = ?2 WHERE charm = ?1")?
        .execute((row, interval.map_or(0, runs::millis)))?;
    if changed > 0 {
        changes::note(tx, row)?;
    }
    Ok(changed > 0)
}

/// Whether a run that is noted is the newest: one that could not be noted at once, while the runtime was away, hides none that came after it.
/// A last run that is still to come says nothing: the clock was set back since.
const IS_NEWEST: &str = "(last_run > ?4 OR ?2 >= last_run)";

/// Notes a run; false if there is no such registration. The reason of a disabled one stays readable. Of two polls that are
/// noted the later one counts, unless its time is still to come: then the clock has been set back since.
pub(crate) fn note_run(tx: &Transaction<'_>, row: i64, run: &Run) -> Result<bool, Failure> {
    let (text, success) = (run.outcome.to_string(), run.outcome.is_success());
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE registrations SET last_run = CASE WHEN last_run > ?4 THEN ?2 ELSE max(last_run, ?2) END, \
             status = CASE WHEN disabled_at = 0 AND {IS_NEWEST} THEN ?3 ELSE status END, \
             last_kind = CASE WHEN {IS_NEWEST} THEN ?5 ELSE last_kind END, \
             last_blame = CASE WHEN {IS_NEWEST} THEN ?8 ELSE last_blame END, runs = runs + 1, \
             total_ms = total_ms + ?6, min_ms = CASE runs WHEN 0 THEN ?6 ELSE min(min_ms, ?6) END, max_ms = max(max_ms, ?6), \
             last_ms = ?6, failed = failed + ?7, failed_at = CASE ?7 WHEN 0 THEN failed_at ELSE ?2 END, \
             failure = CASE ?7 WHEN 0 THEN failure ELSE ?3 END, \
             last_success = CASE ?7 WHEN 0 THEN ?2 ELSE last_success END WHERE charm = ?1"
        ))?
        .execute((
            row,
            run.started_at.0,
            shown(&text),
            UnixMillis::now().0,
            run.outcome.kind.as_str(),
            runs::millis(run.duration),
            i64::from(!success),
            run.outcome.blame().map(Blame::as_str),
        ))?;
    if changed > 0 && run.outcome.consequence() == Consequence::Waits {
        // What it waits for may have come while it ran: its cells were changed after it had read them.
        // Each change counts once, and none that is still to come: then the clock has been set back since.
        let has_changed: bool = tx
            .prepare_cached(
                "SELECT c.updated_at BETWEEN ?2 AND ?3 AND r.updated_at < c.updated_at \
                 FROM charms c JOIN registrations r ON r.charm = c.row WHERE c.row = ?1",
            )?
            .query_row((row, run.started_at.0, UnixMillis::now().0), |charm| charm.get(0))?;
        if has_changed {
            cells_changed(tx, row)?;
        }
    }
    Ok(changed > 0)
}

/// What all runs of the registered charm in that row came to; none if it is not registered.
pub(crate) fn counters(tx: &Transaction<'_>, row: i64) -> Result<Option<Counters>, Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT runs, failed, total_ms, min_ms, max_ms, last_ms, failed_at, failure FROM registrations WHERE charm = ?1",
    )?;
    let counters = statement.query_row([row], |row| {
        let time = |column| row.get(column).map(Duration::from_millis);
        Ok(Counters {
            runs: row.get(0)?,
            failed: row.get(1)?,
            total: time(2)?,
            shortest: time(3)?,
            longest: time(4)?,
            last: time(5)?,
            failed_at: UnixMillis(row.get(6)?),
            failure: row.get(7)?,
        })
    });
    Ok(counters.optional()?)
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
    named(tx, integration, "r.integration = ?1").map(Some)
}

/// A row of [`SELECT`].
pub(super) fn registration(row: &Row<'_>, spaces: &mut SpaceReader) -> Result<Registration, Failure> {
    let charm = charm_ref(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, spaces)?;
    let integration = row.get_ref(2)?.as_str()?.parse();
    let [created_at, updated_at, last_run, disabled_at] =
        [row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?].map(UnixMillis);
    let interval_ms: u64 = row.get(9)?;
    // An outcome of a later version is none that this one knows.
    let blame = row.get_ref(10)?.as_str_or_null()?.and_then(Blame::of_name);
    let disabled_by = row.get_ref(11)?.as_str_or_null()?.and_then(DisabledBy::of_name);
    let last_outcome = row.get_ref(8)?.as_str_or_null()?.and_then(runs::known_kind);
    Ok(Registration {
        integration: integration
            .map_err(|_| Failure::Damaged(What::OfCharm(format!("the registration of {charm}"))))?,
        charm,
        created_at,
        updated_at,
        last_run,
        disabled_at,
        disabled_by,
        interval: (interval_ms > 0).then(|| Duration::from_millis(interval_ms)),
        status: row.get(7)?,
        last_success: UnixMillis(row.get("last_success")?),
        last_outcome,
        last_blame: blame,
    })
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
