//! What can go wrong with a database.

use std::path::PathBuf;

use bg_poller::{Cause, CharmRef, RuntimeError};
use bg_store::{BadColumn, MaybeDamage, What};
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CONSTRAINT_DATATYPE, SQLITE_IOERR_SHMSIZE};
use rusqlite::types::FromSqlError;

use super::KeyError;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder it should be in is not there.
    #[error("the database {path} cannot be created: there is no folder {folder}")]
    NoFolder {
        /// The database.
        path: PathBuf,
        /// What is missing.
        folder: PathBuf,
    },
    /// The operating system or SQLite refused; says why.
    #[error("the database {path} cannot be opened: {problem}")]
    Unusable {
        /// The database.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// It can be read but not written.
    #[error(
        "the database {path} cannot be written: check the owner and the permissions of the file and of its folder, \
         and that its disk is not mounted read-only"
    )]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// There is no room for it.
    #[error("the database {path} cannot be opened: its disk is full; free some space there")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// What is in it does not fit together.
    #[error(
        "the database {path} is damaged: SQLite says \"{problem}\"; put back a backup of it and of secrets.key, or \
         move it away to start with an empty one. Nothing was changed in it"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// How.
        problem: String,
    },
    /// Its newest changes are there, and it is not.
    #[error(
        "the database {path} is missing or empty, and {log} has changes that belong to it: put the database back \
         beside it, or move {log} away to start with an empty one"
    )]
    Orphan {
        /// The database.
        path: PathBuf,
        /// Its write-ahead log.
        log: PathBuf,
    },
    /// There is something else in the file.
    #[error("{path} is not a database of bg-wasm-host: {found}; name another file")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A later version of this program has migrated it.
    #[error(
        "the database {path} was made by a newer bg-wasm-host: its format is {found}, and this version knows formats \
         up to {known}; use the newer version, or another file"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest known one.
        known: i64,
    },
    /// Its secrets cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sql(rusqlite::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A stored value does not read as what was stored.
    #[error("{0} is damaged")]
    Damaged(What),
    /// Not the store's fault: what was asked for is refused.
    #[error(transparent)]
    Refused(#[from] RuntimeError),
}

impl MaybeDamage for Failure {
    fn damage(self) -> Result<What, Self> {
        if let Self::Damaged(what) = self { Ok(what) } else { Err(self) }
    }
}

/// An error of SQLite's; what it says of a value that a row has, or would get, is damage to that row, and no trouble of
/// the database.
impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqliteFailure, Utf8Error,
        };
        let (name, problem) = match &error {
            InvalidColumnType(_, name, found) => (name.clone(), format!("{found} is not of its type")),
            IntegralValueOutOfRange(at, value) => (numbered(*at), format!("{value} is out of range")),
            FromSqlConversionFailure(at, found, _) => (numbered(*at), format!("{found} is not of its type")),
            Utf8Error(at, _) => (numbered(*at), "a text is no UTF-8".to_owned()),
            SqliteFailure(failure, Some(text)) if failure.extended_code == SQLITE_CONSTRAINT_DATATYPE => {
                ("of a number".to_owned(), text.clone())
            }
            _ => return Self::Sql(error),
        };
        Self::Damaged(What::Column(BadColumn { name, problem }))
    }
}

/// A column by its place in a statement.
fn numbered(at: usize) -> String {
    at.checked_add(1).map_or_else(|| "of a row".to_owned(), |number| format!("number {number} of a row"))
}

/// A column that is not of the type it should be.
impl From<FromSqlError> for Failure {
    fn from(error: FromSqlError) -> Self {
        rusqlite::Error::from(error).into()
    }
}

impl Failure {
    /// The same, with whose row it is that is damaged.
    pub(crate) fn of(self, what: &str, charm: &CharmRef) -> Self {
        match self {
            Self::Damaged(What::Column(column)) => {
                Self::Damaged(What::OfCharm(format!("{what} of {charm}, column {column},")))
            }
            other => other,
        }
    }

    /// The cause, of a failure of the database as a whole.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Sql(error) if is_full(error) => Cause::StorageFull,
            _ => Cause::StorageFails,
        }
    }

    /// How to fix it, if it is the disk's fault.
    pub(super) fn fix(&self) -> &'static str {
        let Self::Sql(error) = self else { return "" };
        match error.sqlite_error_code() {
            _ if is_full(error) => "; free some space on its disk",
            Some(ErrorCode::ReadOnly) => "; see that the file, its folder and its disk can be written",
            // SQLite gives the same for a disk that becomes read-only under it.
            Some(ErrorCode::SystemIoFailure) => {
                "; see whether its disk fails, or has become read-only: the system's log (dmesg) says"
            }
            _ => "",
        }
    }
}

/// Whether it is for lack of room.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    // The second: what readers and writers share (`-shm`) got none.
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE)
}
