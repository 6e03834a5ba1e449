//! Single numbers of the database.

use rusqlite::{OptionalExtension, Transaction};

use super::Failure;

/// A number by its name, if there is one.
pub(crate) fn number(tx: &Transaction<'_>, key: &str) -> Result<Option<u64>, Failure> {
    Ok(tx.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()?)
}

/// Sets a number that only rises.
pub(crate) fn raise(tx: &Transaction<'_>, key: &str, value: u64) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = max(value, \
         excluded.value)",
    )?
    .execute((key, value))?;
    Ok(())
}
