//! Write an integration of bg-wasm-host in a few lines of Rust.
//!
//! An integration decides which charms the service polls. It is a component of the world `integration` in `wit/`. This
//! crate is that world as a trait with sensible defaults, and helpers for the host's interfaces:
//!
//! ```
//! use bg_integration_sdk::{Charm, CharmRef, Error, Integration, charms, export};
//!
//! /// Polls every registered charm that has a stream for polls and an `inbox`.
//! pub struct Inbox;
//!
//! impl Integration for Inbox {
//!     fn fetch_charms() -> Result<Vec<CharmRef>, Error> {
//!         Ok(charms::registered()?)
//!     }
//!
//!     fn is_valid_charm(charm: &Charm) -> Result<bool, Error> {
//!         Ok(charms::updater_stream(charm)?.is_some() && !charms::get(charm, &["inbox"])?.is_absent())
//!     }
//! }
//!
//! export!(Inbox);
//! ```
//!
//! Next to the source is an `integration.toml`, the manifest. Build it for `wasm32-unknown-unknown` (with
//! `build-integrations`) or for `wasm32-wasip2` (with plain cargo). The first of these has no clock, no randomness and
//! no threads: use [`time`] instead of `std::time`.
//!
//! Everything compiles on other targets too, so that an author's decisions can be unit-tested (see `testing`).
//! Functions that would call the host panic there, except [`mod@log`], which is silent.

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    elided_lifetimes_in_paths,
    missing_docs,
    unreachable_pub,
    unsafe_code,
    reason = "generated from the contract"
)]
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "commontools:background/integration",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_world",
        default_bindings_module: "bg_integration_sdk::bindings",
    });
}

pub mod charms;
pub mod config;
mod error;
pub mod http;
mod integration;
pub mod log;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod updates;

pub use charms::{Charm, CharmRef, CharmView, Lookup};
pub use error::Error;
#[doc(hidden)]
pub use integration::Adapter;
pub use integration::Integration;
