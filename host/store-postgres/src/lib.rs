//! The store of the local charm runtime in PostgreSQL, which any number of hosts share.
//!
//! [`PostgresStore`] implements [`bg_store::Store`]; [`PostgresPollStore`] has the poll loop's own state in the same
//! database, and [`Claims`] say which host polls what. [`create`] makes the tables of an empty database. `Database` hands out connections; the modules below it
//! have the statements of one subject each.
//!
//! What is secret is sealed before it gets there: the server never sees the key.

mod access;
mod accounts;
mod call;
mod cells;
mod changes;
mod charms;
mod claims;
mod deploy;
mod error;
mod keep;
mod keeper;
mod logs;
mod overview;
mod poll;
mod record;
mod registrations;
mod schema;
mod session;
mod spaces;
mod store;
mod target;
mod tenants;
mod tls;
mod values;
mod watch;

pub use claims::{AHEAD, Claims, DueCharm, Ended, LEASE, Settled, SpaceLease, Turn, pause};
pub use error::OpenError;
pub use poll::PostgresPollStore;
pub use store::{PostgresOptions, PostgresStore, Traffic, create, finish};
pub use target::Target;
