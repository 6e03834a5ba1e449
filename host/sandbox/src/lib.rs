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
mod engine;
mod failure;
mod host;
mod integration;
mod json;
pub mod limits;
mod load;
mod registrations;
mod sandbox;
mod store_limits;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;

pub use cells::{CellReadError, CellReader, CellWrites};
pub use charm::{CharmCall, CharmComponent, Shape};
pub use engine::Allocation;
pub use failure::CallFailure;
pub use integration::{IntegrationComponent, IntegrationSetup};
pub use limits::Limits;
pub use load::{
    ComponentInfo, Item, ItemKind, LoadError, LoadedComponent, Metadata, Origin, World, WorldError, inspect,
};
pub use registrations::CharmCredentials;
pub use sandbox::{Sandbox, SandboxError, SandboxOptions};
