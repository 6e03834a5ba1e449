//! Whether a database is sound, without changing it.

use std::path::Path;

use super::{OpenError, open};

/// Opens a database that others may be working on, and lets SQLite look through its pages: minutes for one of many
/// gigabytes, else seconds or less. Blocks. Answers its size, bytes.
pub fn check_database(path: &Path) -> Result<u64, OpenError> {
    let connection = open::existing(path)?;
    let problem = |error: rusqlite::Error| open::problem(path, &error);
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(problem)?;
    if found != "ok" {
        return Err(OpenError::Damaged { path: path.to_owned(), problem: found });
    }
    let pages: u64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(problem)?;
    let page: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(problem)?;
    Ok(pages.saturating_mul(page))
}

/// Whether nothing is kept in a database: no charm, no registration, no account, and nothing that a poll loop or an
/// integration remembers. Blocks.
pub fn is_unused(path: &Path) -> Result<bool, OpenError> {
    let connection = open::existing(path)?;
    let unused = connection.query_row(
        "SELECT NOT (EXISTS (SELECT 1 FROM charms) OR EXISTS (SELECT 1 FROM registrations) OR EXISTS (SELECT 1 FROM \
         space_names) OR EXISTS (SELECT 1 FROM poll_states) OR EXISTS (SELECT 1 FROM integration_state) OR EXISTS \
         (SELECT 1 FROM oauth_clients) OR EXISTS (SELECT 1 FROM oauth_accounts))",
        [],
        |row| row.get(0),
    );
    unused.map_err(|error| open::problem(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_database_has_a_size_and_a_damaged_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let database = open::writer(&path).unwrap();
        database
            .execute_batch("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO spaces SELECT 'did:key:' || i, i FROM n; PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        assert_eq!(check_database(&path).unwrap(), std::fs::metadata(&path).unwrap().len());
        drop(database);
        let mut bytes = std::fs::read(&path).unwrap();
        let page = bytes.len() / 4096 - 2;
        bytes[page * 4096..(page + 1) * 4096].fill(0xA5);
        std::fs::write(&path, bytes).unwrap();
        let error = check_database(&path).unwrap_err();
        assert!(matches!(&error, OpenError::Damaged { .. }), "{error}");
        assert!(check_database(&dir.path().join("none.db")).is_err());
    }
}
