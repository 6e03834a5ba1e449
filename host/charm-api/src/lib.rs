//! The interface of a charm runtime: operations on spaces and charms ([`Spaces`]), access lists ([`Acl`]), and the HTTP
//! API ([`wire`]).
//!
//! The poll loop's part of a runtime is [`bg_poller::CharmRuntime`]. Nothing here stores, transpiles or sends anything:
//! clients, servers and stores share it.

mod access;
mod accounts;
pub mod names;
mod operations;
mod page;
mod trace_context;
pub mod wire;

pub use access::{AccessLevel, Acl, Actor, ParseAccessLevelError, Subject};
pub use accounts::{
    AccountCharm, AccountRequest, AccountState, AccountSummary, Accounts, AttachRequest, ClientRequest, ClientSummary,
    DetachRequest, DeviceAnswer, DeviceBegun, DeviceQuestion, ForCharm, LoggedOut, SignInAnswer, SignInBegun,
    SignInRequest, SignedIn, TokenRequest,
};
pub use operations::{
    CharmShow, CharmSummary, DeployRequest, Deployed, LogEntry, LogQuery, Runtime, SetRequest, SpaceSummary, Spaces,
};
pub use page::{
    Cursor, DamagedRegistration, RecentRun, RegistrationCount, RegistrationFilter, RegistrationPage, RegistrationQuery,
    RegistrationRow,
};
pub use trace_context::{Propagator, TraceContext};
