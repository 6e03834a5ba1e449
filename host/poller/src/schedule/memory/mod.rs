//! The schedule of one process: all registrations in memory, and notes for after a restart.
//!
//! [`MemorySchedule`] is what it knows (`state`), and `schedule` what the loop asks of it. Each of the other files
//! does one thing with that, or has a part of it that knows nothing of the rest.

mod claim;
mod due_queue;
mod early;
mod forgotten;
mod gone;
mod interner;
mod lease;
mod leases;
mod list;
mod lists;
mod outages;
mod pace;
mod paces;
mod ready;
mod registrations;
mod schedule;
mod servers;
mod settle;
mod slab;
mod slots;
mod slow;
mod slow_charms;
mod stamps;
mod state;
mod status;
mod times;
mod wakes;

pub use self::state::MemorySchedule;
pub use crate::outbox::Notes;
