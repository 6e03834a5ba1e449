//! The gate from outside: real sockets on loopback, and a fake resolver.

// Clippy does not recognize test helpers as tests.
#![allow(clippy::unwrap_used)]

mod addresses;
mod budgets;
mod credentials;
mod grants;
mod http2;
mod odd_answers;
mod renewal;
mod requests;
mod resending;
mod responses;
mod schemes;
mod secrets;
mod spellings;
mod support;
mod tls;
mod urls;
