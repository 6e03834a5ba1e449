//! A copy of a database that others work on meanwhile.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bg_seal::place::{place, sync_folder};
use rusqlite::{Connection, OpenFlags};

use super::OpenError;
use super::open;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to copy.
    #[error("there is no database {0} to back up: name the data directory with --data-dir or BG_WASM_HOST_DATA")]
    Missing(PathBuf),
    /// What is there cannot be read as one.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A backup never takes the place of a file.
    #[error("{0} is there already, and is left as it is; name another file")]
    Exists(PathBuf),
    /// The copy could not be written.
    #[error("cannot write the backup {path}: {problem}")]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The copy was written, and is none.
    #[error("the copy of {database} is damaged ({problem}), and was deleted; the database itself may be damaged, too")]
    Damaged {
        /// Of what.
        database: PathBuf,
        /// What SQLite finds.
        problem: String,
    },
}

/// Copies a database as it is at one moment, while others read and write it, into a new file that only its owner may
/// read. The file has its name once the copy is complete, checked and on the disk. Blocks. What is secret in it stays
/// sealed: to be read, it needs the key file.
pub fn backup(database: &Path, to: &Path) -> Result<(), BackupError> {
    if !database.exists() {
        return Err(BackupError::Missing(database.to_owned()));
    }
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let source = open::existing(database)?;
    let mut partial = to.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = PathBuf::from(partial);
    let done = copy(&source, database, &partial).and_then(|()| give_name(&partial, to));
    // What is left of it is of no use; after a success it is a second name of the backup.
    let _ = std::fs::remove_file(&partial);
    done?;
    sync_folder(to).map_err(|error| failed(to, &error))
}

fn failed(path: &Path, error: &impl ToString) -> BackupError {
    BackupError::Write { path: path.to_owned(), problem: error.to_string() }
}

fn copy(source: &Connection, database: &Path, partial: &Path) -> Result<(), BackupError> {
    let problem = |error: &dyn std::error::Error| failed(partial, &error.to_string());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(partial).map_err(|error| problem(&error))?);
    // One statement is one read transaction: all of it is of the same moment, and nobody waits for it. An empty file is
    // one that SQLite takes for this.
    let name = partial.to_str().ok_or_else(|| failed(partial, &"its name is not UTF-8"))?;
    source.execute("VACUUM INTO ?1", [name]).map_err(|error| problem(&error))?;
    check(partial).map_err(|problem| BackupError::Damaged { database: database.to_owned(), problem })?;
    File::open(partial).and_then(|file| file.sync_all()).map_err(|error| problem(&error))
}

/// Whether SQLite finds fault with it, in its pages or between its tables.
fn check(path: &Path) -> Result<(), String> {
    let found = || -> rusqlite::Result<(String, bool)> {
        let copy =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        let integrity: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let dangling = copy.prepare("PRAGMA foreign_key_check")?.exists([])?;
        Ok((integrity, dangling))
    };
    match found() {
        Ok((integrity, false)) if integrity == "ok" => Ok(()),
        Ok((integrity, false)) => Err(integrity),
        Ok((_, true)) => Err("rows refer to others that are not there".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Gives the copy its name, unless there is a file of that name by now.
fn give_name(partial: &Path, to: &Path) -> Result<(), BackupError> {
    place(partial, to).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => failed(to, &error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(path: &Path) -> i64 {
        let copy = Connection::open(path).unwrap();
        copy.query_row("SELECT count(*) FROM spaces", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_copy_is_whole_for_its_owner_alone_and_takes_no_files_place() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let database = open::writer(&at("a.db")).unwrap();
        database.execute("INSERT INTO spaces VALUES ('s', 0)", []).unwrap();
        // In the log still, and not yet committed: neither is the backup's business to decide.
        database.execute_batch("BEGIN; INSERT INTO spaces VALUES ('open', 0)").unwrap();
        backup(&at("a.db"), &at("copy.db")).unwrap();
        assert_eq!(rows(&at("copy.db")), 1);
        database.execute_batch("COMMIT").unwrap();
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(at("copy.db")).unwrap().permissions()) & 0o777,
            0o600
        );
        // It is one of ours.
        drop(open::writer(&at("copy.db")).unwrap());

        let error = backup(&at("a.db"), &at("copy.db")).unwrap_err();
        assert!(matches!(error, BackupError::Exists(_)), "{error}");
        assert_eq!(rows(&at("copy.db")), 1);
        assert!(matches!(backup(&at("a.db"), &at("a.db")), Err(BackupError::Exists(_))));
        assert!(matches!(backup(&at("b.db"), &at("c.db")), Err(BackupError::Missing(_))));
        assert!(!at("b.db").exists(), "what is missing is not created");
        assert!(matches!(backup(&at("a.db"), &at("no/c.db")), Err(BackupError::Write { .. })));
        std::fs::write(at("text"), "no database, but long enough to be taken for one ".repeat(20)).unwrap();
        assert!(matches!(backup(&at("text"), &at("d.db")), Err(BackupError::Open(_))));
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
    }

    #[test]
    fn a_database_that_is_damaged_gives_no_backup() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let database = open::writer(&at("a.db")).unwrap();
        database.execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO acl VALUES ('nobody', '*', 'READ')").unwrap();
        let error = backup(&at("a.db"), &at("copy.db")).unwrap_err();
        assert!(matches!(&error, BackupError::Damaged { .. }), "{error}");
        assert!(!at("copy.db").exists());
    }
}
