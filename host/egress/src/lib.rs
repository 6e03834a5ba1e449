//! The gate: the only way by which guests reach the network, over HTTP. This crate contains no WebAssembly.
//!
//! A process has one [`Gate`]. Each integration, and the charms together, get a [`GateClient`] of it, with their own
//! grants, connections and TLS sessions. Every request passes, in this order:
//!
//! 1. its call's [`CallBudget`];
//! 2. one URL parser, whose result is both checked and dialled;
//! 3. the grants; without one that covers it, the request is denied, and its name is never looked up;
//! 4. the rules for headers, and for the [secrets](KnownSecret) that the guest knows: a request that contains one bound
//!    to other origins is denied. For this, its body is read to the end before anything is sent;
//! 5. one lookup of the name, and a check of **every** address found against [`special`] and the service's own ports;
//! 6. the [`CredentialSource`], if its grant names a credential and the call, or the guest, names a charm;
//! 7. a connection to one of the checked addresses.
//!
//! If a server answers 401 to an attached token, the token is renewed and the request sent once more.
//!
//! The response is limited in size and time until its end. Redirects are not followed, no proxy is used, nothing is
//! decompressed and no cookies are kept. Each request leaves one [`AuditRecord`], also in the log (target `egress`).
//!
//! ```
//! use bg_egress::{ClientOptions, EgressError, Gate, GateOptions, Owner, RequestOptions, Rule};
//! use bg_manifest::HttpGrant;
//! use bytes::Bytes;
//! use http::{Method, Request};
//! use http_body_util::Empty;
//! use std::time::{Duration, Instant};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gate = Gate::new(GateOptions::default());
//! let grants: [HttpGrant; 2] = ["GET https://api.example.com/v1/".parse()?, "http://10.0.0.7/".parse()?];
//! let grants = grants.map(Into::into).to_vec();
//! let client = gate.client(ClientOptions { grants, ..ClientOptions::new(Owner::Charms) })?;
//!
//! // `check` says what would happen, and sends nothing.
//! let verdict = client.check(&Method::GET, "https://api.example.com/v1/items?page=2")?;
//! assert_eq!(verdict.rule, "GET https://api.example.com/v1/");
//! let denied = client.check(&Method::POST, "https://api.example.com/v1/items");
//! assert!(matches!(denied, Err(EgressError::Denied { rule: Rule::Grant, .. })));
//!
//! // A grant is not enough for a special address. The option in the error would allow it.
//! let budget = client.budget(Instant::now() + Duration::from_secs(5));
//! let request = Request::get("http://10.0.0.7/status").body(Empty::<Bytes>::new())?;
//! let refused = client.send(request, &budget, RequestOptions::default()).await;
//! let Err(EgressError::Address { what, option, .. }) = refused else { panic!("it is sent") };
//! assert_eq!(what, "private");
//! assert_eq!(option.as_deref(), Some("--allow-private http://10.0.0.7"));
//! # Ok(())
//! # }
//! ```

mod address;
mod attached;
mod audit;
mod body;
mod budget;
mod charm;
mod client;
mod connect;
mod credential;
mod error;
mod exchange;
mod failure;
mod forms;
mod gate;
mod grants;
mod headers;
pub mod limits;
mod owner;
mod resolve;
mod route;
mod secrets;
mod shared;
mod target;
mod tls;
mod turns;

pub use address::{RefusedAddress, refused, special};
pub use audit::{AuditHook, AuditRecord, Decision};
pub use body::ResponseBody;
pub use budget::{CallBudget, Progress, Stage};
pub use charm::RequestCharm;
pub use client::{ClientOptions, GateClient, Verdict};
pub use credential::{CredentialError, CredentialSource, NotRenewed};
pub use error::{BoxError, EgressError, Part, Rule, Wait};
pub use gate::{Gate, GateOptions};
pub use limits::{HttpLimits, RequestOptions};
pub use owner::Owner;
pub use resolve::{Resolver, SystemResolver};
/// A certificate, for [`GateOptions::extra_roots`].
pub use rustls::pki_types::CertificateDer;
pub use secrets::KnownSecret;
pub use shared::{GateError, Mode};
