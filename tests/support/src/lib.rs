//! What the end-to-end tests and the demo of bg-wasm-host share.
//!
//! - [`FakeGoogle`]: a loopback Google with a mailbox that grows, a calendar, bearer tokens and their renewal. It speaks the
//!   JSON of Google's public API documentation and notes every request.
//! - [`TestHost`]: the real binary, in a folder and an environment of its own.
//! - [`HttpReply`] and [`exchange`]: a plain HTTP/1.1 client for requests that a proper client would not send.
//!
//! All of it is blocking and runs on threads of its own, so that it works the same in a test with or without an async
//! runtime.

mod google;
mod host;
mod http;

pub use google::{Authorization, FakeGoogle, SeenRequest};
pub use host::{Finished, Line, Output, Running, TestHost};
pub use http::{HttpReply, exchange, request};
