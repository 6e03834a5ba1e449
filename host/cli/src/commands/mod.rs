//! One module per group of commands.

pub(crate) mod backup;
pub(crate) mod charm;
pub(crate) mod compile;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod egress;
pub(crate) mod identity;
pub(crate) mod inspect;
mod list;
pub(crate) mod new;
pub(crate) mod oauth;
pub(crate) mod registrations;
pub(crate) mod renew;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod setup;
pub(crate) mod shell;
pub(crate) mod space;
pub(crate) mod status;
pub(crate) mod transpile;
