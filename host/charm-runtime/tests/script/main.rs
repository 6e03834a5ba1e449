//! Charms in TypeScript, for real: transpiled, and run by the script component in the sandbox, with the gate before the
//! network.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helper may panic as its test does, and tells times"
)]

mod ahead;
mod calendar;
mod charms;
mod constructs;
mod depth;
mod errors;
mod feed;
mod figures;
mod garbage;
mod gmail;
mod old_databases;
mod others;
mod regexps;
mod support;
mod turndown;
mod watchdog;
mod web;
mod wire;
