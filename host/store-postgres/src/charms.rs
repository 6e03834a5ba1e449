//! Charms: their programs and shapes.

use std::collections::BTreeMap;

use bg_charm_api::CharmSummary;
use bg_identity::{CharmId, SpaceDid};
use bg_poller::CharmRef;
use bg_store::{NewCharm, StoredCharm, StoredProgram, What, program_digest, sound};
use tokio_postgres::Row;

use super::error::Failure;
use super::session::{Asked, Session};
use super::values::{Columns as _, json, json_of, said, text};

/// In [`StoredCharm::changed`], instead of names.
const ANY_CELL: &str = "*";

/// How many cells are named that were written by others. If there are more, any may have been.
const MAX_CHANGED: usize = 64;

/// The columns of [`stored`], of charms `c`.
macro_rules! columns {
    () => {
        "c.row, c.version, c.id, c.name, c.file_name, c.streams, c.secrets, c.changed, c.created_at, c.updated_at, \
         c.digest, (SELECT r.integration FROM registrations r WHERE r.charm = c.row) AS integration"
    };
}
pub(crate) use columns;

/// How many they are.
pub(crate) const COLUMNS: usize = 12;

/// A charm from the columns that begin at that one.
pub(crate) fn stored(row: &Row, from: usize, charm: CharmRef) -> Result<StoredCharm, Failure> {
    let summary = CharmSummary {
        charm,
        name: row.optional_text(from + 3)?,
        file_name: row.text(from + 4)?,
        streams: row.parse(from + 5, json_of)?,
        created_at: row.time(from + 8)?,
        updated_at: row.time(from + 9)?,
    };
    let digest: Vec<u8> = row.column(from + 10)?;
    Ok(StoredCharm {
        row: row.column(from)?,
        version: row.column(from + 1)?,
        summary,
        secrets: row.parse(from + 6, json_of)?,
        integration: row.optional_text(from + 11)?,
        changed: row.parse(from + 7, json_of)?,
        // One that is damaged is no digest that anyone knows.
        program: digest.try_into().ok(),
    })
}

/// The charms of a space, oldest first.
pub(crate) async fn of_space(session: &Session, space: &SpaceDid) -> Result<Vec<CharmSummary>, Failure> {
    let select = concat!("SELECT ", columns!(), " FROM charms c WHERE c.space = $1 ORDER BY c.row");
    let mut charms = Vec::new();
    for row in session.query(select, &[&text(space.as_str())]).await? {
        let id = row.parse(2, said);
        let read = id.and_then(|id| stored(&row, 0, CharmRef { space: space.clone(), charm: id }));
        charms.extend(sound(read, || format!("the charms of {space}"))?.map(|charm| charm.summary));
    }
    Ok(charms)
}

/// Whether there is that charm.
pub(crate) async fn exists(session: &Session, charm: &CharmRef) -> Result<bool, Failure> {
    let (space, id) = (text(charm.space.as_str()), text(charm.charm.as_str()));
    session.exists("SELECT 1 FROM charms WHERE space = $1 AND id = $2", &[&space, &id]).await
}

/// What a charm was deployed from: the text of its first file, and those of its others by their paths.
pub(crate) async fn sources(session: &Session, row: i64) -> Result<(String, BTreeMap<String, String>), Failure> {
    let found = session.query_one("SELECT source, further_sources FROM programs WHERE charm = $1", &[&row]).await?;
    let found = found.ok_or_else(no_program)?;
    Ok((found.text(0)?, found.parse(1, json_of)?))
}

fn no_program() -> Failure {
    Failure::Damaged(What::OfCharm("the program of a charm".to_owned()))
}

/// The modules that run, of a charm found before; none if it has others by now.
pub(crate) async fn program(session: &Session, charm: &StoredCharm) -> Result<Option<StoredProgram>, Failure> {
    let digest = charm.program.map(|digest| digest.to_vec()).unwrap_or_default();
    let found = session
        .query_one(
            "SELECT p.module, p.further_modules FROM charms c JOIN programs p ON p.charm = c.row WHERE c.row = $1 AND \
             c.digest = $2",
            &[&charm.row, &digest],
        )
        .await?;
    found.map(|row| Ok(StoredProgram { module: row.text(0)?, files: row.parse(1, json_of)? })).transpose()
}

fn digest(program: &StoredProgram) -> Result<Vec<u8>, Failure> {
    Ok(program_digest(program.module.as_bytes(), json(&program.files)?.as_bytes()).to_vec())
}

/// Stores a charm that is not there yet; answers its row.
pub(crate) async fn insert(session: &Session, new: &NewCharm) -> Result<i64, Failure> {
    let (streams, secrets, files, modules) =
        (json(&new.streams)?, json(&new.secrets)?, json(&new.files)?, json(&new.program.files)?);
    let row = session
        .query_one(
            "WITH made AS (INSERT INTO charms (space, id, file_name, name, streams, secrets, digest, created_at, \
             updated_at) SELECT $1, $2, $3, $4, $5, $6, $7, now, now FROM bg_now() AS now RETURNING row) INSERT INTO \
             programs (charm, source, module, further_sources, further_modules) SELECT row, $8, $9, $10, $11 FROM made \
             RETURNING charm",
            &[
                &text(new.charm.space.as_str()),
                &text(new.charm.charm.as_str()),
                &text(&new.file_name),
                &new.name.as_deref().map(text),
                &text(&streams),
                &text(&secrets),
                &digest(&new.program)?,
                &text(&new.source),
                &text(&new.program.module),
                &text(&files),
                &text(&modules),
            ],
        )
        .await?;
    row.map_or_else(|| Err(no_program()), |row| row.column(0))
}

/// Deletes a charm with all that belongs to it: its registration, cells, log, runs and poll state.
pub(crate) async fn delete(session: &Session, row: i64) -> Result<(), Failure> {
    session.execute("DELETE FROM charms WHERE row = $1", &[&row]).await?;
    Ok(())
}

/// Replaces the modules of a charm, which this version of the host may make otherwise than the one that deployed it.
pub(crate) async fn set_modules(session: &Session, row: i64, program: &StoredProgram) -> Result<(), Failure> {
    let (modules, digest) = (json(&program.files)?, digest(program)?);
    let (module, modules) = (text(&program.module), text(&modules));
    session
        .all(&[
            Asked {
                sql: "UPDATE programs SET module = $2, further_modules = $3 WHERE charm = $1 AND (module <> $2 OR \
                      further_modules <> $3)",
                params: vec![&row, &module, &modules],
            },
            Asked { sql: "UPDATE charms SET digest = $2 WHERE row = $1 AND digest <> $2", params: vec![&row, &digest] },
        ])
        .await?;
    Ok(())
}

/// What a charm's present program is known by: the ID that a charm made from it would have.
pub(crate) async fn known_by(session: &Session, row: i64) -> Result<String, Failure> {
    let found = session.query_one("SELECT coalesce(program, id) FROM charms WHERE row = $1", &[&row]).await?;
    found.map_or_else(|| Err(no_program()), |row| row.text(0))
}

/// Replaces the program of the charm in that row, and with it its shape; `known` is what it is known by.
pub(crate) async fn replace(session: &Session, row: i64, known: &CharmId, new: &NewCharm) -> Result<(), Failure> {
    let (streams, secrets, files, modules, digest) =
        (json(&new.streams)?, json(&new.secrets)?, json(&new.files)?, json(&new.program.files)?, digest(&new.program)?);
    let (file_name, name) = (text(&new.file_name), new.name.as_deref().map(text));
    let (streams, secrets, files, modules) = (text(&streams), text(&secrets), text(&files), text(&modules));
    let (known, source, module) = (text(known.as_str()), text(&new.source), text(&new.program.module));
    session
        .all(&[
            Asked {
                sql: "UPDATE charms SET file_name = $2, name = $3, streams = $4, secrets = $5, program = $6, digest = \
                      $7, changed = '[]' WHERE row = $1",
                params: vec![&row, &file_name, &name, &streams, &secrets, &known, &digest],
            },
            Asked {
                sql: "UPDATE programs SET source = $2, module = $3, further_sources = $4, further_modules = $5 WHERE \
                      charm = $1",
                params: vec![&row, &source, &module, &files, &modules],
            },
        ])
        .await?;
    Ok(())
}

/// When the cells of charms `c` were changed by others than a poll of theirs: two changes within a second have different
/// times, since they are compared.
macro_rules! updated_at {
    () => {
        "CASE WHEN c.updated_at BETWEEN bg_now() AND bg_now() + 999 THEN c.updated_at + 1 ELSE bg_now() END"
    };
}
pub(crate) use updated_at;

/// Marks the cells as changed, if they are still those of `version`; answers whether they were.
pub(crate) async fn advance(session: &Session, row: i64, version: i64) -> Result<bool, Failure> {
    let update = concat!(
        "UPDATE charms c SET version = version + 1, updated_at = ",
        updated_at!(),
        " WHERE row = $1 AND version = $2"
    );
    Ok(session.execute(update, &[&row, &version]).await? > 0)
}

/// The same for what a poll of the charm has changed itself. When somebody else last did stays as it is: a poll that
/// waits goes by that.
pub(crate) async fn advance_by_poll(session: &Session, row: i64) -> Result<(), Failure> {
    session.execute("UPDATE charms SET version = version + 1 WHERE row = $1", &[&row]).await?;
    Ok(())
}

/// Notes that a cell was written by somebody else than a handler: the next call is to bring up to date what follows
/// from it.
pub(crate) async fn note_change(session: &Session, charm: &StoredCharm, cell: &str) -> Result<(), Failure> {
    let mut changed = charm.changed.clone();
    if changed.iter().any(|known| known == cell || known == ANY_CELL) {
        return Ok(());
    }
    changed.push(cell.to_owned());
    if changed.len() > MAX_CHANGED {
        changed = vec![ANY_CELL.to_owned()];
    }
    session.execute("UPDATE charms SET changed = $2 WHERE row = $1", &[&charm.row, &text(&json(&changed)?)]).await?;
    Ok(())
}

/// The charm that two columns name.
pub(crate) fn charm_ref(row: &Row, from: usize, spaces: &mut bg_identity::SpaceReader) -> Result<CharmRef, Failure> {
    Ok(CharmRef { space: row.parse(from, |text| spaces.read(text).ok())?, charm: row.parse(from + 1, said)? })
}
