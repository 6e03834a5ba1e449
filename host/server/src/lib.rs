//! The HTTP server of bg-wasm-host: a local charm runtime as the Charm Runtime API; the original's endpoint for
//! registering charms, with its button; an admin page and metrics for the operator.
//!
//! | who may | endpoints |
//! |---|---|
//! | anybody | `GET /api/health`, `GET /api/openapi.json`, `GET /ct-updater.js`, the login page |
//! | anybody, unless the [policy](RegistrationPolicy) says otherwise | `POST /api/integrations/bg` |
//! | signers, within the access lists of spaces; the operator, with the login token | everything under `/api/v1/` |
//! | the operator, with the login token or in a session | everything under `/admin`, `GET /metrics` |
//!
//! Pages of origins that the operator allows may use `POST /api/integrations/bg`, too. The wire types are
//! `bg_charm_api::wire`.
//!
//! Every endpoint is a row of one table. The router, the [OpenAPI document](openapi()) and the tests are made from it.
//! The server speaks HTTP/1.1: it belongs on a loopback address, behind a proxy, or has a certificate. Wrong requests
//! get a 4xx response that says what is wrong. Slow or many clients meet [limits](AdmissionLimits), in the order that
//! `admission` shows.

mod accounts;
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
mod routes;
mod server;
mod sign_in;
mod site;
mod spaces;
mod tls;
mod triggers;

pub use activity::Activity;
pub use admission::AdmissionLimits;
pub use endpoint::{Access, Endpoint};
pub use login::{LoginSessions, LoginToken, LoginTokenError, RandomError};
pub use options::{RegistrationPolicy, ServerOptions};
pub use origins::{AllowedOrigin, ParseAllowedOriginError};
pub use polling::{LoopEnded, Polling};
pub use routes::{endpoints, openapi};
pub use server::{BindError, ServeError, Server};
pub use site::Site;
pub use tls::{Tls, TlsError};
