//! Which charms are polled when: what the loop asks, and what each answer promises.
//!
//! The loop polls; a [`Schedule`] decides what is due. Today there is one, [in memory](memory), for the one process that
//! polls a database. Several processes can share a schedule that is kept in a database: then each *claims* what is due
//! by a lease that ends, and a claimer that is killed holds nobody up for longer. The loop knows the trait alone:
//! [`Poller`](crate::Poller) makes the schedule, and another one has its folder beside `memory`. With the feature
//! `suite`, [`suite`] tests every promise; each implementation passes it.

mod contract;
mod lists;
pub mod memory;
mod polls;
mod status;
#[cfg(feature = "suite")]
pub mod suite;

pub use contract::Schedule;
pub use lists::{LIST_LIFE, ListChange, Named, Owed};
pub use polls::{ComponentAnswer, Due, Kept, Lease, Settled, Settlement};
pub use status::StatusChange;
pub(crate) use status::in_a_row;
