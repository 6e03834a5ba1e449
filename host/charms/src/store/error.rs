//! What can go wrong with a database.

use std::path::PathBuf;

use bg_poller::RuntimeError;

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
    #[error("the database {path} cannot be written: check the owner and the permissions of the file and of its folder")]
    ReadOnly {
        /// The database.
        path: PathBuf,
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
        "the database {path} was made by a newer bg-wasm-host: its format is {found}, and this version knows formats up to \
         {known}; use the newer version, or another file"
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

/// Why a transaction came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A stored value does not read as what was stored.
    #[error("{0} is damaged")]
    Damaged(String),
    /// Not the store's fault: what was asked for is refused.
    #[error(transparent)]
    Refused(#[from] RuntimeError),
}
