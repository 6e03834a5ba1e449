//! The local charm runtime: it runs the handlers of charms in the sandbox, and keeps what they are in a
//! [store](bg_store::Store).
//!
//! [`LocalRuntime`] does what the poll loop needs ([`bg_poller::CharmRuntime`]) and what people do with spaces and
//! charms ([`bg_charm_api::Spaces`]).

mod local;

pub use bg_store::{Needed, Quotas, Reach, Tenancy};
pub use bg_store_sqlite::{BackupError, KeyError, OpenError, SqlitePollStore, backup, check_database, is_unused};
pub use bg_transpile::MAX_SOURCES;
pub use local::{
    AccountOptions, CredentialOrigins, Handlers, LocalHandle, LocalOptions, LocalRuntime, RUNS_KEPT, TRANSPILATIONS,
    work_as_renewer,
};
