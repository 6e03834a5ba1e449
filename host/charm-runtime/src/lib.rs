//! The local charm runtime: it keeps charms in one SQLite file and runs their handlers in the sandbox.
//!
//! [`LocalRuntime`] does what the poll loop needs ([`bg_poller::CharmRuntime`]) and what people do with spaces and charms
//! ([`bg_charm_api::Spaces`]).

mod document;
mod links;
mod local;
mod paths;
mod secret_names;
mod secret_rule;
mod store;
mod tenancy;

pub use local::{
    CredentialOrigins, Handlers, LocalHandle, LocalOptions, LocalRuntime, Needed, RUNS_KEPT, TRANSPILATIONS,
};
pub use store::{BackupError, KeyError, OpenError, SqlitePollStore, backup, check_database, is_unused};
pub use tenancy::{Quotas, Reach, Tenancy};
