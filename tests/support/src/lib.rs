//! What the end-to-end tests and the demo of bg-wasm-host share.
//!
//! - [`FakeGoogle`]: a loopback Google with a mailbox that grows, a calendar, bearer tokens and their renewal. It speaks
//!   the JSON of Google's public API documentation and notes every request.
//! - [`OidcProvider`]: a certified OpenID provider on loopback, from npm; [`follow_redirects`]: a person who signs in.
//! - [`Browser`]: Debian's Chromium, as a person uses it.
//! - [`FakeSite`]: a small web site, with documents that change, go elsewhere, fail or never come.
//! - [`TestHost`]: the real binary, in its own folder and environment.
//! - [`HttpReply`] and [`exchange`]: a plain HTTP/1.1 client for requests that a proper client would not send.
//! - [`RawServer`]: a server, and a proxy, that answer as no server should.
//! - [`charm_source`]: the sources of charms.
//! - [`Random`]: choices that a failed test can repeat.
//! - [`SmallDisk`]: a disk that can be filled, emptied and made read-only; [`FailingWrites`]: one that fails while files
//!   on it are open; [`SteppedClock`]: a wall clock that can be set. Not every machine has them: [`available`];
//!   [`skipped`] counts what a machine lacks.
//! - [`Postgres`]: Debian's PostgreSQL, in a folder of its own.
//! - [`machine`], [`processor_time`] and [`memory`]: what benchmarks say of the machine and of a process.
//!
//! All of it is blocking and runs on its own threads, so that it works the same in a test with or without an async
//! runtime.

mod browser;
mod charms;
mod clock;
mod disk;
mod google;
mod host;
mod http;
mod measured;
mod needs;
mod oidc;
mod postgres;
mod preload;
mod random;
mod raw;
mod site;
pub mod skipped;
mod visitor;
pub mod wat;
mod writes;

pub use browser::{Browser, ELSEWHERE, Key, SOON};
pub use charms::charm_source;
pub use clock::SteppedClock;
pub use disk::SmallDisk;
pub use google::{Authorization, Broken, FakeGoogle, Recurrence, Refusal, SeenRequest, When};
pub use host::{Finished, Line, Output, Running, TestHost};
pub use http::{HttpReply, exchange, request};
pub use measured::{machine, memory, processor_time};
pub use needs::available;
pub use oidc::{OidcOptions, OidcProvider};
pub use postgres::{Durability, Postgres};
pub use random::Random;
pub use raw::{RawAnswer, RawRequest, RawServer};
pub use site::{FakeSite, SiteRequest};
pub use visitor::follow_redirects;
pub use writes::{FailingWrites, WriteFault};
