//! The product's own tests: the real binary, real sockets, real components.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
mod guest;

mod authors;
mod backup;
mod bad_input;
mod bombs;
mod clock;
mod compiling;
mod configuration;
mod confinement;
mod crowd;
mod developer;
mod disk;
mod doctor;
mod egress;
mod failing;
mod gmail;
mod guide;
mod hangup;
mod inspect;
mod install;
mod intervals;
mod kill;
mod loading;
mod operating;
mod operator;
mod readme;
mod reloading;
mod runtime;
mod shell;
mod status;
mod walkthrough;
