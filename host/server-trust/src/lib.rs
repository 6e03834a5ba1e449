//! Which server is the right one: identified by the lock of a data directory, or by public authorities. And the HTTP
//! clients that check it.

mod certificate;
pub mod http_client;
mod lock;
mod trust;

pub use certificate::{CertificateDigest, ParseCertificateDigestError};
pub use http_client::tls_advice;
pub use lock::{DatabaseLock, Holder, LockError, Role};
pub use trust::ServerTrust;
