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

mod activity;
mod admin;
mod answer;
mod app;
mod body;
mod button;
mod charms;
mod connection;
mod form;
mod hosts;
mod login;
mod metrics;
mod options;
mod origins;
mod peer;
mod permit;
mod polling;
mod query;
mod rates;
mod registrations;
mod router;
mod server;
mod signed;
mod spaces;
mod tls;
mod unsigned;

pub use activity::Activity;
pub use login::{LoginToken, LoginTokenError, RandomError};
pub use options::{RegistrationPolicy, ServerOptions};
pub use origins::{AllowedOrigin, ParseAllowedOriginError};
pub use polling::{IntegrationView, Polling};
pub use router::{Access, Endpoint, endpoints};
pub use server::{BindError, ServeError, Server, Site};
pub use tls::{Tls, TlsError};
