//! The product's own tests: the real binary, real sockets, real components.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
mod damaged;
mod guest;

mod admin;
mod authors;
mod backup;
mod bad_input;
mod blame;
mod bombs;
mod button;
mod clock;
mod compiling;
mod configuration;
mod confinement;
mod crowd;
mod developer;
mod disk;
mod doctor;
mod documents;
mod egress;
mod failing;
mod features;
mod gmail;
mod granted;
mod guide;
mod hangup;
mod importers;
mod inspect;
mod install;
mod integrations;
mod intervals;
mod kill;
mod large;
mod loading;
mod mistyped;
mod new;
mod news;
mod operating;
mod operator;
mod readme;
mod reloading;
mod runtime;
mod seeing;
mod shell;
mod stalls;
mod status;
mod strangers;
mod tenants;
mod terminal;
mod tls;
mod traces;
mod walkthrough;
mod workshop;
