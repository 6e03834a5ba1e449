//! From a path to connections that are ready.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::is_full;
use super::schema::{self, Found};
use super::{Failure, OpenError, Sealer};

/// How long a statement waits for another process to finish a transaction. Ours take milliseconds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The connection that writes; creates and migrates the file if need be, which may take the key of what is sealed in
/// it.
pub(super) fn writer_with(path: &Path, sealer: &Sealer) -> Result<Connection, OpenError> {
    check_log(path)?;
    create_for_owner_only(path)?;
    let mut connection = connect(path)?;
    let problem = |error| problem(path, &error);
    if connection.is_readonly("main").map_err(problem)? {
        return Err(OpenError::ReadOnly { path: path.to_owned() });
    }
    match schema::inspect(&mut connection).map_err(problem)? {
        Found::Foreign(found) => return Err(OpenError::Foreign { path: path.to_owned(), found }),
        Found::Ours(version) if version > schema::newest() => {
            return Err(OpenError::Newer { path: path.to_owned(), found: version, known: schema::newest() });
        }
        Found::Ours(_) | Found::Empty => {}
    }
    write_ahead(&connection).map_err(problem)?;
    // A commit is on the disk when it returns: what was acknowledged survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL").map_err(problem)?;
    if schema::migrate(&mut connection, sealer).map_err(|failure| refused(path, failure))? {
        // What a migration replaced should not stay behind in the log. If others read the log now, it is emptied later.
        forget_log(&connection).map_err(problem)?;
    }
    Ok(connection)
}

/// The connection that writes, with the key file beside the database.
#[cfg(test)]
pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    writer_with(path, &Sealer::beside(path))
}

/// Moves what is in the write-ahead log into the file, and empties the log. False if a reader kept some of it.
pub(super) fn forget_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0)).map(|busy| !busy)
}

/// A connection to a database of ours that is there, in whichever format.
pub(super) fn existing(path: &Path) -> Result<Connection, OpenError> {
    check_log(path)?;
    let mut connection = connect(path)?;
    match schema::inspect(&mut connection).map_err(|error| problem(path, &error))? {
        Found::Ours(_) => Ok(connection),
        Found::Empty => Err(OpenError::Foreign { path: path.to_owned(), found: "it is empty".to_owned() }),
        Found::Foreign(found) => Err(OpenError::Foreign { path: path.to_owned(), found }),
    }
}

/// A connection that only reads. The file is there already, and in the newest format.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    open(path).map_err(|error| problem(path, &error))
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A charm's source could otherwise make SQLite run what a damaged or planted schema says.
    connection.pragma_update(None, "trusted_schema", false)?;
    // What is overwritten or deleted, a cell's value or a whole charm, does not stay behind in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    // A service may write to its own folders only; SQLite's place for what a large sort or statement spills is in none
    // of them.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // More than the number of different statements here, so that each is compiled once a connection.
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Readers don't wait for the writer, nor it for them. SQLite does not wait when two processes switch at the same time,
/// so we do.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let mut attempt = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempt < 100 => {
                attempt += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// Creates the file, readable for its owner alone; SQLite gives its companions (`-wal`, `-shm`) the same permissions.
fn create_for_owner_only(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(OpenError::NoFolder { path: path.to_owned(), folder: folder.to_owned() });
    }
    if path.is_dir() {
        return Err(OpenError::Foreign { path: path.to_owned(), found: "it is a folder".to_owned() });
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) => {
            let path = path.to_owned();
            Err(match error.kind() {
                ErrorKind::PermissionDenied if path.exists() => OpenError::ReadOnly { path },
                ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { path },
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::Full { path },
                _ => OpenError::Unusable { path, problem: error.to_string() },
            })
        }
    }
}

/// Refuses what SQLite would do with the log of a database that was moved away, or emptied: delete it, for a new
/// database.
fn check_log(path: &Path) -> Result<(), OpenError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    // The log first: another process may just be creating both, and the log gets its content last.
    let has_content = |path: &Path| std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    if has_content(&log) && !has_content(path) {
        return Err(OpenError::Orphan { path: path.to_owned(), log });
    }
    Ok(())
}

/// Why a database is not opened, whose first transactions fail.
pub(super) fn refused(path: &Path, failure: Failure) -> OpenError {
    match failure {
        Failure::Key(error) => error.into(),
        Failure::Sql(error) => problem(path, &error),
        other => OpenError::Unusable { path: path.to_owned(), problem: other.to_string() },
    }
}

/// What an error of SQLite's means for a database that is being opened.
pub(super) fn problem(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        _ if is_full(error) => OpenError::Full { path },
        Some(ErrorCode::NotADatabase) => OpenError::Foreign { path, found: format!("SQLite says \"{error}\"") },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, problem: error.to_string() },
        Some(ErrorCode::ReadOnly) => OpenError::ReadOnly { path },
        _ => OpenError::Unusable { path, problem: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::system_space;

    use super::super::{Database, spaces};
    use super::*;
    use bg_charm_api::Acl;

    #[test]
    fn what_is_not_our_database_is_refused_with_a_reason_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("text.db"), "not a database, but long enough to be one ".repeat(50)).unwrap();
        std::fs::create_dir(at("folder.db")).unwrap();
        Connection::open(at("other.db")).unwrap().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
        for (name, version) in [("newer.db", 99), ("older.db", 0), ("odd.db", -1)] {
            writer(&at(name)).unwrap().pragma_update(None, "user_version", version).unwrap();
        }
        drop(writer(&at("sound.db")).unwrap());
        let whole = std::fs::read(at("sound.db")).unwrap();
        std::fs::write(at("cut.db"), &whole[..8_192]).unwrap();
        std::fs::write(at("holes.db"), [&whole[..4_096], &vec![0xa5; whole.len() - 4_096]].concat()).unwrap();
        let newer = format!(
            "a newer bg-wasm-host: its format is 99, and this version knows formats up to {}",
            schema::newest()
        );
        let cases = [
            ("text.db", "text.db is not a database of bg-wasm-host: SQLite says"),
            ("folder.db", "it is a folder"),
            ("other.db", "a SQLite database of another program"),
            ("newer.db", &newer),
            ("older.db", "its format is 0, which no bg-wasm-host has made"),
            ("odd.db", "its format is -1, which no bg-wasm-host has made"),
            ("cut.db", "cut.db is damaged: SQLite says"),
            ("holes.db", "holes.db is damaged: SQLite says"),
            ("missing/a.db", "there is no folder"),
        ];
        for (name, expected) in cases {
            let attempt = bg_abuse::Attempt::begin("database", name);
            let before = std::fs::read(at(name)).ok();
            let sealer = Sealer::beside(&at(name));
            let opened = Database::open(&at(name), &sealer, |tx| spaces::create(tx, &system_space(), &Acl::default()));
            let error = opened.err().unwrap_or_else(|| panic!("{name} was opened"));
            let text = error.to_string();
            assert!(text.contains(expected) && text.contains(name), "{text}");
            assert_eq!(std::fs::read(at(name)).ok(), before, "{name} was changed");
            attempt.ended(format!("{error:?}").split(' ').next().unwrap_or_default());
        }
    }

    #[test]
    fn a_log_without_its_database_is_kept_and_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let (path, log) = (dir.path().join("a.db"), dir.path().join("a.db-wal"));
        let connection = writer(&path).unwrap();
        connection.execute("INSERT INTO spaces VALUES ('s', 0)", []).unwrap();
        let (database, content) = (std::fs::read(&path).unwrap(), std::fs::read(&log).unwrap());
        drop(connection);
        assert!(!content.is_empty());
        let attempt = bg_abuse::Attempt::begin("database", "a log whose database is gone, or empty");
        for database in [None, Some(&[][..])] {
            let _ = std::fs::remove_file(&path);
            if let Some(bytes) = database {
                std::fs::write(&path, bytes).unwrap();
            }
            std::fs::write(&log, &content).unwrap();
            let error = writer(&path).unwrap_err();
            assert!(matches!(&error, OpenError::Orphan { .. }), "{error:?}");
            assert!(error.to_string().contains("a.db-wal"), "{error}");
            assert_eq!(std::fs::read(&log).unwrap(), content);
        }
        attempt.ended("Orphan");
        // With its database, it is what a killed process leaves behind: nothing of it is lost.
        let attempt = bg_abuse::Attempt::begin("database", "a log that a killed process left");
        std::fs::write(&path, database).unwrap();
        let spaces = writer(&path).unwrap().query_row("SELECT count(*) FROM spaces", [], |row| row.get::<_, i64>(0));
        assert_eq!(spaces, Ok(1));
        attempt.ended("recovered");
    }

    #[test]
    fn a_file_is_created_for_its_owner_alone_and_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        drop(writer(&path).unwrap());
        let again = writer(&path).unwrap();
        assert_eq!(again.query_row("SELECT count(*) FROM charms", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
        assert!(reader(&path).unwrap().execute("DELETE FROM spaces", []).is_err());
    }

    #[test]
    fn many_that_open_a_new_file_at_once_all_can() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| writer(&path).map(drop))).collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
    }
}
