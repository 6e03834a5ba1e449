//! Why a request is not granted.

use http::Method;

use crate::methods::Methods;
use crate::origin::Origin;
use crate::path::PathMismatch;
use crate::target::TargetError;

/// Why a grant is not for a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// There is no grant at all.
    #[error("no HTTP is granted")]
    NoGrant,
    /// The URL is not one that may be requested.
    #[error(transparent)]
    Url(#[from] TargetError),
    /// The scheme, the host or the port is another.
    #[error("no grant is for {0}")]
    Origin(Origin),
    /// The path is another, or may be.
    #[error(transparent)]
    Path(#[from] PathMismatch),
    /// The method is another.
    #[error("{method} is not granted there, only {granted}")]
    Method {
        /// Which was asked.
        method: Method,
        /// Which are granted.
        granted: Methods,
    },
}
