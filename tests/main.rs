//! The product's own tests: the real binary, real sockets, real components.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

mod bad_input;
mod gmail;
mod inspect;
mod kill;
mod readme;
mod walkthrough;
