//! The store of the local charm runtime in one SQLite file, which other processes may use at the same time.
//!
//! [`SqliteStore`] implements [`bg_store::Store`]; [`SqlitePollStore`] has the poll loop's own state in the same file,
//! or in one of its own. `Database` hands out connections; the modules below it have the statements of one subject
//! each, as functions of a transaction.

mod access;
mod accounts;
mod backup;
mod call;
mod cells;
mod changes;
mod charms;
mod check;
mod column;
mod connections;
mod deploy;
mod edit;
mod error;
mod health;
mod logs;
mod meta;
mod old_links;
mod open;
mod overview;
mod poll;
mod programs;
mod quota;
mod record;
mod registrations;
mod reseal;
mod rights;
mod room;
mod runs;
mod schema;
mod seal;
mod spaces;
mod state;
mod store;
mod tenancy;
mod tenants;
mod watch;
mod writer;

pub use backup::{BackupError, backup};
pub use bg_seal::KeyError;
use bg_store::Touch;
use cells::Cells;
pub use check::{check_database, is_unused};
use connections::Database;
use error::Failure;
pub use error::OpenError;
pub use poll::SqlitePollStore;
use seal::Sealer;
pub use store::{SqliteOptions, SqliteStore};
