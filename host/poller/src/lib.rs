//! The poll loop of bg-wasm-host: which charms are due, in which order, and what came of it.
//!
//! It drives three traits and knows neither WebAssembly nor HTTP nor SQL: [`CharmRuntime`] (what stores charms and runs
//! their handlers), [`Integration`] (what decides which charms to poll) and [`PollStore`] (where poll state survives a
//! restart). [`Poller`] is the loop itself.

mod blame;
mod cause;
mod clock;
mod engine;
mod gauges;
mod guard;
mod health;
mod histogram;
mod integration;
mod kind;
mod log;
mod message;
mod messages;
pub mod millis;
mod moment;
mod options;
mod outbox;
mod outcome;
mod policy;
mod poll;
mod registration;
mod registry;
mod report;
mod runtime;
pub mod schedule;
mod scope;
mod servers;
mod service;
mod standing;
mod state;
mod stats;
mod store;
mod streams;
#[cfg(any(test, feature = "suite"))]
pub mod testing;
mod token;

pub use bg_identity::{CharmRef, ParseCharmRefError};
pub use blame::{Blame, Consequence};
pub use cause::{Cause, advice, allowing, known};
pub use clock::{Clock, SystemClock};
pub use gauges::Gauges;
pub use histogram::Histogram;
pub use integration::{Fitness, Integration, IntegrationError};
pub use kind::OutcomeKind;
pub use log::{LogLevel, LogLine};
pub use messages::{PollRequest, Replacement};
pub use moment::UnixMillis;
pub use options::{Limit, PollEvent, PollHook, PollerOptions};
pub use outcome::Outcome;
pub use registration::{DisabledBy, Registration};
pub use runtime::{Charm, CharmRuntime, Lookup, RegistrationChanges, RuntimeError};
pub use scope::Scope;
pub use servers::{FailedServer, Servers};
pub use service::{Poller, PollerError};
pub use standing::{ComponentFailure, Standing};
pub use state::RegistrationState;
pub use stats::Summary;
pub use store::{
    Counters, IntegrationState, PollState, PollStore, Run, StateChanges, StateError, StateLimits, StoreError,
};
pub use streams::UPDATER_STREAMS;
pub use token::TokenLife;
