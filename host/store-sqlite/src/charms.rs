//! Charms: their programs and shapes.

use std::collections::BTreeMap;

use bg_charm_api::CharmSummary;
use bg_identity::{CharmId, SpaceDid, SpaceReader};
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use bg_store::paths::SecretPaths;
use bg_store::{NewCharm, StoredCharm, StoredProgram, What, sound};
use rusqlite::{Row, Transaction};
use serde::de::DeserializeOwned;

use super::column::{Columns, json, parsed, said};
use super::{Failure, changes, programs};

/// In [`StoredCharm::changed`], instead of names.
const ANY_CELL: &str = "*";

/// How many cells are named that were written by others. If there are more, any may have been.
const MAX_CHANGED: usize = 64;

const COLUMNS: &str = "row, version, id, name, file_name, streams, secrets, changed, created_at, updated_at, \
                       (SELECT integration FROM registrations WHERE charm = charms.row) AS integration, \
                       (SELECT digest FROM programs WHERE charm = charms.row) AS digest";

/// Finds a charm, or fails with [`RuntimeError::NotFound`].
pub(crate) fn find(tx: &Transaction<'_>, charm: &CharmRef) -> Result<StoredCharm, Failure> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM charms WHERE space = ?1 AND id = ?2"))?;
    let mut rows = statement.query((charm.space.as_str(), charm.charm.as_str()))?;
    let Some(row) = rows.next()? else { return Err(RuntimeError::NotFound(charm.clone()).into()) };
    stored(row, charm.clone()).map_err(|failure| failure.of("the row", charm))
}

/// Whether there is that charm.
pub(crate) fn exists(tx: &Transaction<'_>, charm: &CharmRef) -> Result<bool, Failure> {
    let mut statement = tx.prepare_cached("SELECT 1 FROM charms WHERE space = ?1 AND id = ?2")?;
    Ok(statement.exists((charm.space.as_str(), charm.charm.as_str()))?)
}

/// What is secret in the charm of that row.
pub(super) fn secrets(tx: &Transaction<'_>, row: i64) -> Result<SecretPaths, Failure> {
    let mut statement = tx.prepare_cached("SELECT secrets FROM charms WHERE row = ?1")?;
    let secrets: String = statement.query_row([row], |row| row.get(0))?;
    parsed(&secrets)
}

/// What a charm was deployed from: the text of its first file, and those of its others by their paths.
pub(crate) fn sources(tx: &Transaction<'_>, row: i64) -> Result<(String, BTreeMap<String, String>), Failure> {
    let mut statement = tx.prepare_cached("SELECT source, further_sources FROM charms WHERE row = ?1")?;
    let (source, further): (String, String) = statement.query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((source, parsed(&further)?))
}

/// The charms of a space, oldest first.
pub(crate) fn of_space(tx: &Transaction<'_>, space: &SpaceDid) -> Result<Vec<CharmSummary>, Failure> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM charms WHERE space = ?1 ORDER BY row"))?;
    let mut rows = statement.query([space.as_str()])?;
    let mut charms = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.parse(2, said);
        let read = id.and_then(|id| stored(row, CharmRef { space: space.clone(), charm: id }));
        charms.extend(sound(read, || format!("the charms of {space}"))?.map(|charm| charm.summary));
    }
    Ok(charms)
}

/// Stores a charm that is not there yet; answers its row.
pub(crate) fn insert(tx: &Transaction<'_>, new: &NewCharm) -> Result<i64, Failure> {
    let now = UnixMillis::now().0;
    tx.prepare_cached(
        // The number of a charm that was deleted is not used again: a handler may still run for it.
        "INSERT INTO charms (row, space, id, file_name, source, module, name, streams, secrets, further_sources, \
         further_modules, created_at, updated_at) VALUES (1 + max((SELECT coalesce(max(row), 0) FROM charms), (SELECT \
         coalesce(max(value), 0) FROM meta WHERE key = 'last_charm_row' AND typeof(value) = 'integer' AND value \
         BETWEEN 0 AND 9007199254740991)), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)",
    )?
    .execute((
        new.charm.space.as_str(),
        new.charm.charm.as_str(),
        &new.file_name,
        &new.source,
        &new.program.module,
        &new.name,
        json(&new.streams)?,
        json(&new.secrets)?,
        json(&new.files)?,
        json(&new.program.files)?,
        now,
    ))?;
    let row = tx.last_insert_rowid();
    programs::note(tx, row, &new.program)?;
    Ok(row)
}

/// Deletes a charm with all that belongs to it: its registration, cells, log, runs and poll state.
pub(crate) fn delete(tx: &Transaction<'_>, row: i64) -> Result<(), Failure> {
    changes::forget_charm(tx, row)?;
    tx.prepare_cached("DELETE FROM charms WHERE row = ?1")?.execute([row])?;
    Ok(())
}

/// Whether the charm of that row is still there.
pub(crate) fn is_there(tx: &Transaction<'_>, row: i64) -> Result<bool, Failure> {
    Ok(tx.prepare_cached("SELECT 1 FROM charms WHERE row = ?1")?.exists([row])?)
}

/// Replaces the modules of a charm, which this version of the host may make otherwise than the one that deployed it.
pub(crate) fn set_modules(tx: &Transaction<'_>, row: i64, program: &StoredProgram) -> Result<(), Failure> {
    tx.prepare_cached(
        "UPDATE charms SET module = ?2, further_modules = ?3 WHERE row = ?1 AND (module <> ?2 OR further_modules <> \
         ?3)",
    )?
    .execute((row, &program.module, json(&program.files)?))?;
    programs::note(tx, row, program)
}

/// What a charm's present program is known by: the ID that a charm made from it would have.
pub(crate) fn known_by(tx: &Transaction<'_>, row: i64) -> Result<String, Failure> {
    let mut statement = tx.prepare_cached("SELECT coalesce(program, id) FROM charms WHERE row = ?1")?;
    Ok(statement.query_row([row], |row| row.get(0))?)
}

/// Replaces the program of the charm in that row, and with it its shape; `known` is what it is known by.
pub(crate) fn replace(tx: &Transaction<'_>, row: i64, known: &CharmId, new: &NewCharm) -> Result<(), Failure> {
    tx.prepare_cached(
        "UPDATE charms SET file_name = ?2, source = ?3, module = ?4, name = ?5, streams = ?6, secrets = ?7, program = \
         ?8, further_sources = ?9, further_modules = ?10, changed = '[]' WHERE row = ?1",
    )?
    .execute((
        row,
        &new.file_name,
        &new.source,
        &new.program.module,
        &new.name,
        json(&new.streams)?,
        json(&new.secrets)?,
        known.as_str(),
        json(&new.files)?,
        json(&new.program.files)?,
    ))?;
    programs::note(tx, row, &new.program)
}

/// Marks the cells as changed, if they are still those of `version`; answers whether they were.
pub(crate) fn advance(tx: &Transaction<'_>, row: i64, version: i64) -> Result<bool, Failure> {
    let changed = tx
        .prepare_cached(
            // Two changes within a millisecond have different times: [`is_changed_by_others`] compares them.
            "UPDATE charms SET version = version + 1, updated_at = CASE WHEN updated_at BETWEEN ?3 AND ?3 + 999 THEN \
             updated_at + 1 ELSE ?3 END WHERE row = ?1 AND version = ?2",
        )?
        .execute((row, version, UnixMillis::now().0))?;
    Ok(changed > 0)
}

/// The same for what a poll of the charm has changed itself. When somebody else last did stays as it is: a poll that
/// waits goes by that.
pub(crate) fn advance_by_poll(tx: &Transaction<'_>, row: i64) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE charms SET version = version + 1 WHERE row = ?1")?.execute([row])?;
    Ok(())
}

/// Notes that a cell was written by somebody else than a handler: the next call is to bring up to date what follows
/// from it.
pub(crate) fn note_change(tx: &Transaction<'_>, charm: &StoredCharm, cell: &str) -> Result<(), Failure> {
    let mut changed = charm.changed.clone();
    if changed.iter().any(|known| known == cell || known == ANY_CELL) {
        return Ok(());
    }
    changed.push(cell.to_owned());
    if changed.len() > MAX_CHANGED {
        changed = vec![ANY_CELL.to_owned()];
    }
    tx.prepare_cached("UPDATE charms SET changed = ?2 WHERE row = ?1")?.execute((charm.row, json(&changed)?))?;
    Ok(())
}

/// Notes that all that others have written up to `version` was followed.
pub(crate) fn followed(tx: &Transaction<'_>, row: i64, version: i64) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE charms SET changed = '[]' WHERE row = ?1 AND version = ?2")?.execute((row, version))?;
    Ok(())
}

/// Whether the cells are still those of `version`.
pub(crate) fn is_at(tx: &Transaction<'_>, row: i64, version: i64) -> Result<bool, Failure> {
    Ok(tx.prepare_cached("SELECT 1 FROM charms WHERE row = ?1 AND version = ?2")?.exists((row, version))?)
}

/// Whether somebody else than a poll of the charm has changed its cells since it was read.
pub(crate) fn is_changed_by_others(tx: &Transaction<'_>, read: &StoredCharm) -> Result<bool, Failure> {
    // A poll that renews a token raises the version alone.
    let mut statement =
        tx.prepare_cached("SELECT 1 FROM charms WHERE row = ?1 AND version <> ?2 AND updated_at <> ?3")?;
    Ok(statement.exists((read.row, read.version, read.summary.updated_at.0))?)
}

/// A row of [`COLUMNS`].
fn stored(row: &Row<'_>, charm: CharmRef) -> Result<StoredCharm, Failure> {
    let summary = CharmSummary {
        charm,
        name: row.column(3)?,
        file_name: row.column(4)?,
        streams: row.parse(5, json_of)?,
        created_at: row.time(8)?,
        updated_at: row.time(9)?,
    };
    Ok(StoredCharm {
        row: row.column(0)?,
        version: row.column(1)?,
        summary,
        secrets: row.parse(6, json_of)?,
        integration: row.column(10)?,
        changed: row.parse(7, json_of)?,
        program: row.column(11)?,
    })
}

fn json_of<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// The name of the charm in that row.
pub(crate) fn name(tx: &Transaction<'_>, row: i64) -> Result<CharmRef, Failure> {
    let (space, id): (String, String) = tx
        .prepare_cached("SELECT space, id FROM charms WHERE row = ?1")?
        .query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
    charm_ref(&space, &id, &mut SpaceReader::default())
}

/// The charm that two columns name.
pub(crate) fn charm_ref(space: &str, id: &str, spaces: &mut SpaceReader) -> Result<CharmRef, Failure> {
    let damaged = || Failure::Damaged(What::OfCharm(format!("the name of the charm {space}/{id}")));
    Ok(CharmRef { space: spaces.read(space).map_err(|_| damaged())?, charm: id.parse().map_err(|_| damaged())? })
}
