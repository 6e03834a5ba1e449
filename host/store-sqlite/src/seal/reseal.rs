//! Brings what a database has sealed in format 1 to the present format.

use bg_identity::SpaceReader;
use bg_poller::CharmRef;
use bg_store::sound;
use rusqlite::Transaction;

use super::super::charms::charm_ref;
use super::{FINGERPRINT, Failure, KeyError, NAMED_BY_FIRST_DIGESTS, Sealer, fingerprint};

/// Seals every cell again that is sealed, and notes the key by its present fingerprint. Fails, and changes nothing,
/// without the key that the database was sealed with. A cell that is damaged stays as it is: only its charm is
/// concerned, and it is reported where it is read.
pub(in super::super) fn reseal(tx: &Transaction<'_>, sealer: &Sealer) -> Result<(), Failure> {
    let Some(noted) = fingerprint(tx)? else { return Ok(()) };
    let path = || sealer.file.path().to_owned();
    let key = sealer.file.load()?.ok_or_else(|| KeyError::Missing(path()))?;
    if noted != key.first_fingerprint() {
        return Err(KeyError::Other(path()).into());
    }
    tx.execute("UPDATE meta SET value = ?2 WHERE key = ?1", (FINGERPRINT, key.fingerprint()))?;
    tx.execute("INSERT INTO meta (key, value) VALUES (?1, 1)", [NAMED_BY_FIRST_DIGESTS])?;
    let rows: Vec<i64> = tx
        .prepare("SELECT rowid FROM cells WHERE sealed = 1")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    // What is replaced is overwritten, and not left in free space.
    tx.pragma_update(None, "secure_delete", true)?;
    let mut spaces = SpaceReader::default();
    for row in rows {
        let read = sealed_cell(tx, row, &mut spaces);
        let Some((charm, cell, document)) = sound(read, || "the sealed cells".to_owned())? else { continue };
        match sealer.unseal(tx, &charm, &cell, &document) {
            Ok(text) => {
                let again = sealer.seal(tx, &charm, &cell, &text)?;
                tx.prepare_cached("UPDATE cells SET document = ?2 WHERE rowid = ?1")?.execute((row, again))?;
            }
            Err(Failure::Damaged(what)) => tracing::warn!("{what} is damaged, and was not sealed again"),
            Err(error) => return Err(error),
        }
    }
    tx.pragma_update(None, "secure_delete", false)?;
    Ok(())
}

fn sealed_cell(
    tx: &Transaction<'_>,
    row: i64,
    spaces: &mut SpaceReader,
) -> Result<(CharmRef, String, Vec<u8>), Failure> {
    let mut statement = tx.prepare_cached(
        "SELECT space, id, cells.name, document FROM cells JOIN charms ON charms.row = cells.charm WHERE cells.rowid \
         = ?1",
    )?;
    let (space, id, cell, document): (String, String, _, _) =
        statement.query_row([row], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok((charm_ref(&space, &id, spaces)?, cell, document))
}
