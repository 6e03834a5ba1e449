//! The product's own tests: the real binary, real sockets, real components.

mod common;

mod bad_input;
mod gmail;
mod inspect;
mod kill;
mod readme;
mod walkthrough;
