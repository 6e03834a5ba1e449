//! Registrations, and the integrations' lists of them.

use std::collections::BTreeSet;
use std::time::Duration;

use bg_charm_api::DamagedRegistration;
use bg_identity::{IntegrationId, SpaceDid, SpaceReader, printable, system_space};
use bg_poller::{
    Blame, Cause, CharmRef, Counters, DisabledBy, OutcomeKind, Registration, RegistrationChanges, Run, UnixMillis,
};
use bg_store::conditions::AWAITS_A_FIX;
use bg_store::{BadColumn, FoundRegistrations, What, kept_millis, sound, status_line};
use rusqlite::types::{Null, ValueRef};
use rusqlite::{OptionalExtension as _, Params, Row, ToSql, Transaction};

use super::column::{Columns, said};
use super::{Failure, changes, runs};

/// The columns of [`registration`].
macro_rules! columns {
    () => {
        super::registrations::columns!("c")
    };
    // With the charm's name from another table than that of the charms.
    ($name:literal) => {
        concat!(
            $name,
            ".space, ",
            $name,
            ".id, r.integration, r.created_at, r.updated_at, r.last_run, r.disabled_at, r.status, r.last_kind, \
             r.interval_ms, r.last_blame, r.disabled_by, r.charm, r.last_success, r.woken_at, \
             r.last_cause"
        )
    };
}
pub(super) use columns;

/// With the names of charms from the index that has nothing else in it: their rows have their programs, and reading
/// those of a hundred thousand charms takes seconds.
const SELECT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM charms c INDEXED BY sqlite_autoindex_charms_1 CROSS JOIN registrations r ON r.charm = c.row"
);

/// All registrations.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<FoundRegistrations, Failure> {
    let mut found = selected(tx, SELECT, [])?;
    let all: usize = tx.prepare_cached("SELECT count(*) FROM registrations")?.query_row([], |row| row.get(0))?;
    // To look for their charms one by one takes as long as all the rest.
    if all != found.registrations.len() + found.damaged.len() {
        found.damaged.extend(lost(tx)?);
    }
    Ok(found)
}

/// The registrations that have changed between these revisions, as they are now, and the charms that have none any
/// more; those that cannot be read are skipped, as where all are read. None if not all of the changes are known.
pub(crate) fn since(
    tx: &Transaction<'_>,
    after: u64,
    revision: u64,
) -> Result<Option<(RegistrationChanges, Vec<DamagedRegistration>)>, Failure> {
    let Some(missed) = revision.checked_sub(after).filter(|missed| *missed <= changes::KEPT) else { return Ok(None) };
    let known: u64 = tx
        .prepare_cached("SELECT count(*) FROM registration_changes WHERE revision > ?1 AND revision <= ?2")?
        .query_row([after, revision], |row| row.get(0))?;
    if known != missed {
        return Ok(None);
    }
    let mut statement = tx.prepare_cached(concat!(
        "SELECT ",
        columns!("l"),
        " FROM registration_changes l LEFT JOIN charms c ON c.space = l.space AND c.id = l.id \
         LEFT JOIN registrations r ON r.charm = c.row WHERE l.revision > ?1 AND l.revision <= ?2"
    ))?;
    let mut rows = statement.query([after, revision])?;
    let (mut spaces, mut seen) = (SpaceReader::default(), BTreeSet::new());
    let (mut changed, mut removed, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        // The charm of a name that is damaged is in no list: who has known it by its name before is to forget that one.
        let Ok(charm) = named_charm(row, &mut spaces) else { return Ok(None) };
        if !seen.insert(charm.clone()) {
            continue;
        }
        let Some(number) = row.get::<_, Option<i64>>(12)? else {
            removed.push(charm);
            continue;
        };
        match registration(row, &mut spaces) {
            Ok(registration) => changed.push((number, registration)),
            Err(Failure::Damaged(What::Column(column))) => {
                bad.push(damaged(row, &column)?);
                removed.push(charm);
            }
            Err(error) => return Err(error),
        }
    }
    changed.sort_unstable_by_key(|(row, registration)| (registration.created_at, *row));
    let registrations = changed.into_iter().map(|(_, registration)| registration).collect();
    Ok(Some((RegistrationChanges { revision: Some(revision), registrations, removed: Some(removed) }, bad)))
}

/// Registrations whose charm is not there.
fn lost(tx: &Transaction<'_>) -> Result<Vec<DamagedRegistration>, Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT r.charm, r.integration FROM registrations r WHERE NOT EXISTS (SELECT 1 FROM charms c WHERE c.row = \
         r.charm)",
    )?;
    let mut rows = statement.query([])?;
    let mut lost = Vec::new();
    while let Some(row) = rows.next()? {
        lost.push(DamagedRegistration {
            charm: format!("the charm in row {}", row.column::<i64>(0)?),
            integration: row.parse(1, said).ok(),
            column: "registrations.charm".to_owned(),
            problem: "there is no such charm".to_owned(),
            fix: FROM_BACKUP.to_owned(),
        });
    }
    Ok(lost)
}

/// What fixes a row that no command can name.
const FROM_BACKUP: &str = "put back a backup of the database";

/// What is wrong with a row that begins with [`columns`] and cannot be read.
fn damaged(row: &Row<'_>, column: &BadColumn) -> Result<DamagedRegistration, Failure> {
    let text = |at| Ok::<_, Failure>(String::from_utf8_lossy(row.get_ref(at)?.as_bytes().unwrap_or(b"?")).into_owned());
    let named = format!("{}/{}", text(0)?, text(1)?);
    let integration: Option<IntegrationId> = row.parse(2, said).ok();
    let fix = match named.parse::<CharmRef>() {
        Ok(charm) => {
            let integration = integration.as_ref().map_or("INTEGRATION", IntegrationId::as_str);
            format!("bg-wasm-host remove {charm}; then bg-wasm-host register {charm} --integration {integration}")
        }
        Err(_) => FROM_BACKUP.to_owned(),
    };
    let table = if matches!(column.name.as_str(), "space" | "id") { "charms" } else { "registrations" };
    Ok(DamagedRegistration {
        charm: printable(&named).into_owned(),
        integration,
        column: format!("{table}.{}", column.name),
        problem: column.problem.clone(),
        fix,
    })
}

/// The enabled registrations of an integration, oldest first.
pub(crate) fn enabled_with_polls(
    tx: &Transaction<'_>,
    integration: &IntegrationId,
) -> Result<Vec<Registration>, Failure> {
    let select = format!("{SELECT} WHERE r.integration = ?1 AND r.disabled_at = 0");
    Ok(selected(tx, &select, [integration.as_str()])?.registrations)
}

fn selected(tx: &Transaction<'_>, select: &str, parameters: impl Params) -> Result<FoundRegistrations, Failure> {
    let mut spaces = SpaceReader::default();
    let mut statement = tx.prepare_cached(select)?;
    let mut rows = statement.query(parameters)?;
    let (mut all, mut bad) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match registration(row, &mut spaces) {
            Ok(registration) => all.push((row.get::<_, i64>(12)?, registration)),
            Err(Failure::Damaged(What::Column(column))) => bad.push(damaged(row, &column)?),
            Err(error) => return Err(error),
        }
    }
    all.sort_unstable_by_key(|(row, registration)| (registration.created_at, *row));
    Ok(FoundRegistrations {
        registrations: all.into_iter().map(|(_, registration)| registration).collect(),
        damaged: bad,
    })
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
         FROM charms c INDEXED BY sqlite_autoindex_charms_1 CROSS JOIN registrations r ON r.charm = c.row WHERE \
         {condition}"
    ))?;
    let mut rows = statement.query([integration.as_str()])?;
    let mut charms = Vec::new();
    while let Some(row) = rows.next()? {
        // A damaged one is skipped here as in the list of all.
        let (Ok(created_at), Ok(charm)) = (row.time(2), named_charm(row, &mut spaces)) else { continue };
        charms.push(((created_at, row.get::<_, i64>(3)?), charm));
    }
    charms.sort_unstable_by_key(|(order, _)| *order);
    Ok(charms.into_iter().map(|(_, charm)| charm).collect())
}

/// Whether the charm in that row has a registration, damaged or not.
pub(crate) fn is_there(tx: &Transaction<'_>, row: i64) -> Result<bool, Failure> {
    Ok(tx.prepare_cached("SELECT 1 FROM registrations WHERE charm = ?1")?.exists([row])?)
}

/// The registration of the charm in that row.
pub(crate) fn of(tx: &Transaction<'_>, row: i64) -> Result<Option<Registration>, Failure> {
    let mut statement = tx.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM registrations r JOIN charms c ON c.row = r.charm WHERE r.charm = ?1"
    ))?;
    let mut rows = statement.query([row])?;
    rows.next()?.map(|row| registration(row, &mut SpaceReader::default())).transpose()
}

/// The time after that of a registration's last change, if that is one.
macro_rules! next {
    () => {
        "CASE WHEN registrations.updated_at BETWEEN 0 AND 253402300799998 AND registrations.woken_at BETWEEN 0 AND \
         253402300799998 THEN max(registrations.updated_at, registrations.woken_at) + 1 ELSE 0 END"
    };
}

/// The time of a change: never before that of the last one, since a later time is how the poll loop knows that there
/// was one, and the wall clock may have been set back. One that is damaged keeps no statement from the other rows.
const CHANGED_AT: &str = concat!("updated_at = max(?3, ", next!(), ")");

/// Registers the charm in that row, or re-enables and re-labels its registration.
pub(crate) fn upsert(tx: &Transaction<'_>, row: i64, integration: &IntegrationId) -> Result<(), Failure> {
    tx.prepare_cached(&format!(
        "INSERT INTO registrations (charm, integration, created_at, updated_at, status) \
         VALUES (?1, ?2, ?3, ?3, 'Initializing') ON CONFLICT (charm) DO UPDATE SET \
         integration = excluded.integration, {CHANGED_AT}, disabled_at = 0, disabled_by = NULL, status = \
         'Re-initializing'"
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

/// Enables those in these rows, and returns how many.
pub(super) fn enable_all(tx: &Transaction<'_>, rows: &[i64]) -> Result<u64, Failure> {
    let mut enabled = Vec::new();
    for row in rows {
        let written = write_disabled(tx, *row, None);
        enabled.extend(sound(written, || "the registrations".to_owned())?.filter(|is_there| *is_there).map(|_| *row));
    }
    changes::note_all(tx, &enabled)?;
    Ok(enabled.len() as u64)
}

fn write_disabled(tx: &Transaction<'_>, row: i64, disabled: Option<(DisabledBy, &str)>) -> Result<bool, Failure> {
    let now = UnixMillis::now();
    let (disabled_at, by, status) = match disabled {
        Some((by, reason)) => (now, Some(by.as_str()), format!("Disabled: {}", status_line(reason))),
        None => (UnixMillis::NEVER, None, "Re-initializing".to_owned()),
    };
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE registrations SET disabled_at = ?2, {CHANGED_AT}, status = ?4, disabled_by = ?5 WHERE charm = ?1"
        ))?
        .execute((row, disabled_at.0, now.0, status, by))?;
    Ok(changed > 0)
}

/// Something has changed that a charm may wait for: its cells, or access to its space. If its last poll failed for a
/// reason that may have been just that, the poll loop polls it soon. Its failures stay: those are its own. `whose` says
/// which registrations, with `?1` in it.
fn cause_fixed(tx: &Transaction<'_>, whose: &str, which: impl ToSql) -> Result<(), Failure> {
    let waiting = format!("{whose} AND disabled_at = 0 AND {}", *AWAITS_A_FIX);
    let now = UnixMillis::now().0;
    let wake = format!("UPDATE registrations SET woken_at = max(?2, {}) WHERE ", next!());
    let mut statement = tx.prepare_cached(&format!("{wake} {waiting} RETURNING charm"))?;
    let woken = statement.query_map((&which, now), |row| row.get(0))?.collect::<Result<Vec<i64>, _>>();
    let changed = match woken.map_err(Failure::from) {
        // SQLite writes no row that has a value of a wrong type in any column, and stops at it: so each by itself.
        Err(Failure::Damaged(_)) => {
            let mut rows = tx.prepare_cached(&format!("SELECT charm FROM registrations WHERE {waiting}"))?;
            let rows = rows.query_map([&which], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
            let mut one = tx.prepare_cached(&(wake + "charm = ?1"))?;
            let mut changed = Vec::new();
            for row in rows {
                let woken = one.execute((row, now)).map_err(Failure::from);
                changed.extend(sound(woken, || "the registrations".to_owned())?.filter(|rows| *rows > 0).map(|_| row));
            }
            changed
        }
        changed => changed?,
    };
    changes::note_all(tx, &changed)
}

/// The cells of the charm in that row were changed, by somebody else than its own poll.
pub(crate) fn cells_changed(tx: &Transaction<'_>, row: i64) -> Result<(), Failure> {
    cause_fixed(tx, "charm = ?1", row)
}

/// What charms are allowed may have changed: this process starts, with the configuration as it is now.
pub(crate) fn configuration_changed(tx: &Transaction<'_>) -> Result<(), Failure> {
    cause_fixed(tx, "?1", true)
}

/// What the charm waits for is there.
pub(crate) fn fixed(tx: &Transaction<'_>, charm: &CharmRef) -> Result<(), Failure> {
    let row = tx
        .prepare_cached("SELECT row FROM charms WHERE space = ?1 AND id = ?2")?
        .query_row((charm.space.as_str(), charm.charm.as_str()), |row| row.get::<_, i64>(0))
        .optional()?;
    row.map_or(Ok(()), |row| cause_fixed(tx, "charm = ?1", row))
}

/// There is room again for what charms write, which the limits of the operator refused before.
pub(crate) fn room_is_back(tx: &Transaction<'_>) -> Result<(), Failure> {
    let (whose, kind) =
        (format!("last_kind = ?1 AND last_blame = '{}'", Blame::Configuration), OutcomeKind::LimitExceeded);
    cause_fixed(tx, &whose, kind.as_str())
}

/// The access list of a space was changed. That of the system space says who is the service, for all charms.
pub(crate) fn access_changed(tx: &Transaction<'_>, space: &SpaceDid) -> Result<(), Failure> {
    if *space == system_space() {
        return configuration_changed(tx);
    }
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

/// Sets the interval that a registration asks for; none is no interval of its own. False if there is no such
/// registration.
pub(crate) fn set_interval(tx: &Transaction<'_>, row: i64, interval: Option<Duration>) -> Result<bool, Failure> {
    let changed = tx
        .prepare_cached("UPDATE registrations SET interval_ms = ?2 WHERE charm = ?1")?
        .execute((row, interval.map_or(0, kept_millis)))?;
    if changed > 0 {
        changes::note(tx, row)?;
    }
    Ok(changed > 0)
}

/// Whether a run that is noted is the newest: one that could not be noted at once, while the runtime was away, hides
/// none that came after it. A last run that is still to come says nothing: the clock was set back since.
const IS_NEWEST: &str = "(last_run > ?4 OR ?2 >= last_run)";

/// How a run counts: it started at `?2`, its outcome is `?3`, it took `?6`, and `?7` is 1 if it failed.
const COUNTED: &str = "runs = runs + 1, total_ms = total_ms + ?6, \
     min_ms = CASE runs WHEN 0 THEN ?6 ELSE min(min_ms, ?6) END, max_ms = max(max_ms, ?6), last_ms = ?6, failed = failed + ?7, \
     failed_at = CASE ?7 WHEN 0 THEN failed_at ELSE ?2 END, failure = CASE ?7 WHEN 0 THEN failure ELSE ?3 END";

/// Counts a run that is not one of a poll; false if there is no such registration.
pub(crate) fn count_run(tx: &Transaction<'_>, row: i64, run: &Run) -> Result<bool, Failure> {
    let changed = tx.prepare_cached(&format!("UPDATE registrations SET {COUNTED} WHERE charm = ?1"))?.execute((
        row,
        run.started_at.0,
        status_line(&run.outcome.to_string()),
        Null,
        Null,
        kept_millis(run.duration),
        i64::from(!run.outcome.is_success()),
    ))?;
    Ok(changed > 0)
}

/// Notes a run; false if there is no such registration. The reason of a disabled one stays readable. Of two polls that
/// are noted the later one counts, unless its time is still to come: then the clock has been set back since.
pub(crate) fn note_run(tx: &Transaction<'_>, row: i64, run: &Run) -> Result<bool, Failure> {
    let (text, success) = (run.outcome.to_string(), run.outcome.is_success());
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE registrations SET last_run = CASE WHEN last_run > ?4 THEN ?2 ELSE max(last_run, ?2) END, \
             status = CASE WHEN disabled_at = 0 AND {IS_NEWEST} THEN ?3 ELSE status END, \
             last_kind = CASE WHEN {IS_NEWEST} THEN ?5 ELSE last_kind END, \
             last_blame = CASE WHEN {IS_NEWEST} THEN ?8 ELSE last_blame END, \
             last_cause = CASE WHEN {IS_NEWEST} THEN ?9 ELSE last_cause END, {COUNTED}, \
             last_success = CASE ?7 WHEN 0 THEN ?2 ELSE last_success END WHERE charm = ?1"
        ))?
        .execute((
            row,
            run.started_at.0,
            status_line(&text),
            UnixMillis::now().0,
            run.outcome.kind.as_str(),
            kept_millis(run.duration),
            i64::from(!success),
            run.outcome.blame().map(Blame::as_str),
            run.outcome.cause.map(Cause::as_str),
        ))?;
    Ok(changed > 0)
}

/// Wakes a charm whose cells changed while it ran, if its run waits for a fix: the run may have read them before. This
/// is for a run of which only the time is known.
pub(crate) fn wake_if_changed_since(tx: &Transaction<'_>, row: i64, run: &Run) -> Result<(), Failure> {
    if !run.outcome.consequence().awaits_a_fix() {
        return Ok(());
    }
    // Each change counts once, and none that is still to come: then the clock has been set back since.
    let has_changed: bool = tx
        .prepare_cached(
            "SELECT c.updated_at BETWEEN ?2 AND ?3 AND max(r.updated_at, r.woken_at) < c.updated_at \
             FROM charms c JOIN registrations r ON r.charm = c.row WHERE c.row = ?1",
        )?
        .query_row((row, run.started_at.0, UnixMillis::now().0), |charm| charm.get(0))?;
    if has_changed { cells_changed(tx, row) } else { Ok(()) }
}

/// The counters of all runs of the registered charm in that row; none if it is not registered.
pub(crate) fn counters(tx: &Transaction<'_>, row: i64) -> Result<Option<Counters>, Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT runs, failed, total_ms, min_ms, max_ms, last_ms, failed_at, failure FROM registrations WHERE charm = \
         ?1",
    )?;
    let counters = |row: &Row<'_>| {
        let time = |column| row.column(column).map(Duration::from_millis);
        Ok(Counters {
            runs: row.column(0)?,
            failed: row.column(1)?,
            total: time(2)?,
            shortest: time(3)?,
            longest: time(4)?,
            last: time(5)?,
            failed_at: row.time(6)?,
            failure: row.column(7)?,
        })
    };
    let mut rows = statement.query([row])?;
    rows.next()?.map(counters).transpose()
}

/// Creates the list cell of an integration, unless it is there. What is in the list are its registrations, so that the
/// two cannot disagree.
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

/// A row that begins with [`columns`].
pub(super) fn registration(row: &Row<'_>, spaces: &mut SpaceReader) -> Result<Registration, Failure> {
    let charm = named_charm(row, spaces)?;
    let integration = row.parse(2, said)?;
    let [created_at, updated_at, last_run, disabled_at] = [row.time(3)?, row.time(4)?, row.time(5)?, row.time(6)?];
    // As many as are written: a longer one is no interval.
    let interval_ms: u32 = row.column(9)?;
    Ok(Registration {
        charm,
        integration,
        created_at,
        updated_at,
        last_run,
        disabled_at,
        disabled_by: word(row, 11, DisabledBy::of_name)?,
        interval: (interval_ms > 0).then(|| Duration::from_millis(interval_ms.into())),
        status: row.column(7)?,
        last_success: row.time(13)?,
        woken_at: row.time(14)?,
        last_outcome: word(row, 8, runs::known_kind)?,
        last_blame: word(row, 10, Blame::of_name)?,
        last_cause: word(row, 15, Cause::of_name)?,
    })
}

/// The charm that the first two columns name.
pub(super) fn named_charm(row: &Row<'_>, spaces: &mut SpaceReader) -> Result<CharmRef, Failure> {
    Ok(CharmRef { space: row.parse(0, |text| spaces.read(text).ok())?, charm: row.parse(1, said)? })
}

/// A word that a later version may have written: then it is none that this one knows.
fn word<T>(row: &Row<'_>, index: usize, of_name: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        _ => row.parse(index, |text| Some(of_name(text))),
    }
}
