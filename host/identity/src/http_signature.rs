//! Signed HTTP requests: RFC 9421 with Ed25519, always covering the body's digest (RFC 9530).
//!
//! A signature covers `@method`, `@authority`, `@path`, `@query` and `content-digest` (also of an empty body), with the
//! parameters `created`, `expires`, `nonce`, `keyid` (the signer's DID), `alg` (`ed25519`) and `tag` (`bg-wasm-host`).
//! A server calls [`verify_head`] when the head has arrived, decides by the DID whether the signer may do this, then
//! calls [`NonceCache::accept`], and only then reads the body, for [`Head::check_body`].
//!
//! Other headers are not covered: nothing may depend on them.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use bg_identity::{Identity, http_signature};
//! use http::{HeaderMap, Method};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (identity, now) = (Identity::generate()?, SystemTime::now());
//! let url = "https://charms.example/api/v1/charms?space=mine".parse()?;
//! let signed = http_signature::sign(&identity, &Method::POST, &url, b"{}", now)?;
//! let headers = HeaderMap::from_iter(signed);
//!
//! let path = "/api/v1/charms?space=mine";
//! let verified = http_signature::verify(&Method::POST, "charms.example", path, &headers, b"{}", now)?;
//! assert_eq!(verified.did, identity.did());
//! // A signature holds for one request: for another body, it is refused.
//! assert!(http_signature::verify(&Method::POST, "charms.example", path, &headers, b"{ }", now).is_err());
//! # Ok(())
//! # }
//! ```

mod base;
mod nonce;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

use std::time::Duration;

pub use nonce::{FastClock, NonceCache, Room, Sender};
pub use sign::{SignError, sign};
pub use verify::{Head, SignatureError, Verified, claimed_signer, verify, verify_head};

/// The `tag` of our signatures: it distinguishes them from those that a proxy may add.
pub const TAG: &str = "bg-wasm-host";

/// The `alg` of our signatures.
pub const ALGORITHM: &str = "ed25519";

/// How long a signature is valid: long enough for a slow upload.
pub const LIFETIME: Duration = Duration::from_mins(1);

/// How far the signer's clock may be ahead of the verifier's. Clocks synchronized over the network differ by far less.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(30);
