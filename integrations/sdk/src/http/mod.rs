//! HTTP through the host's gate: only what the manifest asks for and the operator grants.
//!
//! ```no_run
//! use bg_integration_sdk::{charms, http::Request};
//!
//! # fn main() -> Result<(), bg_integration_sdk::Error> {
//! for charm in charms::registered()? {
//!     // The host adds the charm's token: this code never sees it.
//!     let response = Request::get("https://api.example.com/v1/changes").query("since", "7").charm(&charm).send()?;
//!     if response.status == 200 {
//!         let _changes: Vec<String> = response.json()?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod error;
mod flight;
mod many;
mod request;
mod response;

pub use error::HttpError;
pub use many::send_all;
pub use request::{Method, Request, segment};
pub use response::Response;
