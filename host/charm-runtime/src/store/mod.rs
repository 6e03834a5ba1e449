//! One SQLite file: who reads and writes it, and what is in it.
//!
//! [`Database`] hands out connections; each submodule here has the statements of one subject, as functions of a transaction.

mod backup;
mod cells;
pub(crate) mod changes;
pub(crate) mod charms;
mod check;
mod column;
mod connections;
mod error;
mod health;
mod key;
pub(crate) mod logs;
pub(crate) mod meta;
mod old_links;
mod open;
pub(crate) mod overview;
mod place;
pub(crate) mod poll;
pub(crate) mod programs;
mod quota;
pub(crate) mod registrations;
mod reseal;
pub(crate) mod runs;
mod schema;
mod seal;
mod sound;
pub(crate) mod spaces;
mod state;
pub(crate) mod tenants;
mod writer;

pub use backup::{BackupError, backup};
pub(crate) use cells::{Cells, SecretText, secret_texts_in};
pub(crate) use charms::{NewCharm, StoredCharm};
pub use check::{check_database, is_unused};
pub(crate) use column::LAST_TIME;
pub(crate) use connections::Database;
pub use error::OpenError;
pub(crate) use error::{Failure, What};
pub use key::KeyError;
pub use poll::SqlitePollStore;
pub(crate) use programs::ProgramDigest;
pub(crate) use quota::{excess, growth};
pub(crate) use reseal::seal_by_todays_rules;
pub(crate) use seal::Sealer;
pub(crate) use sound::sound;
pub(crate) use writer::Touch;
