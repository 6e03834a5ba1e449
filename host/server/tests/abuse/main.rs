//! What clients may try against the API, on every endpoint where it applies.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]
#![allow(unreachable_pub, reason = "its modules share what is in them")]

#[path = "../common/mod.rs"]
mod common;

mod admission;
mod bodies;
mod browsers;
mod scene;
mod signatures;
mod upload;
