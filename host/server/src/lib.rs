//! The HTTP server of bg-wasm-host: a local charm runtime, offered as the Charm Runtime API, and the endpoint at which the
//! original's pages register charms.
//!
//! | who may | endpoints |
//! |---|---|
//! | anybody | `GET /api/health`; `POST /api/integrations/bg`, from pages of any origin |
//! | whoever signs, within the access lists of spaces | everything under `/api/v1/`; the wire types are `bg_charms::api` |
//!
//! It speaks HTTP/1.1 without TLS, so it belongs on a loopback address or behind a proxy. Whatever a client sends, it gets a
//! JSON answer of the 4xx kind that says what is wrong, and slow or many clients meet [limits](ServerOptions).

mod answer;
mod app;
mod body;
mod button;
mod charms;
mod connection;
mod form;
mod hosts;
mod options;
mod query;
mod registrations;
mod router;
mod server;
mod signed;
mod spaces;
mod unsigned;

pub use options::ServerOptions;
pub use router::{Access, Endpoint, endpoints};
pub use server::{BindError, ServeError, Server};
