//! Charm runtimes: what stores charms and runs their handlers.
//!
//! [`LocalRuntime`] keeps everything in one SQLite file and runs handlers in the sandbox; [`RemoteRuntime`] is the client of
//! one that is offered over HTTP. Both do what the poll loop needs ([`bg_poller::CharmRuntime`]) and what people do with
//! spaces and charms ([`Spaces`]).

mod access;
pub mod api;
mod certificate;
mod document;
mod links;
mod local;
mod lock;
mod overview;
mod paths;
mod remote;
mod secret_names;
mod secret_rule;
mod spaces;
mod store;
mod tenancy;
mod trace_context;
pub mod transpile;

pub use access::{AccessLevel, Acl, Actor, ParseAccessLevelError, Subject};
pub use certificate::{CertificateDigest, ParseCertificateDigestError};
pub use local::{
    CredentialOrigins, Handlers, LocalHandle, LocalOptions, LocalRuntime, Needed, RUNS_KEPT, TRANSPILATIONS,
};
pub use lock::{DatabaseLock, Holder, LockError, Role};
pub use overview::{
    DamagedRegistration, Overview, OverviewQuery, OverviewRow, Place, RecentRun, RegistrationCount, RegistrationFilter,
};
pub use remote::{Probe, RemoteRuntime, ServerTrust, probe, tls_advice};
pub use spaces::{
    CharmShow, CharmSummary, DeployRequest, Deployed, LogEntry, LogQuery, Runtime, SetRequest, SpaceSummary, Spaces,
};
pub use store::{BackupError, KeyError, OpenError, SqlitePollStore, backup, check_database, is_unused};
pub use tenancy::{Quotas, Reach, Tenancy};
pub use trace_context::{Propagator, TraceContext};
