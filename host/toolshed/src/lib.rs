//! A client of the memory protocol that the original's server (Common Tools, later Common Fabric) speaks: the protocol by
//! which everything there reads and writes documents.
//!
//! Upwards: [`Value`] and its text ([`decode()`], [`encode()`]), [`struct@Hash`], [`EntityId`] and [`Link`]; then
//! [`Document`] and [`Commit`]; then [`Session`], which reads, watches and writes in one space; and
//! [`Registrations`], the list of charms that are polled, and [`CharmView`], one of them.
//!
//! The server is a stranger's, and so is everything in its documents. What it may cost is bounded by [`Limits`]; what it
//! sends is data, never an instruction; what it can have signed is the opening of a session with itself.

#![cfg_attr(not(feature = "session"), allow(dead_code, reason = "only sessions use it"))]

#[cfg(feature = "session")]
mod backoff;
#[cfg(feature = "session")]
mod charm;
mod commit;
mod decode;
mod document;
mod encode;
#[cfg(feature = "session")]
mod endpoint;
mod error;
#[cfg(feature = "session")]
mod handshake;
mod hash;
mod id;
mod limits;
mod link;
mod plain;
mod registrations;
#[cfg(feature = "session")]
mod session;
#[cfg(feature = "session")]
mod socket;
mod tagged;
mod value;
mod view;
mod wire;

#[cfg(feature = "session")]
pub use charm::{CharmView, Key};
pub use commit::{Commit, Patch, path};
pub use decode::{DecodeError, TAG, decode};
pub use document::{Content, Document, Root};
pub use encode::encode;
#[cfg(feature = "session")]
pub use endpoint::Endpoint;
pub use error::Error;
pub use hash::Hash;
pub use id::{EntityId, ParseEntityIdError, StreamId};
pub use limits::Limits;
pub use link::Link;
pub use plain::MAX_NODES;
pub use registrations::{Entry, Registrations, Skipped, Why};
#[cfg(feature = "session")]
pub use session::{Changes, Committed, Config, Session, State};
pub use tagged::Tagged;
pub use value::Value;
pub use view::documents_in;
