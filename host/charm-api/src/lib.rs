//! What a charm runtime offers: what people do with spaces and charms ([`Spaces`]), who may do it ([`Acl`]), and how it goes over HTTP
//! ([`wire`]).
//!
//! The poll loop's part of a runtime is [`bg_poller::CharmRuntime`]. Nothing here stores, transpiles or sends anything, so that clients, servers
//! and stores can share it.

mod access;
pub mod names;
mod operations;
mod overview;
mod trace_context;
pub mod wire;

pub use access::{AccessLevel, Acl, Actor, ParseAccessLevelError, Subject};
pub use operations::{
    CharmShow, CharmSummary, DeployRequest, Deployed, LogEntry, LogQuery, Runtime, SetRequest, SpaceSummary, Spaces,
};
pub use overview::{
    DamagedRegistration, Overview, OverviewQuery, OverviewRow, Place, RecentRun, RegistrationCount, RegistrationFilter,
};
pub use trace_context::{Propagator, TraceContext};
