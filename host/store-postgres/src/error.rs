//! What can go wrong with a database.

use std::fmt;

use bg_poller::{Cause, CharmRef, RuntimeError};
use bg_seal::{KeyError, SealError};
use bg_store::{MaybeDamage, What};
use tokio_postgres::error::SqlState;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What names the database cannot be read.
    #[error("{url} names no PostgreSQL database: {problem}; write postgres://USER@HOST[,HOST…]/DATABASE")]
    Url {
        /// It, without its password.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server cannot be reached, or refuses.
    #[error("the database {database} cannot be opened: {problem}")]
    Unusable {
        /// The database.
        database: String,
        /// Why.
        problem: String,
    },
    /// The server is too old.
    #[error("the database {database} is one of PostgreSQL {found}, and bg-wasm-host needs {needed} or later")]
    TooOld {
        /// The database.
        database: String,
        /// The server's version.
        found: String,
        /// The oldest that works.
        needed: u32,
    },
    /// Its texts are in another encoding.
    #[error(
        "the database {database} has the encoding {found}, and must have UTF8; create it with `CREATE DATABASE … \
         ENCODING UTF8 TEMPLATE template0`"
    )]
    Encoding {
        /// The database.
        database: String,
        /// Its encoding.
        found: String,
    },
    /// There are no tables in it.
    #[error("the database {database} is empty; `bg-wasm-host database create` makes its tables")]
    Empty {
        /// The database.
        database: String,
    },
    /// There are other tables in it.
    #[error("the database {database} has tables of another program ({found}); name another database")]
    Foreign {
        /// The database.
        database: String,
        /// One of them.
        found: String,
    },
    /// A later version of this program has changed it in a way that this version does not know.
    #[error(
        "the database {database} was changed by a newer bg-wasm-host: it needs one that knows format {needed}, and \
         this version knows formats up to {known}; use the newer version"
    )]
    Newer {
        /// The database.
        database: String,
        /// The oldest format of a version that may use it.
        needed: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// Its secrets cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}", said(.0))]
    Sql(tokio_postgres::Error),
    /// There is no connection; says why.
    #[error("{0}")]
    NoConnection(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A newer version has changed the format.
    #[error("{0}")]
    Newer(String),
    /// A stored value does not read as what was stored.
    #[error("{0} is damaged")]
    Damaged(What),
    /// Not the store's fault: what was asked for is refused.
    #[error(transparent)]
    Refused(#[from] RuntimeError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(error)
    }
}

impl MaybeDamage for Failure {
    fn damage(self) -> Result<What, Self> {
        if let Self::Damaged(what) = self { Ok(what) } else { Err(self) }
    }
}

/// What the server said, or else what is wrong with the connection.
pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        // Its detail may quote values of a row.
        return format!("{} (SQLSTATE {})", server.message(), server.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
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

    fn state(&self) -> Option<&SqlState> {
        if let Self::Sql(error) = self { error.code() } else { None }
    }

    /// Whether the connection is of no use any more: it is closed, or the server that it leads to is not the primary
    /// any more.
    pub(crate) fn ends_connection(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        let is_passive = error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
        error.is_closed() || is_passive || error.code().is_some_and(|state| state.code().starts_with("57P"))
    }

    /// Whether the values of a row, or of a parameter, are at fault.
    pub(crate) fn is_of_values(&self) -> bool {
        self.state().is_some_and(|state| state.code().starts_with("22") || state.code().starts_with("23"))
    }

    fn is_full(&self) -> bool {
        self.state() == Some(&SqlState::DISK_FULL)
    }

    /// The error that callers see, which names the database and what to do.
    pub(crate) fn into_runtime(self, database: &str) -> RuntimeError {
        let problem = |problem: &dyn fmt::Display| format!("the database {database}: {problem}");
        match self {
            Self::Refused(error) => error,
            Self::Key(error) => RuntimeError::unavailable_by(Cause::StorageFails, error.to_string()),
            // Of one charm: others are as they were. It stays so until somebody does something about it.
            Self::Damaged(what @ (What::OfCharm(_) | What::Column(_))) => RuntimeError::unmet(
                Cause::Damaged,
                format!("{what} is damaged, in the database {database}: set it again, or put back a backup"),
            ),
            Self::Damaged(what @ What::OfSpace(_)) => {
                RuntimeError::unavailable_by(Cause::SpaceDamaged, problem(&format!("{what} is damaged")))
            }
            full if full.is_full() => RuntimeError::unavailable_by(
                Cause::StorageFull,
                problem(&format!("{full}; free some space on its disk")),
            ),
            other => RuntimeError::unavailable_by(Cause::StorageFails, problem(&other)),
        }
    }
}
