//! Digests of charms' programs, so that a known program need not be read.

use bg_store::{ProgramDigest, StoredProgram, program_digest};
use rusqlite::Transaction;

use super::column::{json, parsed};
use super::{Failure, Sealer};

const CREATE: &str = "CREATE TABLE programs (
    charm INTEGER PRIMARY KEY REFERENCES charms (row) ON DELETE CASCADE,
    digest BLOB NOT NULL
) STRICT";

/// The modules that run, of a charm found before.
pub(crate) fn program(tx: &Transaction<'_>, row: i64) -> Result<StoredProgram, Failure> {
    let mut statement = tx.prepare_cached("SELECT module, further_modules FROM charms WHERE row = ?1")?;
    let (module, further): (String, String) = statement.query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(StoredProgram { module, files: parsed(&further)? })
}

/// Notes the digest of the program that the charm in that row has now.
pub(super) fn note(tx: &Transaction<'_>, row: i64, program: &StoredProgram) -> Result<(), Failure> {
    note_digest(tx, row, &program_digest(program.module.as_bytes(), json(&program.files)?.as_bytes()))
}

fn note_digest(tx: &Transaction<'_>, row: i64, digest: &ProgramDigest) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO programs (charm, digest) VALUES (?1, ?2) ON CONFLICT (charm) DO UPDATE SET digest = \
         excluded.digest",
    )?
    .execute((row, digest))?;
    Ok(())
}

/// A migration: digests in a table of their own, since a row of `charms` has its texts before all that is added to it.
pub(super) fn digest_all(tx: &Transaction<'_>, _: &Sealer) -> Result<(), Failure> {
    tx.execute_batch(CREATE)?;
    let mut statement = tx.prepare("SELECT row, module, further_modules FROM charms")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // Whatever is there: what is damaged in one charm does not keep the others from being brought up to date.
        let text = |at| Ok::<_, Failure>(row.get_ref(at)?.as_bytes_or_null()?.unwrap_or_default());
        let digest = program_digest(text(1)?, text(2)?);
        note_digest(tx, row.get(0)?, &digest)?;
    }
    Ok(())
}
