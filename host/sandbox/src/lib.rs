//! The sandbox: runs integrations and charms' programs, which nobody here has read, as WebAssembly components.
//!
//! A component's file is [loaded](Sandbox::load) (size, validity, world, compiled code from the cache) and then linked, as an
//! [`IntegrationComponent`] or a [`CharmComponent`]. Every call of one gets a fresh store and instance, with the [`Limits`] of
//! its kind, and ends in time, with a value or as one of the [kinds of outcome](bg_poller::OutcomeKind). All that a guest
//! reaches is in `host`: our interfaces of `wit/`, WASI 0.2 with nothing in it, and HTTP through the egress gate.

mod bindings;
mod call;
mod cells;
mod charm;
mod charm_call;
mod child;
mod config;
mod credentials;
mod draft;
mod engine;
mod error;
mod failure;
mod features;
mod host;
mod image;
mod images;
mod integration;
mod json;
mod lane;
pub mod limits;
mod load;
mod observer;
mod preload;
mod registrations;
mod sandbox;
mod share;
mod store_limits;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;

pub use cells::{CellReadError, CellReader, CellWrites};
pub use charm::{CharmComponent, Shape};
pub use charm_call::CharmCall;
pub use child::{ChildCommand, ChildError, ChildLimits, work_as_child};
pub use config::Program;
pub use credentials::CharmCredentials;
pub use engine::Allocation;
pub use error::SandboxError;
pub use failure::CallFailure;
pub use host::CallLines;
pub use integration::{IntegrationComponent, IntegrationSetup};
pub use limits::Limits;
pub use load::{
    ChildOptions, Compiler, ComponentInfo, Item, ItemKind, LoadError, LoadedComponent, Metadata, Origin, World,
    WorldError, compile_as_child, inspect, inspect_by,
};
pub use observer::{CallObserver, CallRecord};
pub use registrations::Registrations;
pub use sandbox::{Sandbox, SandboxOptions};
