//! The HTTP server of bg-wasm-host: a local charm runtime, offered as the Charm Runtime API; the endpoint at which the original's pages register
//! charms, and the button that does so; an admin page and metrics for the operator.
//!
//! | who may | endpoints |
//! |---|---|
//! | anybody | `GET /api/health`, `GET /api/openapi.json`, `GET /ct-updater.js`, the login page; `POST /api/integrations/bg`, also from pages of origins that the operator allows, unless the [policy](RegistrationPolicy) says otherwise |
//! | whoever signs, within the access lists of spaces; the operator, with the login token | everything under `/api/v1/`; the wire types are `bg_charm_api::wire` |
//! | the operator, with the login token or in a session | everything under `/admin`, `GET /metrics` |
//!
//! Every endpoint is a row of one table, of which the router, the [OpenAPI document](openapi()) and the tests are made. It speaks HTTP/1.1, so it
//! belongs on a loopback address, behind a proxy, or has a certificate. Whatever a client sends, it gets an answer of the 4xx kind that says what is
//! wrong, and slow or many clients meet [limits](AdmissionLimits), in an order that `admission` draws.

mod activity;
mod admin;
mod admission;
mod answer;
mod app;
mod button;
mod charms;
mod connection;
mod counts;
mod endpoint;
mod form;
mod hosts;
mod login;
mod metrics;
mod openapi;
mod options;
mod origins;
mod peer;
mod permit;
mod pollers;
mod polling;
mod query;
mod registrations;
mod report;
mod router;
mod server;
mod site;
mod spaces;
mod table;
mod tls;
mod triggers;

pub use activity::Activity;
pub use admission::AdmissionLimits;
pub use endpoint::{Access, Endpoint};
pub use login::{LoginSessions, LoginToken, LoginTokenError, RandomError};
pub use openapi::openapi;
pub use options::{RegistrationPolicy, ServerOptions};
pub use origins::{AllowedOrigin, ParseAllowedOriginError};
pub use polling::{LoopEnded, Polling};
pub use server::{BindError, ServeError, Server};
pub use site::Site;
pub use table::endpoints;
pub use tls::{Tls, TlsError};
