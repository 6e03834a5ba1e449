//! A client of the memory protocol that the original's server (Common Tools, later Common Fabric) speaks: the protocol by
//! which everything there reads and writes documents.
//!
//! Upwards: [`Value`] and its text ([`decode`], [`encode`]), [`Hash`], [`EntityId`] and [`Link`].

mod decode;
mod encode;
mod hash;
mod id;
mod link;
mod plain;
mod tagged;
mod value;

pub use decode::{DecodeError, TAG, decode};
pub use encode::encode;
pub use hash::Hash;
pub use id::{EntityId, ParseEntityIdError, StreamId};
pub use link::Link;
pub use plain::MAX_NODES;
pub use tagged::Tagged;
pub use value::Value;
