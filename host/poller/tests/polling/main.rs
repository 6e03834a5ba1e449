//! The poll loop as a whole, in paused time: a minute takes no time, and every run is the same.
#![allow(unreachable_pub, clippy::wildcard_imports, reason = "one test program in several files")]
#![allow(clippy::unwrap_used, reason = "tests, also where they are no #[test] functions")]

mod blame;
mod changes;
mod early;
mod failures;
mod fairness;
mod health;
mod lists;
mod outages;
mod owed;
mod restarts;
mod rhythm;
mod seeing;
mod stalls;
mod world;
